"""Mini-batches of data that are larger than the memory."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.data.background import made_ahead
from chainrule.data.share import Share
from chainrule.data.stored import Rows, as_rows
from chainrule.layer import Array
from chainrule.state import State

__all__ = ["FileBatches"]


class FileBatches:
    """Mini-batches of arrays in files, read a block at a time, in an order that is new each epoch.

    An epoch draws the order of the blocks, reads a few of them at a time (the *window*), and deals
    the samples of the window among each other. So a mini-batch mixes samples from all over the
    file, each is read once an epoch, and no more than two windows are in memory.

    Parameters
    ----------
    x, y : path or array
        Inputs and targets: ``.npy`` files, IDX files (unpacked), arrays, or ``numpy.memmap``.
        Only with paths is the memory bounded by what is said here.
    batch_size : int
        How many samples a mini-batch has; the last may have fewer.
    shuffle : bool
        Whether to deal in a new order each time; else as they lie.
    seed : int
        The order is a function of it and of the number of the epoch alone.
    mean, deviation : float or array, optional
        What is subtracted from the inputs, and what they are then divided by.
    dtype : dtype, optional
        The float type of the inputs, whatever the file has (float16 takes half the disk of
        float32); None leaves them as they are.
    block_bytes : int
        About how much is read in one go.
    blocks : int
        How many blocks are in the window. All of them: the whole data set is shuffled in memory.
    ahead : int
        How many mini-batches a background thread may have ready; 0 works without a thread.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the lengths differ, there is no sample, or a file cannot be read in this way.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, train
    >>> from chainrule.data import FileBatches
    >>> x = np.random.default_rng(0).integers(0, 256, (1000, 3), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "x.npy"
    ...     np.save(path, x)
    ...     data = FileBatches(path, x[:, :1] / 255, mean=127.5, deviation=73.9)
    ...     net = Model([Linear(3, 1)], MeanSquaredError())
    ...     history = train(net, 0.1, 3, data, verbose=False)
    >>> len(data), history["loss"][-1] < 0.01
    (16, True)
    """

    def __init__(
        self,
        x: str | os.PathLike[str] | ArrayLike,
        y: str | os.PathLike[str] | ArrayLike,
        batch_size: int = 64,
        *,
        shuffle: bool = True,
        seed: int = 0,
        mean: ArrayLike | None = None,
        deviation: ArrayLike | None = None,
        dtype: DTypeLike | None = np.float32,
        block_bytes: int = 1 << 20,
        blocks: int = 64,
        ahead: int = 2,
    ) -> None:
        self.x, self.y = as_rows("FileBatches", x), as_rows("FileBatches", y)
        if len(self.x) != len(self.y):
            raise ValueError(f"FileBatches: {len(self.x)} inputs but {len(self.y)} targets.")
        if len(self.x) == 0:
            raise ValueError("FileBatches: there is no sample in the data.")
        for name, value, least in (
            ("batch_size", batch_size, 1), ("block_bytes", block_bytes, 1), ("blocks", blocks, 1),
            ("ahead", ahead, 0), ("seed", seed, 0),
        ):  # fmt: skip
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or value < least:
                raise ValueError(f"FileBatches: {name} must be at least {least}, got {value!r}.")
        self.dtype = None if dtype is None else np.dtype(dtype)
        if self.dtype is None and not (mean is None and deviation is None):
            raise ValueError("FileBatches: mean and deviation need a float type: dtype=float32.")
        self.mean = None if mean is None else np.asarray(mean, self.dtype)
        self.deviation = None if deviation is None else np.asarray(deviation, self.dtype)
        if self.deviation is not None and not (self.deviation > 0).all():
            raise ValueError("FileBatches: the deviation must be greater than 0.")
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.seed = int(seed)
        self.rows_of_a_block = max(1, block_bytes // max(1, self.x.row_bytes))
        self.blocks = blocks
        self.ahead = ahead
        self.epoch = 0  # the next one

    def __len__(self) -> int:
        """Return the number of mini-batches."""
        return self.steps_of(1)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Yield (inputs, targets) in a new order."""
        return self.batches_from(0)

    def batches_from(self, first: int) -> Iterator[tuple[Array, Array]]:
        """Yield the mini-batches of the next epoch from one on; those before are not read."""
        # One worker has some of every step.
        return cast("Iterator[tuple[Array, Array]]", self.shares_from(first, Share()))

    def steps_of(self, streams: int) -> int:
        """Return the number of steps of so many mini-batches each."""
        return -(-len(self.x) // (self.batch_size * streams))

    def shares_from(self, first: int, share: Share) -> Iterator[tuple[Array, ...] | None]:
        """Yield a worker's part of each step of the next epoch; None where it has none.

        Every block is cut into a part for each stream, and a worker reads those of its own alone.
        """
        epoch, self.epoch = self.epoch, self.epoch + 1
        streams = [self._batches(epoch, first, i, share.streams) for i in share.mine()]
        steps = range(first, self.steps_of(share.streams))
        parts = (share.joined([next(stream, None) for stream in streams]) for _ in steps)
        return made_ahead(parts, self.ahead) if self.ahead else parts

    def get_state(self) -> State:
        """Return the number of the next epoch."""
        return {"epoch": self.epoch}

    def set_state(self, state: State) -> None:
        """Go on with that epoch."""
        self.epoch = state["epoch"]

    # -- inner parts ----------------------------------------------------------------------------

    def _batches(
        self, epoch: int, first: int, stream: int, streams: int
    ) -> Iterator[tuple[Array, Array]]:
        rest: tuple[Array, Array] | None = None  # of a window, too few for a mini-batch
        skipped = first * self.batch_size  # samples
        for samples in self._windows(epoch, stream, streams):
            if skipped >= len(samples):
                skipped -= len(samples)
                continue
            x, y = (self._read(rows, samples) for rows in (self.x, self.y))
            place = np.argsort(samples, kind="stable").argsort(kind="stable")[skipped:]
            skipped = 0
            if rest is not None:
                x, y = np.concatenate([x, rest[0]]), np.concatenate([y, rest[1]])
                place = np.concatenate([np.arange(len(samples), len(x)), place])
            whole = len(place) // self.batch_size * self.batch_size
            for start in range(0, whole, self.batch_size):
                chosen = place[start : start + self.batch_size]
                yield self._prepared(x[chosen]), y[chosen]
            rest = (x[place[whole:]], y[place[whole:]]) if whole < len(place) else None
        if rest is not None:
            yield self._prepared(rest[0]), rest[1]

    def _windows(self, epoch: int, stream: int, streams: int) -> Iterator[Array]:
        """Yield the numbers of the samples of each window, in the order in which they are dealt."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = self.rows_of_a_block * streams
        count = -(-len(self.x) // rows)
        order = rng.permutation(count) if self.shuffle else np.arange(count)
        part = np.full(count, stream)  # which of a block's parts is this stream's
        if streams > 1 and self.shuffle:
            part = (part + rng.integers(streams, size=count)) % streams
            rng = np.random.default_rng([self.seed, epoch, stream])
        for i in range(0, count, self.blocks):
            stretches = []
            for block in order[i : i + self.blocks].tolist():
                start, length = block * rows, min(rows, len(self.x) - block * rows)
                own = int(part[block])
                stretches.append(
                    np.arange(
                        start + length * own // streams, start + length * (own + 1) // streams
                    )
                )
            samples = np.concatenate(stretches)
            yield rng.permutation(samples) if self.shuffle else samples

    def _read(self, rows: Rows, samples: Array) -> Array:
        """Return the rows of a window in the order of the file."""
        ordered = np.sort(samples)
        out = np.empty((len(ordered), *rows.shape[1:]), rows.dtype.newbyteorder("="))
        breaks = np.flatnonzero(np.diff(ordered) != 1) + 1
        for start, stop in itertools.pairwise([0, *breaks.tolist(), len(ordered)]):
            rows.read(int(ordered[start]), out[start:stop])
        return out

    def _prepared(self, x: Array) -> Array:
        if self.dtype is None:
            return x
        with np.errstate(over="ignore"):  # what is too large is told by whoever uses it
            x = x.astype(self.dtype, copy=False)  # indexing has made it a copy already
        if self.mean is not None:
            x -= self.mean
        if self.deviation is not None:
            x /= self.deviation
        return x
