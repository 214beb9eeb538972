"""What a page shows of a net, computed from frames with a twin of the net: never in its training.

A view is computed once for a frame, however many tabs ask for it, and only if one does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Conv2d, Linear, ReLU
from chainrule.model import Model
from chainrule.studio import nets
from chainrule.studio import trace as traces
from chainrule.studio.data import Data
from chainrule.studio.edits import Edit, Place
from chainrule.studio.frame import Frame
from chainrule.studio.numerical import Difference, numerical
from chainrule.studio.session import Session
from chainrule.studio.trace import Trace

__all__ = ["Histogram", "Views", "findings", "histogram", "shrunk", "templates"]

Result = TypeVar("Result")

MOST_CELLS = 64 * 64  # of an array that is shown
KEPT = 64  # views that are remembered
BINS = 32
CROWD = 512  # samples that findings are made from: fewer call a rare unit dead
MOST_TEMPLATES = 64
DEAD = 1.0  # the share of samples for which a unit gives 0
VANISHED, EXPLODED = 1e-3, 1e3  # of the first layer's gradients beside the last one's


class Views:
    """Computes what pages show, each view once a frame.

    Parameters
    ----------
    session : Session

    Examples
    --------
    >>> from chainrule.studio.recipe import Recipe
    >>> session = Session()
    >>> session.set_up(Recipe(data="moons", net="linear-8,relu"))
    >>> views = Views(session)
    >>> [step.name for step in views.sample("train", 0).steps]
    ['Linear(2, 8)', 'ReLU()', 'Linear(8, 2)', 'SoftmaxCrossEntropy()']
    >>> session.close()
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.RLock()  # one twin serves one thread at a time
        self._twin: Model | None = None
        self._build = 0
        self._kept: dict[tuple[int, Hashable], Any] = {}

    def of(self, key: Hashable, compute: Callable[[Model, Data, Frame], Result]) -> Result:
        """Return a view of the newest frame; compute it if nobody has asked for it yet.

        Parameters
        ----------
        key : hashable
            What tells it from other views.
        compute : function (model, data, frame)
            The model has the frame's parameters, and may be used until it returns.
        """
        with self._lock:
            frame, training = self.session.snapshot()
            found: Result
            if (frame.number, key) in self._kept:
                found = self._kept[frame.number, key]
                return found
            start = time.perf_counter()
            if self._twin is None or self._build != frame.build:
                self._twin, self._build = training.twin(), frame.build
                self._kept.clear()
            frame.into(self._twin)
            found = compute(self._twin, training.data, frame)
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[frame.number, key] = found
            self.session.charge(time.perf_counter() - start)
        return found

    def sample(self, split: str, index: int, edits: tuple[Edit, ...] = ()) -> Trace:
        """Return one sample on its way through the net and back.

        Raises
        ------
        ValueError
            If there is no such sample, or an edit names no place.
        """

        def compute(model: Model, data: Data, frame: Frame) -> Trace:
            x, y = chosen(model, data, split, np.array([index]))
            return traces.trace(model, x, y, edits)

        return self.of(("sample", split, index, edits), compute)

    def crowd(self, most: int = CROWD) -> Trace:
        """Return many samples on their way: for what is said of units and gradients."""

        def compute(model: Model, data: Data, frame: Frame) -> Trace:
            samples = np.random.default_rng(0).permutation(len(data.rows))[:most]
            x, y = chosen(model, data, "train", samples)
            return traces.trace(model, x, y, batch_statistics=len(x) > 1)

        return self.of(("crowd", most), compute)

    def batch(self, edits: tuple[Edit, ...] = ()) -> Trace:
        """Return the last mini-batch (before the first, the first samples) on its way."""

        def compute(model: Model, data: Data, frame: Frame) -> Trace:
            x, y = chosen(model, data, "train", batch_of(data, frame))
            return traces.trace(model, x, y, edits, batch_statistics=len(x) > 1)

        return self.of(("batch", edits), compute)

    def numerical(
        self, place: Place, edits: tuple[Edit, ...] = (), split: str = "train", index: int = -1
    ) -> Difference:
        """Return the derivative by one number, of a sample's loss, from the loss alone.

        Parameters
        ----------
        place : (name, index)
            ``("0.weights", (3, 1))``, or ``("x", (0, 5))``.
        edits : tuple of Edit
        split : str
        index : int
            The sample; -1 for the last mini-batch.

        Raises
        ------
        ValueError
            If there is no such sample or place.
        """

        def compute(model: Model, data: Data, frame: Frame) -> Difference:
            samples = batch_of(data, frame) if index < 0 else np.array([index])
            x, y = chosen(model, data, split, samples)
            many = index < 0 and len(x) > 1
            return numerical(model, x, y, place, edits, batch_statistics=many)

        return self.of(("numerical", place, edits, split, index), compute)


def batch_of(data: Data, frame: Frame) -> Array:
    """Return which samples the last mini-batch had; before the first, the first samples."""
    first = np.arange(min(len(data.rows), frame.recipe.batch))
    return frame.batch if len(frame.batch) else first


def chosen(model: Model, data: Data, split: str, samples: Array) -> tuple[Array, Array]:
    """Return rows and targets of samples, as the loss takes them.

    Raises
    ------
    ValueError
        If there is no such split or sample.
    """
    _, rows, labels = data.part(split)
    if len(samples) == 0 or samples.min() < 0 or samples.max() >= len(rows):
        raise ValueError(f"{data.name} has the samples 0 to {len(rows) - 1} to {split}.")
    return rows[samples], nets.targets(model.cost, labels[samples], data.outputs)


