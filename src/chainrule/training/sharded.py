"""Each worker keeps a part of what the optimiser remembers, and moves that part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.distributed.workers import Workers
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.optimizers import Optimizer
from chainrule.state import State
from chainrule.training.standin import StandIn

__all__ = ["Sharded"]


class Sharded:
    """Stands in for the step of an optimiser: it moves a stretch, and the others bring the rest.

    Parameters
    ----------
    optimizer : Optimizer
    workers : Workers
    model : Model
        What it is bound to.
    """

    def __init__(self, optimizer: Optimizer, workers: Workers, model: Model) -> None:
        self.optimizer = optimizer
        self.workers = workers
        size = model.parameters.size
        self.bounds = [size * rank // workers.size for rank in range(workers.size + 1)]
        self.part = slice(self.bounds[workers.rank], self.bounds[workers.rank + 1])
        self.size = size
        self._net = model
        self._begin_anew(self._part_of(optimizer.get_state()), self.part)
        self._guests = [
            StandIn(optimizer, "bind", lambda bind: lambda net: bind(net, self.part)),
            StandIn(optimizer, "step", self._around_step),
            StandIn(optimizer, "get_state", lambda get: lambda: self._whole_of(get())),
            StandIn(optimizer, "set_state", lambda s: lambda state: s(self._part_of(state))),
        ]

    def leave(self, *, whole: bool) -> None:
        """Let the optimiser be its own again.

        Parameters
        ----------
        whole : bool
            Whether with what all parts together remember; else, after an error, with nothing.
        """
        state = self.optimizer.get_state() if whole else None
        for guest in reversed(self._guests):
            guest.leave()
        if state is None:
            self.optimizer.reset()
        else:
            self._begin_anew(state, None)

    def _begin_anew(self, state: State, part: slice | None) -> None:
        self.optimizer.reset().bind(self._net, part)
        self.optimizer.set_state(state)

    def _whole_of(self, state: State) -> State:
        state["averages"] = {
            name: np.concatenate(self.workers.gather(vector))
            for name, vector in state["averages"].items()
        }
        return {**state, "size": self.size if state["size"] else 0}

    def _part_of(self, state: State) -> State:
        averages, size = state["averages"], state["size"]
        if size not in (0, self.size) or any(len(v) != self.size for v in averages.values()):
            raise ValueError(f"{self.optimizer!r}: the state is that of another net.")
        part = {name: vector[self.part] for name, vector in averages.items()}
        length = self.part.stop - self.part.start
        return {**state, "averages": part, "size": length if size else 0}

    def _around_step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def step_of_a_part(parameters: Array, gradients: Array) -> None:
            step(parameters[self.part], gradients[self.part])
            self.workers.fill(parameters, self.bounds)

        return step_of_a_part
