"""Mini-batches, dealt anew each epoch."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.data.share import Share
from chainrule.layer import Array
from chainrule.state import State, generator_state, set_generator_state

__all__ = ["Batches", "class_weights", "one_hot", "train_validation_split"]


class Batches:
    """Mini-batches of a data set, shuffled anew each time it is gone through.

    Parameters
    ----------
    x : array, shape (samples, ...)
        Inputs.
    y : array, shape (samples, ...)
        Targets.
    batch_size : int
        How many samples a mini-batch has; the last may have fewer.
    shuffle : bool
        Whether to deal in a new order each time.
    seed : int or numpy.random.Generator
        Draws the orders.
    sample_weights : array, shape (samples,), optional
        How much each sample counts; a mini-batch is then (inputs, targets, weights).
    drop_last : bool
        Whether to leave out a last mini-batch with fewer samples.
    copy : bool
        Whether each mini-batch has memory of its own. By default one buffer serves them all, and a
        mini-batch is valid until the next is asked for.

    Raises
    ------
    ValueError
        If the lengths differ, there is no sample, or ``batch_size`` is not at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Batches
    >>> batches = Batches(np.arange(5.0), np.arange(5), batch_size=2, shuffle=False)
    >>> len(batches)
    3
    >>> for x, y in batches:
    ...     print(x, y)
    [0. 1.] [0 1]
    [2. 3.] [2 3]
    [4.] [4]
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 64,
        *,
        shuffle: bool = True,
        seed: int | np.random.Generator = 0,
        sample_weights: ArrayLike | None = None,
        drop_last: bool = False,
        copy: bool = False,
    ) -> None:
        self.x, self.y = np.asarray(x), np.asarray(y)
        if self.x.ndim == 0 or self.y.ndim == 0 or len(self.x) != len(self.y):
            raise ValueError(
                f"Batches: needs as many inputs as targets, got shapes {self.x.shape} and "
                f"{self.y.shape}."
            )
        if len(self.x) == 0:
            raise ValueError("Batches: there is no sample in the data.")
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"Batches: batch_size must be at least 1, got {batch_size!r}.")
        if drop_last and batch_size > len(self.x):
            raise ValueError(
                f"Batches: no whole mini-batch of {batch_size} in {len(self.x)} samples. "
                "Lower batch_size, or keep the last one: drop_last=False."
            )
        self.sample_weights = None if sample_weights is None else np.asarray(sample_weights)
        if self.sample_weights is not None and self.sample_weights.shape != (len(self.x),):
            raise ValueError(
                f"Batches: needs a weight for each of the {len(self.x)} samples, got shape "
                f"{self.sample_weights.shape}."
            )
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.copy = copy
        self.rng = np.random.default_rng(seed)

    def get_state(self) -> State:
        """Return where the generator of the orders stands."""
        return generator_state(self.rng)

    def set_state(self, state: State) -> None:
        """Go on from there."""
        set_generator_state(self.rng, state)

    def __len__(self) -> int:
        """Return the number of mini-batches."""
        return self.steps_of(1)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        """Yield (inputs, targets), and the weights if there are any, in a new order."""
        return self.batches_from(0)

    def batches_from(self, first: int) -> Iterator[tuple[Array, ...]]:
        """Yield the mini-batches of a new order from one on."""
        # One worker has some of every step.
        return cast("Iterator[tuple[Array, ...]]", self.shares_from(first, Share()))

    def steps_of(self, streams: int) -> int:
        """Return the number of steps of so many mini-batches each."""
        whole, rest = divmod(len(self.x), self.batch_size * streams)
        return whole + (rest > 0 and not self.drop_last)

    def shares_from(self, first: int, share: Share) -> Iterator[tuple[Array, ...] | None]:
        """Yield a worker's part of each step of a new order, from one on; None where it has none.

        All workers draw the same order, and each gathers its own samples alone.
        """
        order = np.arange(len(self.x))
        if self.shuffle:
            self.rng.shuffle(order)
        size = min(self.batch_size * share.streams, len(order))
        arrays = [self.x, self.y]
        if self.sample_weights is not None:
            arrays.append(self.sample_weights)
        most = -(-size // share.size)
        buffers = [np.empty((most, *a.shape[1:]), a.dtype) for a in arrays]
        for i in range(first, self.steps_of(share.streams)):
            chosen = order[i * size : (i + 1) * size]
            if share.size > 1:
                chosen = chosen[share.cut(len(chosen))]
                if not len(chosen):
                    yield None
                    continue
            if self.copy:
                yield tuple(array[chosen] for array in arrays)
                continue
            parts = tuple(buffer[: len(chosen)] for buffer in buffers)
            for array, part in zip(arrays, parts, strict=True):
                # mode="clip" lets NumPy write straight into the buffer; the indices are in range.
                np.take(array, chosen, axis=0, out=part, mode="clip")
            yield parts

    def part(self, samples: Array) -> Self:
        """Return mini-batches of these samples alone, dealt by the same generator."""
        other = copy.copy(self)
        other.x, other.y = self.x[samples], self.y[samples]
        if self.sample_weights is not None:
            other.sample_weights = self.sample_weights[samples]
        return other


def class_weights(labels: ArrayLike, classes: int | None = None) -> list[float]:
    r"""Return a weight for each class that makes rare ones count as much as frequent ones.

    .. math:: w_c = \frac{n}{k n_c}

    with :math:`n_c` of the :math:`n` samples in class :math:`c`, of :math:`k` that there are; 0 for
    a class without a sample. Source: King and Zeng, Logistic Regression in Rare Events Data, 2001.

    Parameters
    ----------
    labels : array of int, shape (samples,)
        From 0 on.
    classes : int, optional
        How many classes there are, if the labels do not show all.

    Raises
    ------
    ValueError
        If the labels are no integers from 0 on, or not below ``classes``.

    Examples
    --------
    >>> from chainrule import SoftmaxCrossEntropy
    >>> from chainrule.data import class_weights
    >>> class_weights([0, 0, 0, 1])
    [0.6666666666666666, 2.0]
    >>> loss = SoftmaxCrossEntropy(class_weights=class_weights([0, 0, 0, 1]))
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size or labels.min() < 0:
        raise ValueError(
            f"class_weights: the labels must be integers from 0 on, one a sample, got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    counts = np.bincount(labels.astype(np.intp), minlength=classes or 0)
    if classes is not None and len(counts) > classes:
        raise ValueError(f"class_weights: a label is {labels.max()}, of {classes} classes.")
    present = counts > 0
    weights = len(labels) / (present.sum() * np.where(present, counts, 1)) * present
    return [float(weight) for weight in weights]


def one_hot(labels: ArrayLike, classes: int, dtype: DTypeLike = np.float32) -> Array:
    """Return rows with a 1 at each label and 0 elsewhere, shape (samples, classes).

    Raises
    ------
    ValueError
        If a label is no integer from 0 to ``classes - 1``.

    Examples
    --------
    >>> one_hot([1, 0], classes=2)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"one_hot: the labels must be integers, got {labels.dtype}.")
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"one_hot: the labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}."
        )
    rows = np.zeros((*labels.shape, classes), dtype)
    np.put_along_axis(rows, labels[..., None].astype(np.intp), 1, axis=-1)
    return rows