def shrunk(array: Array, most: int = MOST_CELLS) -> tuple[Array, tuple[int, ...]]:
    """Return an array as a matrix of at most so many cells, and by what each axis was thinned.

    What is left are the values themselves, every k-th of an axis: a mean would show numbers that
    are nowhere in the net. A vector becomes a row, and of more than two axes the last stays, and
    those before it become rows.

    Examples
    --------
    >>> shrunk(np.arange(6.0), most=3)
    (array([[0., 2., 4.]]), (1, 2))
    """
    matrix = np.atleast_2d(array) if array.ndim < 3 else array.reshape(-1, array.shape[-1])
    rows, columns = matrix.shape
    skip = [1, 1]
    while -(-rows // skip[0]) * -(-columns // skip[1]) > most:
        longer = 0 if -(-rows // skip[0]) >= -(-columns // skip[1]) else 1
        skip[longer] += 1
    return matrix[:: skip[0], :: skip[1]], (skip[0], skip[1])


@dataclass(frozen=True)
class Histogram:
    """How often values fall into intervals of one width.

    Attributes
    ----------
    low, high : float
        The least and the greatest finite value.
    counts : array of int
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
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return Histogram(0.0, 0.0, np.zeros(bins, np.intp), 0.0, values.size)
    low, high = float(finite.min()), float(finite.max())
    counts, _ = np.histogram(finite, bins, range=(low, high) if high > low else (low - 1, low + 1))
    return Histogram(low, high, counts, float((finite == 0).mean()), values.size - finite.size)


def templates(
    layer: Linear | Conv2d,
    image_shape: tuple[int, int] | None,
    most: int = MOST_TEMPLATES,
    of: Array | None = None,
) -> list[Array]:
    """Return the weights of a first layer, or their gradients, as images, one a unit or kernel.

    Examples
    --------
    >>> [image.shape for image in templates(Linear(64, 3), (8, 8))]
    [(8, 8), (8, 8), (8, 8)]
    """
    weights = layer.weights if of is None else of
    if isinstance(layer, Conv2d):
        height, width, channels, _ = weights.shape
        kernels = weights.transpose(3, 2, 0, 1).reshape(-1, height, width)
        return [np.array(kernel) for kernel in kernels[: most * channels : channels]]
    if image_shape is None or weights.shape[0] != image_shape[0] * image_shape[1]:
        return []
    return [np.array(unit.reshape(image_shape)) for unit in weights.T[:most]]


def findings(found: Trace) -> list[str]:
    """Return in words what is wrong with the numbers of a mini-batch, if something is.

    Examples
    --------
    >>> from chainrule import MeanSquaredError
    >>> net = Model([Linear(2, 2), ReLU(), Linear(2, 1)], MeanSquaredError())
    >>> net.layers[0].biases -= 100
    >>> x, y = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
    >>> print(findings(traces.trace(net, x, y))[0])
    Layer 1, ReLU(): 2 of 2 units are dead: they give 0 for every one of the 8 samples, so no
    gradient reaches their weights. A lower learning rate, or LeakyReLU, keeps units alive.
    """
    words = [w for step in found.leaves for w in (_not_finite(step), _dead(step, found)) if w]
    learning = [s for s in found.leaves if s.gradients]
    if len(learning) >= 2:
        first, last = (_typical(step) for step in (learning[0], learning[-1]))
        if last > 0 and first <= VANISHED * last:
            words.append(
                f"The gradients vanish: those of layer {learning[0].path} are about {first:.1g}, "
                f"those of layer {learning[-1].path} about {last:.1g}. ReLU, BatchNorm or Residual "
                "let them through."
            )
        if first > 0 and first >= EXPLODED * last:
            words.append(
                f"The gradients explode: those of layer {learning[0].path} are about {first:.1g}, "
                f"those of layer {learning[-1].path} about {last:.1g}. A lower learning rate or "
                "BatchNorm holds them."
            )
    return words


def _typical(step: traces.Step) -> float:
    """Return the root of the mean square of a layer's gradients."""
    values = np.concatenate([np.ravel(g) for g in step.gradients.values()]).astype(np.float64)
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _not_finite(step: traces.Step) -> str:
    named = [("output", step.output), ("gradient", step.grad_input)]
    for what, array in named:
        if array is not None and not np.isfinite(array).all():
            return (
                f"Layer {step.path}, {step.name}: its {what} is no finite number everywhere. Begin "
                "anew with a lower learning rate."
            )
    return ""


def _dead(step: traces.Step, found: Trace) -> str:
    if not isinstance(step.thing, ReLU) or len(step.output) < 8:  # few samples say little
        return ""
    units = step.output.reshape(-1, step.output.shape[-1])
    dead = int(((units == 0).mean(axis=0) >= DEAD).sum())
    if not dead:
        return ""
    return (
        f"Layer {step.path}, {step.name}: {dead} of {units.shape[1]} units are dead: they give 0 "
        f"for every one of the {len(step.output)} samples, so no gradient reaches their weights. "
        "A lower learning rate, or LeakyReLU, keeps units alive."
    )
