"""The walk through the chain rule: forward through each layer, and from the loss back again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Sequential
from chainrule.studio.edits import Edit, Place
from chainrule.studio.trace import LOSS, Step, Trace

__all__ = [
    "BACKWARD", "FORWARD", "MOST_EDITS", "Stop", "as_words", "edits_as_words", "name_of",
    "read_edits", "read_place", "spoilt", "walk", "with_edit",
]  # fmt: skip

FORWARD, BACKWARD = "forward", "backward"
MOST_EDITS = 20


@dataclass(frozen=True)
class Stop:
    """A layer on one of the two ways: ``Stop("2.inner.0", "backward")``."""

    path: str
    way: str


def walk(found: Trace) -> tuple[Stop, ...]:
    """Return the stops of a whole walk.

    A layer that has others inside comes after them on the way forward, and before them on the way
    back; a ``Sequential`` does nothing of its own, and is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, Residual
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Residual([Linear(2, 2)]), Linear(2, 1)], MeanSquaredError())
    >>> found = trace(net, np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32))
    >>> [stop.path for stop in walk(found)][:4]
    ['0.inner.0', '0', '1', 'loss']
    """
    order: list[Step] = []
    waiting: list[Step] = []
    for step in found.steps:
        while waiting and not step.path.startswith(f"{waiting[-1].path}."):
            order.append(waiting.pop())
        if step.container:
            waiting.append(step)
        else:
            order.append(step)
    order.extend(reversed(waiting))
    paths = [step.path for step in order if type(step.thing) is not Sequential]
    return (
        *(Stop(path, FORWARD) for path in paths),
        *(Stop(path, BACKWARD) for path in reversed(paths)),
    )


def name_of(stop: Stop) -> str:
    """Return in words where a stop is.

    Examples
    --------
    >>> name_of(Stop("2.inner.0", "backward"))
    'backward through layer 2.inner.0'
    """
    where = "the loss" if stop.path == LOSS else f"layer {stop.path}"
    return f"{stop.way} through {where}"


def spoilt(found: Trace) -> tuple[Stop, str] | None:
    """Return the first stop that gives no finite numbers, and why; None if all are finite.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Linear(2, 1)], MeanSquaredError())
    >>> net.layers[0].weights[0] = np.nan
    >>> found = trace(net, np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32))
    >>> stop, words = spoilt(found)
    >>> stop.path, words
    ('0', '1 of the 2 numbers in its weights is NaN or infinite')
    """
    for stop in walk(found):
        step = found.step(stop.path)
        if stop.way == FORWARD:
            if not _finite(step.input) and not any(_within(s, step) for s in found.steps):
                return stop, "its input is no finite number everywhere"
            for name, array in step.parameters.items():
                if not _finite(array):
                    bad = int(array.size - np.isfinite(array).sum())
                    verb = "is" if bad == 1 else "are"
                    return stop, (
                        f"{bad:,} of the {array.size:,} numbers in its {name.replace('_', ' ')} "
                        f"{verb} NaN or infinite"
                    )
            if not _finite(step.output):
                return stop, "what it makes of finite numbers is too large, or not defined"
        else:
            backs = [each.back for each in step.taken]
            arrays = [step.grad_input, *step.gradients.values(), *backs]
            if not all(array is None or _finite(array) for array in arrays):
                return stop, "the gradient that leaves it is too large, or not defined"
    return None


def _within(inner: Step, outer: Step) -> bool:
    return inner.path.startswith(f"{outer.path}.")


def _finite(array: Array) -> bool:
    return bool(np.isfinite(array).all())


def as_words(place: Place) -> str:
    """Return a place as an address has it.

    Examples
    --------
    >>> as_words(("0.weights", (3, 1)))
    '0.weights:3.1'
    """
    return f"{place[0]}:{'.'.join(map(str, place[1]))}"


def read_place(words: str) -> Place:
    """Return a place from an address.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> read_place("0.weights:3.1")
    ('0.weights', (3, 1))
    """
    name, _, index = words.partition(":")
    numbers = index.split(".")
    if not name or not all(n.isascii() and n.isdigit() and len(n) < 12 for n in numbers):
        raise ValueError(f"a place is written as 0.weights:3.1, got {words!r:.40}.")
    return name, tuple(int(n) for n in numbers)


def edits_as_words(edits: Sequence[Edit]) -> str:
    """Return changes as an address has them; :func:`read_edits` reads them."""
    return ";".join(f"{as_words((e.name, e.index))}:{e.value!r}" for e in edits)


def read_edits(words: str) -> tuple[Edit, ...]:
    """Return changes from an address.

    Raises
    ------
    ValueError
        If they are none, or too many.

    Examples
    --------
    >>> read_edits("x:0.5:-1.5")
    (Edit(name='x', index=(0, 5), value=-1.5),)
    """
    edits: tuple[Edit, ...] = ()
    for piece in words.split(";") if words else ():
        place, _, value = piece.rpartition(":")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"a change is written as 0.weights:3.1:0.5, got {piece!r:.40}.")
        edits = with_edit(edits, Edit(*read_place(place), number))
    return edits


def with_edit(edits: tuple[Edit, ...], new: Edit) -> tuple[Edit, ...]:
    """Return the changes with one more; it replaces an earlier one at its place.

    Raises
    ------
    ValueError
        If there are too many.
    """
    kept = tuple(e for e in edits if (e.name, e.index) != (new.name, new.index))
    if len(kept) >= MOST_EDITS:
        raise ValueError(f"at most {MOST_EDITS} numbers can be changed by hand. Take some back.")
    return (*kept, new)
