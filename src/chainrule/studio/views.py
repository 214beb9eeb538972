"""What a page shows of a net, computed from frames with a twin of the net: never in its training.

A view is computed once for a frame, however many tabs ask for it, and only if one does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Conv2d, Linear
from chainrule.model import Model
from chainrule.studio import nets
from chainrule.studio import trace as traces
from chainrule.studio.data import Data
from chainrule.studio.edits import Edit, Place
from chainrule.studio.frame import RUNNING, Frame
from chainrule.studio.numerical import Difference, culprit, numerical
from chainrule.studio.runs import Shelf
from chainrule.studio.search import Errands
from chainrule.studio.session import Session
from chainrule.studio.survey import ENOUGH, Figures, survey
from chainrule.studio.trace import Trace

__all__ = ["Views", "nbytes", "shrunk", "templates"]

Result = TypeVar("Result")

MOST_CELLS = 64 * 64  # of an array that is shown
KEPT, MOST_BYTES = 64, 128 << 20  # views of the newest frame that are remembered, and their arrays
CROWD = 512  # samples that are looked at together, at most
LOOK, LONG_LOOK = 0.03, 0.25  # seconds that it may take while a training runs, and while none does
FIRST_LOOK = 16  # samples by which is found how long one takes
MOST_TEMPLATES = 64


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
        self.errands, self.shelf = Errands(session), Shelf()
        self._lock = threading.RLock()  # one twin serves one thread at a time
        self._twin: Model | None = None
        self._build = 0
        self._kept: dict[Hashable, tuple[Any, int]] = {}  # with the bytes of its arrays
        self._number = 0  # of the frame that they are of
        self._pace = np.nan  # seconds that a sample takes in a look at many,
        self._start = 0.0  # and the look itself

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
            if frame.number != self._number:  # nobody asks for those of an old one
                self._kept.clear()
                self._number = frame.number
            if key in self._kept:
                found, _ = self._kept[key]
                return found
            start = time.thread_time()
            if self._twin is None or self._build != frame.build:
                self._twin, self._build = training.twin(), frame.build
                self._pace = np.nan
            frame.into(self._twin)
            found = compute(self._twin, training.data, frame)
            self._kept[key] = found, nbytes(found)
            while len(self._kept) > KEPT or (
                len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > MOST_BYTES
            ):
                self._kept.pop(next(iter(self._kept)))
            self.session.charge(time.thread_time() - start)
        return found

    def sample(
        self, split: str, index: int, edits: tuple[Edit, ...] = (), *, training: bool = False
    ) -> Trace:
        """Return one sample on its way through the net and back.

        Parameters
        ----------
        split : str
        index : int
        edits : tuple of Edit
        training : bool
            Whether layers behave as in training.

        Raises
        ------
        ValueError
            If there is no such sample, or an edit names no place.
        """

        def compute(model: Model, data: Data, frame: Frame) -> Trace:
            x, y = chosen(model, data, split, np.array([index]))
            return traces.trace(model, x, y, edits, **_mode(x, training))

        return self.of(("sample", split, index, edits, training), compute)

    def figures(self) -> Figures:
        """Return what many samples do: as many as can be looked at in a moment."""

        def compute(model: Model, data: Data, frame: Frame) -> Figures:
            order = np.random.default_rng(0).permutation(len(data.rows))
            time_for = LOOK if frame.state == RUNNING else LONG_LOOK
            if np.isnan(self._pace):
                for count in (FIRST_LOOK, FIRST_LOOK):  # at first buffers are made
                    alone, _ = self._surveyed(model, data, order[:count])
                more, _ = self._surveyed(model, data, order[: 4 * FIRST_LOOK])
                self._pace = max(more - alone, 1e-6) / (3 * FIRST_LOOK)
                self._start = max(0.0, alone - FIRST_LOOK * self._pace)
            count = int(max(0.0, time_for - self._start) / self._pace)
            if frame.state != RUNNING:  # enough to call a unit dead, if that takes no second
                count = max(count, min(ENOUGH, int(1 / self._pace)))
            count = max(FIRST_LOOK, min(CROWD, len(order), count))
            taken, found = self._surveyed(model, data, order[:count])
            slower = taken / (self._start + count * self._pace)  # than was thought
            self._pace *= min(2.0, max(0.5, slower))
            return found

        return self.of("figures", compute)

    def _surveyed(self, model: Model, data: Data, samples: Array) -> tuple[float, Figures]:
        x, y = chosen(model, data, "train", samples)
        start = time.perf_counter()
        found = survey(model, x, y)
        return time.perf_counter() - start, found

    def batch(self, edits: tuple[Edit, ...] = (), *, training: bool = True) -> Trace:
        """Return the last mini-batch (before the first, the first samples) on its way."""

        def compute(model: Model, data: Data, frame: Frame) -> Trace:
            x, y = chosen(model, data, "train", batch_of(data, frame))
            return traces.trace(model, x, y, edits, **_mode(x, training))

        return self.of(("batch", edits, training), compute)

    def numerical(
        self, place: Place, edits: tuple[Edit, ...] = (), split: str = "train", index: int = -1,
        training: bool | None = None,
    ) -> Difference:  # fmt: skip
        """Return the derivative by one number, of a sample's loss, from the loss alone.

        Parameters
        ----------
        place : (name, index)
            ``("0.weights", (3, 1))``, or ``("x", (0, 5))``.
        edits : tuple of Edit
        split : str
        index : int
            The sample; -1 for the last mini-batch.
        training : bool, optional
            Whether layers behave as in training; None for a mini-batch alone.

        Raises
        ------
        ValueError
            If there is no such sample or place.
        """
        as_in_training = index < 0 if training is None else training

        def compute(model: Model, data: Data, frame: Frame) -> Difference:
            samples = batch_of(data, frame) if index < 0 else np.array([index])
            x, y = chosen(model, data, split, samples)
            return numerical(model, x, y, place, edits, **_mode(x, as_in_training))

        return self.of(("numerical", place, edits, split, index, as_in_training), compute)

    def culprit(
        self, edits: tuple[Edit, ...] = (), split: str = "train", index: int = -1,
        training: bool = False,
    ) -> str:  # fmt: skip
        """Return which layer of one's own has a wrong backward, as :func:`culprit` says it."""
        if index < 0:
            found = self.batch(edits, training=training)
        else:
            found = self.sample(split, index, edits, training=training)
        return culprit(found)


def nbytes(thing: object, seen: set[int] | None = None) -> int:
    """Return what the arrays in something take, each once, however deep they lie.

    Examples
    --------
    >>> array = np.zeros(4)
    >>> nbytes({"a": array, "b": [array, np.zeros(2)]})
    48
    """
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, (type, ModuleType)):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return nbytes(thing.base, seen) if isinstance(thing.base, np.ndarray) else thing.nbytes
    inside: Iterable[object] = getattr(thing, "__dict__", {}).values()
    if isinstance(thing, dict):
        inside = thing.values()
    elif isinstance(thing, (list, tuple)):
        inside = thing
    return sum(nbytes(each, seen) for each in inside)


def _mode(x: Array, training: bool) -> dict[str, bool]:
    """Return how layers behave: one sample alone has no mean and deviation of its own."""
    return {"batch_statistics": training and len(x) > 1, "dropping": training}


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
    width = data.width_of(model)
    return rows[samples], nets.targets(model.cost, labels[samples], data.outputs, width)


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
