"""The options, own layers, and what goes wrong."""

import copy
import os

import numpy as np
import pytest

import chainrule as cr
import chainrule.onnx

pytest.importorskip("onnx", reason="needs the extra: pip install 'chainrule[onnx]'")
pytest.importorskip("onnxruntime")


def small(cost=None, n=3):
    return cr.Model([cr.Linear(4, n)], cost or cr.SoftmaxCrossEntropy())


# -- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_classes"])
@pytest.mark.parametrize(
    ("layers", "cost"),
    [
        (lambda: [cr.Linear(4, 3)], cr.SoftmaxCrossEntropy()),
        (lambda: [cr.Linear(4, 3), cr.Softmax()], cr.CrossEntropy()),
        (lambda: [cr.Linear(4, 1)], cr.BinaryCrossEntropy()),
        (lambda: [cr.Linear(4, 3)], cr.BinaryCrossEntropy()),
        (lambda: [cr.Reshape([2, 2]), cr.Linear(2, 3)], cr.SoftmaxCrossEntropy()),
        (lambda: [cr.Reshape([2, 2]), cr.Linear(2, 1)], cr.BinaryCrossEntropy()),
        (lambda: [cr.Reshape([2, 2, 1]), cr.Conv2d(1, 3, 1)], cr.SoftmaxCrossEntropy()),
    ],
)
def test_the_graph_answers_as_the_method(method, layers, cost, exported, normal):
    model = cr.Model(layers(), copy.deepcopy(cost))
    one = exported(model, 4, method=method)
    x = normal(6, 4)
    y, wanted = one.run(x), getattr(model, method)(x)
    assert y.shape == wanted.shape
    assert y.dtype == (np.int64 if method == "predict_classes" else np.float32)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-6)


def test_channels_first_the_classes_of_an_image_have_its_places_alone(exported, normal):
    model = cr.Model([cr.Conv2d(2, 3, 1)], cr.SoftmaxCrossEntropy())
    one = exported(model, (4, 5, 2), channels_first=True, method="predict_classes")
    x = normal(2, 4, 5, 2)
    one.channels_first = False
    assert (one.run(np.moveaxis(x, -1, 1)) == model.predict_classes(x)).all()


def test_a_loss_without_classes_says_so(tmp_path):
    with pytest.raises(TypeError, match=r"MeanSquaredError\(\) has no classes"):
        chainrule.onnx.export(
            small(cr.MeanSquaredError()), tmp_path / "a.onnx", 4, method="predict_proba"
        )


class Halved(cr.SoftmaxCrossEntropy):
    def probabilities(self, outputs):
        return super().probabilities(outputs / 2)


def test_a_loss_of_ones_own_is_not_taken_for_ours(tmp_path):
    with pytest.raises(TypeError, match=r"Halved: its own probabilities cannot be exported"):
        chainrule.onnx.export(small(Halved()), tmp_path / "a.onnx", 4, method="predict_proba")
    chainrule.onnx.export(small(Halved()), tmp_path / "a.onnx", 4)


# -- own layers ---------------------------------------------------------------------------------


class Cube(cr.Layer):
    def forward(self, x):
        return x**3

    def backward(self, grad):
        return grad


class Shift(cr.Layer):
    def forward(self, x):
        return x + np.arange(x.shape[-1], dtype=x.dtype)

    def backward(self, grad):
        return grad


class Wide(cr.Linear):
    """Computes as Linear: only its arguments are its own."""

    def __init__(self, n_in):
        super().__init__(n_in, 2 * n_in)


