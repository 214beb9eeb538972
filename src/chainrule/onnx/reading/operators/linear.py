"""Matrix products: linear layers, products of two values, and tables of rows."""

from __future__ import annotations

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Embedding, Linear
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Dim
from chainrule.onnx.reading.operators.arithmetic import by_constant
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

__all__ = ["embedded"]


def linear(
    reader: Reader, x: Value, axis: int, weights: Array, biases: Array | None = None
) -> Value:
    """Return what a linear layer makes of one axis of the file."""
    axis = x.axis(axis)
    group = x.inner(axis)
    n_in, n_out = weights.shape
    if x.shape[axis] != n_in:
        raise UnsupportedError(f"weights of shape {weights.shape} do not fit the shape {x.shape}")
    before, order = reader.net.last(x, group)
    if order is not None:  # an image that was flattened with its channels first
        weights = weights[order]
    layer = Linear(n_in, n_out, bias=biases is not None)
    reader.filled(layer, weights=weights, biases=biases)
    sizes = (*before.sizes[:-1], n_out)
    axes = list(before.axes)
    axes[axis] = (len(sizes) - 1,)
    return Value(reader.net.layer(layer, before.step, sizes), sizes, tuple(axes))


@operator("MatMul")
def matmul(reader: Reader, node: Node) -> Result:
    """Return a linear layer, or the product of two values."""
    a, b = reader.given(node, 0), reader.given(node, 1)
    if isinstance(a, Value) and isinstance(b, Value):
        return product(reader, reader.value(node, 0), reader.value(node, 1))
    at = 0 if isinstance(a, Value) else 1
    x, weights = reader.value(node, at), reader.parameter(node, 1 - at, "weights")
    if weights is None:
        raise UnsupportedError("it has no weights")
    if weights.ndim > 2 and max(weights.shape[:-2]) == 1 and weights.ndim <= x.rank:
        weights = weights.reshape(weights.shape[-2:])
    if weights.ndim == 1:
        y = linear(
            reader, x, x.rank - 1 if at == 0 or x.rank == 1 else x.rank - 2, weights[:, None]
        )
        gone = x.rank - 1 if at == 0 or x.rank == 1 else x.rank - 2
        return Value(y.step, y.sizes, y.axes[:gone] + y.axes[gone + 1 :])
    if weights.ndim != 2:
        raise UnsupportedError(f"weights of shape {weights.shape}: a matrix for each of many")
    if at == 0:
        return linear(reader, x, -1, weights)
    if x.rank == 1:
        return linear(reader, x, -1, weights.T)
    return linear(reader, x, -2, weights.T)


def product(reader: Reader, a: Value, b: Value) -> Value:
    """Return the matrix product of two values over the last two axes that the file knows."""
    if min(a.rank, b.rank) < 2 or a.rank != b.rank:
        raise UnsupportedError(f"a product of the shapes {a.shape} and {b.shape}")
    if a.shape[-1] != b.shape[-2]:
        raise UnsupportedError(f"a product of the shapes {a.shape} and {b.shape}")
    if any(0 in flat(v.axes[-2:]) for v in (a, b)):
        raise UnsupportedError(
            f"a product of the shapes {a.shape} and {b.shape}, across the samples"
        )
    outer = [[i for i in flat(v.axes[:-2]) if i != 0] for v in (a, b)]
    lengths = [[v.sizes[i] for i in places] for v, places in zip((a, b), outer, strict=True)]
    if lengths[0] != lengths[1]:
        return _repeated_product(reader, a, b)
    steps = [
        reader.net.arranged(v, [*([i] for i in places), v.axes[-2], v.axes[-1]])
        for v, places in zip((a, b), outer, strict=True)
    ]
    sizes: tuple[Dim, ...] = (a.sizes[0], *lengths[0], a.shape[-2], b.shape[-1])
    step = reader.net.join("matmul", steps, sizes)
    new = {0: 0, **{i: k for k, i in enumerate(outer[0], start=1)}}
    axes = tuple(tuple(new[i] for i in axis) for axis in a.axes[:-2])
    end = len(sizes)
    return Value(step, sizes, (*axes, (end - 2,), (end - 1,)))


