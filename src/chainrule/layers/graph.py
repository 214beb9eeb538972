"""A net that is neither a chain nor branches side by side: any graph without a loop."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.joins import JOINS, Join

__all__ = ["Graph"]


class Graph(Layer):
    r"""Layers in any order without a loop: each takes the output of any that stands before it.

    With :math:`v_0 = x`, node :math:`i` makes :math:`v_i` of values before it, and the last one is
    the output. A node is a layer with one input, or joins two or more: by their sum, their product
    value by value, their matrix product, or side by side along an axis.

    .. math:: v_i = f_i(v_{j}), \quad \sum_j v_j, \quad \prod_j v_j, \quad v_j v_k
        \quad \text{or} \quad [v_j, v_k, \dots], \qquad j, k, \dots < i

    Backward, from the last node to the first: what comes back to a value is the sum over all nodes
    that took it,

    .. math:: \bar v_j = \sum_{i \text{ takes } j} \bar v_i \frac{\partial v_i}{\partial v_j}

    where a sum hands :math:`\bar v_i` to each of its inputs, a product :math:`\bar v_i` times the
    other factors, the matrix product :math:`\bar v_i v_k^T` and :math:`v_j^T \bar v_i`, and what
    stands side by side is cut apart again.

    Parameters
    ----------
    nodes : sequence of nodes
        Each is ``[layer, [j]]``, or ``[join, [j, k, ...]]`` with a join ``"add"``, ``"multiply"``,
        ``"matmul"`` (two inputs) or ``"concatenate"``, the last with the axis as a third entry
        (-1 if it is left out). Value 0 is the input of the graph, value i the output of node i,
        counted from 1.

    Notes
    -----
    Shapes: what meets in a join has the same number of axes. Where sums and products meet lengths
    of 1, these are repeated, as in NumPy. A matrix product is over the last two axes, neither of
    them the samples. ``Sequential``, ``Residual``, ``Add`` and ``Concatenate`` say
    the common cases in fewer words.

    Source: Rumelhart et al., Learning representations by back-propagating errors, 1986.

    Examples
    --------
    A gate: half of what a layer makes decides how much of the other half comes through.

    >>> import numpy as np
    >>> from chainrule import Graph, Linear, Sigmoid, Tanh
    >>> gate = Graph([
    ...     [Linear(3, 2), [0]],
    ...     [Tanh(), [1]],
    ...     [Linear(3, 2), [0]],
    ...     [Sigmoid(), [3]],
    ...     ["multiply", [2, 4]],
    ... ])
    >>> x = np.ones((5, 3), np.float32)
    >>> gate.forward(x).shape
    (5, 2)
    >>> gate.backward(np.ones((5, 2), np.float32)).shape
    (5, 3)
    """

    keeps = ("values",)

    values: list[Array]

    def __init__(self, nodes: Sequence[Sequence[Any]]) -> None:
        if isinstance(nodes, (str, Layer)) or not isinstance(nodes, Sequence) or not nodes:
            raise TypeError(
                f"Graph: needs a list of nodes, each [layer, [j]] or [join, [j, k]], got "
                f"{nodes!r:.80}."
            )
        self.nodes = [list(_checked(i, node)) for i, node in enumerate(nodes, start=1)]
        self._inputs: list[list[int]] = [node[1] for node in self.nodes]
        self.joins: list[Join | None] = [  # of each node that is one
            JOINS[what](*axis) if isinstance(what, str) else None for what, _, *axis in self.nodes
        ]
        used = {j for inputs in self._inputs for j in inputs}
        idle = sorted(set(range(1, len(self.nodes))) - used)
        if idle:
            raise ValueError(f"Graph: nobody takes the output of node {idle[0]}.")
        if 0 not in used:
            raise ValueError("Graph: no node takes the input, which is value 0.")
        self._own = [
            isinstance(what, Layer) and any(part.parameters for part in what.walk())
            for what, *_ in self.nodes
        ]
        self.takes_integers = any(
            isinstance(what, Layer) and what.takes_integers and inputs == [0]
            for what, inputs, *_ in self.nodes
        )
        # One source for all, until a model gives its own: two equal layers must not draw the same.
        self.rng = np.random.default_rng(0)

    def children(self) -> dict[str, Layer]:
        """Return the layers, named by the number of their node."""
        layers = {str(i): node[0] for i, node in enumerate(self.nodes, start=1)}
        return {name: layer for name, layer in layers.items() if isinstance(layer, Layer)}

    def forward(self, x: Array) -> Array:
        """Return the output of the last node.

        Raises
        ------
        ValueError
            If shapes that meet do not fit.
        """
        values = [x]
        for i, (what, inputs, *_) in enumerate(self.nodes, start=1):
            taken, join = [values[j] for j in inputs], self.joins[i - 1]
            if join is None:
                values.append(what.forward(taken[0]))
                continue
            try:
                values.append(_joined(join, [self.floats(value) for value in taken]))
            except ValueError as error:
                shapes = " and ".join(str(value.shape) for value in taken)
                raise ValueError(
                    f"Graph: node {i}, {what!r}, cannot join the shapes {shapes}: {error}."
                ) from error
        self.values = values
        return values[-1]

    def backward(self, grad: Array) -> Array:
        """Return d(loss)/d(x): the sum of what comes back from all nodes that took ``x``."""
        grad_x = self._back(grad, everything=True)
        return np.zeros_like(self.values[0]) if grad_x is None else grad_x

    def backward_parameters(self, grad: Array) -> None:
        """Go back as far as there are parameters, and no further."""
        self._back(grad, everything=False)

    def _learns(self) -> list[bool]:
        """Return for each value whether a parameter that is not frozen lies before it."""
        learns = [False]
        for (what, inputs, *_), own in zip(self.nodes, self._own, strict=True):
            learns.append((own and not what.frozen) or any(learns[j] for j in inputs))
        return learns

    def _back(self, grad: Array, *, everything: bool) -> Array | None:
        learns = [everything] * (len(self.nodes) + 1) if everything else self._learns()
        grads: list[Array | None] = [None] * len(self.nodes) + [grad]
        for i in range(len(self.nodes), 0, -1):
            (what, inputs, *_), join = self.nodes[i - 1], self.joins[i - 1]
            above, grads[i] = grads[i], None
            if above is None:
                continue
            if not any(learns[j] for j in inputs):
                if isinstance(what, Layer) and learns[i]:
                    what.backward_parameters(above)
                continue
            if join is None:
                backs = [what.backward(above)]
            else:
                taken = [self.floats(self.values[j]) for j in inputs]
                backs = join.backward(above, taken)
            for j, back in zip(inputs, backs, strict=True):
                grads[j] = self._sum(j, grads[j], back)
        return grads[0]

    def _sum(self, j: int, so_far: Array | None, back: Array) -> Array:
        """Return the sum of two gradients of value ``j``, in memory of the graph's own."""
        if so_far is None:
            return back
        return np.add(so_far, back, out=self.buffer_like(f"grad_{j}", back))


