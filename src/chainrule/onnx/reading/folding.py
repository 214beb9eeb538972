"""Operators over constants: computed while reading, shapes with unknown lengths among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Length, product
from chainrule.onnx.reading.values import Constant, Filled, UnsupportedError

__all__ = ["FOLDS", "MOST", "axes_of", "folded", "tidy"]

# Elements of a constant that a few bytes may ask for, as a ConstantOfShape does.
MOST = 1 << 20

Fold = Callable[[Node, list[Any]], Any]


def folded(node: Node, inputs: list[Constant | None]) -> list[Constant]:
    """Return the outputs of an operator over constants.

    Raises
    ------
    UnsupportedError
        If chainrule does not compute this operator.
    """
    if node.domain != "ai.onnx" or node.op not in FOLDS:
        raise UnsupportedError("there is no layer for it")
    if any(isinstance(each, Filled) for each in inputs):
        return [_of_filled(node, inputs)]
    with np.errstate(all="ignore"):
        made = FOLDS[node.op](node, inputs)
    outputs = made if isinstance(made, list) else [made]
    return [each if isinstance(each, Filled) else tidy(each) for each in outputs]


def tidy(given: Any) -> Array:
    """Return an array; as whole numbers where no unknown length is left in it."""
    array: Array = np.asarray(given)
    if array.size > MOST and array.dtype == object:
        raise UnsupportedError("a shape of so many lengths")
    if array.dtype == object and not any(isinstance(each, Length) for each in array.flat):
        return array.astype(np.int64)
    return array


def axes_of(node: Node, inputs: Sequence[Any], since: int) -> list[int] | None:
    """Return the axes, which are an attribute before that version of the operators, then input 1.

    None where there are none.
    """
    given = node.get("axes") if node.version < since else inputs[1] if len(inputs) > 1 else None
    return None if given is None else [int(a) for a in np.ravel(given)]


def _bounded(shape: Sequence[Any]) -> list[int]:
    lengths = [int(n) for n in shape]
    if min(lengths, default=0) < 0 or math.prod(lengths) > MOST:
        raise UnsupportedError(f"it makes a constant of shape {lengths}, which is too large")
    return lengths


def _of_filled(node: Node, inputs: list[Any]) -> Constant:
    """Return what becomes of a constant that is the same for each sample."""
    at = 0 if isinstance(inputs[0], Filled) else 1
    filled, others = inputs[at], inputs[:at] + inputs[at + 1 :]
    if not isinstance(filled, Filled) or any(isinstance(each, Filled) for each in others):
        raise UnsupportedError("a constant with as many rows as there are samples")
    if node.op in ("Cast", "Identity"):
        return filled
    if node.op == "Shape" and filled.shape:
        return tidy(_shape(node, [filled]))
    width = filled.shape[-1] if filled.shape else 0
    row = filled.row
    if node.op == "MatMul" and at == 0 and np.ndim(others[0]) == 2 and row.ndim < 2:
        made = np.broadcast_to(row, _bounded([width])) @ others[0]
        return Filled(made, (*filled.shape[:-1], int(np.shape(others[0])[1])))
    if node.op in ("Add", "Mul") and np.shape(others[0]) in ((), (1,), (width,)):
        operation = np.add if node.op == "Add" else np.multiply
        return Filled(operation(row, others[0]), filled.shape)
    if not row.any() and node.op in ("Slice", "Squeeze", "Transpose", "Unsqueeze", "Gather"):
        # Its place in a net is as the first state of a recurrent layer: zeros, one way or another.
        return Filled(np.zeros(()), _cut_shape(node, filled.shape, inputs))
    raise UnsupportedError("a constant with as many rows as there are samples")


def _cut_shape(node: Node, shape: tuple[Any, ...], inputs: list[Any]) -> tuple[Any, ...]:
    """Return the shape after a Squeeze, Unsqueeze or Slice of known lengths; () for any other."""
    dims = list(shape)
    if node.op == "Squeeze":
        gone = [a % len(dims) for a in axes_of(node, inputs, since=13) or ()]
        return tuple(n for i, n in enumerate(dims) if i not in gone)
    if node.op == "Unsqueeze":
        axes = axes_of(node, inputs, since=13) or []
        new = {a % (len(dims) + len(axes)) for a in axes}
        old = iter(dims)
        return tuple(1 if i in new else next(old) for i in range(len(dims) + len(axes)))
    if node.op == "Slice" and node.version >= 10 and len(inputs) >= 4:
        for start, end, axis in zip(*(np.ravel(each) for each in inputs[1:4]), strict=True):
            dims[int(axis)] = len(range(int(dims[int(axis)]))[int(start) : int(end)])
        return tuple(dims)
    return ()


def _binary(operation: Callable[[Any, Any], Any]) -> Fold:
    def fold(node: Node, inputs: list[Any]) -> Any:
        a, b = inputs
        if np.size(a) == 0 or np.size(b) == 0:
            raise UnsupportedError("an empty constant")
        _bounded(np.broadcast_shapes(np.shape(a), np.shape(b)))
        return operation(a, b)

    return fold


def _divide(a: Array, b: Array) -> Array:
    if object in (a.dtype, b.dtype):
        return np.floor_divide(a, b)
    if a.dtype.kind in "iu":
        if not np.all(b):
            raise ValueError("a division by zero")
        return np.trunc(a / b).astype(a.dtype)
    return np.divide(a, b)


def _equal(a: Array, b: Array) -> Array:
    return np.asarray(a == b, bool)


def _cast(node: Node, inputs: list[Any]) -> Any:
    from onnx import helper

    if inputs[0].dtype == object:  # a shape stays one
        return inputs[0]
    return inputs[0].astype(helper.tensor_dtype_to_np_dtype(node.get("to")))


def _constant(node: Node, inputs: list[Any]) -> Any:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            given = node.attributes[name]
            kinds = {"value_float": np.float32, "value_floats": np.float32}
            return np.asarray(given, kinds.get(name))
    raise UnsupportedError("a constant that is text or sparse")


def _shape(node: Node, inputs: list[Any]) -> Any:
    dims = inputs[0].shape[slice(node.get("start", 0), node.get("end"))]
    array = np.empty(len(dims), object)
    array[:] = dims
    return array


def _constant_of_shape(node: Node, inputs: list[Any]) -> Any:
    value = node.get("value", np.zeros(1, np.float32)).ravel()[0]
    if inputs[0].dtype == object:
        return Filled(np.asarray(value), tuple(inputs[0]))
    return np.full(_bounded(inputs[0]), value)


def _expand(node: Node, inputs: list[Any]) -> Any:
    array, shape = inputs
    if shape.dtype == object:
        longer = [1] * (len(shape) - array.ndim) + list(array.shape)
        shorter = [1] * (array.ndim - len(shape)) + list(shape)
        return Filled(
            array, tuple(b if a == 1 else a for a, b in zip(longer, shorter, strict=True))
        )
    wanted = np.broadcast_shapes(array.shape, tuple(_bounded(shape)))
    _bounded(wanted)
    return np.broadcast_to(array, wanted)


def _range(node: Node, inputs: list[Any]) -> Any:
    start, limit, step = (each.item() for each in inputs)
    if any(isinstance(each, Length) for each in (start, limit, step)) or step == 0:
        raise UnsupportedError("a range whose end is not known before the net runs")
    _bounded([max(0, math.ceil((limit - start) / step))])
    return np.arange(start, limit, step).astype(inputs[0].dtype)


def _reshape(node: Node, inputs: list[Any]) -> Any:
    array, shape = inputs[0], list(inputs[1])
    if not node.get("allowzero", 0):
        shape = [array.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return array.reshape([int(n) for n in shape])


def _squeeze(node: Node, inputs: list[Any]) -> Any:
    axes = axes_of(node, inputs, since=13)
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


def _unsqueeze(node: Node, inputs: list[Any]) -> Any:
    return np.expand_dims(inputs[0], tuple(axes_of(node, inputs, since=13) or ()))


def _slice(node: Node, inputs: list[Any]) -> Any:
    array = inputs[0]
    if node.version < 10:
        starts, ends = node.get("starts"), node.get("ends")
        axes, steps = node.get("axes"), None
    else:
        starts, ends = inputs[1], inputs[2]
        axes, steps = (inputs[i] if len(inputs) > i else None for i in (3, 4))
    starts, ends = np.ravel(starts), np.ravel(ends)
    axes = range(len(starts)) if axes is None else np.ravel(axes)
    steps = [1] * len(starts) if steps is None else np.ravel(steps)
    place = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place[int(axis)] = _part(int(start), int(end), int(step))
    return array[tuple(place)]


def _part(start: int, end: int, step: int) -> slice:
    return slice(start, None if step < 0 and end < -(2**30) else end, step)


def _gather(node: Node, inputs: list[Any]) -> Any:
    array, indices = inputs
    axis = node.get("axis", 0)
    _bounded([indices.size, array.size // max(1, array.shape[axis])])
    return np.take(array, indices.astype(np.int64), axis=axis)


def _concat(node: Node, inputs: list[Any]) -> Any:
    if sum(each.size for each in inputs) > max(MOST, 2 * max(each.size for each in inputs)):
        raise UnsupportedError("it makes a constant that is too large")
    return np.concatenate(inputs, axis=node.get("axis"))


def _split(node: Node, inputs: list[Any]) -> Any:
    axis = node.get("axis", 0)
    sizes = node.get("split") if node.version < 13 else inputs[1] if len(inputs) > 1 else None
    if sizes is None:
        each = -(-inputs[0].shape[axis] // len(node.outputs))
        places = np.arange(1, len(node.outputs)) * each
    else:
        places = np.cumsum(np.asarray(sizes))[:-1]
    return np.split(inputs[0], places, axis=axis)


def _where(node: Node, inputs: list[Any]) -> Any:
    _bounded(np.broadcast_shapes(*(np.shape(each) for each in inputs)))
    return np.where(*inputs)


def _reduce(operation: Callable[..., Any], since: int) -> Fold:
    def fold(node: Node, inputs: list[Any]) -> Any:
        axes = axes_of(node, inputs, since)
        if not axes and node.get("noop_with_empty_axes", 0):
            return inputs[0]
        return operation(
            inputs[0], axis=tuple(axes) if axes else None, keepdims=bool(node.get("keepdims", 1))
        )

    return fold


def _flatten(node: Node, inputs: list[Any]) -> Any:
    axis = node.get("axis", 1)
    axis += inputs[0].ndim if axis < 0 else 0
    return inputs[0].reshape(math.prod(inputs[0].shape[:axis]), -1)


def _matmul(node: Node, inputs: list[Any]) -> Any:
    a, b = inputs
    _bounded([a.size // max(1, a.shape[-1]), b.size // max(1, b.shape[0])])
    return np.matmul(a, b)


FOLDS: dict[str, Fold] = {
    "Abs": lambda node, inputs: np.abs(inputs[0]),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "Ceil": lambda node, inputs: np.ceil(inputs[0]),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _binary(_divide),
    "Equal": _binary(_equal),
    "Exp": lambda node, inputs: np.exp(inputs[0]),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": lambda node, inputs: np.floor(inputs[0]),
    "Gather": _gather,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": lambda node, inputs: inputs[0],
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": lambda node, inputs: np.log(inputs[0]),
    "MatMul": _matmul,
    "Max": lambda node, inputs: np.max(np.stack(inputs), axis=0),
    "Min": lambda node, inputs: np.min(np.stack(inputs), axis=0),
    "Mod": _binary(np.mod),
    "Mul": _binary(np.multiply),
    "Neg": lambda node, inputs: np.negative(inputs[0]),
    "Not": lambda node, inputs: np.logical_not(inputs[0]),
    "Or": _binary(np.logical_or),
    "Pow": _binary(np.power),
    "Range": _range,
    "Reciprocal": lambda node, inputs: np.reciprocal(inputs[0]),
    "ReduceMax": _reduce(np.max, 18),
    "ReduceMean": _reduce(np.mean, 18),
    "ReduceMin": _reduce(np.min, 18),
    "ReduceProd": lambda node, inputs: (
        product(inputs[0].ravel())
        if inputs[0].dtype == object
        else _reduce(np.prod, 18)(node, inputs)
    ),
    "ReduceSum": _reduce(np.sum, 13),
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": lambda node, inputs: np.array(np.size(inputs[0])),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": lambda node, inputs: np.sqrt(inputs[0]),
    "Squeeze": _squeeze,
    "Sub": _binary(np.subtract),
    "Transpose": lambda node, inputs: np.transpose(inputs[0], node.get("perm")),
    "Trilu": lambda node, inputs: (np.triu if node.get("upper", 1) else np.tril)(
        inputs[0], int(np.ravel(inputs[1])[0]) if len(inputs) > 1 else 0
    ),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
