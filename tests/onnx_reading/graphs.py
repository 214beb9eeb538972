"""Graphs made by hand, small ones, and many operators."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, WHOLE = TensorProto.FLOAT, TensorProto.INT64


def node(op, inputs, output="y", **options):
    outputs = output.split()
    return helper.make_node(op, inputs.split(), outputs, name=options.pop("name", ""), **options)


def model_of(nodes, shape, constants=(), *, kind=FLOAT, outputs=("y",), opset=20, **options):
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in dict(constants).items()],
    )  # fmt: skip
    versions = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    versions.append(helper.make_opsetid("com.example", 1))
    versions += [helper.make_opsetid(f.domain, 1) for f in options.get("functions", ())]
    return helper.make_model(graph, opset_imports=versions, ir_version=9, **options)


def normal(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


W, B = normal(4, 3), normal(3)
LINEAR = {"w": W, "b": B}


# -- the operators that exporters do not write every day ----------------------------------------

IMAGES = ["n", 2, 7, 6]
GRAPHS = {
    "matrix on the left": ([node("MatMul", "w x")], ["n", 3, 5], {"w": normal(4, 3)}),
    "a vector": ([node("MatMul", "x w")], ["n", 3, 5], {"w": normal(5)}),
    "gemm of all": ([node("Gemm", "x w b", transB=1, alpha=0.5, beta=2.0)], ["n", 4],
                    {"w": normal(3, 4), "b": normal(1)}),
    "bias of one channel": ([node("Conv", "x w", "z"), node("Add", "z b")], IMAGES,
                            {"w": normal(1, 2, 3, 3), "b": normal(1, 1, 1)}),
    "same upper": ([node("Conv", "x w b", auto_pad="SAME_UPPER", strides=[2, 2])], IMAGES,
                   {"w": normal(4, 2, 4, 3), "b": normal(4)}),
    "same lower": ([node("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 1])], IMAGES,
                   {"w": normal(4, 2, 4, 2)}),
    "same of unknown size": ([node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])],
                             ["n", 2, "h", "w_"], {"w": normal(4, 2, 3, 3)}),
    "uneven pads": ([node("Conv", "x w", pads=[0, 1, 2, 3])], IMAGES, {"w": normal(4, 2, 3, 3)}),
    "pooled unevenly": ([node("MaxPool", "x", kernel_shape=[3, 2], pads=[0, 1, 1, 0],
                              strides=[2, 2])], IMAGES, {}),
    "means unevenly": ([node("AveragePool", "x", kernel_shape=[3, 3], pads=[0, 1, 1, 0],
                             strides=[2, 2])], IMAGES, {}),
    "means of all": ([node("AveragePool", "x", kernel_shape=[3, 3], pads=[0, 1, 2, 0],
                           count_include_pad=1, ceil_mode=1, strides=[2, 2])], IMAGES, {}),
    "groups back": ([node("ConvTranspose", "x w b", group=2, strides=[2, 3], pads=[1, 0, 0, 1])],
                    IMAGES, {"w": normal(2, 3, 3, 2), "b": normal(6)}),
    "sizes wanted": ([node("ConvTranspose", "x w", output_shape=[15, 12], strides=[2, 2])], IMAGES,
                     {"w": normal(2, 1, 3, 3)}),
    "channels weighed": ([node("GlobalAveragePool", "x", "m"), node("Sigmoid", "m", "s"),
                          node("Mul", "x s")], IMAGES, {}),
    "means over images": ([node("ReduceMean", "x a", keepdims=0)], IMAGES,
                          {"a": np.array([2, 3])}),
    "sum over channels": ([node("ReduceSum", "x a")], IMAGES, {"a": np.array([1])}),
    "greatest of rows": ([node("ReduceMax", "x a", keepdims=0)], IMAGES, {"a": np.array([-2])}),
    "softmax over channels": ([node("Softmax", "x", axis=1)], IMAGES, {}),
    "softmax over all": ([node("Softmax", "x", axis=1)], IMAGES, {}),
    "flattened": ([node("Flatten", "x", "f"), node("Gemm", "f w b")], IMAGES,
                  {"w": normal(84, 3), "b": B}),
    "mixed": ([node("Reshape", "x s")], ["n", 4, 6], {"s": np.array([0, 8, 3])}),
    "places": ([node("Gather", "x i", axis=2)], IMAGES, {"i": np.array([[3, 0], [-1, 3]])}),
    "every other": ([node("Slice", "x a b c d")], IMAGES,
                    {"a": np.array([-1, 1]), "b": np.array([-99, 99]), "c": np.array([2, 3]),
                     "d": np.array([-2, 2])}),
    "parts": ([node("Split", "x", "p q", axis=1, num_outputs=2), node("Sub", "p q")], IMAGES, {}),
    "beside": ([node("Relu", "x", "r"), node("Concat", "x r x", axis=-1)], IMAGES, {}),
    "repeated": ([node("Unsqueeze", "x a", "u"), node("Expand", "u s")], ["n", 4],
                 {"a": np.array([1]), "s": np.array([1, 3, 1])}),
    "constants grow it": ([node("Unsqueeze", "x a", "u"), node("Mul", "u c")], ["n", 4],
                          {"a": np.array([1]), "c": normal(3, 1)}),
    "greatest of three": ([node("Tanh", "x", "t"), node("Max", "x t c")], ["n", 4],
                          {"c": normal(4)}),
    "least": ([node("Neg", "x", "m"), node("Min", "x m")], ["n", 4], {}),
    "clipped": ([node("Clip", "x a b")], ["n", 4], {"a": np.float32(-0.5), "b": np.float32(0.7)}),
    "one bound": ([node("Clip", "x a")], ["n", 4], {"a": np.float32(-0.5)}),
    "absolute": ([node("Abs", "x")], ["n", 4], {}),
    "mean of two": ([node("Tanh", "x", "t"), node("Mean", "x t c")], ["n", 4], {"c": normal(4)}),
    "cube": ([node("Pow", "x c")], ["n", 4], {"c": np.float32(3)}),
    "norm of images": ([node("LayerNormalization", "x w b", axis=1)], IMAGES,
                       {"w": normal(2, 7, 6), "b": normal(2, 7, 6)}),
    "rms": ([node("ReduceMean", "q", "m", axes=[-1]), node("Add", "m e", "v"),
             node("Sqrt", "v", "s"), node("Div", "x s", "z"), node("Mul", "z g")], ["n", 5, 4],
            {"e": np.float32(1e-5), "g": normal(4)}),
    "means that are added": ([node("ReduceMean", "x a", "m"), node("Add", "x m")], IMAGES,
                             {"a": np.array([2, 3])}),
    "masked": ([node("Where", "c x i", "h"), node("Softmax", "h")], ["n", 4],
               {"c": np.arange(4) > 1, "i": np.float32(-np.inf)}),
    "mask that is added": ([node("Add", "x c", "h"), node("Softmax", "h")], ["n", 4],
                           {"c": np.array([0, -np.inf, 0, 0], np.float32)}),
    "border": ([node("Pad", "x p c a")], IMAGES,
               {"p": np.array([1, -1, 0, 2]), "c": np.float32(3), "a": np.array([3, -2])}),
    "reversed": ([node("RNN", "t w r", "o", hidden_size=3, direction="reverse"),
                  node("Squeeze", "o a")], ["n", 5, 4],
                 {"w": normal(1, 3, 4), "r": normal(1, 3, 3), "a": np.array([1])}),
    "both states": ([node("LSTM", "t w r", "o h", hidden_size=3, direction="bidirectional"),
                     node("Transpose", "h", perm=[1, 0, 2])], ["n", 5, 4],
                    {"w": normal(2, 12, 4), "r": normal(2, 12, 3)}),
    "gelu in parts": ([node("Div", "x r", "d"), node("Erf", "d", "e"), node("Add", "e one", "f"),
                       node("Mul", "x f", "g"), node("Mul", "g half")], ["n", 4],
                      {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}),
}  # fmt: skip
GRAPHS["rms"][0].insert(0, node("Mul", "x x", "q"))
for name in ("reversed", "both states"):
    GRAPHS[name][0].insert(0, node("Transpose", "x", "t", perm=[1, 0, 2]))
OLD = {"softmax over all": 11, "rms": 17}
