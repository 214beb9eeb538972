"""What many samples do in a net, in figures: histograms, sizes of gradients, what is wrong.

The figures are made while the samples are on their way, so that no array has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.layer import Array, Function, Layer
from chainrule.layers import ReLU
from chainrule.model import Model
from chainrule.studio.edits import Undone
from chainrule.studio.trace import LOSS
from chainrule.training.standin import StandIn

__all__ = ["ENOUGH", "Figures", "Histogram", "histogram", "survey"]

BINS = 32
COUNTED = 1 << 16  # values that a histogram counts: of more, evenly chosen ones
ENOUGH = 256  # samples from which on a unit that never gives anything is called dead
# The gradients of the first layer's parameters beside the last one's; and d(loss)/d(what it gives).
VANISHED, EXPLODED = 1e-3, 1e3
SMALLEST = 1e-30  # of squares: below it float32 has few digits


@dataclass(frozen=True)
class Histogram:
    """How often values fall into intervals of one width.

    Attributes
    ----------
    low, high : float
        The least and the greatest finite value.
    counts : array of int
        Of a large array, of every so many values one.
    zeros : float
        The share of values that are 0.
    broken : int
        How many are NaN or infinite.
    """

    low: float
    high: float
    counts: Array
    zeros: float
    broken: int


def histogram(array: Array, bins: int = BINS) -> Histogram:
    """Count the values of an array.

    Examples
    --------
    >>> histogram(np.array([0.0, 1.0, np.nan, 1.0]), bins=2).counts.tolist()
    [1, 2]
    """
    values = np.ravel(array)
    finite = np.isfinite(values)
    broken = values.size - int(np.count_nonzero(finite))
    if broken:
        values = values[finite]
    if not values.size:
        return Histogram(0.0, 0.0, np.zeros(bins, np.intp), 0.0, broken)
    low, high = float(values.min()), float(values.max())
    some = values[:: -(-values.size // COUNTED)].astype(np.float64)
    if not high > low:
        counts = np.zeros(bins, np.intp)
        counts[bins // 2] = some.size
    else:
        places = ((some - low) * (bins / (high - low))).astype(np.intp)
        counts = np.bincount(np.minimum(places, bins - 1), minlength=bins)
    return Histogram(low, high, counts, float((some == 0).mean()), broken)


@dataclass(frozen=True)
class Figures:
    """What many samples do in a net.

    Attributes
    ----------
    samples : int
    outputs, gradients : dict of str to Histogram
        By the layers' paths: of what they give, and of d(loss)/d(what they give).
    parameters : dict of (str, str) to Histogram
        Of the gradients of each parameter, by path and name.
    sizes : dict of str to float
        The root of the mean square of d(loss)/d(what a layer gives).
    words : list of str
        What is wrong; empty if nothing is.
    concerned : frozenset of str
        The paths of the layers that the words are about.
    """

    samples: int
    outputs: dict[str, Histogram]
    gradients: dict[str, Histogram]
    parameters: dict[tuple[str, str], Histogram]
    sizes: dict[str, float]
    words: list[str]
    concerned: frozenset[str] = frozenset()


@dataclass
class _Notes:
    """What was noted of one layer."""

    name: str
    turn: int = -1
    output: Histogram | None = None
    gradient: Histogram | None = None
    size: float = 0.0
    parameters: dict[str, Histogram] = field(default_factory=dict)
    typical: float = 0.0  # of the gradients of its parameters
    units: int = 0
    silent: int = 0  # units that give 0 for every sample


def survey(model: Model, x: Array, y: Array) -> Figures:
    """Send samples through a net and back, and return figures of what they do.

    Parameters
    ----------
    model : Model
        A twin of one's own; it is afterwards as it was.
    x, y : array
        Inputs and targets.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError
    >>> net = Model([Linear(2, 2), ReLU(), Linear(2, 1)], MeanSquaredError())
    >>> net.layers[0].biases -= 100
    >>> found = survey(net, np.ones((300, 2), np.float32), np.ones((300, 1), np.float32))
    >>> found.outputs["2"].counts.sum()
    np.int64(300)
    >>> print(found.words[0])
    Layer 1, ReLU(): 2 of 2 units are dead: they give 0 for every one of the 300 samples looked at,
    so no gradient reaches their weights. A lower learning rate, another seed, or LeakyReLU, keeps
    units alive.
    """
    notes: dict[str, _Notes] = {}
    guests: list[StandIn] = []
    with Undone(model, len(x) > 1):
        try:
            for path, thing in _leaves(model):
                notes[path] = _Notes(repr(thing))
                guests.append(StandIn(thing, "forward", _forward(thing, notes, path)))
                guests.append(StandIn(thing, "backward", _backward(thing, notes, path)))
            model.loss(x, y)
            model._net.backward(model.cost.backward())
        finally:
            while guests:
                guests.pop().leave()
    reached = sorted(
        ((path, n) for path, n in notes.items() if n.turn >= 0), key=lambda pair: pair[1].turn
    )
    found = _findings(reached, len(x))
    return Figures(
        len(x),
        {path: n.output for path, n in reached if n.output is not None},
        {path: n.gradient for path, n in reached if n.gradient is not None},
        {(path, name): h for path, n in reached for name, h in n.parameters.items()},
        {path: n.size for path, n in reached},
        [words for _, words in found],
        frozenset(path for path, _ in found),
    )


def _leaves(model: Model) -> list[tuple[str, Function]]:
    inside = [
        (path, layer)
        for i, outer in enumerate(model.layers)
        for path, layer in outer.named_layers(str(i))
        if not layer.children()
    ]
    return [*inside, (LOSS, model.cost)]


Around = Callable[[Callable[..., Any]], Callable[..., Any]]


def _forward(thing: Function, notes: dict[str, _Notes], path: str) -> Around:
    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            mine = notes[path]
            mine.turn = max(n.turn for n in notes.values()) + 1
            mine.output = histogram(result)
            if isinstance(thing, ReLU):
                units = result.reshape(-1, result.shape[-1])
                mine.units = units.shape[1]
                mine.silent = mine.units - int(np.count_nonzero(units.any(axis=0)))
            return result

        return noted

    return around


def _backward(thing: Function, notes: dict[str, _Notes], path: str) -> Around:
    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            mine = notes[path]
            if path != LOSS:
                mine.gradient, mine.size = histogram(arguments[0]), _size(arguments[0])
            result = original(*arguments, **options)
            if path == LOSS:  # what it hands down: it is itself the scalar
                mine.gradient, mine.size = histogram(result), _size(result)
            if isinstance(thing, Layer):
                own = [(name, getattr(thing, thing.parameters[name]))
                       for name in thing.parameter_shapes()]  # fmt: skip
                mine.parameters = {name: histogram(array) for name, array in own}
                mine.typical = _size(np.concatenate([np.ravel(a) for _, a in own] or [np.zeros(0)]))
            return result

        return noted

    return around


def _size(array: Array) -> float:
    """Return the root of the mean square, also where a square would be too large or too small."""
    if not array.size:
        return 0.0
    flat = np.ravel(array)
    with np.errstate(all="ignore"):
        square = float(np.dot(flat, flat))
        if not SMALLEST < square < math.inf:
            largest = float(np.abs(flat).max())
            if not 0 < largest < math.inf:
                return largest
            flat = flat.astype(np.float64) / largest
            return largest * math.sqrt(float(np.dot(flat, flat)) / array.size)
    return math.sqrt(square / array.size)


def _findings(reached: list[tuple[str, _Notes]], samples: int) -> list[tuple[str, str]]:
    """Return in words what is wrong, each with the path that it is about."""
    found = []
    for path, n in reached:
        layer = "The loss" if path == LOSS else f"Layer {path}"
        for what, h in (("output", n.output), ("gradient", n.gradient)):
            if h is not None and h.broken:
                found.append((path, (
                    f"{layer}, {n.name}: its {what} is no finite number everywhere. Reset, and "
                    "begin anew with a lower learning rate."
                )))  # fmt: skip
                return found  # all that comes after it is spoilt by it
        if n.silent:
            found.append((path, _silent(layer, n, samples)))
    closed = next((path for path, n in reached if 0 < n.silent == n.units), "")
    return found + _along(reached, closed)


def _along(reached: list[tuple[str, _Notes]], closed: str) -> list[tuple[str, str]]:
    """Return in words what becomes of the gradients on their way back.

    Parameters
    ----------
    reached : list of (path, notes)
        In the order of the way forward.
    closed : str
        A layer all of whose units are dead; empty if there is none.
    """
    learning = [(path, n) for path, n in reached if n.parameters]
    if len(learning) < 2:
        return []
    (first, a), (last, b) = learning[0], learning[-1]
    if b.typical > 0 and a.typical == 0 and closed:
        return [(first, (
            f"No gradient gets through layer {closed}: the layers before it learn nothing more."
        ))]  # fmt: skip
    if b.typical > 0 and a.typical <= VANISHED * b.typical:
        return [(first, (
            f"The gradients vanish: those of layer {first} are about {a.typical:.1g}, those of "
            f"layer {last} about {b.typical:.1g}. ReLU, BatchNorm or Residual let them through."
        ))]  # fmt: skip
    if b.size > 0 and a.size >= EXPLODED * b.size:
        return [(first, (
            f"The gradients explode: where they arrive at layer {last} they are about "
            f"{b.size:.1g}, at layer {first} about {a.size:.1g}. BatchNorm, fewer layers or, if "
            "learning has brought it about, a lower learning rate hold them."
        ))]  # fmt: skip
    return []


def _silent(layer: str, n: _Notes, samples: int) -> str:
    one = n.silent == 1
    units = f"{n.silent} of {n.units} units"
    never = f"{'gives' if one else 'give'} 0 for every one of the {samples} samples looked at"
    if samples < ENOUGH:
        return (
            f"{layer}, {n.name}: {units} {never}. That is too few samples to call "
            f"{'it' if one else 'them'} dead: {ENOUGH} are needed."
        )
    return (
        f"{layer}, {n.name}: {units} {'is' if one else 'are'} dead: {'it' if one else 'they'} "
        f"{never}, so no gradient reaches {'its' if one else 'their'} weights. A lower learning "
        "rate, another seed, or LeakyReLU, keeps units alive."
    )
