"""Nets exported by PyTorch, by both of its exporters: the same numbers, and a net to train on."""

import numpy as np
import pytest

import chainrule as cr
from onnx_reading.exported import assert_same, assert_trains, loaded, quiet

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
torch_nets = pytest.importorskip("onnx_reading.torch_nets")

NETS = torch_nets.nets()
# The exporter by tracing, with today's operators and with those of 2021; and the one that dynamo
# feeds, which takes a second a net.
CASES = [(name, kind) for name in NETS for kind in ("traced", "fixed")]
CASES.remove(("vision", "traced"))  # tracing writes the number of samples into this graph
CASES += [(name, "old") for name in ("activations", "conv1d", "resnet", "mobile", "gru")]
CASES += [(name, "dynamo") for name in ("mlp", "resnet", "mobile", "windows", "activations",
                                        "bidirectional", "encoder", "decoder", "vision",
                                        "states")]  # fmt: skip


def export(net, x, path, kind):
    options = {"input_names": ["x"], "dynamo": kind == "dynamo"}
    if kind == "dynamo":
        options |= {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},), "verbose": False}
    elif kind != "fixed":
        options |= {"dynamic_axes": {"x": {0: "n"}}}
    if kind == "old":
        options |= {"opset_version": 13}
    quiet(torch.onnx.export, net.eval(), (x,), str(path), **options)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_same_numbers_and_trains_on(name, kind, tmp_path):
    net, x = NETS[name]
    path = tmp_path / "net.onnx"
    export(net, x, path, kind)
    model = loaded(path)
    assert_same(model, path, x.numpy())
    if kind != "old":
        assert torch_nets.KINDS.get(name, "Model") in repr(model)
    assert_trains(model, x.numpy())


@pytest.mark.parametrize("name", ["lenet", "resnet", "unet", "conv1d", "vision"])
def test_channels_last_input(name, tmp_path):
    """The model takes images as our layers have them, and no Transpose is left at its beginning."""
    net, x = NETS[name]
    path = tmp_path / "net.onnx"
    export(net, x, path, "fixed")
    first = np.moveaxis(x.numpy(), 1, -1)
    model = loaded(path, channels_last_input=True)
    np.testing.assert_array_equal(model.predict(first), loaded(path).predict(x.numpy()))
    assert not isinstance(model.layers[0], (cr.Transpose, cr.Reshape))


def test_no_transposition_inside(tmp_path):
    net, x = NETS["resnet"]
    export(net, x, tmp_path / "net.onnx", "traced")
    assert repr(loaded(tmp_path / "net.onnx")).count("Transpose") == 1


def test_any_number_of_samples(tmp_path):
    """Also where the graph was made for a fixed number of them."""
    for name in ("lenet", "encoder", "bidirectional", "conv1d"):
        net, x = NETS[name]
        for some in (x, x[:1]):
            export(net, some, tmp_path / "net.onnx", "fixed")
            more = torch.cat([x, x, x]).numpy()
            with torch.no_grad():
                wanted = net.eval()(torch.from_numpy(more)).numpy()
            y = loaded(tmp_path / "net.onnx").predict(more)
            np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


def test_samples_on_another_axis(tmp_path):
    torch.manual_seed(0)
    net, x = torch_nets.Steps().eval(), torch.randn(5, 3, 4)
    path = tmp_path / "net.onnx"
    quiet(torch.onnx.export, net, (x,), str(path), dynamo=False)
    with pytest.raises(ValueError, match="it takes axis 1 for the samples"):
        loaded(path)
    model = loaded(path, samples_axis=1)
    y = model.predict(x.numpy().swapaxes(0, 1))
    with torch.no_grad():
        np.testing.assert_allclose(y.swapaxes(0, 1), net(x).numpy(), rtol=1e-5, atol=1e-5)
    assert_trains(model, x.numpy().swapaxes(0, 1))


def test_save_and_load(tmp_path):
    for name in ("vision", "gated", "windows", "mobile"):
        net, x = NETS[name]
        export(net, x, tmp_path / "net.onnx", "fixed")
        model = loaded(tmp_path / "net.onnx")
        model.save(tmp_path / "net.safetensors")
        again = cr.load(tmp_path / "net.safetensors")
        np.testing.assert_array_equal(again.predict(x.numpy()), model.predict(x.numpy()))
        assert again.metadata == model.metadata


def test_gradients_of_a_loaded_net(tmp_path):
    for name in ("encoder", "gated", "unet"):
        net, x = NETS[name]
        export(net, x, tmp_path / "net.onnx", "fixed")
        model = loaded(tmp_path / "net.onnx", cost=cr.MeanSquaredError())
        targets = np.random.default_rng(0).standard_normal(model.predict(x.numpy()).shape)
        assert cr.check_gradients(model, x.numpy(), targets).ok
