"""Reading by hand-made graphs: options, layouts, what cannot be read, and files that lie."""

import random
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import chainrule as cr
import chainrule.onnx
from chainrule.onnx.reading import UnsupportedOperatorsError
from fuzz.readers import READERS, outcome, rich, sequences, small
from onnx_reading.exported import assert_same, assert_trains, loaded
from onnx_reading.lies import changed

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


@pytest.fixture
def read(tmp_path):
    """Write a graph and read it: ``read(nodes, shape, constants)``."""

    def write_and_read(nodes, shape, constants=(), load=None, **options):
        path = tmp_path / "net.onnx"
        onnx.save(model_of(nodes, shape, constants, **options), path)
        return loaded(path, **(load or {}))

    return write_and_read


def normal(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


W, B = normal(4, 3), normal(3)
LINEAR = {"w": W, "b": B}


# -- what cannot be read ------------------------------------------------------------------------


def test_all_unsupported_operators_at_once(read):
    nodes = [
        node("MatMul", "x w", "a"),
        node("Sin", "a", "b1", name="wave"),
        node("Sin", "b1", "b2"),
        node("TopK", "b2 k", "c i"),
        node("Frobnicate", "c", "d", domain="com.example"),
        node("Relu", "d"),
    ]
    with pytest.raises(UnsupportedOperatorsError) as caught:
        read(nodes, ["n", 4], {"w": W, "k": np.array([1])})
    assert [name for name, *_ in caught.value.operators] == [
        "Sin", "Sin", "TopK", "com.example.Frobnicate",
    ]  # fmt: skip
    message = str(caught.value)
    assert message.isprintable()
    for part in ("net.onnx", "Sin at node 2 (wave), node 3", "TopK at node 4", "Frobnicate"):
        assert part in message


def test_the_message_stays_short_and_complete(read):
    nodes = [node("Sin", "x", "v0")]
    nodes += [node(op, f"v{i}", f"v{i + 1}", name="n" * 90) for i, op in enumerate(["Cos"] * 40)]
    with pytest.raises(UnsupportedOperatorsError) as caught:
        read([*nodes, node("Tan", "v40")], ["n", 4])
    assert len(str(caught.value)) < 1200
    assert len(caught.value.operators) == 42
    assert "Sin" in str(caught.value)
    assert "Tan" in str(caught.value)


def test_what_is_not_needed_need_not_be_read(read):
    nodes = [node("Sin", "x", "s"), node("MatMul", "x w"), node("Sin", "y", "z")]
    assert repr(read(nodes, ["n", 4], LINEAR).layers[0]) == "Linear(4, 3, bias=False)"


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("Softmax", "x", axis=0)], {}, "across the samples"),
        ([node("Add", "x c")], {"c": normal(5, 4)}, "does not fit|sample"),
        ([node("Div", "c x")], {"c": normal(4)}, "divides by a value"),
        ([node("Div", "x c")], {"c": np.zeros(4, np.float32)}, "divides by zero"),
        ([node("MatMul", "x c")], {"c": normal(5, 3)}, "do not fit the shape"),
        ([node("Reshape", "x c")], {"c": np.array([-1, 3])}, "does not go into"),
        ([node("Cast", "x", to=WHOLE)], {}, "whole numbers"),
        ([node("If", "x")], {}, "net.onnx is damaged"),
        ([node("Gather", "x c", axis=1)], {"c": np.array(7)}, "do not fit the length 4"),
        ([node("Conv", "x c")], {"c": normal(2, 4, 3)}, "over 0 axes"),
        ([node("Transpose", "x", perm=[1, 2, 0])], {}, "does not fit"),
        ([node("Pow", "x c")], {"c": np.float32(0.5)}, "the power 0.5"),
        ([node("Identity", "c")], {"c": normal(4)}, "does not depend on the input"),
        ([node("Dropout", "x r t")], {"r": np.float32(0.5), "t": np.array(True)}, "at random"),
    ],
)  # fmt: skip
def test_refusals_say_why(read, nodes, constants, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(nodes, ["n", 4], constants)
    assert str(caught.value).isprintable()


# -- options ------------------------------------------------------------------------------------


def test_losses_fit_the_end(read):
    def cost(*nodes, shape=("n", 4), **options):
        return type(read([node("Gemm", "x w b", "z"), *nodes], list(shape), LINEAR, **options).cost)

    assert cost(node("Softmax", "z")) is cr.CrossEntropy
    assert cost(node("LogSoftmax", "z")) is cr.SoftmaxCrossEntropy
    assert cost(node("Identity", "z")) is cr.SoftmaxCrossEntropy
    assert cost(node("Sigmoid", "z")) is cr.MeanSquaredError
    assert cost(node("Softmax", "z"), load={"cost": cr.Huber()}) is cr.Huber
    of_logits = {"load": {"logits": True}}
    assert cost(node("Softmax", "z"), **of_logits) is cr.SoftmaxCrossEntropy
    assert cost(node("Sigmoid", "z"), **of_logits) is cr.BinaryCrossEntropy


def test_logits_predict_what_the_file_did(read):
    x = normal(5, 4)
    for op in ("Softmax", "Sigmoid"):
        nodes = [node("Gemm", "x w b", "z"), node(op, "z")]
        wanted = read(nodes, ["n", 4], LINEAR).predict(x)
        model = read(nodes, ["n", 4], LINEAR, load={"logits": True})
        np.testing.assert_allclose(model.predict_proba(x), wanted, rtol=1e-6)
        assert_trains(model, x)


def test_one_of_several_outputs(read, tmp_path):
    nodes = [node("Gemm", "x w b", "z"), node("Tanh", "z", "t"), node("Relu", "z", "r")]
    with pytest.raises(ValueError, match=r"choose one of its outputs, by output=NAME: t, r"):
        read(nodes, ["n", 4], LINEAR, outputs=("t", "r"))
    for name, layer in (("t", cr.Tanh), ("r", cr.ReLU)):
        load = {"output": name}
        model = read(nodes, ["n", 4], LINEAR, outputs=("t", "r"), load=load)
        assert isinstance(model.layers[-1], layer)
    with pytest.raises(ValueError, match=r"there is no value 'q'; the outputs are t, r"):
        read(nodes, ["n", 4], LINEAR, outputs=("t", "r"), load={"output": "q"})


def test_several_inputs(tmp_path):
    path = tmp_path / "net.onnx"
    model = model_of([node("MatMul", "x w", "z"), node("Add", "z b")], ["n", 4])
    for name, array in LINEAR.items():
        model.graph.input.append(helper.make_tensor_value_info(name, FLOAT, array.shape))
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"has 3: x, w, b\. Give the others as constants="):
        chainrule.onnx.load(path)
    with pytest.raises(ValueError, match="there is no input 'c'"):
        chainrule.onnx.load(path, constants={"c": W})
    x = normal(5, 4)
    y = chainrule.onnx.load(path, constants=LINEAR).predict(x)
    np.testing.assert_allclose(y, x @ W + B, rtol=1e-5, atol=1e-6)


