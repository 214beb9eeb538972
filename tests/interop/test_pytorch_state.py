"""State dicts of PyTorch, with and without PyTorch: written, read, and refused."""

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from cases_pytorch import called, conv_net, nn, torch
from chainrule.pytorch import load_state_dict, to_state_dict


def test_our_own_net_of_images_takes_a_state_dict(rng):
    """Flattened and unflattened images are set right in a net that was built by hand."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 2, 2 * 3 * 5), nn.ELU(),
        nn.BatchNorm1d(30), nn.Unflatten(1, (5, 2, 3)), nn.ConvTranspose2d(5, 2, 2),
    ).eval()  # fmt: skip
    net = cr.Model(
        [cr.Conv2d(3, 4, 3), cr.ReLU(), cr.Flatten(), cr.Linear(32, 30), cr.ELU(),
         cr.BatchNorm(30), cr.Reshape([2, 3, 5]), cr.ConvTranspose2d(5, 2, 2)],
        cr.MeanSquaredError(),
    )  # fmt: skip
    module[5].running_mean.normal_()
    load_state_dict(net, module.state_dict())
    x = rng.standard_normal((2, 3, 6, 4)).astype(np.float32)
    expected = called(module, torch.tensor(x)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(net.predict(x.transpose(0, 2, 3, 1)), expected, atol=1e-5)
    back = to_state_dict(net)
    for name, tensor in module.state_dict().items():
        assert torch.equal(back[name], tensor), name


def test_branches(rng):
    """What PyTorch has no module for has its names by position."""
    net = cr.Model(
        [cr.Residual([cr.Linear(4, 4)], shortcut=cr.Linear(4, 4)),
         cr.Concatenate([cr.Linear(4, 2), [cr.Linear(4, 3), cr.Tanh()]]),
         cr.Add([cr.Linear(5, 2), cr.Linear(5, 2)])],
        cr.MeanSquaredError(),
    )  # fmt: skip
    state = to_state_dict(net, arrays=True)
    assert list(state)[::2] == ["0.shortcut.weight", "0.inner.0.weight", "1.0.weight",
                                "1.1.0.weight", "2.0.weight", "2.1.weight"]  # fmt: skip
    other = net.astype(np.float64)
    other.parameters[...] = 0
    load_state_dict(other, state)
    np.testing.assert_array_equal(other.parameters, net.parameters)


def test_channels_that_are_not_known_are_asked_for():
    net = cr.Model([cr.MaxPool2d(2), cr.Flatten(), cr.Linear(18, 2)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match=r"unknown number of channels.*Give"):
        to_state_dict(net)
    assert "2.weight" in to_state_dict(net, input_shape=(6, 7, 2))


def test_what_a_state_dict_gives_is_the_callers():
    net = cr.Model([cr.Linear(3, 2), cr.BatchNorm(2)], cr.MeanSquaredError())
    state = to_state_dict(net)
    before = net.parameters.copy()
    for tensor in state.values():
        tensor.fill_(7)
    np.testing.assert_array_equal(net.parameters, before)
    torch.nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).load_state_dict(state)


def test_weights_that_are_not_contiguous(rng):
    net = cr.Model([cr.Linear(4, 3)], cr.MeanSquaredError())
    weights = torch.randn(8, 6)[::2, ::2].T  # (3, 4), in steps
    load_state_dict(net, {"0.weight": weights, "0.bias": torch.arange(6.0)[::2]})
    np.testing.assert_array_equal(net.layers[0].weights, weights.T)


def test_tensors_that_ask_for_gradients_and_those_on_no_device():
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    load_state_dict(net, dict(nn.Sequential(nn.Linear(2, 1)).named_parameters()))
    with pytest.raises(ValueError, match=r"0\.weight is a tensor without values"):
        load_state_dict(net, nn.Sequential(nn.Linear(2, 1, device="meta")).state_dict())


def test_all_that_is_wrong_is_said_at_once_and_nothing_changes():
    net = cr.Model([cr.Linear(2, 3), cr.Linear(3, 4), cr.Linear(4, 1)], cr.MeanSquaredError())
    before = net.parameters.copy()
    state = {
        "0.weight": np.ones((3, 2)), "0.bias": np.ones(4), "1.weight": np.ones((4, 3), int),
        "1.bias": np.ones(4, complex), "2.bias": "text", "fc.weight": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="missing") as caught:
        load_state_dict(net, state)
    assert str(caught.value) == (
        "load_state_dict: missing: 2.weight; unknown: fc.weight; 0.bias has shape (4,), needs "
        "(3,); 1.weight holds int64, no floats; 1.bias is of type complex128, no floats; 2.bias is "
        "of type <U4, no floats."
    )
    np.testing.assert_array_equal(net.parameters, before)


def test_hostile_names_are_printed_on_one_line():
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match="unknown") as caught:
        load_state_dict(net, {"a\n\x1b[2J" * 1000: np.ones(1)})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 10_000


def test_only_dicts_are_taken():
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    with pytest.raises(TypeError, match=r"got Linear\. Write module\.state_dict\(\)"):
        load_state_dict(net, nn.Linear(2, 1))
    with pytest.raises(TypeError, match=r"got str\. Read the file first"):
        load_state_dict(net, "weights.pt")
    for function in (to_state_dict, lambda model: load_state_dict(model, {})):
        with pytest.raises(TypeError, match=r"state_dict: needs a chainrule\.Model, got Linear"):
            function(nn.Linear(2, 1))
    with pytest.raises(ValueError, match="no layer '7'"):
        load_state_dict(net, {}, names={"fc": "7"})


def test_layers_that_pytorch_has_not_are_all_named():
    class Own(cr.Linear):
        pass

    net = cr.Model(
        [Own(4, 4), cr.MultiHeadAttention(4, 2, key_value_heads=1)], cr.MeanSquaredError()
    )
    with pytest.raises(TypeError, match=r"no such module: 0: Own\(4, 4\); 1: .* shares keys"):
        to_state_dict(net)
    with pytest.raises(TypeError, match="no such module"):
        load_state_dict(net, {})


def test_a_saved_state_dict_is_read_without_pytorch(tmp_path, rng):
    from safetensors.torch import save_file

    module = conv_net().eval()
    x = rng.standard_normal((2, 2, 7, 6)).astype(np.float32)
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    np.savez(tmp_path / "xy.npz", x=x.transpose(0, 2, 3, 1), y=called(module, torch.tensor(x)))
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np, safetensors.numpy, chainrule as cr
from chainrule.pytorch import from_module, load_state_dict, module_names, to_state_dict
net = cr.Model([cr.Conv2d(2, 4, 3, padding=1), cr.BatchNorm(4), cr.ReLU(), cr.MaxPool2d(2),
                cr.Conv2d(4, 3, 2), cr.Flatten(), cr.Linear(12, 8), cr.Tanh(), cr.Linear(8, 5)],
               cr.SoftmaxCrossEntropy())
state = safetensors.numpy.load_file({str(tmp_path / "net.safetensors")!r})
load_state_dict(net, state)
xy = np.load({str(tmp_path / "xy.npz")!r})
assert np.allclose(net.predict(xy["x"]), xy["y"], atol=1e-5)
safetensors.numpy.save_file(to_state_dict(net, arrays=True), {str(tmp_path / "back")!r})
for function in (to_state_dict, from_module, module_names):
    try:
        function(net)
    except ModuleNotFoundError as error:
        assert "pip install torch" in str(error), error
    else:
        raise AssertionError(function)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    from safetensors.torch import load_file

    for name, tensor in load_file(tmp_path / "back").items():
        assert torch.equal(tensor, module.state_dict()[name])


def test_a_model_file_is_read_by_any_reader_of_safetensors(tmp_path):
    """Names and arrays are as the model has them: in NumPy, and in PyTorch."""
    from safetensors.numpy import load_file as arrays
    from safetensors.torch import load_file as tensors

    net = cr.Model(
        [cr.Conv2d(1, 2, 3), cr.BatchNorm(2), cr.Residual([cr.Conv2d(2, 2, 1)]), cr.Flatten(),
         cr.Linear(8, 3)], cr.SoftmaxCrossEntropy(),
    )  # fmt: skip
    net.save(tmp_path / "net.safetensors")
    own = dict([*net.named_parameters(), *net.named_state()])
    for read in (arrays, tensors):
        found = read(tmp_path / "net.safetensors")
        assert set(found) == set(own)
        for name, array in found.items():
            np.testing.assert_array_equal(np.asarray(array), own[name])
    assert "2.inner.0.weights" in own
    assert "1.running_mean" in own


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a": "0", "b": "0"}, "'b' and 'a' are both '0'"),
        ({"1": "0"}, "layers 0 and 1 would both be '1'"),
    ],
)
def test_names_that_are_not_clear(names, message):
    net = cr.Model([cr.Linear(2, 1), cr.Linear(1, 1)], cr.MeanSquaredError())
    for function in (to_state_dict, lambda net, names: load_state_dict(net, {}, names=names)):
        with pytest.raises(ValueError, match=message):
            function(net, names=names)