class Doubled(cr.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class OwnStep(cr.RNN):
    def step(self, blocks, recurrent, before, after):
        super().step(blocks, 2 * recurrent, before, after)


@pytest.fixture
def registry(monkeypatch):
    from chainrule.onnx.exporting import registry

    monkeypatch.setattr(registry, "_converters", dict(registry._converters))


def test_all_layers_without_a_converter_are_listed_at_once(tmp_path):
    model = cr.Model(
        [cr.Conv2d(2, 3, 1), Cube(), cr.Residual([Shift(), cr.Linear(3, 3)]),
         cr.Concatenate([Doubled(3, 2), Cube()])], cr.MeanSquaredError(),
    )  # fmt: skip
    with pytest.raises(
        ValueError,
        match=r"no converter for 1: Cube, 2\.inner\.0: Shift, 3\.0: Doubled, 3\.1: Cube\. "
        r"Write one for each class: @chainrule\.onnx\.converter",
    ):
        chainrule.onnx.export(model, tmp_path / "a.onnx", (3, 3, 2))
    assert not list(tmp_path.iterdir())


def test_a_registered_function_serves_a_layer_of_ones_own(registry, exported, normal):
    @chainrule.onnx.converter(Cube, any_order=True)
    def cube(graph, layer, x):
        return graph.node("Pow", x, 3.0)

    @chainrule.onnx.converter(Shift)
    def shift(graph, layer, x):
        return graph.node("Add", x, np.arange(x.shape[-1], dtype=float))

    one = exported([cr.Conv2d(2, 3, 1), Cube(), cr.Residual([Shift()])], (4, 5, 2))
    # The cube takes the channels as the convolution left them; the shift wants them last.
    assert one.operators == ["Transpose", "Conv", "Pow", "Transpose", "Add", "Add"]
    one.agrees(normal(2, 4, 5, 2))


def test_a_class_derived_without_another_computation_is_converted_as_its_base(exported, normal):
    exported([Wide(4)], 4).agrees(normal(3, 4))


@pytest.mark.parametrize("layer", [lambda: Doubled(4, 2), lambda: OwnStep(4, 2)])
def test_a_class_that_computes_otherwise_is_not(layer, tmp_path):
    with pytest.raises(ValueError, match=r"no converter for 0: (Doubled|OwnStep)\."):
        chainrule.onnx.export(
            cr.Model([layer()], cr.MeanSquaredError()), tmp_path / "a.onnx", (3, 4)
        )


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda graph, layer, x: None, TypeError, "the converter of Cube must return what"),
        (lambda graph, layer, x: graph.node("Powe", x), ValueError, "no valid ONNX: .*Powe"),
        (lambda graph, layer, x: graph.node("Flatten", x, shape=(x.shape[0], 5)), ValueError,
         r"the graph ends in shape \('samples', 5\), the model in \(1, 4\)"),
        (lambda graph, layer, x: graph.node("Range", 0, 1, 1), ValueError, "needs a shape"),
    ],
)  # fmt: skip
def test_a_wrong_converter_is_told(function, error, message, registry, tmp_path):
    chainrule.onnx.converter(Cube)(function)
    with pytest.raises(error, match=message):
        chainrule.onnx.export(cr.Model([Cube()], cr.MeanSquaredError()), tmp_path / "a.onnx", 4)


def test_only_a_layer_can_have_a_converter():
    with pytest.raises(TypeError, match=r"needs a class derived from chainrule\.Layer, got 3"):
        chainrule.onnx.converter(3)


# -- the model stays as it is -------------------------------------------------------------------


def test_exporting_changes_nothing_of_the_model(tmp_path):
    def make():
        return cr.Model(
            [cr.Conv2d(1, 2, 3), cr.BatchNorm(2), cr.Dropout(0.3), cr.Reshape([4, 18]),
             cr.LSTM(18, 3, all_steps=False), cr.Linear(3, 2)], cr.SoftmaxCrossEntropy(), seed=4,
        )  # fmt: skip

    x, y = np.random.default_rng(0).standard_normal((8, 8, 8, 1)), np.arange(8) % 2
    one, other = make(), make()
    for model in (one, other):
        model.layers[0].frozen = True
        model.loss(x, y)
    state, buffers = one.get_state(), [set(part._buffers) for part in one._parts]
    h = one.layers[4].final_state
    chainrule.onnx.export(one, tmp_path / "a.onnx", (8, 8, 1))
    assert one.training
    assert one.layers[4].final_state is h
    assert [set(part._buffers) for part in one._parts] == buffers
    assert one.get_state()["generator"] == state["generator"]
    assert one.get_state()["frozen"] == state["frozen"]
    for model in (one, other):  # what forward kept is still there
        model.backward()
    assert (one.gradients == other.gradients).all()
    assert (one.loss(x, y) == other.loss(x, y)).all()  # the same masks


def test_the_graph_has_its_own_float_type_if_asked(exported, normal):
    model = small()
    x = normal(5, 4)
    for dtype in ("float16", "float64"):
        one = exported(model, 4, dtype=dtype)
        y = one.run(x.astype(dtype))
        assert y.dtype == dtype
        np.testing.assert_allclose(y, model.predict(x), rtol=0, atol=5e-3)
    assert model.dtype == np.float32


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": 5}, r"Linear\(4, 3\): the last axis of the input must be 4"),
        ({"input_shape": (2, 2)}, r"Put Flatten\(\) before it"),
        ({"input_shape": 0}, "whole numbers, at least 1, or None .* got 0"),
        ({"input_shape": (4, 0)}, r"got \(4, 0\)"),
        ({"input_shape": (True,)}, r"got \(True,\)"),
        ({"input_shape": 4.0}, r"got 4\.0"),
        ({"input_shape": "4"}, "got '4'"),
        ({"method": "forward"}, "method must be one of predict, predict_proba, predict_classes"),
        ({"opset": 17}, "opset must be a whole number from 18 to "),
        ({"opset": 1000}, "got 1000"),
        ({"opset": "18"}, "got '18'"),
        ({"dtype": "int32"}, "must be one of float16, float32, float64, got int32"),
        ({"dtype": "longdouble"}, "must be one of float16, float32, float64"),
        ({"input_name": ""}, "a name must be a text that is not empty"),
        ({"output_name": "\ud800"}, "a name must be a text"),
        ({"output_name": "input"}, "input and output are both called 'input'"),
    ],
)
def test_an_option_that_makes_no_sense_is_told_in_one_line(options, message, tmp_path):
    shape = options.pop("input_shape", 4)
    with pytest.raises(ValueError, match=message) as raised:
        chainrule.onnx.export(small(), tmp_path / "a.onnx", shape, **options)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_what_is_no_model(tmp_path):
    with pytest.raises(TypeError, match=r"needs a chainrule\.Model, got Linear"):
        chainrule.onnx.export(cr.Linear(4, 3), tmp_path / "a.onnx", 4)