def test_types(read):
    nodes = [node("Cast", "x", "f", to=FLOAT), node("Gemm", "f w b")]
    assert read(nodes, ["n", 4], LINEAR, kind=TensorProto.DOUBLE).dtype == np.float32
    wide = read([node("Gemm", "x w b")], ["n", 4], LINEAR, load={"dtype": np.float64})
    assert wide.dtype == np.float64
    assert wide.parameters.dtype == np.float64


def test_options_that_do_not_fit(read):
    nodes = [node("Gemm", "x w b")]
    for load, words in (
        ({"samples_axis": 2}, "samples_axis=2, and the input has 2 axes"),
        ({"channels_last_input": True}, "at least three axes"),
    ):
        with pytest.raises(ValueError, match=words):
            read(nodes, ["n", 4], LINEAR, load=load)
    with pytest.raises(ValueError, match="does not tell how many axes"):
        read(nodes, None, LINEAR)


def test_what_the_file_tells_of_itself(read):
    told = read([node("Gemm", "x w b")], ["n", 4], LINEAR, producer_name="someone").metadata["onnx"]
    assert told == {
        "producer": "someone", "input": "x", "input_shape": ["n", 4], "output": "y",
        "output_samples_axis": 0,
    }  # fmt: skip


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


@pytest.mark.parametrize("name", GRAPHS)
def test_operators(name, tmp_path):
    nodes, shape, constants = GRAPHS[name]
    path = tmp_path / "net.onnx"
    onnx.save(model_of(nodes, shape, constants, opset=OLD.get(name, 20)), path)
    lengths = {"n": 3, "h": 7, "w_": 6}
    x = normal(*(lengths.get(n, n) for n in shape))
    model = loaded(path)
    (wanted,) = run_by_reference(path, x)
    y = np.moveaxis(model.predict(x), 0, model.metadata["onnx"]["output_samples_axis"])
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    targets = np.zeros_like(model.predict(x))
    model = loaded(path, cost=cr.MeanSquaredError())
    kinks = ("Max", "Min", "Abs", "Clip", "Relu", "ReduceMax", "MaxPool")
    if not any(each.op_type in kinks for each in nodes):
        assert cr.check_gradients(model, x, targets).ok


