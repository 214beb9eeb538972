"""The net and the data that the command line named: a model, a run, or a function of one's own.

Only here a user's Python file is loaded, and only when the command line names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chainrule.cli import nets as named_nets
from chainrule.cli.classes import is_yes_no
from chainrule.cli.errors import UsageError
from chainrule.cli.predict import load_own
from chainrule.cli.prepare import DataSet, Preparation, load_data
from chainrule.cli.settings import Settings, read_settings
from chainrule.cli.tables import TABLES
from chainrule.loading import load
from chainrule.model import Model
from chainrule.studio import data as sets
from chainrule.studio.data import Data, SentTable
from chainrule.studio.own_data import as_trained
from chainrule.studio.recipe import OWN, Recipe
from chainrule.studio.sent import learned, read_table

__all__ = ["Own", "reopened", "resolve"]

FILES = (*TABLES, ".npz")  # of data


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
    source : Settings
        Where the data are from, as ``chainrule train`` is told it; empty if it could not be.
    """

    name: str
    data: Data
    recipe: Recipe
    make: Callable[[], Model] | None = None
    code: str | None = None
    source: Settings = field(default_factory=Settings)

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
        if outputs.shape[1:] != (data.outputs,) and not (
            data.outputs == 2 and outputs.shape[1:] == (1,) and is_yes_no(model.cost, 1)
        ):
            raise ValueError(
                f"{self.name} has outputs of shape {outputs.shape[1:]}, and {data.name} needs "
                f"{data.outputs}. Choose the data that it was made for: {self.data.name}."
            )
        return model


def resolve(
    target: str | None,
    data: str | None,
    code: Path | None = None,
    *,
    column: str | None = None,
    task: str | None = None,
) -> Own | None:
    """Return what the command line named; None if it named nothing.

    Parameters
    ----------
    target : str, optional
        A table or an .npz file, a saved model, the folder of a run, or FILE.py:FUNCTION.
    data : str, optional
        As for ``chainrule train``; a run and a model know their own.
    code : path, optional
        The Python file with the layers that a saved model is made of.
    column : str, optional
        The column of a table that is predicted.
    task : {"classification", "regression"}, optional
        What is done with a table; None looks at the column.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    ValueError, OSError
        If it cannot be read, or does not fit the data.
    """
    if target is not None and Path(target).suffix.lower() in FILES:
        if data is not None:
            raise UsageError(f"studio: {target} and --data {data} are both data. Name one.")
        target, data = None, target
    given = Settings(data, column, task)
    if target is None and data is None:
        if column is not None or task is not None:
            raise UsageError("--target and --task are for tables: chainrule studio FILE.csv.")
        return None
    if task not in (None, "classification", "regression"):
        raise UsageError(f"--task must be classification or regression, got {task!r}.")
    if target is None:
        found = _data(_loaded(given))
        loss = "mean-squared-error" if found.regression else Recipe.loss
        recipe = Recipe(found.name, loss=loss, lr=0.01 if found.regression else 0.1)
        return Own(str(data), found, recipe, source=given)
    path = Path(target)
    if path.is_dir():
        return _checked(_run(path, given))
    if Path(target.partition(":")[0]).suffix == ".py":
        return _checked(_function(target, given.over(Settings("digits"))))
    if not path.is_file():
        raise UsageError(
            f"studio: there is no {target}. Name a model.safetensors, the folder of a run, a table "
            "as FILE.csv, or FILE.py:build; or nothing, to build a net on the page."
        )
    return _checked(_model(path, given, code))