@pytest.mark.parametrize("name", ["0.weights", "1.running_variance"])
def test_nan_is_not_exported(name, tmp_path):
    model = cr.Model([cr.Linear(4, 3), cr.BatchNorm(3)], cr.MeanSquaredError())
    dict([*model.named_parameters(), *model.named_state()])[name].flat[1] = np.nan
    with pytest.raises(ValueError, match=rf"{name} holds NaN"):
        chainrule.onnx.export(model, tmp_path / "a.onnx", 4)


def test_what_is_too_large_for_the_type_is_told(tmp_path):
    model = small()
    model.layers[0].biases[0] = 1e6
    with pytest.raises(ValueError, match=r"0\.biases holds values too large for float16"):
        chainrule.onnx.export(model, tmp_path / "a.onnx", 4, dtype="float16")


def test_more_than_a_file_can_hold_is_told(monkeypatch, tmp_path):
    from chainrule.onnx.exporting import writing

    monkeypatch.setattr(writing, "MOST_BYTES", 15 * 4 - 1)  # in place of 2 GB
    with pytest.raises(ValueError, match=r"an ONNX file ends at 2 GB. Use a smaller float type"):
        chainrule.onnx.export(small(), tmp_path / "a.onnx", 4)
    chainrule.onnx.export(small(), tmp_path / "a.onnx", 4, dtype="float16")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=r"a\.onnx"):
        chainrule.onnx.export(small(), tmp_path / "a.onnx", 4)


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        chainrule.onnx.export(small(), tmp_path / "nowhere" / "a.onnx", 4)
    with pytest.raises(OSError, match=str(tmp_path)):
        chainrule.onnx.export(small(), tmp_path, 4)
    (tmp_path / "a.onnx").write_text("before")
    with pytest.raises(ValueError, match="the last axis"):
        chainrule.onnx.export(small(), tmp_path / "a.onnx", 5)
    assert (tmp_path / "a.onnx").read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def test_a_name_in_any_script(exported, tmp_path, normal):
    chainrule.onnx.export(small(), tmp_path / "модель 模型.onnx", 4)
    assert (tmp_path / "модель 模型.onnx").exists()


def test_layers_inside_layers_inside_layers(exported, normal, tmp_path):
    def nested(depth):
        layer = cr.Linear(3, 3)
        for _ in range(depth):
            layer = cr.Sequential([layer])
        return cr.Model([layer], cr.MeanSquaredError())

    one = exported(nested(40), 3)
    assert one.nodes[0].name == "0." * 40 + "0.Gemm"
    one.agrees(normal(2, 3))
    with pytest.raises(ValueError, match="nested too deeply"):
        chainrule.onnx.export(nested(300), tmp_path / "b.onnx", 3)


def test_lengths_that_must_be_known(tmp_path):
    model = cr.Model([cr.AdaptiveAvgPool1d(3)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match=r"0: the windows of AdaptiveAvgPool1d\(3\) depend on"):
        chainrule.onnx.export(model, tmp_path / "a.onnx", (None, 2))
    model = cr.Model([cr.Flatten(), cr.Linear(6, 2)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match=r"1: Linear\(6, 2\) has a weight for each value"):
        chainrule.onnx.export(model, tmp_path / "a.onnx", (None, 2))
    layer = cr.Conv1d(2, 2, 3, padding="same", stride=2, dilation=2)
    with pytest.raises(ValueError, match=r'0: how much padding="same" is depends'):
        chainrule.onnx.export(
            cr.Model([layer], cr.MeanSquaredError()), tmp_path / "a.onnx", (None, 2)
        )


def test_a_missing_onnx_is_told_with_its_command(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"chainrule\.onnx needs onnx: pip install 'chainrule\[onnx\]'"
    ):
        chainrule.onnx.export(small(), tmp_path / "a.onnx", 4)


def test_importing_the_package_does_not_import_onnx():
    import subprocess
    import sys

    code = "import sys, chainrule.onnx; assert 'onnx' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
