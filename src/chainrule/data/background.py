"""Work on mini-batches in a background thread, hidden behind the step of the net.

NumPy lets other threads run while it works on an array, so on two cores both go on at once.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sized
from typing import Any, TypeVar

import numpy as np

from chainrule.data.augment import Augment
from chainrule.data.batches import Batches
from chainrule.data.share import Share, shared, steps_of
from chainrule.layer import Array
from chainrule.state import State, Stateful

__all__ = ["Augmented", "made_ahead"]

T = TypeVar("T")


class Augmented:
    """Mini-batches that are augmented while the net still works on the ones before.

    The mini-batches are the same whether a thread makes them or not. Each time they are gone
    through they are drawn anew; going through them only in part changes nothing of the next time.

    Parameters
    ----------
    batches : Batches, or a list of mini-batches
        Each (x, y) or (x, y, sample_weights). The thread asks for them, some before they are
        needed.
    augment : Augment
        What is done with each.
    ahead : int
        How many mini-batches may be ready beforehand; 0 works without a thread.

    Raises
    ------
    TypeError
        If the mini-batches are none, or can be gone through only once.
    ValueError
        If ``ahead`` is negative.

    Notes
    -----
    An error in the thread comes out where the mini-batch is asked for, with the thread's traceback.
    The thread ends with the last mini-batch, or when the iteration is left before it.

    It pays where a core is free and a step takes a few milliseconds. Two threads of Python hinder
    each other a little: for steps shorter than the augmentation ``ahead=0`` is as fast, or faster.
    ``benchmarks/augmentation.py`` measures it.

    Examples
    --------
    >>> from chainrule import Batches, Flatten, Linear, Model, SoftmaxCrossEntropy, load_digits
    >>> from chainrule import train
    >>> from chainrule.data import Augment, Augmented
    >>> images, labels = load_digits("train")
    >>> data = Augmented(Batches(images / 16, labels), Augment(shift=1, rotate=10))
    >>> len(data)
    23
    >>> net = Model([Flatten(), Linear(64, 10)], SoftmaxCrossEntropy())
    >>> history = train(net, 0.1, 2, data, verbose=False)
    """

    def __init__(
        self,
        batches: Collection[tuple[Any, ...]] | Batches,
        augment: Augment,
        *,
        ahead: int = 2,
    ) -> None:
        if isinstance(batches, (tuple, np.ndarray)) or not isinstance(batches, Sized):
            raise TypeError(
                "Augmented: needs mini-batches that know how many they are and can be gone through "
                f"again, got {type(batches).__name__}. Use Batches(x, y)."
            )
        if ahead < 0:
            raise ValueError(f"Augmented: ahead must be 0 or more, got {ahead}.")
        self.batches = batches
        self.augment = augment
        self.ahead = ahead
        self._seed = int(augment.rng.integers(1 << 62))
        self._times = 0

    def __len__(self) -> int:
        """Return the number of mini-batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        """Yield (inputs, targets), and the weights if there are any, in arrays of their own."""
        # A stream for each time: how far the thread had come when the last was left is chance.
        rng = np.random.default_rng([self._seed, self._times])
        self._times += 1
        work = self._work(self.batches, rng)
        return made_ahead(work, self.ahead) if self.ahead else work

    def steps_of(self, streams: int) -> int | None:
        """Return the number of steps of so many mini-batches each."""
        return steps_of(self.batches, streams)

    def shares_from(self, first: int, share: Share) -> Iterator[tuple[Array, ...] | None]:
        """Yield a worker's part of each step, from one on; each worker draws for itself."""
        rng = np.random.default_rng([self._seed, self._times, share.rank])
        self._times += 1
        work = self._parts(shared(self.batches, 0, share), rng)
        parts = made_ahead(work, self.ahead) if self.ahead else work
        return itertools.islice(parts, first, None)  # those before are made: they draw

    def get_state(self) -> State:
        """Return how many times they have been gone through, and where their parts stand."""
        batches = self.batches.get_state() if isinstance(self.batches, Stateful) else None
        return {"times": self._times, "batches": batches}

    def set_state(self, state: State) -> None:
        """Go on from there."""
        if isinstance(self.batches, Stateful):
            self.batches.set_state(state["batches"])
        self._times = int(state["times"])

    def _parts(
        self, parts: Iterable[tuple[Any, ...] | None], rng: np.random.Generator
    ) -> Iterator[tuple[Array, ...] | None]:
        for part in parts:
            yield None if part is None else next(self._work([part], rng))

    def _work(
        self, batches: Iterable[tuple[Any, ...]], rng: np.random.Generator
    ) -> Iterator[tuple[Array, ...]]:
        for x, y, *weights in batches:
            if weights and self.augment.mix_up:
                raise ValueError(
                    "Augmented: samples that are mixed have no weights of their own. Leave out "
                    "the sample weights, or mix_up."
                )
            # Copies, as x and y are: the batches may use their memory again.
            yield (*self.augment(x, y, rng), *map(np.array, weights))


def made_ahead(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield the items, made in a background thread that keeps ``ahead`` of them ready.

    Examples
    --------
    >>> list(made_ahead((i * i for i in range(4)), ahead=2))
    [0, 1, 4, 9]
    """
    from concurrent.futures import ThreadPoolExecutor  # takes time to import

    source, end = iter(items), object()
    thread = ThreadPoolExecutor(1, "chainrule-ahead")
    wait = True
    try:
        waiting = deque(thread.submit(next, source, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, source, end))
            yield item  # type: ignore[misc]  # no end
    except GeneratorExit:
        # The consumer has left. That may come from the garbage collector, in any thread and under
        # any lock, where to wait for a thread can be to wait for ever.
        wait = False
        raise
    finally:
        thread.shutdown(wait, cancel_futures=True)
