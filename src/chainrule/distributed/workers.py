"""The workers of a training: what one of them knows of the others, and how they talk.

This file is all that the rest of chainrule knows of it: one process that works alone. What many
processes do in its place stands in ``mpi.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np

from chainrule.layer import Array

__all__ = ["Pending", "Workers"]


class Pending:
    """A sum that is still on its way; here: one that has arrived."""

    def poke(self) -> None:
        """Let it go on, if it needs the processor for that."""

    def wait(self) -> None:
        """Return when it has arrived."""


class Workers:
    """A worker that is alone; the base of those that are several.

    What every method says holds for several: each of them must call it, in the same order. For one
    alone there is nothing to do.

    Attributes
    ----------
    rank : int
        Which worker this is, from 0 on. Worker 0 alone prints and writes.
    size : int
        How many there are.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.distributed import Workers
    >>> alone = Workers()
    >>> alone.rank, alone.size, alone.first
    (0, 1, True)
    >>> vector = np.array([1.0, 2.0])
    >>> alone.sum(vector)
    >>> vector
    array([1., 2.])
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is worker 0, which prints and writes."""
        return self.rank == 0

    def __repr__(self) -> str:
        return f"<worker {self.rank} of {self.size}>"

    # -- what they tell each other --------------------------------------------------------------

    def sum(self, vector: Array) -> None:
        """Put the sum of all workers' vectors into each of them, in place."""

    def start_sum(self, vector: Array) -> Pending:
        """Begin to do so; until ``wait`` nobody may touch the vector."""
        return Pending()

    def gather(self, array: Array) -> list[Array]:
        """Return the arrays of all workers, by rank; they may differ in shape and type."""
        return [array]

    def gather_text(self, text: str) -> list[str]:
        """Return the texts of all workers, by rank."""
        arrays = self.gather(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8))
        return [a.tobytes().decode("utf-8", "surrogatepass") for a in arrays]

    def fill(self, vector: Array, bounds: list[int]) -> None:
        """Fill the vector in place: worker ``r`` has what lies from ``bounds[r]`` on."""

    def broadcast(self, content: bytes) -> bytes:
        """Return what worker 0 has."""
        return content

    def of_first(self, do: Callable[[], bytes | None]) -> bytes:
        """Do something in worker 0 alone, and return in all what it gave.

        Raises
        ------
        Exception
            What it raised there; in the others a ``RuntimeError`` with the same words.
        """
        if self.size == 1:
            return do() or b""
        failure: Exception | None = None
        told = b""
        if self.first:
            try:
                told = b"+" + (do() or b"")
            except Exception as error:
                failure, told = error, b"-" + str(error).encode("utf-8", "surrogatepass")
        told = self.broadcast(told)
        if failure is not None:
            raise failure
        if told[:1] == b"-":
            raise RuntimeError(told[1:].decode("utf-8", "surrogatepass"))
        return told[1:]

    # -- how they end ---------------------------------------------------------------------------

    def failed(self, error: BaseException) -> None:
        """Tell the others of an error; it must then come out.

        If all fail alike (as for a wrong argument), each goes on to raise its error, and worker 0
        alone will print it. If the others wait for this one, the error is printed here, and all
        are ended at once.
        """

    def close(self) -> None:
        """Wait until all have come to their end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.close()
        else:
            self.failed(error)
