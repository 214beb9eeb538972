"""Mini-batches, dealt anew each epoch."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.layer import Array
from chainrule.state import State, generator_state, set_generator_state

__all__ = ["Batches", "one_hot", "train_validation_split"]


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
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Yield (inputs, targets) in a new order."""
        order = np.arange(len(self.x))
        if self.shuffle:
            self.rng.shuffle(order)
        size = min(self.batch_size, len(order))
        buffers = [np.empty((size, *a.shape[1:]), a.dtype) for a in (self.x, self.y)]
        for i in range(len(self)):
            chosen = order[i * size : (i + 1) * size]
            if self.copy:
                yield self.x[chosen], self.y[chosen]
                continue
            x, y = (buffer[: len(chosen)] for buffer in buffers)
            # mode="clip" lets NumPy write straight into the buffer; the indices are in range.
            np.take(self.x, chosen, axis=0, out=x, mode="clip")
            np.take(self.y, chosen, axis=0, out=y, mode="clip")
            yield x, y


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