def run_by_reference(path, x):
    """Return what onnxruntime makes of it; it takes what the checker takes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def test_patterns_become_one_layer(read):
    for name, words in (
        ("rms", "RMSNorm(4, epsilon=1e-05)"),
        ("gelu in parts", "GELU()"),
        ("same upper", 'padding="same"'),
        ("softmax over channels", "Softmax()"),
    ):
        nodes, shape, constants = GRAPHS[name]
        model = read(nodes, shape, constants, opset=OLD.get(name, 20))
        said = repr(model).replace("'", '"')
        assert words in said or "Conv2d(" in said


def test_layers_that_share_weights_are_told(tmp_path):
    square = {"w": normal(4, 4)}
    path = tmp_path / "net.onnx"
    nodes = [node("MatMul", "x w", "a"), node("Tanh", "a", "t"), node("MatMul", "t w")]
    onnx.save(model_of(nodes, ["n", 4], square), path)
    with pytest.warns(UserWarning, match="w are used in several places"):
        model = chainrule.onnx.load(path)
    assert model.parameters.size == 32


def test_a_layer_that_others_use_too_is_not_changed(read):
    """A bias goes into the linear layer before it only if nobody else takes what that makes."""
    nodes = [node("MatMul", "x w", "z"), node("Add", "z b", "a"), node("Identity", "z", "i"),
             node("Relu", "i", "r"), node("Add", "a r")]  # fmt: skip
    x = normal(5, 4)
    z = x @ W
    y = read(nodes, ["n", 4], LINEAR).predict(x)
    np.testing.assert_allclose(y, z + B + np.maximum(z, 0), rtol=1e-5, atol=1e-6)


# -- files --------------------------------------------------------------------------------------


def test_weights_beside_the_file(tmp_path):
    path = tmp_path / "net.onnx"
    constants = {"w": normal(40, 30)}
    whole = model_of([node("MatMul", "x w")], ["n", 40], constants)
    onnx.save(whole, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    x = normal(3, 40)
    np.testing.assert_allclose(loaded(path).predict(x), x @ constants["w"], rtol=1e-4, atol=1e-5)
    assert_same(loaded(path), path, x)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ValueError, match=r"net\.onnx is damaged"):
        loaded(path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", ""])
def test_weights_outside_the_folder_are_not_read(location, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    model = model_of([node("MatMul", "x w")], ["n", 4], {"w": W})
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="is damaged") as caught:
        loaded(folder / "net.onnx")
    assert str(caught.value).isprintable()


def test_functions_are_unfolded(tmp_path):
    versions = [helper.make_opsetid("", 20)]
    inner = [node("Sigmoid", "a", "s"), node("Mul", "a s", "b")]
    gate = helper.make_function("mine", "Gate", ["a"], ["b"], inner, versions)
    nodes = [node("MatMul", "x w", "z"), node("Gate", "z", domain="mine")]
    onnx.save(model_of(nodes, ["n", 4], {"w": W}, functions=[gate]), tmp_path / "net.onnx")
    assert isinstance(loaded(tmp_path / "net.onnx").layers[-1], cr.SiLU)


def function_bomb():
    """Return thirty functions, each of which calls the next one four times."""
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
    functions = []
    for i in range(30):
        op, domain = (f"F{i + 1}", "mine") if i < 29 else ("Relu", "")
        body = [node(op, f"v{k}", f"v{k + 1}", domain=domain) for k in range(4)]
        functions.append(helper.make_function("mine", f"F{i}", ["v0"], ["v4"], body, versions))
    bomb = model_of([node("F0", "x", domain="mine")], ["n", 4])
    bomb.functions.extend(functions)
    bomb.opset_import.extend(versions[1:])
    return bomb


def bombs():
    """Yield small files that ask for much memory or time."""
    many = np.array([2**20, 2**20])
    fill = [node("ConstantOfShape", "s", "c"), node("Add", "x c")]
    yield model_of(fill, ["n", 4], {"s": many})
    one, shape = np.ones(1, np.float32), {"s": many}
    yield model_of([node("Expand", "o s", "c"), node("Add", "x c")], ["n", 4], {"o": one, **shape})
    ends = {"a": np.array(0), "b": np.array(2**40), "c": np.array(1)}
    yield model_of([node("Range", "a b c", "r"), node("Add", "x r")], ["n", 4], ends)
    double = [node("Concat", f"v{i} v{i}", f"v{i + 1}", axis=0) for i in range(40)]
    yield model_of([*double, node("Add", "x v40")], ["n", 4], {"v0": np.ones(4, np.float32)})
    square = normal(300, 300)
    chain = [node("MatMul", f"v{i} w", f"v{i + 1}") for i in range(3000)]
    yield model_of([node("Relu", "x", "v0"), *chain, node("Relu", "v3000")], ["n", 300],
                   {"w": square})  # fmt: skip
    yield function_bomb()
    forks = [node("Add", f"v{i} v{i}", f"v{i + 1}") for i in range(400)]
    yield model_of([node("Relu", "x", "v0"), *forks, node("Relu", "v400")], ["n", 4])
    yield model_of([node("Pad", "x p")], ["n", 4], {"p": np.array([0, 2**40, 0, 2**40])})
    yield model_of([node("Unsqueeze", "x a", "u"), node("Expand", "u s")], ["n", 4],
                   {"a": np.array([1]), "s": np.array([1, 2**40, 1])})  # fmt: skip


@pytest.mark.parametrize("number", range(9))
def test_small_files_that_ask_for_much(number, tmp_path):
    import resource
    import tracemalloc

    path = tmp_path / "net.onnx"
    path.write_bytes(list(bombs())[number].SerializeToString())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    reader = next(each for each in READERS if each.name == "onnx")
    tracemalloc.start()
    outcome(reader, path)  # a fault is an AssertionError
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**28  # 2 ** 20 elements are what a constant may have, and a few such are made
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 60


def test_parts_that_lie(tmp_path):
    """Sound graphs with a few things changed: a model, or one line that names the file."""
    reader = next(each for each in READERS if each.name == "onnx")
    path = tmp_path / "net.onnx"
    sound = [
        model_of(nodes, shape, constants, opset=OLD.get(name, 20))
        for name, (nodes, shape, constants) in GRAPHS.items()
    ]
    for make, shape in ((small, 3), (rich, (4, 4, 1)), (sequences, (6,))):
        chainrule.onnx.export(make(), path, shape)
        sound.append(onnx.load(path))
    rng = random.Random(5)
    ends = {"read": 0, "refused": 0}
    for _ in range(1500):
        path.write_bytes(changed(rng.choice(sound), rng).SerializeToString())
        ends["read" if outcome(reader, path) is None else "refused"] += 1
    assert min(ends.values()) > 200  # neither all of them damaged beyond reading, nor none


def test_no_code_is_run(tmp_path):
    """What a file of ours says of its loss is taken as words: no expression is evaluated."""
    path = tmp_path / "net.onnx"
    canary = tmp_path / "canary"
    chainrule.onnx.export(small(), path, 3)
    document = onnx.load(path)
    for cost in (f"open({str(canary)!r}, 'w')", f"MeanSquaredError(x=open({str(canary)!r}, 'w'))",
                 "CrossEntropy(label_smoothing=2)", "SoftmaxCrossEntropy(", "Sequential([])",
                 "(" * 900, "Huber(__import__('os'))"):  # fmt: skip
        document.metadata_props[0].value = cost
        assert document.metadata_props[0].key == "cost"
        onnx.save(document, path)
        assert isinstance(loaded(path).cost, cr.SoftmaxCrossEntropy)
        assert not canary.exists()


# -- what our own exporter writes ---------------------------------------------------------------


def test_our_own_files_come_back_as_they_were(tmp_path):
    path = tmp_path / "net.onnx"
    for make, shape in ((small, 3), (rich, (4, 4, 1)), (sequences, (6,))):
        model = make()
        model.metadata = {"made": "here"}
        chainrule.onnx.export(model, path, shape)
        again = loaded(path)
        assert repr(again.cost) == repr(model.cost)
        assert again.metadata["made"] == "here"
        rng = np.random.default_rng(0)
        size = (5, *np.atleast_1d(shape))
        words = model._net.takes_integers
        x = rng.integers(0, 5, size) if words else rng.standard_normal(size)
        np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-5)


def test_no_onnx_is_an_error_that_names_the_command(monkeypatch, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[onnx\]'"):
        chainrule.onnx.load(tmp_path / "net.onnx")


def test_no_warning_of_numpy_comes_through(read):
    huge = {"w": np.full((4, 3), 1e38), "b": np.array([np.nan, np.inf, 1e300])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read([node("Gemm", "x w b")], ["n", 4], huge, load={"dtype": np.float32})
