"""Graphs whose parts are of the right kind, and lie: sound ones with a few things changed."""

import random
from typing import Any

NUMBERS = [
    -(2**63),
    -(2**31),
    -7,
    -2,
    -1,
    0,
    1,
    2,
    3,
    5,
    8,
    64,
    1000,
    2**20,
    2**31,
    2**40,
    2**63 - 1,
]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("inf"), float("-inf"), float("nan")]
OPERATORS = [
    "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Celu", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "ConvTranspose", "Div", "Dropout", "Elu", "Erf", "Expand", "Flatten",
    "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "GRU",
    "HardSigmoid", "HardSwish", "Identity", "If", "InstanceNormalization", "LayerNormalization",
    "LeakyRelu", "LogSoftmax", "Loop", "LSTM", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish",
    "Mod", "Mul", "Neg", "PRelu", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceSum", "Relu", "Reshape", "Resize", "RNN", "Shape", "Sigmoid", "Slice", "Softmax",
    "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze",
    "Where",
]  # fmt: skip
NAMES = ["axis", "axes", "perm", "group", "pads", "strides", "dilations", "kernel_shape", "alpha",
         "epsilon", "hidden_size", "direction", "to", "keepdims", "transB", "num_groups", "layout",
         "auto_pad", "ceil_mode", "output_shape", "activations", "split", "shape"]  # fmt: skip


def changed(model: Any, rng: random.Random) -> Any:
    """Return a copy of a ``ModelProto`` in which one to four things are changed."""
    import onnx

    other = onnx.ModelProto()
    other.CopyFrom(model)
    for _ in range(rng.choice([1, 1, 2, 4])):
        _change(other.graph, rng)
    return other


def _change(graph: Any, rng: random.Random) -> None:
    from onnx import helper

    node = rng.choice(graph.node)
    names = [n for each in graph.node for n in (*each.input, *each.output)]
    kind = rng.randrange(8)
    if kind == 0:
        node.op_type = rng.choice(OPERATORS)
    elif kind == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, ""])
    elif kind == 2:
        node.input.append(rng.choice(names))
    elif kind == 3 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i, attribute.f = rng.choice(NUMBERS), rng.choice(FLOATS)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif kind == 4:
        value = rng.choice([rng.choice(NUMBERS), rng.choice(FLOATS), "x",
                            [rng.choice(NUMBERS) for _ in range(rng.randrange(1, 5))]])  # fmt: skip
        node.attribute.append(helper.make_attribute(rng.choice(NAMES), value))
    elif kind == 5 and graph.initializer:
        tensor = rng.choice(graph.initializer)
        if tensor.dims:
            rng.shuffle(tensor.dims)
        if tensor.data_type == 7 and len(tensor.raw_data) >= 8:  # whole numbers: shapes, axes
            number = rng.choice(NUMBERS).to_bytes(8, "little", signed=True)
            at = 8 * rng.randrange(len(tensor.raw_data) // 8)
            tensor.raw_data = tensor.raw_data[:at] + number + tensor.raw_data[at + 8 :]
    elif kind == 6:
        dims = graph.input[0].type.tensor_type.shape.dim
        if dims:
            rng.choice(dims).dim_value = rng.choice(NUMBERS)
    else:
        graph.output[0].name = rng.choice([n for n in names if n] or ["y"])
