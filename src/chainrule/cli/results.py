"""The folder that a run leaves: its name, its pictures, and what is said of it."""

import contextlib
import os
import re
import shlex
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path

from chainrule.cli.classes import class_probabilities
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import DataSet, Preparation
from chainrule.cli.settings import Settings, read_settings
from chainrule.layers import Conv2d, Linear
from chainrule.metrics import confusion_matrix
from chainrule.model import Model
from chainrule.training import History, evaluate

__all__ = ["draw", "folder_to_resume", "judged", "make_folder", "tell", "tidy"]

MADE = {
    "model.safetensors": "the model: the best epoch's",
    "history.csv": "loss and accuracy of every epoch",
    "curves.png": "loss and accuracy, drawn",
    "confusion.png": "what was taken for what",
    "mistakes.png": "the worst mistakes, with true and predicted labels",
    "weights.png": "what the first layer looks for",
    "profile.png": "time and memory of a step, layer by layer",
    "profile.csv": "the same as numbers",
    "predicted.png": "predicted over true values",
    "run.toml": "the settings: chainrule train --config run.toml repeats the run",
    "checkpoints": "to go on from: chainrule train --resume",
}


def make_folder(out: Path | None, name: str) -> Path:
    """Make the folder, and prove that it can be written, before an hour is spent on training.

    Raises
    ------
    UsageError
        If ``out`` is a file, or holds a run: nothing is written over.
    OSError
        If it cannot be made or written.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file. Name a folder.")
    if out is not None and any((out / made).exists() for made in MADE):
        raise UsageError(
            f"--out {out} holds a run already. Go on with it: --resume; or name another folder."
        )
    try:
        if out is None:
            return _numbered(re.sub(r"[^\w.-]+", "-", name) or "run")
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            return out
    except OSError as error:
        raise OSError(
            f"cannot write into {out or 'runs'}: {error.strerror}. Name another folder: "
            "--out FOLDER."
        ) from error


def tidy(folder: Path) -> None:
    """Take away what a run that was killed while it wrote a file has left."""
    for name in MADE:
        for part in folder.glob(f".{name}.*.part"):
            with contextlib.suppress(OSError):
                part.unlink()


def folder_to_resume(settings: Settings, out: Path | None) -> Path | None:
    """Return the folder of the run that these settings began; None if there is none yet.

    Without ``out`` it is the newest one of ``runs`` with the same settings.

    Raises
    ------
    UsageError
        If the folder is that of other settings.
    """
    if out is not None:
        if not (out / "run.toml").exists():
            return None
        then = _with_workers(read_settings(out)[0], settings)
        if different := then.differences(settings):
            raise UsageError(
                f"--resume: the run in {out} was begun with other settings: "
                f"{'; '.join(different)}. Leave them out, or name another folder."
            )
        return out
    for path in sorted(Path("runs").glob("*/run.toml"), key=_age, reverse=True):
        with contextlib.suppress(UsageError):
            if _with_workers(read_settings(path)[0], settings) == settings:
                return path.parent
    return None


def _with_workers(then: Settings, now: Settings) -> Settings:
    """Return the settings of a run as if as many workers had begun it: others may go on."""
    return replace(then, workers=now.workers)


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _numbered(stem: str) -> Path:
    for number in count(1):
        folder = Path("runs") / f"{stem}-{number:03d}"
        if os.path.lexists(folder):
            continue
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if os.path.lexists(folder):  # another run took the number just now
                continue
            raise
        return folder
    raise AssertionError("numbers do not end")


def judged(model: Model, data: DataSet) -> str:
    """Return in words how well a model does on the held-out samples."""
    preparation, count = data.preparation, len(data.x_test)
    test = (preparation.rows(data.x_test), data.y_test)
    if preparation.regression:
        figures = evaluate(model, test, metrics=["rmse", "r2"])
        rmse = figures["rmse"] * (preparation.target_deviation or 1)
        return f"On {count:,} held-out samples: RMSE {rmse:.4g}, R² {figures['r2']:.4f}"
    accuracy = evaluate(model, test)["accuracy"]
    wrong = round((1 - accuracy) * count)
    return f"Accuracy on {count:,} held-out samples: {100 * accuracy:.2f} %, {wrong:,} wrong"


def draw(folder: Path, model: Model, data: DataSet, history: History) -> list[str]:
    """Draw the pictures that the data allow, and write the profile; return the files' names."""
    from chainrule import plots

    preparation = data.preparation
    pictures = {}
    if len(history):
        pictures["curves.png"] = plots.curves(history)
    if preparation.regression:
        outputs = model.predict(preparation.rows(data.x_test))
        pictures["predicted.png"] = plots.predicted(
            preparation.values(data.y_test), preparation.values(outputs), preparation.target
        )
    else:
        outputs = model.predict(preparation.rows(data.x_test))
        predicted = model.cost.classes(outputs)
        probabilities = class_probabilities(model.cost, outputs)
        matrix = confusion_matrix(predicted, data.y_test, len(preparation.names))
        pictures["confusion.png"] = plots.confusion(matrix, preparation.names)
        if preparation.image_shape is not None:
            images = data.x_test if data.x_test.ndim == 3 else data.x_test / preparation.maximum
            pictures["mistakes.png"] = plots.mistakes(
                images, data.y_test, probabilities, preparation.names
            )
    first = next((layer for layer in model.layers if isinstance(layer, Linear | Conv2d)), None)
    if first is not None:
        flat = len(preparation.sample_shape) == 2
        pictures["weights.png"] = plots.weights(first, preparation.image_shape if flat else None)
    if history.profile is not None:
        pictures["profile.png"] = plots.profile(history.profile)
        history.profile.save_csv(folder / "profile.csv")
    for name, axes in pictures.items():
        axes.figure.savefig(folder / name)  # type: ignore[union-attr]  # the stubs allow a SubFigure
    return [*pictures, *(["profile.csv"] if history.profile is not None else [])]


def tell(folder: Path, made: list[str], preparation: Preparation, *, best: bool) -> None:
    """Say what was made, and what to type next; ``best``: the model is that of the best epoch."""
    words = MADE if best else {**MADE, "model.safetensors": "the model, as it was when stopped"}
    print(f"\nMade in {folder}{os.sep}")
    for name in made:
        print(f"  {name:<18} {words[name]}")
    model = shlex.quote(str(folder / "model.safetensors"))
    sample = "IMAGE.png" if preparation.image_shape else "SAMPLES.npy"
    if preparation.columns is not None:
        sample = "FILE.csv"
    print("\nNext:")
    print(f"  chainrule predict {model} {sample}")
    print(f"  chainrule summary {model}")
    if preparation.data == "digits":
        print("  chainrule train mnist")
