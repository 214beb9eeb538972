"""What a net holds in memory while it trains, layer by layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array, Function, Layer
from chainrule.model import Model
from chainrule.optimizers import Optimizer

__all__ = ["Held", "held"]


@dataclass(frozen=True)
class Held:
    """Bytes that a part of a net holds.

    Attributes
    ----------
    parameters : int
        Its parameters and their gradients.
    arrays : int
        Everything else: what it keeps for backward, and the buffers that it writes into.
    """

    parameters: int = 0
    arrays: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.parameters + self.arrays


def held(model: Model, optimizer: Optimizer) -> dict[int, Held]:
    """Return what each layer, the loss and the optimiser hold, by the ``id`` of the object.

    Memory is counted once, where several arrays show the same: at the layer whose buffer it is,
    else at the first that keeps it (the first layer keeps the mini-batch).
    """
    parts: list[Function] = [part for layer in model.layers for part in layer.walk()]
    parts.append(model.cost)
    seen = {id(_memory(vector)) for vector in (model.parameters, model.gradients)}
    # Buffers first: what a layer keeps is often the buffer of the one before.
    buffers = {id(part): _new_bytes(_arrays(part._buffers), seen) for part in parts}
    figures = {}
    for part in parts:
        names = {name for pair in _pairs(part) for name in pair}
        others = [value for name, value in vars(part).items() if name not in names]
        own = buffers[id(part)] + _new_bytes(_arrays(others), seen)
        parameters = [part.__dict__[name] for name in sorted(names) if name in part.__dict__]
        figures[id(part)] = Held(sum(array.nbytes for array in parameters), own)
    figures[id(optimizer)] = Held(arrays=_new_bytes(_arrays(vars(optimizer)), seen))
    return figures


def _pairs(part: Function) -> Iterable[tuple[str, str]]:
    return part.parameters.items() if isinstance(part, Layer) else ()


def _arrays(value: Any) -> Iterator[Array]:
    """Yield the arrays in lists, tuples and dictionaries, however deep."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item)


def _memory(array: Array) -> Array:
    """Return the array whose memory this one shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _new_bytes(arrays: Iterable[Array], seen: set[int]) -> int:
    total = 0
    for array in arrays:
        memory = _memory(array)
        if id(memory) not in seen:
            seen.add(id(memory))
            # A view of a whole data set counts as what it shows, one with repeats as what there is.
            total += min(array.nbytes, memory.nbytes)
    return total
