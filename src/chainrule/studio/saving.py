"""A run of the studio as a folder that ``chainrule train`` could have made, and can repeat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import chainrule.layers
import chainrule.losses
from chainrule.cli.results import make_folder
from chainrule.cli.settings import Settings, write_settings
from chainrule.cli.train import made_from
from chainrule.model import Model
from chainrule.storage import write_atomically
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.own import Own
from chainrule.studio.recipe import OWN
from chainrule.training import History

__all__ = ["layers_of", "new_folder", "runs_here", "save"]

WRITTEN = '"""The net of this run, as the studio built it."""'
COMMAND_KNOWS = ("digits", "mnist", "fashion-mnist")


def new_folder(data: Data) -> Path:
    """Make ``runs/studio-DATA-001``, or the next number that is free.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    try:
        return make_folder(None, f"studio-{data.name}")
    except OSError as error:
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else error
        raise OSError(
            f"{runs_here()} cannot be written: {why}. Start the studio in another folder."
        ) from error


def runs_here() -> str:
    """Return where runs are kept, in full; in words if that folder is not there any more."""
    try:
        return str(Path.cwd() / "runs")
    except OSError:
        return "runs, in a folder that is gone,"


def save(
    folder: Path,
    frame: Frame,
    data: Data,
    model: Model,
    history: History,
    own: Own | None,
    source: Settings,
) -> None:
    """Write model, history, net and settings, each whole or not at all.

    Parameters
    ----------
    folder : path
        As :func:`new_folder` makes it; what was saved there before is replaced.
    frame : Frame
        What the training is like.
    data : Data
    model : Model
    history : History
    own : Own or None
        What the command line named.
    source : Settings
        Where the data are from; empty if they are not from the command line.

    Raises
    ------
    OSError
        If something cannot be written.
    """
    model.save(folder / "model.safetensors")
    if len(history):
        history.save_csv(folder / "history.csv")
    recipe = frame.recipe
    code = own.code if own is not None and recipe.net == OWN else None
    if code is None:
        write_atomically(folder / "net.py", _code(model).encode())
    if source.data is None or not Path(source.data).exists():
        source = Settings(data.name)
    known = data.name in COMMAND_KNOWS or source.data != data.name
    settings = replace(
        source if known else _kept(folder, data),
        model=code or f"{folder / 'net.py'}:build",
        epochs=max(frame.epoch, 1),
        batch_size=recipe.batch,
        optimizer=recipe.optimizer,
        lr=recipe.lr,
        schedule="constant",
        seed=recipe.seed,
    ).spelled_out()
    write_settings(folder, settings, made_from(data.held, str(settings.model)))


def layers_of(text: str) -> str:
    """Return the layers of a net from the file that :func:`save` wrote; empty if it is another.

    Examples
    --------
    >>> from chainrule import Linear, ReLU, SoftmaxCrossEntropy
    >>> layers_of(_code(Model([Linear(4, 2), ReLU()], SoftmaxCrossEntropy())))
    'Linear(4, 2), ReLU()'
    """
    head, found, rest = text.partition("    layers = [\n")
    if not (found and head.startswith(WRITTEN)):
        return ""
    inside, _, _ = rest.partition("\n    ]\n")
    return ", ".join(line.strip().rstrip(",") for line in inside.splitlines())


def _kept(folder: Path, data: Data) -> Settings:
    """Write the data into the folder, and return where they are: they stay as they are."""
    path = folder / ("data.npz" if data.table is None else "data.csv")
    if not path.exists():
        if data.table is None:
            _write_data(path, data)
        else:
            write_atomically(path, data.table.content)
    if data.table is None:
        return Settings(str(path), task=data.task)
    task = "regression" if data.regression else "classification"
    return Settings(str(path), data.held.preparation.target, task)


def _code(model: Model) -> str:
    """Return a Python file with a function that builds the net anew."""
    names = {"Model"}
    known = {*chainrule.layers.__all__, *chainrule.losses.__all__}
    for part in (*(p for layer in model.layers for p in layer.walk()), model.cost):
        names |= {type(part).__name__} & known
    layers = "".join(f"        {layer!r},\n" for layer in model.layers)
    return (
        f"{WRITTEN}\n\n"
        f"from chainrule import {', '.join(sorted(names))}\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        '    """Return the net, with weights that have learned nothing."""\n'
        f"    layers = [\n{layers}    ]\n"
        f"    return Model(layers, {model.cost!r}, seed=seed)\n"
    )


def _write_data(path: Path, data: Data) -> None:
    import io

    (x, y, x_test, y_test), content = data.held.raw(), io.BytesIO()
    np.savez_compressed(content, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    write_atomically(path, content.getvalue())
