"""The data that the command line named, as a model takes them that was trained before."""

from dataclasses import replace

import numpy as np

from chainrule.cli.evaluate import renumbered
from chainrule.cli.prepare import DataSet, Preparation

__all__ = ["as_trained"]


def as_trained(held: DataSet, made: Preparation, name: str) -> DataSet:
    """Return data prepared as those that a model was trained on, which may be others.

    Parameters
    ----------
    held : DataSet
    made : Preparation
        That of the model.
    name : str
        What the model is called.

    Raises
    ------
    ValueError
        If the model predicts something else, or takes other columns or classes.
    """
    found = held.preparation
    if found == made:
        return held
    if found.regression != made.regression:
        kinds = ("classes", "a number")
        raise ValueError(
            f"{name} predicts {kinds[made.regression]}, and the target of {found.data} is "
            f"{kinds[found.regression]}: choose it by --target and --task."
        )
    if found.columns is not None and made.columns is not None:
        held = _reordered(held, found.columns, made.columns, name)
    if made.regression:
        return held.prepared_as(made)
    if found.columns is not None:
        y, y_test = (
            renumbered(found.data, part, found.names, made) for part in (held.y, held.y_test)
        )
        held = replace(held, y=y, y_test=y_test)
    elif len(found.names) > len(made.names):
        raise ValueError(
            f"{found.data} has {len(found.names)} classes, and {name} knows {len(made.names)}."
        )
    return replace(held, preparation=made)


def _reordered(held: DataSet, columns: list[str], wanted: list[str], name: str) -> DataSet:
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise ValueError(
            f"{name} takes the columns {', '.join(wanted[:10])}, and {held.preparation.data} has "
            f"no {', '.join(missing[:10])}."
        )
    order = np.array([columns.index(column) for column in wanted])
    return replace(held, x=held.x[:, order], x_test=held.x_test[:, order])