def train_validation_split(
    x: ArrayLike, y: ArrayLike, fraction: float = 0.2, *, seed: int = 0, stratify: bool = False
) -> tuple[Array, Array, Array, Array]:
    """Return (x_train, y_train, x_validation, y_validation), split at random.

    Parameters
    ----------
    x, y : array
        Inputs and targets.
    fraction : float
        The share held out, between 0 and 1.
    seed : int
        Draws the split.
    stratify : bool
        Whether to hold out this share of each class; ``y`` are then labels.

    Raises
    ------
    ValueError
        If a part would have no sample, or the lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> parts = train_validation_split(np.arange(10), np.arange(10) % 2, 0.2, stratify=True)
    >>> [len(part) for part in parts]
    [8, 8, 2, 2]
    """
    x, y = np.asarray(x), np.asarray(y)
    if len(x) != len(y):
        raise ValueError(f"train_validation_split: {len(x)} inputs but {len(y)} targets.")
    if not 0 < fraction < 1:
        raise ValueError(f"train_validation_split: fraction is between 0 and 1, got {fraction}.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    groups = [order[y[order] == label] for label in np.unique(y)] if stratify else [order]
    held = np.concatenate([group[: round(len(group) * fraction)] for group in groups])
    if len(held) in (0, len(x)):
        raise ValueError(
            f"train_validation_split: {len(x)} samples are too few to hold out {fraction:g}."
        )
    held = np.sort(held)
    rest = np.setdiff1d(order, held)
    return x[rest], y[rest], x[held], y[held]
