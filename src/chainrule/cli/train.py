"""``chainrule train``."""

import math
import os
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import DataSet, load_data
from chainrule.data import Batches
from chainrule.layer import Layer
from chainrule.layers import Linear, ReLU
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.metrics import confusion_matrix
from chainrule.model import Model
from chainrule.optimizers import SGD
from chainrule.training import History, KeepBest, Run, evaluate, train

__all__ = ["Settings", "train_command"]

MADE = {
    "model.safetensors": "the model: the best epoch's",
    "history.csv": "loss and accuracy of every epoch",
    "curves.png": "loss and accuracy, drawn",
    "confusion.png": "what was taken for what",
    "mistakes.png": "the worst mistakes, with true and predicted labels",
    "weights.png": "what the first layer looks for",
}


@dataclass
class Settings:
    """The options of the command."""

    data: str
    hidden: str
    epochs: int | None
    lr: float
    batch_size: int
    seed: int
    out: Path | None


class _Save(KeepBest):
    """Write the model whenever it is the best so far, and the history each epoch."""

    def __init__(self, folder: Path) -> None:
        super().__init__("validation_accuracy")
        self.folder = folder
        self.history = History()

    def on_epoch_end(self, run: Run) -> None:
        super().on_epoch_end(run)
        self.history = run.history
        if self.epoch == run.epoch:
            run.model.save(self.folder / "model.safetensors")
        run.history.save_csv(self.folder / "history.csv")


def train_command(settings: Settings) -> int:
    """Train, save, draw, and say what was made; return the exit code."""
    widths = _checked(settings)
    data = load_data(settings.data)
    folder = _run_folder(settings.out, data.preparation.data)
    preparation = data.preparation
    n_in, classes = math.prod(preparation.sample_shape), len(preparation.names)
    model = _net([n_in, *widths, classes], settings.seed)
    preparation.into(model)
    epochs = settings.epochs or (30 if settings.data == "digits" else 5)
    test = (preparation.rows(data.x_test), data.y_test)
    batches = Batches(preparation.rows(data.x), data.y, settings.batch_size, seed=settings.seed)
    print(
        f"Training {n_in}-{'-'.join(map(str, [*widths, classes]))} on {preparation.data}: "
        f"{len(data.x):,} samples, {len(data.x_test):,} held out, "
        f"{model.parameters.size:,} parameters.",
        flush=True,
    )
    save = _Save(folder)
    stopped: KeyboardInterrupt | None = None
    try:
        train(
            model, settings.lr, epochs, batches,
            optimizer=SGD(), validation_data=test, callbacks=[save],
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        stopped = stop
        if save.epoch is None:
            print("Stopped before the first epoch ended: saving the net as it is.")
            model.save(folder / "model.safetensors")
        else:
            print(f"Stopped: keeping the best model so far, of epoch {save.epoch}.")
    accuracy = evaluate(model, test)["accuracy"]
    made = ["model.safetensors", *(["history.csv"] if len(save.history) else [])]
    made += _draw(folder, model, data, save.history)
    _farewell(folder, made, data, save, accuracy)
    if stopped is None:
        return 0
    from chainrule.cli.app import exit_code

    return exit_code(stopped)


def _checked(settings: Settings) -> list[int]:
    """Refuse options that make no sense; return the widths of the hidden layers."""
    if settings.epochs is not None and settings.epochs < 1:
        raise UsageError(f"--epochs must be at least 1, got {settings.epochs}.")
    if settings.batch_size < 1:
        raise UsageError(f"--batch-size must be at least 1, got {settings.batch_size}.")
    if not 0 < settings.lr < math.inf:
        raise UsageError(f"--lr must be greater than 0, and finite, got {settings.lr}.")
    if settings.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {settings.seed}.")
    if settings.hidden.strip() == "0":
        return []
    words = settings.hidden.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"--hidden must be widths as 100 or 300,100, got {settings.hidden!r}.")
    return [int(word) for word in words]


def _net(widths: list[int], seed: int) -> Model:
    layers: list[Layer] = []
    for n_in, n_out in pairwise(widths):
        layers += [Linear(n_in, n_out), ReLU()]
    return Model(layers[:-1], SoftmaxCrossEntropy(), seed=seed)  # no ReLU after the last


def _run_folder(out: Path | None, name: str) -> Path:
    """Make the folder, and prove that it can be written, before an hour is spent on training."""
    if out is None:
        stem = re.sub(r"[^\w.-]+", "-", name) or "run"
        numbered = (Path("runs") / f"{stem}-{number:03d}" for number in count(1))
        out = next(path for path in numbered if not path.exists())
    elif out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file. Name a folder.")
    elif any((out / made).exists() for made in MADE):
        raise UsageError(f"--out {out} holds a run already. Name another folder, or remove it.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write into {out}: {error.strerror}. Name another folder: --out FOLDER."
        ) from error
    return out


def _draw(folder: Path, model: Model, data: DataSet, history: History) -> list[str]:
    """Draw the pictures that the data allow; return their names."""
    from chainrule import plots

    preparation = data.preparation
    probabilities = model.predict_proba(preparation.rows(data.x_test))
    classes = len(preparation.names)
    predicted = probabilities.argmax(axis=1)
    pictures = {}
    if len(history):
        pictures["curves.png"] = plots.curves(history)
    matrix = confusion_matrix(predicted, data.y_test, classes)
    pictures["confusion.png"] = plots.confusion(matrix, preparation.names)
    if preparation.image_shape is not None:
        pictures["mistakes.png"] = plots.mistakes(
            data.x_test, data.y_test, probabilities, preparation.names
        )
    first = model.layers[0]
    assert isinstance(first, Linear)
    pictures["weights.png"] = plots.weights(first.weights, preparation.image_shape)
    for name, axes in pictures.items():
        axes.figure.savefig(folder / name)  # type: ignore[union-attr]  # the stubs allow a SubFigure
    return list(pictures)


def _farewell(folder: Path, made: list[str], data: DataSet, save: _Save, accuracy: float) -> None:
    of_epoch = f" (the best, of epoch {save.epoch})" if save.epoch else ""
    wrong = round((1 - accuracy) * len(data.x_test))
    print(
        f"\nAccuracy on {len(data.x_test):,} held-out samples: {100 * accuracy:.2f} %{of_epoch}; "
        f"{wrong:,} wrong.\n\nMade in {folder}{os.sep}"
    )
    for name in made:
        print(f"  {name:<18} {MADE[name]}")
    model = shlex.quote(str(folder / "model.safetensors"))
    sample = "IMAGE.png" if data.preparation.image_shape else "SAMPLES.npy"
    print("\nNext:")
    print(f"  chainrule predict {model} {sample}")
    print(f"  chainrule summary {model}")
    if data.preparation.data == "digits":
        print("  chainrule train mnist")
    sys.stdout.flush()
