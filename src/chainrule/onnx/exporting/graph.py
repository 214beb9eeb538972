"""The graph that converters write into."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.layer import Array, Layer
from chainrule.onnx.exporting.registry import find
from chainrule.onnx.exporting.value import Dim, Order, Value

__all__ = ["Graph", "Input"]

# What a node takes: a value, a constant, or None for an input that is left out.
Input = Value | Array | float | None

# onnxruntime has these for float32 alone. In a float64 graph they compute in float32.
SINGLE = {
    "AveragePool", "Conv", "ConvTranspose", "Erf", "GRU", "InstanceNormalization", "LSTM", "RNN",
}  # fmt: skip


class Graph:
    """Nodes and constants, in the order of the forward pass.

    Attributes
    ----------
    dtype : numpy.dtype
        The float type of the graph.
    path : str
        Of the layer that is being converted, as ``"2.inner.0"``; names of nodes begin with it.
    """

    def __init__(self, dtype: DTypeLike, taken: Sequence[str] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self._nodes: list[Any] = []
        self._constants: dict[str, Array] = {}
        self.path = ""
        self._taken = set(taken)
        # By name and permutation: layers may see the axes of one array by different numbers.
        self._laid: dict[tuple[str, Order], str] = {}

    # -- what a converter calls ------------------------------------------------------------------

    def convert(self, layer: Layer, x: Value, name: str = "") -> Value:
        """Return the output of a layer inside this one; ``name`` is its name in ``children``."""
        found = find(type(layer))
        if found is None:  # a layer that children() does not name
            raise ValueError(f"{self.path}: {layer!r} has no converter. See chainrule.onnx.export.")
        function, any_order = found
        with self.inside(name):
            y = function(self, layer, x if any_order else self.natural(x))
        if not isinstance(y, Value):
            raise TypeError(
                f"the converter of {type(layer).__name__} must return what graph.node returned, "
                f"got {y!r:.80}."
            )
        return y

    def node(
        self,
        op: str,
        *inputs: Input,
        shape: Sequence[Dim] | None = None,
        order: Order | None = None,
        dtype: DTypeLike | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a node, and return its output.

        Parameters
        ----------
        op : str
            The operator, as ``"Mul"``.
        *inputs : Value, array or number
            Arrays and floats become constants of the graph's float type, whole numbers int64.
        shape : tuple of int or str, optional
            Of the output in our order; that of the first value by default, which then gives the
            order of the axes too.
        order : tuple of int, optional
            How the axes of the output lie in the graph; as our layers see them by default.
        dtype : dtype, optional
            Of the output; that of the graph by default.
        **attributes
            Of the operator.
        """
        first = next((x for x in inputs if isinstance(x, Value)), None)
        folded = None
        if shape is None:
            if first is None:
                raise ValueError(f"{self.path}: {op} of constants alone needs a shape.")
            shape, order, folded = first.shape, first.order, first.folded
        (y,) = self.nodes(op, inputs, [shape], dtype, **attributes)
        return replace(y, order=y.order if order is None else order, folded=folded)

    def nodes(
        self,
        op: str,
        inputs: Sequence[Input],
        shapes: Sequence[Sequence[Dim] | None],
        dtype: DTypeLike | None = None,
        **attributes: Any,
    ) -> list[Value]:
        """Add a node of several outputs, and return those that have a shape: others stay unnamed.

        What the other arguments are is told at ``node``.
        """
        from onnx import helper

        name = self._name(op)
        single = self.dtype == np.float64 and op in SINGLE
        names = [self._input(name, i, x, single) for i, x in enumerate(inputs)]
        while names and not names[-1]:
            names.pop()
        outputs = [
            "" if shape is None else self._new(f"{name}.{i}") if i else name
            for i, shape in enumerate(shapes)
        ]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(op, names, outputs, name=name, **attributes))
        kind = np.dtype(dtype or self.dtype)
        return [
            Value(
                self._cast(output, kind) if single else output,
                tuple(shape),
                tuple(range(len(shape))),
                kind,
            )
            for output, shape in zip(outputs, shapes, strict=True)
            if shape is not None
        ]

    def parameter(self, name: str, array: Array) -> Value:
        """Return a parameter of the layer as a value; in the file it has the model's name."""
        return self._constant(f"{self.path}.{name}" if self.path else name, array)

    def cast(self, x: Value, dtype: DTypeLike) -> Value:
        """Return the value in another type."""
        if x.dtype == dtype:
            return x
        return replace(x, name=self._cast(x.name, np.dtype(dtype)), dtype=np.dtype(dtype))

    def floats(self, x: Value) -> Value:
        """Return the value in the float type of the graph."""
        return x if x.dtype.kind == "f" else self.cast(x, self.dtype)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Let the names of nodes be those of a layer inside."""
        outer = self.path
        self.path = f"{outer}.{name}" if outer and name else outer or name
        try:
            yield
        finally:
            self.path = outer

    # -- the order of the axes -------------------------------------------------------------------

    def natural(self, x: Value) -> Value:
        """Return the value with its axes as our layers see them: channels last."""
        return self.laid(x, tuple(range(len(x.shape))))

    def channels_first(self, x: Value) -> Value:
        """Return the value with the channels right after the samples, as convolutions need it."""
        return self.laid(x, (0, len(x.shape) - 1, *range(1, len(x.shape) - 1)))

    def laid(self, x: Value, order: Order) -> Value:
        """Return the value with its axes in this order: by a Transpose, if it has another.

        The same one serves all that ask, and the way back from it is the value itself.
        """
        if x.folded is not None:
            x = self._unfolded(x, x.folded)
        if x.order == order:
            return x
        perm = tuple(x.order.index(axis) for axis in order)
        if (x.name, perm) not in self._laid:
            y = self.node("Transpose", x, shape=x.shape, order=order, dtype=x.dtype, perm=perm)
            back = tuple(perm.index(place) for place in range(len(perm)))
            self._laid[x.name, perm] = y.name
            self._laid[y.name, back] = x.name
        return replace(x, name=self._laid[x.name, perm], order=order)

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """Return values of as many axes in one order: the one that most of them have."""
        if len({x.layout for x in values}) == 1:
            return list(values)
        order, _ = Counter(x.order for x in values).most_common(1)[0]
        return [self.laid(x, order) for x in values]

    def flatten(self, x: Value) -> Value:
        """Return the samples as rows, in the order that the axes have: what follows may not mind.

        A linear layer does not: it lays its weights in the same order. ``natural`` undoes it.
        """
        if x.folded is not None or (len(x.shape) == 2 and x.natural):
            return x
        known = all(isinstance(dim, int) for dim in x.shape[1:])
        if not known or x.order[0] != 0:
            x = self.natural(x)
        features = math.prod(d for d in x.shape[1:] if isinstance(d, int))
        shape = (x.shape[0], features if known else self.new_dim("features"))
        y = self.node("Flatten", x, shape=shape, dtype=x.dtype, axis=1)
        long = [axis for axis in x.order if x.shape[axis] != 1]
        return y if long == sorted(long) else replace(y, folded=x)

    def _unfolded(self, x: Value, before: Value) -> Value:
        dims = np.array([0, *before.dims[1:]])
        y = self.node("Reshape", x, dims, shape=before.shape, order=before.order, dtype=x.dtype)
        return self.node("Flatten", self.natural(y), shape=x.shape, dtype=x.dtype, axis=1)

    # -- shapes ----------------------------------------------------------------------------------

    def reshape(self, x: Value, shape: Sequence[Dim]) -> Value:
        """Return the value in another shape; one length besides those that stay may be unknown."""
        x = self.natural(x)
        lengths = [
            dim if isinstance(dim, int) else 0 if dim in x.shape[i : i + 1] else -1
            for i, dim in enumerate(shape)
        ]
        if lengths.count(-1) > 1:
            raise ValueError(f"{self.path}: two lengths of {tuple(shape)} are not known before.")
        return self.node("Reshape", x, np.array(lengths), shape=shape, dtype=x.dtype)

    def length(self, x: Value, axis: int) -> Value | Array:
        """Return the length of one of our axes as a number in the graph."""
        dim = x.shape[axis]
        if isinstance(dim, int):
            return np.array(dim)
        lengths = self.node("Shape", x, shape=(len(x.shape),), dtype=np.int64)
        return self.node("Gather", lengths, np.array(x.place(axis)), shape=(), dtype=np.int64)

    def steps(self, x: Value) -> Value:
        """Return 0, 1, 2, … as many as there are steps, on axis 1."""
        count = self.length(x, 1)
        return self.node("Range", 0, count, 1, shape=(x.shape[1],), dtype=np.int64)

    def new_dim(self, what: str) -> str:
        """Return the name of a length that is known only when the graph runs."""
        return self._new(f"{self.path}.{what}")

    # -- names and constants ---------------------------------------------------------------------

    def finish(self, y: Value, name: str) -> tuple[list[Any], dict[str, Array]]:
        """Return the nodes, which end in an output of that name, and the constants they use."""
        from onnx import helper

        nodes = self._needed(y)
        if not nodes:  # a net that does nothing
            nodes = [helper.make_node("Identity", [y.name], [name], name=self._name("Identity"))]
        else:
            for names in (names for node in nodes for names in (node.input, node.output)):
                for i, each in enumerate(names):
                    if each == y.name:
                        names[i] = name
        used = {name for node in nodes for name in node.input}
        return nodes, {n: array for n, array in self._constants.items() if n in used}

    def _needed(self, y: Value) -> list[Any]:
        """Return the nodes that the output needs: a Transpose may have been undone right away."""
        needed, nodes = {y.name}, []
        for node in reversed(self._nodes):
            if needed & set(node.output) - {""}:
                needed |= set(node.input)
                nodes.append(node)
        return nodes[::-1]

    def _input(self, node: str, i: int, x: Input, single: bool) -> str:
        if x is None:
            return ""
        if not isinstance(x, Value):
            array = np.asarray(x)
            if array.dtype.kind == "f":
                array = array.astype(np.float32 if single else self.dtype)
            return self._constant(f"{node}.input_{i}", array).name
        if not single or x.dtype != np.float64:
            return x.name
        if x.name in self._constants:
            return self._constant(f"{x.name}.float32", self._constants[x.name].astype("f")).name
        return self._cast(x.name, np.dtype(np.float32))

    def _constant(self, name: str, array: Array) -> Value:
        if array.dtype.kind in "iu":
            array = array.astype(np.int64)
        name = self._new(name)
        self._constants[name] = array
        return Value(name, array.shape, tuple(range(array.ndim)), array.dtype)

    def _cast(self, name: str, dtype: np.dtype[Any]) -> str:
        from onnx import helper

        y = self._name("Cast")
        to = helper.np_dtype_to_tensor_dtype(dtype)
        self._nodes.append(helper.make_node("Cast", [name], [y], name=y, to=to))
        return y

    def _name(self, op: str) -> str:
        return self._new(f"{self.path}.{op}" if self.path else op)

    def _new(self, name: str) -> str:
        """Return the name, with a number if it is taken."""
        number, new = 1, name
        while new in self._taken:
            number += 1
            new = f"{name}_{number}"
        self._taken.add(new)
        return new
