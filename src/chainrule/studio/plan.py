"""A recipe looked at before it is built: its data, its layers, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.cli.errors import message
from chainrule.studio import data as sets
from chainrule.studio import nets
from chainrule.studio.data import Data
from chainrule.studio.kinds import KINDS
from chainrule.studio.nets import LayerError, Row
from chainrule.studio.recipe import OWN, Recipe
from chainrule.studio.session import Session

__all__ = ["Plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """A recipe, as far as it can be built.

    Attributes
    ----------
    recipe : Recipe
    data : Data or None
        None if they cannot be had.
    rows : tuple of Row
        Its layers; those after one that does not fit have no shape.
    words : str
        Why it cannot be built; empty if it can.
    part : int or None
        Which layer does not fit, if it is one.
    absent : bool
        Whether the data must be downloaded first.
    """

    recipe: Recipe
    data: Data | None = None
    rows: tuple[Row, ...] = ()
    words: str = ""
    part: int | None = None
    absent: bool = False


def plan(session: Session, recipe: Recipe) -> Plan:
    """Look at a recipe; nothing is trained, downloaded or changed.

    Examples
    --------
    >>> session = Session()
    >>> found = plan(session, Recipe(net="linear-8,conv2d-4-3"))
    >>> found.part, [row.code for row in found.rows]
    (1, ['Linear(64, 8)', 'Conv2d(…)'])
    >>> session.close()
    """
    if recipe.data not in session.catalogue.uploads and not sets.is_here(recipe.data):
        words = "MNIST is not on this computer yet: 12 MB to download."
        return Plan(recipe, None, _named(recipe), words, absent=True)
    try:
        data = session.catalogue.find(recipe.data)
    except (ValueError, OSError) as error:
        return Plan(recipe, None, _named(recipe), message(error))
    if data.regression and recipe.loss not in (*nets.OF_NUMBERS, OWN):
        words = (
            f"{data.name} has numbers to predict: choose the loss {' or '.join(nets.OF_NUMBERS)}."
        )
        return Plan(recipe, data, _named(recipe), words.replace("-", " "))
    try:
        return Plan(recipe, data, _rows(session, recipe, data))
    except LayerError as error:
        before = nets.text(nets.parts(recipe.net)[: error.part])
        known = _rows(session, Recipe(recipe.data, before, recipe.loss), data)
        kept = [row for row in known if row.part is not None]
        return Plan(recipe, data, (*kept, *_named(recipe)[error.part :]), str(error), error.part)
    except Exception as error:  # of any kind: a user's own layer may raise what it likes
        return Plan(recipe, data, _named(recipe), message(error))


def _rows(session: Session, recipe: Recipe, data: Data) -> tuple[Row, ...]:
    model, _ = session.draft(recipe)
    parts = () if recipe.net == OWN else nets.parts(recipe.net)
    return tuple(nets.outline(model, data.rows.shape[1], parts))


def _named(recipe: Recipe) -> tuple[Row, ...]:
    """Return the layers of a net by their names alone."""
    parts = () if recipe.net == OWN else nets.parts(recipe.net)
    return tuple(
        Row(f"{KINDS[part.kind].label}({'…' if part.numbers else ''})", (), 0, i)
        for i, part in enumerate(parts)
    )