def reopened(folder: Path, known: Sequence[Own] = ()) -> Own:
    """Return a saved run for the page, which runs no code of it: layers of chainrule alone.

    Parameters
    ----------
    folder : path
    known : sequence of Own
        What the command line named: a run on just those data needs no others.

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
    source = Settings(settings.data, settings.target, settings.task, settings.image_size)
    table: SentTable | None = None
    same = next((own for own in known if own.source == source), None)
    if same is not None:
        held = same.data.held
    elif settings.data in sets.names():
        held = sets.load(str(settings.data)).held
    elif (folder / "data.csv").is_file():
        table = read_table("data.csv", _read(folder / "data.csv"))
        held = learned(table, settings.target or "", settings.task).held
    elif (folder / "data.npz").is_file():
        data = str(folder / "data.npz")
        held = load_data(data, task=settings.task, max_bytes=sets.MOST_UNPACKED)
    else:
        raise ValueError(
            f"{folder} was trained on data that are not known here. Open it from the command "
            f"line: chainrule studio {folder}."
        )
    held = as_trained(held, Preparation.of(model, path), str(folder))
    source = source if same is not None else Settings()
    recipe = _recipe(held, settings)
    found = replace(_data(held), table=table)
    return _checked(Own(str(folder), found, recipe, lambda: load(path), source=source))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sets.MOST_BYTES + 1)


def _loaded(source: Settings) -> DataSet:
    return load_data(str(source.data), source.target, source.task, source.image_size)


def _data(held: DataSet) -> Data:
    rows = held.preparation.rows
    return Data(held.preparation.data, held, rows(held.x), rows(held.x_test))


def _recipe(held: DataSet, settings: Settings) -> Recipe:
    return Recipe(
        held.preparation.data, OWN, OWN, settings.optimizer or "sgd", settings.lr or 0.1,
        settings.batch_size or 64, settings.seed or 0,
    )  # fmt: skip


def _function(target: str, source: Settings) -> Own:
    found = _data(_loaded(source))
    wanted = named_nets.Wanted(found.sample_shape, found.outputs, regression=found.regression)
    recipe = Recipe(found.name, OWN, OWN, "adam", 0.001)
    found = _data(found.held.suited_to(named_nets.build(target, wanted)))
    return Own(target, found, recipe, lambda: named_nets.build(target, wanted), target, source)


def _model(path: Path, given: Settings, code: Path | None) -> Own:
    model = load_own(path, code)
    made = Preparation.of(model, path)
    task = "regression" if made.regression else "classification"
    source = given.over(Settings(made.data))
    if given.data is not None:
        source = _like(given, made.target, task)
    try:
        held = _loaded(source)
    except UsageError as error:
        if given.data is not None:
            raise
        raise UsageError(
            f"{path} was trained on {made.data!r}, which is not here: name data of that kind, "
            "--data FILE."
        ) from error
    held = as_trained(held, made, str(path))
    recipe = Recipe(made.data, OWN, OWN)
    return Own(str(path), _data(held), recipe, lambda: load_own(path, code), source=source)


def _run(folder: Path, given: Settings) -> Own:
    settings, _ = read_settings(folder)
    name = str(settings.model)
    classes = named_nets.own_classes(name)
    path = folder / "model.safetensors"
    if given.data is None:
        known = Settings(settings.data, settings.target, settings.task, settings.image_size)
        source = given.over(known)
    else:
        source = _like(given, settings.target, settings.task)
    held = _loaded(source)
    model = load(path, classes=classes)
    held = as_trained(held, Preparation.of(model, path), str(folder))
    code = None if name in named_nets.NAMES else name
    recipe = _recipe(held, settings)
    return Own(str(folder), _data(held), recipe, lambda: load(path, classes=classes), code, source)


def _like(given: Settings, target: str | None, task: str | None) -> Settings:
    """Return what is said of data; where they are a file, what was learned from one before."""
    if Path(str(given.data)).suffix.lower() in TABLES:
        return given.over(Settings(target=target, task=task))
    numbers = task == "regression" and Path(str(given.data)).suffix == ".npz"
    return given.over(Settings(task=task)) if numbers else given


def _checked(own: Own) -> Own:
    if own.make is not None:
        own.build(own.data)
    return own
