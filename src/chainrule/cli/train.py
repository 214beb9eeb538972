"""``chainrule train``."""

import contextlib
import importlib.util
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chainrule import compiled
from chainrule.cli import nets
from chainrule.cli.errors import UsageError, message
from chainrule.cli.prepare import Preparation, load_data
from chainrule.cli.results import draw, make_folder, tell
from chainrule.data import Batches
from chainrule.layers import Linear
from chainrule.loading import load
from chainrule.model import Model
from chainrule.optimizers import SGD, Adam, Optimizer
from chainrule.training import Callback, History, KeepBest, Run, Threads, evaluate, train

__all__ = ["Settings", "checked", "train_command"]


@dataclass
class Settings:
    """The options of the command."""

    data: str
    model: str
    hidden: str | None
    epochs: int | None
    lr: float | None
    batch_size: int
    seed: int
    profile: bool
    threads: str | None
    compiled: bool
    out: Path | None


class _Save(KeepBest):
    """Write the model whenever it is the best so far, and the history each epoch."""

    def __init__(self, folder: Path) -> None:
        super().__init__("validation_accuracy")
        self.model_path = folder / "model.safetensors"
        self.history_path = folder / "history.csv"
        self.history = History()
        self.saved: int | None = None  # the epoch whose model is in the file

    def on_train_begin(self, run: Run) -> None:
        super().on_train_begin(run)
        self.history = run.history  # where the profile will be, even if no epoch ends

    def on_epoch_end(self, run: Run) -> None:
        super().on_epoch_end(run)
        if self.epoch == run.epoch:
            run.model.save(self.model_path)
            self.saved = run.epoch
        run.history.save_csv(self.history_path)


class _UpAndDown(Callback):
    """Let the learning rate grow for a fifth of the training, and then fall to 0."""

    def __init__(self, highest: float) -> None:
        self.highest = highest

    def on_step_end(self, run: Run) -> None:
        done = run.step / ((run.steps_per_epoch or 1) * run.epochs)
        share = max(0.001, min(done / 0.2, (1 - done) / 0.8))
        run.optimizer.learning_rate = self.highest * share


def train_command(settings: Settings) -> int:
    """Train, save, draw, and say what was made; return the exit code."""
    widths = checked(settings)
    data = load_data(settings.data)
    preparation = data.preparation
    build = {"mlp": nets.mlp, "lenet": nets.lenet}[settings.model]
    model = build(preparation.sample_shape, widths, len(preparation.names), settings.seed)
    preparation.into(model)
    test = (preparation.rows(data.x_test), data.y_test)
    batches = Batches(preparation.rows(data.x), data.y, settings.batch_size, seed=settings.seed)
    save = _Save(make_folder(settings.out, preparation.data))
    print(
        f"Training {_shape_of(model, preparation)} on {preparation.data}: "
        f"{len(data.x):,} samples, {len(data.x_test):,} held out, "
        f"{model.parameters.size:,} parameters.",
        flush=True,
    )
    with _failure_says_what_is_left(save, numbered=settings.out is None):
        start = time.monotonic()
        stopped = _train(model, settings, batches, test, save)
        seconds = time.monotonic() - start
        model = load(save.model_path)  # what is judged and drawn is what is in the file
        accuracy = evaluate(model, test)["accuracy"]
        wrong = round((1 - accuracy) * len(data.x_test))
        chosen = f" (epoch {save.saved}, chosen as the best on them)" if save.saved else ""
        print(
            f"\nAccuracy on {len(data.x_test):,} held-out samples: {100 * accuracy:.2f} %, "
            f"{wrong:,} wrong{chosen}.\nTrained in {seconds:.1f} s.\nDrawing the pictures.",
            flush=True,
        )
        made = ["model.safetensors", *(["history.csv"] if save.saved else [])]
        made += draw(save.model_path.parent, model, data, save.history)
    tell(save.model_path.parent, made, preparation, best=save.saved is not None)
    return _code(stopped) if stopped else 0


