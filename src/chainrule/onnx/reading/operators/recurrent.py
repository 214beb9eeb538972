"""Recurrent layers: gates in our order, one or two directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array
from chainrule.layers import GRU, LSTM, RNN, Bidirectional
from chainrule.layers.recurrent import Recurrent
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Dim
from chainrule.onnx.reading.operators.parts import cut
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import Filled, UnsupportedError, Value

# Where each of our gates stands in the file: LSTM i, o, f, c; GRU z, r, h.
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 1, 3]}
FUNCTIONS = {
    "RNN": [["Tanh"], ["Relu"]],
    "GRU": [["Sigmoid", "Tanh"]],
    "LSTM": [["Sigmoid", "Tanh", "Tanh"]],
}


@operator("RNN", "GRU", "LSTM")
def recurrent(reader: Reader, node: Node) -> Result:
    """Return a recurrent layer in one direction, in the other, or in both."""
    x = reader.value(node)
    if x.rank != 3:
        raise UnsupportedError(f"it is for three axes, and the shape is {x.shape}")
    steps_at, samples_at = (1, 0) if node.get("layout", 0) else (0, 1)
    x.samples_at(samples_at)
    step = reader.net.arranged(x, [x.inner(steps_at), x.inner(2)])
    samples, steps, n_in = reader.net.steps[step].sizes
    direction = node.get("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    hidden = int(node.get("hidden_size", 0))
    function = _function(node, count)
    _check_rest(reader, node, steps)
    layers = _layers(reader, node, n_in, hidden, count, function)
    value = Value(step, (samples, steps, n_in), ((0,), (1,), (2,)))
    if direction == "reverse":
        value = cut(reader, value, 1, None, None, -1)
    layer: Recurrent | Bidirectional = layers[0]
    if count == 2:
        layer = Bidirectional(layers[0])
        layer.twin = layers[1]
    wants_all, wants_last = (
        bool(node.outputs[i : i + 1] and node.outputs[i]) and _used(reader, node.outputs[i])
        for i in (0, 1)
    )
    if not wants_all:
        return [None, _last(reader, layer, value, hidden, count, samples_at).as_in(x), None]
    step = reader.net.layer(layer, value.step, (samples, steps, count * hidden))
    y = Value(step, (samples, steps, count * hidden), ((0,), (1,), (2,)))
    final = _of_all(reader, y, hidden, count, samples_at) if wants_last else None
    if direction == "reverse":
        y = cut(reader, y, 1, None, None, -1)
    outputs = _outputs(reader, y, hidden, count, samples_at)
    return [outputs.as_in(x), None if final is None else final.as_in(x), None]


def _used(reader: Reader, name: str) -> bool:
    return name in reader.uses or name == reader.output


def _function(node: Node, count: int) -> str:
    """Return the activation, which must be a usual one."""
    found = node.get("activations") or FUNCTIONS[node.op][0] * count
    one = list(found[: len(found) // count])
    known = [[word.lower() for word in words] for words in FUNCTIONS[node.op]]
    lower = [str(word).lower() for word in one]
    if lower not in known or [str(w).lower() for w in found] != lower * count:
        raise UnsupportedError(f"the activations {list(found)}: there are the usual ones")
    if node.get("clip"):
        raise UnsupportedError("its states are cut off (clip)")
    if node.op == "GRU" and not node.get("linear_before_reset", 0):
        raise UnsupportedError(
            "the reset gate acts on the state before the product (linear_before_reset=0), that of "
            "our GRU after it"
        )
    if node.get("input_forget", 0):
        raise UnsupportedError("its input and forget gates are coupled")
    return lower[0]


def _check_rest(reader: Reader, node: Node, steps: Dim) -> None:
    """Refuse sequences of uneven lengths, first states that are not 0, and peepholes."""
    lengths = reader.constant(node, 4, "lengths of the sequences")
    if lengths is not None and not all(n == steps for n in lengths.ravel()):
        raise UnsupportedError("sequences of uneven lengths")
    for i in (5, 6):
        first = reader.given(node, i) if i == 5 or node.op == "LSTM" else None
        zero = (
            first is None
            or (isinstance(first, Filled) and not first.row.any())
            or (isinstance(first, np.ndarray) and not first.any())
        )
        if not zero:
            raise UnsupportedError("it begins with a state that is not 0")
    peepholes = reader.constant(node, 7, "peepholes") if node.op == "LSTM" else None
    if peepholes is not None and peepholes.any():
        raise UnsupportedError("its gates look at the cell (peepholes)")


def _layers(
    reader: Reader, node: Node, n_in: Dim, hidden: int, count: int, function: str
) -> list[Recurrent]:
    gates = GATES[node.op]
    n = len(gates)
    weights = _shaped(reader.parameter(node, 1, "weights"), (count, n * hidden, n_in))
    recurrent_weights = _shaped(
        reader.parameter(node, 2, "recurrent weights"), (count, n * hidden, hidden)
    )
    biases = reader.parameter(node, 3, "biases")
    if biases is None:
        biases = np.zeros((count, 2 * n * hidden), reader.dtype)
    biases = _shaped(biases, (count, 2 * n * hidden))
    layers: list[Recurrent] = []
    for direction in range(count):
        # Gate by gate: the gates are blocks of rows in the file, and of columns in ours.
        w, u = (
            part[direction].reshape(n, hidden, -1)[gates].transpose(2, 0, 1).reshape(-1, n * hidden)
            for part in (weights, recurrent_weights)
        )
        own, of_state = biases[direction].reshape(2, n, hidden)[:, gates]
        layer: Recurrent
        parameters = {"weights": w, "recurrent_weights": u}
        if node.op == "GRU":
            layer = GRU(int(n_in), hidden)  # type: ignore[arg-type]  # compared with the weights
            both = own + of_state
            both[2] = own[2]
            parameters |= {"biases": both.ravel(), "recurrent_biases": of_state[2]}
        else:
            layer = LSTM(int(n_in), hidden) if node.op == "LSTM" else RNN(  # type: ignore[arg-type]  # the same
                int(n_in), hidden, activation=function  # type: ignore[arg-type]  # the same
            )  # fmt: skip
            parameters |= {"biases": (own + of_state).ravel()}
        reader.filled(layer, **parameters)
        layers.append(layer)
    return layers


def _shaped(array: Array | None, shape: Sequence[Dim]) -> Array:
    if array is None or array.shape != tuple(shape):
        found = None if array is None else array.shape
        raise UnsupportedError(f"weights of shape {found} in place of {tuple(shape)}")
    return array


def _outputs(reader: Reader, y: Value, hidden: int, count: int, samples_at: int) -> Value:
    """Return all steps as the file has them: (steps, directions, samples, hidden)."""
    inner: tuple[int, ...] = ()
    if count == 2:
        step = reader.net.reshaped(y.step, (*y.sizes[:2], 2, hidden))
        y = Value(step, (*y.sizes[:2], 2, hidden), ((0,), (1,), (2,), (3,)))
        inner = (2,)
    end = len(y.sizes) - 1
    if samples_at == 0:  # (samples, steps, directions, hidden)
        return Value(y.step, y.sizes, ((0,), (1,), inner, (end,)))
    return Value(y.step, y.sizes, ((1,), inner, (0,), (end,)))


def _final(step: int, samples: Dim, hidden: int, reader: Reader, count: int, at: int) -> Value:
    """Return (samples, directions x hidden) as the file has it: (directions, samples, hidden)."""
    sizes: tuple[Dim, ...] = (samples, hidden)
    inner: tuple[int, ...] = ()
    if count == 2:
        sizes, inner = (samples, 2, hidden), (1,)
    step = reader.net.reshaped(step, sizes)
    end = (len(sizes) - 1,)
    return Value(step, sizes, ((0,), inner, end) if at == 0 else (inner, (0,), end))


def _last(
    reader: Reader, layer: Recurrent | Bidirectional, x: Value, hidden: int, count: int, at: int
) -> Value:
    """Return the last state alone."""
    each = [layer.layer, layer.twin] if isinstance(layer, Bidirectional) else [layer]
    for one in each:
        one.all_steps = False
    step = reader.net.layer(layer, x.step, (x.sizes[0], count * hidden))
    return _final(step, x.sizes[0], hidden, reader, count, at)


def _of_all(reader: Reader, y: Value, hidden: int, count: int, at: int) -> Value:
    """Return the last states, where all outputs are wanted too: they are among them."""
    samples = y.sizes[0]
    if count == 1:
        last = cut(reader, y, 1, -1, None)
        return _final(last.step, samples, hidden, reader, count, at)
    ahead = cut(reader, cut(reader, y, 1, -1, None), 2, 0, hidden)
    back = cut(reader, cut(reader, y, 1, 0, 1), 2, hidden, None)
    sizes = (samples, 1, 2 * hidden)
    step = reader.net.join("concatenate", [ahead.step, back.step], sizes, -1)
    return _final(step, samples, hidden, reader, count, at)
