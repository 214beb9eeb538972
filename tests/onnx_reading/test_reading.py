"""Reading by hand-made graphs: options, layouts, what cannot be read, and files that lie."""

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import chainrule as cr
import chainrule.onnx
from chainrule.onnx.reading import UnsupportedOperatorsError
from fuzz.readers import rich, sequences, small
from onnx_reading.exported import assert_trains, loaded
from onnx_reading.graphs import FLOAT, GRAPHS, LINEAR, OLD, WHOLE, B, W, model_of, node, normal


@pytest.fixture
def read(tmp_path):
    """Write a graph and read it: ``read(nodes, shape, constants)``."""

    def write_and_read(nodes, shape, constants=(), load=None, **options):
        path = tmp_path / "net.onnx"
        onnx.save(model_of(nodes, shape, constants, **options), path)
        return loaded(path, **(load or {}))

    return write_and_read


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
        # What onnxruntime's answers to changed files found.
        ([node("Slice", "x a b c d")], {"a": np.array([-9]), "b": np.array([-99]),
         "c": np.array([1]), "d": np.array([-1])}, "nothing is left"),
        ([node("Unsqueeze", "x a", "u"), node("Expand", "u s")],
         {"a": np.array([1]), "s": np.array([1, 0, 1])}, "repeats"),
        ([node("Where", "c x i")], {"c": np.arange(4) > 1, "i": np.float32(-np.inf)}, "chooses"),
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
