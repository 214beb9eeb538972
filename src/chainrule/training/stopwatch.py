"""How long methods take, each without the others inside it."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from chainrule.training.standin import StandIn

__all__ = ["Stopwatch", "cost_of_a_call"]


class Stopwatch:
    """Measures chosen methods of chosen objects, while it is ``on`` and until ``leave``.

    A method that calls another measured one is charged only for the rest, and not for the
    measuring of the other.

    Parameters
    ----------
    cost : float
        Seconds that the measuring adds to one call, as :func:`cost_of_a_call` returns them.

    Attributes
    ----------
    on : bool
        Whether it measures.
    times : list of int
        Nanoseconds that each method spent itself, in the order in which they were chosen.
    calls : int
        How many calls it has measured.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ReLU
    >>> layer, watch = ReLU(), Stopwatch()
    >>> watch.measure(layer, "forward")
    >>> watch.on = True
    >>> y = layer.forward(np.ones((2, 2)))
    >>> watch.calls, watch.times[0] > 0
    (1, True)
    >>> watch.leave()
    """

    def __init__(self, cost: float = 0.0) -> None:
        self.cost = cost
        self.on = False
        self.times: list[int] = []
        self.calls = 0
        self._inside = 0  # nanoseconds in measured calls inside the present one
        self._undo = ExitStack()

    def measure(self, thing: Any, method: str) -> None:
        """Measure the method from now on."""
        position = len(self.times)
        self.times.append(0)
        clock, cost = time.perf_counter_ns, round(1e9 * self.cost)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def measured(*arguments: Any, **options: Any) -> Any:
                if not self.on:
                    return original(*arguments, **options)
                outside, self._inside = self._inside, 0
                start = clock()
                result = original(*arguments, **options)
                took = clock() - start
                self.times[position] += took - self._inside
                self.calls += 1
                self._inside = outside + took + cost
                return result

            return measured

        self.replace(thing, method, around)

    def replace(
        self, thing: Any, method: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """Put a stand-in of one's own round a method, until ``leave``."""
        self._undo.callback(StandIn(thing, method, around).leave)

    def restart(self) -> list[int]:
        """Return the times, and begin again at 0."""
        times, self.times = self.times, [0] * len(self.times)
        return times

    def leave(self) -> None:
        """Give every object its own methods back."""
        self._undo.close()


def cost_of_a_call(calls: int = 500) -> float:
    """Return how many seconds the measuring adds to one call at least, on this computer now.

    In a step it is more, since between two calls the caches fill with other things.
    """
    plain, watched, watch = _Nothing(), _Nothing(), Stopwatch()
    watch.measure(watched, "forward")
    watch.on = True
    quickest = [math.inf, math.inf]
    for _ in range(7):
        for i, nothing in enumerate((plain, watched)):
            start = time.perf_counter_ns()
            for _ in range(calls):
                nothing.forward(None)
            quickest[i] = min(quickest[i], time.perf_counter_ns() - start)
    watch.leave()
    return max(0.0, 1e-9 * (quickest[1] - quickest[0]) / calls)


class _Nothing:
    def forward(self, x: None) -> None:
        """Take as little time as a call can."""
