"""The net and the data that the command line named: a model, a run, or a function of one's own.

Only here a user's Python file is loaded, and only when the command line names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chainrule.cli import nets as named_nets
from chainrule.cli.errors import UsageError
from chainrule.cli.predict import load_own
from chainrule.cli.prepare import DataSet, Preparation, load_data
from chainrule.cli.settings import Settings, read_settings
from chainrule.loading import load
from chainrule.model import Model
from chainrule.studio import data as sets
from chainrule.studio.data import Data
from chainrule.studio.recipe import OWN, Recipe

__all__ = ["Own", "reopened", "resolve"]


@dataclass(frozen=True)
class Own:
    """What the command line named.

    Attributes
    ----------
    name : str
        As it was typed.
    data : Data
    recipe : Recipe
        What the studio begins with.
    make : function () -> Model
        Builds or loads the net anew; None if the command line named data alone.
    code : str or None
        FILE.py:FUNCTION, if a user's function builds it.
    """

    name: str
    data: Data
    recipe: Recipe
    make: Callable[[], Model] | None = None
    code: str | None = None

    def build(self, data: Data) -> Model:
        """Return the net, for these data.

        Raises
        ------
        ValueError
            If no net was named, or it does not fit the data.
        """
        if self.make is None:
            raise ValueError("the command line named no net: build one of layers.")
        model = self.make()
        try:
            outputs = model.predict(data.rows[:2])
        except (ValueError, TypeError) as error:
            words = f"{self.name} does not take the samples of {data.name}: {error}"
            raise ValueError(words) from error
        if outputs.shape[1:] != (data.outputs,):
            raise ValueError(
                f"{self.name} has outputs of shape {outputs.shape[1:]}, and {data.name} needs "
                f"{data.outputs}. Choose the data that it was made for: {self.data.name}."
            )
        return model


def resolve(target: str | None, data: str | None, code: Path | None = None) -> Own | None:
    """Return what the command line named; None if it named nothing.

    Parameters
    ----------
    target : str, optional
        A saved model, the folder of a run, or FILE.py:FUNCTION.
    data : str, optional
        As for ``chainrule train``; a run and a model know their own.
    code : path, optional
        The Python file with the layers that a saved model is made of.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    ValueError, OSError
        If it cannot be read, or does not fit the data.
    """
    if target is None:
        if data is None:
            return None
        found = _data(load_data(data))
        loss = "mean-squared-error" if found.regression else Recipe.loss
        return Own(data, found, Recipe(found.name, loss=loss, lr=0.01 if found.regression else 0.1))
    path = Path(target)
    if path.is_dir():
        return _checked(_run(path, data))
    if Path(target.partition(":")[0]).suffix == ".py":
        return _checked(_function(target, data or "digits"))
    if not path.is_file():
        raise UsageError(
            f"studio: there is no {target}. Name a model.safetensors, the folder of a run, or "
            "FILE.py:build; or nothing, to build a net on the page."
        )
    return _checked(_model(path, data, code))


def reopened(folder: Path) -> Own:
    """Return a saved run for the page, which runs no code of it: layers of chainrule alone.

    Raises
    ------
    ValueError, OSError, UsageError
        If it has no model, needs a user's code, or its data are not here.
    """
    settings, _ = read_settings(folder)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ValueError(f"{folder} has no model.safetensors: it was stopped before its first.")
    model = load(path)
    if settings.data in sets.names():
        held = sets.load(str(settings.data)).held
    elif (folder / "data.npz").is_file():
        held = load_data(str(folder / "data.npz"), max_bytes=sets.MOST_UNPACKED)
    else:
        raise ValueError(
            f"{folder} was trained on data that are not known here. Open it from the command "
            f"line: chainrule studio {folder}."
        )
    held = replace(held, preparation=Preparation.of(model, path))
    recipe = Recipe(
        held.preparation.data, OWN, OWN, settings.optimizer or "sgd", settings.lr or 0.1,
        settings.batch_size or 64, settings.seed or 0,
    )  # fmt: skip
    return _checked(Own(str(folder), _data(held), recipe, lambda: load(path)))


def _data(held: DataSet) -> Data:
    rows = held.preparation.rows
    return Data(held.preparation.data, held, rows(held.x), rows(held.x_test))


def _function(target: str, data: str) -> Own:
    found = _data(load_data(data))
    wanted = named_nets.Wanted(found.sample_shape, found.outputs, regression=found.regression)
    recipe = Recipe(found.name, OWN, OWN, "adam", 0.001)
    return Own(target, found, recipe, lambda: named_nets.build(target, wanted), target)


def _model(path: Path, data: str | None, code: Path | None) -> Own:
    model = load_own(path, code)
    preparation = Preparation.of(model, path)
    try:
        held = load_data(data or preparation.data)
    except UsageError as error:
        raise UsageError(
            f"{path} was trained on {preparation.data!r}, which is not here: name data of that "
            "kind, --data FILE."
        ) from error
    held = replace(held, preparation=preparation)
    recipe = Recipe(preparation.data, OWN, OWN)
    return Own(str(path), _data(held), recipe, lambda: load_own(path, code))


def _run(folder: Path, data: str | None) -> Own:
    settings, _ = read_settings(folder)
    name = str(settings.model)
    classes = named_nets.own_classes(name)
    path = folder / "model.safetensors"
    held = _held(settings, data)
    model = load(path, classes=classes)
    held = replace(held, preparation=Preparation.of(model, path))
    recipe = Recipe(
        held.preparation.data, OWN, OWN, settings.optimizer or "sgd", settings.lr or 0.1,
        settings.batch_size or 64, settings.seed or 0,
    )  # fmt: skip
    code = None if name in named_nets.NAMES else name
    return Own(str(folder), _data(held), recipe, lambda: load(path, classes=classes), code)


def _held(settings: Settings, data: str | None) -> DataSet:
    if data is not None:
        return load_data(data)
    return load_data(str(settings.data), settings.target, settings.task, settings.image_size)


def _checked(own: Own) -> Own:
    if own.make is not None:
        own.build(own.data)
    return own
