"""What flows along an edge of the graph, and the order in which its axes lie there.

Our images are channels-last, ONNX's are channels-first. So a value remembers the order of its axes
in the graph beside its shape in our words. Transposing is then bookkeeping: a node for it is put
only where a layer needs another order than the value has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Dim", "Order", "Value"]

# A length, or the name of one that is known only when the graph runs.
Dim = int | str
Order = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """An array in the graph.

    Attributes
    ----------
    name : str
        In the graph.
    shape : tuple of int or str
        As our layers see it, the samples included: ``("samples", 28, 28, 1)``.
    order : tuple of int
        Axis i of the array in the graph is axis ``order[i]`` of ours: channels-first is
        ``(0, 3, 1, 2)``.
    dtype : numpy.dtype
    folded : Value, optional
        For what was flattened out of our order: what it was before.

    Examples
    --------
    >>> import numpy as np
    >>> image = Value("x", ("samples", 28, 28, 1), (0, 3, 1, 2), np.dtype(np.float32))
    >>> image.dims
    ('samples', 1, 28, 28)
    """

    name: str
    shape: tuple[Dim, ...]
    order: Order
    dtype: np.dtype[Any]
    folded: Value | None = None

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The shape as it is in the graph."""
        return tuple(self.shape[axis] for axis in self.order)

    @property
    def natural(self) -> bool:
        """Whether the graph has it just as our layers see it."""
        return self.folded is None and self.order == tuple(range(len(self.shape)))

    @property
    def layout(self) -> tuple[Any, ...]:
        """What two values must share to meet place by place."""
        before = self.folded
        return self.order, before and before.shape, before and before.order

    def place(self, axis: int) -> int:
        """Return where our axis (it may count from the end) is in the graph."""
        return self.order.index(axis % len(self.shape))
