"""The commands and their options. What they do is in the files beside this one."""

import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter, Token

import chainrule
from chainrule.cli import errors
from chainrule.cli.errors import UsageError

__all__ = ["run"]


def _whole(kind: Any, tokens: Sequence[Token]) -> int:
    """Read a whole number; 1.5 is none, where the library would round it."""
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise ValueError(f"needs a whole number, got {tokens[0].value!r}.") from error


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="chainrule",
    help="Train small neural nets in NumPy, and look at what they learned.",
    version=chainrule.__version__,
    help_epilogue="With --debug an error shows its traceback.",
    suppress_keyboard_interrupt=False,
)


@app.command
def train(
    data: str = "digits",
    /,
    *,
    model: str = "mlp",
    hidden: str | None = None,
    epochs: Annotated[int | None, Parameter(converter=_whole)] = None,
    lr: float | None = None,
    batch_size: Whole = 64,
    seed: Whole = 0,
    profile: Annotated[bool, Parameter(negative=())] = False,
    threads: str | None = None,
    compiled: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
) -> int:
    """Train a net, and leave a folder with the model, its history and pictures.

    Parameters
    ----------
    data
        digits (8x8, inside the package), mnist, fashion-mnist, an .npz file with arrays x and y, or
        a folder with IDX files named as MNIST's.
    model
        mlp: linear layers with ReLU. lenet: two convolutions with pooling before them, for images.
    hidden
        Units in the hidden linear layers, from the first on, as 300,100; 0 for none. 100 if not
        given, 128 after convolutions.
    epochs
        How many times to go through the data; 30 for digits, else 5.
    lr
        Learning rate. 0.1 for mlp if not given, with plain gradient descent. For lenet, with Adam,
        the highest: 0.004 if not given; it grows for a fifth of the training, then falls to 0.
    batch_size
        Samples in a mini-batch.
    seed
        Draws the first weights and the order of the samples.
    profile
        Also measure time and memory of each layer: a table, profile.png and profile.csv.
    threads
        How many threads the matrix products use: a number, or auto to find the fastest by timing.
    compiled
        Use compiled forms of a few methods; needs numba.
    out
        The folder to make; runs/DATA-001 or the next free number if not given.
    """
    from chainrule.cli.train import Settings, train_command

    settings = Settings(
        data, model, hidden, epochs, lr, batch_size, seed, profile, threads, compiled, out
    )
    return train_command(settings)


@app.command(name="find-lr")
def find_lr(
    data: str = "digits",
    /,
    *,
    model: str = "mlp",
    hidden: str | None = None,
    batch_size: Whole = 64,
    seed: Whole = 0,
    steps: Whole = 200,
    out: Path = Path("learning-rate.png"),
) -> int:
    """Suggest a learning rate, from a short mock training in which it grows.

    Parameters
    ----------
    data
        As for `chainrule train`.
    model
        mlp or lenet, as for `chainrule train`.
    hidden
        Units in the hidden linear layers, as for `chainrule train`.
    batch_size
        Samples in a mini-batch.
    seed
        Draws the first weights and the order of the samples.
    steps
        How many steps the mock training has.
    out
        The picture to draw: the loss over the learning rate.
    """
    from chainrule.cli.find_lr import find_lr_command
    from chainrule.cli.train import Settings

    settings = Settings(data, model, hidden, None, None, batch_size, seed, False, None, False, None)
    return find_lr_command(settings, steps, out)


@app.command
def predict(
    model: Path,
    /,
    *files: Path,
    all_samples: Annotated[bool, Parameter("--all", negative=())] = False,
    out: Path | None = None,
) -> int:
    """Say what a model takes images or samples for.

    Parameters
    ----------
    model
        A model.safetensors that `chainrule train` made.
    files
        Images (PNG, JPEG), or arrays (.npy, .npz) with values as in the training data.
    all_samples
        Print every sample of an array, not the first 20.
    out
        Also write every prediction into this CSV file.
    """
    from chainrule.cli.predict import predict_command

    return predict_command(model, files, all_samples=all_samples, out=out)


@app.command
def summary(model: Path, /) -> int:
    """Print what a model is made of.

    Parameters
    ----------
    model
        A model.safetensors that `chainrule train` made.
    """
    from chainrule.cli.summary import summary_command

    return summary_command(model)


@app.command
def check(
    target: str,
    /,
    *,
    arguments: str | None = None,
    input_shape: str | None = None,
    target_shape: str | None = None,
    labels: str | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Check the gradients of the layers in a Python file, and name the mistakes.

    Parameters
    ----------
    target
        FILE.py, or FILE.py:NAME for one class of it. The file may say what to check by a function
        check_cases() that returns tuples (layer, x) or (loss, x, y).
    arguments
        Arguments of the constructor, as 3,5.
    input_shape
        The shape of a random input, as 4,3.
    target_shape
        For a loss: the shape of random targets.
    labels
        For a loss: class indices, as 0,2,1,1.
    seed
        Draws the input and the gradient from above.
    json
        Print the report as JSON.
    """
    from chainrule.cli.check import Inputs, check_command

    inputs = Inputs(arguments, input_shape, target_shape, labels, seed)
    return check_command(target, inputs, as_json=json)


def run(words: Sequence[str]) -> int:
    """Run the command with these words, and return its exit code."""
    errors.debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        if not words:
            words = ["--help"]
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt as stop:
        print(f"chainrule: stopped. {stop}".strip(), file=sys.stderr)
        return exit_code(stop)
    except BrokenPipeError:  # as `chainrule predict ... | head` leaves it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        errors.report(error)
        return 2 if isinstance(error, (CycloptsError, UsageError)) else 1


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as for Ctrl-C."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the code that shells expect of a program ended by a signal."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