def _train(
    model: Model, settings: Settings, batches: Batches, test: object, save: _Save
) -> KeyboardInterrupt | None:
    """Train; return what stopped it, if the user did. The model is then in its file."""
    epochs = settings.epochs or (30 if settings.data == "digits" else 5)
    optimizer: Optimizer
    more: list[Callback] = []
    if settings.model == "mlp":
        optimizer = SGD(settings.lr or 0.1)
    else:
        optimizer = Adam(settings.lr or 0.004)
        more = [_UpAndDown(optimizer.learning_rate)]
    try:
        train(
            model, None, epochs, batches, profile=settings.profile,
            optimizer=optimizer, validation_data=test, callbacks=[save, *more, *_threads(settings)],
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        if save.saved is None:
            print("Stopped before the first epoch ended: saving the net as it is.")
            model.save(save.model_path)
            save.history.rows.clear()
        else:
            print(f"Stopped: keeping the best model so far, of epoch {save.saved}.")
            save.history.save_csv(save.history_path)
        if save.history.profile is not None:
            print(save.history.profile)
        return stop
    return None


def _shape_of(model: Model, preparation: Preparation) -> str:
    """Return what the net is, in a few words: 784-100-10, or lenet with its widths."""
    linear = [layer for layer in model.layers if isinstance(layer, Linear)]
    widths = "-".join(str(n) for n in [linear[0].n_in, *(layer.n_out for layer in linear)])
    if len(linear) == (len(model.layers) + 1) // 2:
        return widths
    return f"convolutions and {widths}"


def _threads(settings: Settings) -> list[Callback]:
    if settings.threads is None:
        return []
    return [Threads("auto" if settings.threads == "auto" else int(settings.threads))]


@contextlib.contextmanager
def _failure_says_what_is_left(save: _Save, *, numbered: bool) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # nobody reads: there is nobody to tell
        raise
    except KeyboardInterrupt as stop:  # once more, or while drawing
        if save.model_path.exists():
            raise type(stop)(f"The model is in {save.model_path}.") from stop
        raise
    except (OSError, FloatingPointError) as error:
        where = f"{save.model_path.parent}: " if isinstance(error, OSError) else ""
        left = f" The best model so far, of epoch {save.saved}, is in {save.model_path}."
        raise type(error)(where + message(error) + (left if save.saved else "")) from error
    finally:
        if numbered:  # a number that came to nothing is free again; others' folders stay
            with contextlib.suppress(OSError):
                save.model_path.parent.rmdir()  # which only an empty folder lets happen


def _code(stop: KeyboardInterrupt) -> int:
    from chainrule.cli.app import exit_code

    return exit_code(stop)


def checked(settings: Settings) -> list[int]:
    """Refuse what makes no sense or cannot end well; return the widths of the hidden layers."""
    if settings.epochs is not None and settings.epochs < 1:
        raise UsageError(f"--epochs must be at least 1, got {settings.epochs}.")
    if settings.batch_size < 1:
        raise UsageError(f"--batch-size must be at least 1, got {settings.batch_size}.")
    if settings.lr is not None and not 0 < settings.lr < math.inf:
        raise UsageError(f"--lr must be greater than 0, and finite, got {settings.lr}.")
    if settings.model not in nets.NAMES:
        raise UsageError(f"--model must be {' or '.join(nets.NAMES)}, got {settings.model!r}.")
    if settings.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {settings.seed}.")
    threads = settings.threads or "auto"
    if threads != "auto" and not (threads.isdecimal() and int(threads) > 0):
        raise UsageError(f"--threads must be 1 or more, or auto, got {threads!r}.")
    if settings.compiled:
        try:
            compiled.enable()
        except ImportError as error:
            raise UsageError("--compiled needs numba: pip install 'chainrule[compiled]'") from error
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("the pictures need matplotlib: pip install 'chainrule[cli]'")
    hidden = settings.hidden or ("100" if settings.model == "mlp" else "128")
    if hidden.strip() == "0":
        return []
    words = hidden.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"--hidden must be widths as 100 or 300,100, got {settings.hidden!r}.")
    return [int(word) for word in words]