def _repeated_product(reader: Reader, a: Value, b: Value) -> Value:
    """Return the product where matrices of one meet several of the other."""
    at = [i for i, axis in enumerate(a.axes) if axis == (0,)]
    if not at or at != [i for i, axis in enumerate(b.axes) if axis == (0,)]:
        raise UnsupportedError(f"a product of the shapes {a.shape} and {b.shape}")
    others = [i for i in range(a.rank) if i != at[0]]
    pairs = [(a.shape[i], b.shape[i]) for i in others[:-2]]
    if any(m not in (1, n) and n != 1 for m, n in pairs):
        raise UnsupportedError(f"a product of the shapes {a.shape} and {b.shape}")
    steps = [reader.net.arranged(v, [v.axes[i] for i in others]) for v in (a, b)]
    longer = [n if m == 1 else m for m, n in pairs]
    sizes: tuple[Dim, ...] = (a.sizes[0], *longer, a.shape[-2], b.shape[-1])
    step = reader.net.join("matmul", steps, sizes)
    axes = tuple((0,) if i == at[0] else (1 + others.index(i),) for i in range(a.rank))
    return Value(step, sizes, axes)


@operator("Gemm")
def gemm(reader: Reader, node: Node) -> Result:
    """Return a linear layer, with weights the other way round and factors."""
    weights = reader.parameter(node, 1, "weights")
    if weights is None or weights.ndim != 2:
        raise UnsupportedError("its weights must be a matrix")
    x = reader.value(node)
    if x.rank != 2:
        raise UnsupportedError(f"it is for two axes, and the shape is {x.shape}")
    if node.get("transA", 0):
        x = Value(x.step, x.sizes, x.axes[::-1])
    if node.get("transB", 0):
        weights = weights.T
    y = linear(reader, x, -1, weights * reader.dtype.type(node.get("alpha", 1.0)))
    biases = reader.constant(node, 2, "biases")
    beta = float(node.get("beta", 1.0))
    if biases is None or beta == 0:
        return y
    biases = np.asarray(biases, np.float64) * beta
    n_out = y.shape[-1]
    if biases.size in (1, n_out) and biases.ndim and biases.shape[-1] in (1, n_out):
        reader.parameter(node, 2, "biases")
        layer = reader.net.steps[y.step].what
        if isinstance(layer, Linear):
            layer.bias = True
            reader.filled(layer, biases=np.broadcast_to(biases.ravel(), layer.n_out))
            return y
    return by_constant(reader, node, 2, y, shift=biases)


@operator("Gather")
def gather(reader: Reader, node: Node) -> Result:
    """Return an embedding, which is rows of a table; or places of a value by a constant."""
    from chainrule.onnx.reading.operators.parts import picked

    if isinstance(reader.given(node, 0), Value):
        return picked(reader, node)
    indices = reader.value(node, 1, ("whole",))
    table = reader.parameter(node, 0, "rows")
    if table is None or table.ndim < 2 or node.get("axis", 0) not in (0, -table.ndim):
        raise UnsupportedError("it takes other places than rows of a table")
    return embedded(reader, indices, table)


def embedded(reader: Reader, indices: Value, table: Array) -> Value:
    """Return the rows of a table, which may be arrays themselves."""
    rows = table.reshape(len(table), -1)
    layer = reader.filled(Embedding(*rows.shape), weights=rows)
    sizes = (*indices.sizes, rows.shape[1])
    step = reader.net.layer(layer, indices.step, sizes)
    shape = table.shape[1:]
    sizes = (*indices.sizes, *shape)
    step = reader.net.reshaped(step, sizes)
    end = len(indices.sizes)
    return Value(step, sizes, (*indices.axes, *((end + i,) for i in range(len(shape)))))
