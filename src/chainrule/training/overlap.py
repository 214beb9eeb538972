"""Gradients travel while others are still being computed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from chainrule.distributed.workers import Pending
from chainrule.model import Model
from chainrule.training.standin import StandIn

if TYPE_CHECKING:
    from chainrule.training.team import Team

__all__ = ["Overlap", "buckets"]

LEAST = 1 << 20  # values that travel together: shorter messages cost more than they hide


def buckets(sizes: list[int], least: int = LEAST) -> list[tuple[int, int]]:
    """Return stretches of the flat vector, from its end on, each of whole layers.

    Parameters
    ----------
    sizes : list of int
        How many parameters each layer has.
    least : int
        How many a stretch has at least; the last may have fewer.

    Examples
    --------
    >>> buckets([5, 1, 0, 4, 2], least=4)
    [(6, 12), (0, 6)]
    """
    starts = [0, *accumulate(sizes)]
    found, stop = [], starts[-1]
    for start in reversed(starts[:-1]):
        if stop - start >= least or (start == 0 and stop > 0):
            found.append((start, stop))
            stop = start
    return found


class Overlap:
    """Sends the gradients of the last layers while those of the first are computed.

    It looks over the shoulder of the layers: when the backward of one has returned, its gradients
    are there.

    Parameters
    ----------
    team : Team
    model : Model
    """

    def __init__(self, team: Team, model: Model) -> None:
        self.team = team
        self.gradients = model.gradients
        sizes = [sum(array.size for _, array in layer.named_parameters()) for layer in model.layers]
        self.starts = [0, *accumulate(sizes)]
        self.buckets = buckets(sizes)
        self._sent = 0
        self._pending: list[Pending] = []
        self._guests = [StandIn(model, "backward", self._around_all)]
        for layer, start in zip(model.layers, self.starts, strict=False):
            for method in ("backward", "backward_parameters"):
                self._guests.append(StandIn(layer, method, self._around(start)))

    def finish(self) -> None:
        """Send what is left, and return when all has arrived."""
        self._send(0)
        for pending in self._pending:
            pending.wait()
        self._pending, self._sent = [], 0

    def leave(self) -> None:
        """Look no more."""
        for guest in reversed(self._guests):
            guest.leave()

    def _around_all(self, backward: Callable[..., Any]) -> Callable[..., Any]:
        def meet_first() -> None:
            self.team.meet()  # what is sent is scaled by the weights of all
            backward()

        return meet_first

    def _around(self, start: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def around(backward: Callable[..., Any]) -> Callable[..., Any]:
            def then_send(grad: Any) -> Any:
                result = backward(grad)
                self._send(start)
                return result

            return then_send

        return around

    def _send(self, start: int) -> None:
        """Send the stretches that begin here or later, and let those on their way go on."""
        for pending in self._pending:
            pending.poke()
        while self._sent < len(self.buckets) and self.buckets[self._sent][0] >= start:
            stretch = self.gradients[slice(*self.buckets[self._sent])]
            self.team.scale(stretch)
            self._pending.append(self.team.workers.start_sum(stretch))
            self._sent += 1