def _joined(join: Join, taken: Sequence[Array]) -> Array:
    # Otherwise the samples of one would meet another axis of the other.
    if any(value.ndim != taken[0].ndim for value in taken):
        raise ValueError("they need one number of axes")
    return join.forward(taken)


def _checked(i: int, node: Any) -> list[Any]:
    """Return a node as a list, or say what is wrong with it."""
    owner = f"Graph: node {i}"
    if isinstance(node, (str, Layer)) or not isinstance(node, Sequence) or len(node) not in (2, 3):
        raise TypeError(f"{owner} must be [layer, [j]] or [join, [j, k]], got {node!r:.80}.")
    what, inputs, *rest = node
    if not isinstance(what, Layer) and not (isinstance(what, str) and what in JOINS):
        raise TypeError(f"{owner} is {what!r:.80}, neither a layer nor one of {', '.join(JOINS)}.")
    known = (
        isinstance(inputs, Sequence)
        and not isinstance(inputs, str)
        and all(isinstance(j, (int, np.integer)) and 0 <= j < i for j in inputs)
    )
    if not known or not inputs:
        raise ValueError(
            f"{owner} takes {inputs!r:.80}: it needs a list of values that are there before it, 0 "
            f"to {i - 1}."
        )
    count = len(inputs)
    if count != 1 if isinstance(what, Layer) else count != 2 if what == "matmul" else count < 2:
        number = "one input" if isinstance(what, Layer) else "two inputs"
        raise ValueError(f"{owner} needs {number}, got {count}.")
    if rest and (what != "concatenate" or not isinstance(rest[0], (int, np.integer))):
        raise ValueError(f'{owner}: only "concatenate" has a third entry, the axis.')
    if rest and rest[0] == 0:
        raise ValueError(f"{owner}: axis 0 is the samples. Join along another axis.")
    return [what, [int(j) for j in inputs], *rest]
