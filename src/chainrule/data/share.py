"""Which part of each step's samples a worker takes, so that all together take each sample once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Share", "shared", "steps_of"]

Part = tuple[Any, ...] | None  # a mini-batch; None where a worker has no sample of a step


@dataclass(frozen=True)
class Share:
    """What one of several workers takes of each step.

    A step is made of several mini-batches: of one for each worker, unless a training goes on with
    another number of workers than it was begun with. Then the steps stay as they were, and the
    workers part them differently.

    Attributes
    ----------
    rank : int
        The worker, from 0 on.
    size : int
        How many workers there are.
    streams : int
        How many mini-batches make a step.
    """

    rank: int = 0
    size: int = 1
    streams: int = 1

    @property
    def whole(self) -> bool:
        """Whether one worker takes one mini-batch: there is nothing to part."""
        return self.size == self.streams == 1

    def cut(self, count: int) -> slice:
        """Return which of the samples of a whole step are the worker's: as many as the others'.

        Examples
        --------
        >>> [Share(rank, 3, 3).cut(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def mine(self) -> range:
        """Return the streams of which the worker takes something.

        Examples
        --------
        >>> [list(Share(rank, 2, 3).mine()) for rank in range(2)]
        [[0, 1], [1, 2]]
        """
        return range(
            self.rank * self.streams // self.size, -(-(self.rank + 1) * self.streams // self.size)
        )

    def part_of(self, stream: int, count: int) -> slice:
        """Return which of the samples of one stream's mini-batch are the worker's.

        Examples
        --------
        >>> [Share(rank, 2, 3).part_of(1, 10) for rank in range(2)]
        [slice(0, 5, None), slice(5, 10, None)]
        """
        ends = (
            min(max(rank * self.streams - stream * self.size, 0), self.size)
            for rank in (self.rank, self.rank + 1)
        )
        first, last = (count * end // self.size for end in ends)
        return slice(first, last)

    def joined(self, parts: Sequence[Part]) -> Part:
        """Return the worker's part of the mini-batches of its streams, as one."""
        own: list[tuple[Any, ...]] = []
        for stream, part in zip(self.mine(), parts, strict=True):
            if part is None:
                continue
            samples = self.part_of(stream, len(part[0]))
            if samples == slice(0, len(part[0])):
                own.append(part)
            elif samples.stop > samples.start:
                own.append(tuple(array[samples] for array in part))
        if len(own) < 2:
            return own[0] if own else None
        return tuple(np.concatenate(arrays) for arrays in zip(*own, strict=True))


def shared(data: Iterable[Any], first: int, share: Share) -> Iterator[Part]:
    """Yield a worker's part of each step of an epoch, from one on: a mini-batch or None.

    Data that can part themselves have ``shares_from(first, share)``. Others are gone through by
    every worker, and each takes every so many of their mini-batches.

    Examples
    --------
    >>> import numpy as np
    >>> data = [(np.array([i]), np.array([i])) for i in range(5)]
    >>> for rank in range(2):
    ...     print([part and int(part[0][0]) for part in shared(data, 0, Share(rank, 2, 2))])
    [0, 2, 4]
    [1, 3, None]
    """
    if hasattr(data, "shares_from"):
        return data.shares_from(first, share)  # type: ignore[no-any-return]  # it was just asked
    return _dealt(data, first, share)


def _dealt(data: Iterable[Any], first: int, share: Share) -> Iterator[Part]:
    mine = share.mine()
    if isinstance(data, Sequence):  # the others' are not even made
        for start in range(first * share.streams, len(data), share.streams):
            yield share.joined([data[start + i] if start + i < len(data) else None for i in mine])
        return
    batches = itertools.islice(data, first * share.streams, None)
    while step := list(itertools.islice(batches, share.streams)):
        yield share.joined([step[i] if i < len(step) else None for i in mine])


def steps_of(data: Any, streams: int) -> int | None:
    """Return how many steps an epoch has; None if the data do not say."""
    if hasattr(data, "steps_of"):
        return int(data.steps_of(streams))
    return -(-len(data) // streams) if isinstance(data, Sized) else None
