"""Modules and state dicts of PyTorch: the same outputs, and the same steps of training."""

import copy
import functools
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.pytorch import from_module, load_state_dict, module_names, to_state_dict

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings(
    # What PyTorch itself says of its own layers.
    "ignore:enable_nested_tensor is True:UserWarning",
    "ignore:Using padding='same' with even kernel:UserWarning",
    "ignore:dropout option adds dropout after all but last:UserWarning",
)


@pytest.fixture(autouse=True)
def no_fast_path():
    """PyTorch's fast path takes any GELU for the exact one."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


IMAGES = (3, 2, 7, 6)  # samples, channels, height, width
SEQUENCES = (3, 2, 9)  # samples, channels, steps
STEPS = (3, 5, 4)  # samples, steps, features
VECTORS = (3, 6)
first = {"batch_first": True}


def encoder(**options):
    usual = {"batch_first": True, "dim_feedforward": 6, "dropout": 0.0}
    return lambda: nn.TransformerEncoderLayer(4, 2, **usual | options)


# Name, module, shape of its input.
MODULES = [
    ("Linear", lambda: nn.Linear(6, 3), VECTORS),
    ("Linear-no-bias", lambda: nn.Linear(6, 3, bias=False), VECTORS),
    ("Linear-steps", lambda: nn.Linear(4, 3), STEPS),
    ("ReLU", nn.ReLU, VECTORS),
    ("LeakyReLU", lambda: nn.LeakyReLU(0.2), VECTORS),
    ("ELU", lambda: nn.ELU(0.7), IMAGES),
    ("GELU", nn.GELU, VECTORS),
    ("GELU-tanh", lambda: nn.GELU("tanh"), VECTORS),
    ("SiLU", nn.SiLU, VECTORS),
    ("Softplus", nn.Softplus, VECTORS),
    ("Sigmoid", nn.Sigmoid, VECTORS),
    ("Tanh", nn.Tanh, VECTORS),
    ("Softmax", lambda: nn.Softmax(dim=1), VECTORS),
    ("Softmax-last", lambda: nn.Softmax(dim=-1), STEPS),
    ("Softmax-images", lambda: nn.Softmax(dim=1), IMAGES),
    ("LogSoftmax", lambda: nn.LogSoftmax(dim=-1), VECTORS),
    ("Dropout", lambda: nn.Dropout(0.3), VECTORS),
    ("Dropout2d", lambda: nn.Dropout2d(0.3), IMAGES),
    ("Dropout1d", lambda: nn.Dropout1d(0.3), SEQUENCES),
    ("Identity", lambda: nn.Sequential(nn.Identity(), nn.Linear(6, 2)), VECTORS),
    ("Embedding", lambda: nn.Embedding(9, 3), (3, 4)),
    ("Embedding-padding", lambda: nn.Embedding(9, 3, padding_idx=0), (3, 4)),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3), IMAGES),
    ("Conv2d-same", lambda: nn.Conv2d(2, 3, (4, 3), padding="same"), IMAGES),
    ("Conv2d-valid", lambda: nn.Conv2d(2, 3, 3, padding="valid", bias=False), IMAGES),
    ("Conv2d-everything", lambda: nn.Conv2d(
        2, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), IMAGES),
    ("Conv1d", lambda: nn.Conv1d(2, 4, 3, stride=2, padding=1, dilation=2, groups=2), SEQUENCES),
    ("ConvTranspose2d", lambda: nn.ConvTranspose2d(2, 3, 3), IMAGES),
    ("ConvTranspose2d-everything", lambda: nn.ConvTranspose2d(
        2, 4, 3, stride=2, padding=1, output_padding=1, dilation=2, groups=2), IMAGES),
    ("MaxPool2d", lambda: nn.MaxPool2d(2), IMAGES),
    ("MaxPool2d-overlap", lambda: nn.MaxPool2d(3, stride=(2, 1), padding=1), IMAGES),
    ("MaxPool1d", lambda: nn.MaxPool1d(3, 2, 1), SEQUENCES),
    ("AvgPool2d", lambda: nn.AvgPool2d((3, 2), 2, padding=1), IMAGES),
    ("AvgPool2d-inside", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGES),
    ("AvgPool1d", lambda: nn.AvgPool1d(3, 2, 1), SEQUENCES),
    ("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGES),
    ("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(4), SEQUENCES),
    ("BatchNorm1d", lambda: nn.BatchNorm1d(6), VECTORS),
    ("BatchNorm1d-sequences", lambda: nn.BatchNorm1d(2, eps=0.1), SEQUENCES),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, momentum=0.3), IMAGES),
    ("BatchNorm2d-plain", lambda: nn.BatchNorm2d(2, affine=False), IMAGES),
    ("LayerNorm", lambda: nn.LayerNorm(4), STEPS),
    ("LayerNorm-no-bias", lambda: nn.LayerNorm(6, bias=False, eps=0.1), VECTORS),
    ("LayerNorm-plain", lambda: nn.LayerNorm(6, elementwise_affine=False), VECTORS),
    ("RMSNorm", lambda: nn.RMSNorm(4, eps=1e-5), STEPS),
    ("GroupNorm", lambda: nn.GroupNorm(3, 6), VECTORS),
    ("GroupNorm-images", lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4)), IMAGES),
    ("RNN", lambda: nn.RNN(4, 3, **first), STEPS),
    ("RNN-relu", lambda: nn.RNN(4, 3, nonlinearity="relu", bias=False, **first), STEPS),
    ("GRU", lambda: nn.GRU(4, 3, **first), STEPS),
    ("GRU-two", lambda: nn.GRU(4, 3, num_layers=2, dropout=0.2, **first), STEPS),
    ("LSTM", lambda: nn.LSTM(4, 3, **first), STEPS),
    ("LSTM-no-bias", lambda: nn.LSTM(4, 3, bias=False, **first), STEPS),
    ("LSTM-both", lambda: nn.LSTM(4, 3, bidirectional=True, **first), STEPS),
    ("LSTM-three-both", lambda: nn.LSTM(4, 3, num_layers=3, bidirectional=True, **first), STEPS),
    ("MultiheadAttention", lambda: nn.MultiheadAttention(4, 2, **first), STEPS),
    ("MultiheadAttention-no-bias", lambda: nn.MultiheadAttention(4, 2, bias=False, **first), STEPS),
    ("Encoder", encoder(), STEPS),
    ("Encoder-gelu", encoder(activation="gelu", dropout=0.1), STEPS),
    ("Encoder-first", encoder(norm_first=True, activation=nn.GELU("tanh")), STEPS),
    ("Encoder-first-partial", encoder(norm_first=True, activation=functools.partial(
        nn.functional.gelu, approximate="tanh")), STEPS),
    ("Encoder-first-relu", encoder(norm_first=True, dropout=0.1), STEPS),
    ("Encoders", lambda: nn.TransformerEncoder(encoder()(), 2, norm=nn.LayerNorm(4)), STEPS),
    ("Encoders-one", lambda: nn.TransformerEncoder(encoder()(), 1), STEPS),
    ("Encoders-blocks", lambda: nn.TransformerEncoder(
        encoder(norm_first=True, activation=nn.GELU("tanh"))(), 2), STEPS),
    # Flattened images: PyTorch has the channels first.
    ("Flatten", lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(60, 4)), IMAGES),
    ("Flatten-norm", lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Tanh(), nn.BatchNorm1d(60), nn.Dropout(),
        nn.LayerNorm(60), nn.Linear(60, 4), nn.ReLU(), nn.Linear(4, 2)), IMAGES),
    ("Flatten-nested", lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)), nn.Flatten(),
        nn.Sequential(nn.Sequential(nn.Linear(12, 4)), nn.Softmax(1))), IMAGES),
    ("Flatten-pool-first", lambda: nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)), IMAGES),
    ("Flatten-first", lambda: nn.Sequential(nn.Flatten(), nn.Linear(84, 2)), IMAGES),
    ("Flatten-vectors", lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, 2)), STEPS),
    ("Flatten-last", lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), IMAGES),
    ("Flatten-sequences", lambda: nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(21, 2)), SEQUENCES),
    ("Flatten-sequences-last", lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten()), SEQUENCES),
    ("Flatten-pooled", lambda: nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)), IMAGES),
    ("Unflatten", lambda: nn.Sequential(
        nn.Linear(6, 36), nn.BatchNorm1d(36), nn.Unflatten(1, (4, 3, 3)),
        nn.ConvTranspose2d(4, 2, 3)), VECTORS),
    ("Unflatten-sequences", lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 2, 2), nn.Flatten(), nn.Linear(4, 1)), VECTORS),
    ("Norm-first", lambda: nn.Sequential(nn.BatchNorm1d(2), nn.ReLU(), nn.Conv1d(2, 3, 2)),
     SEQUENCES),
]  # fmt: skip
each = pytest.mark.parametrize("case", MODULES, ids=lambda case: case[0])


def built(case, dtype=torch.float32):
    """Return the module with weights and statistics that are not the first ones, and an input."""
    _, build, shape = case
    torch.manual_seed(3)
    module = build().to(dtype)
    for name, array in module.state_dict().items():
        if array.is_floating_point():
            array.add_(0.1 * torch.rand(array.shape))
            if name.endswith("weight") and getattr(module, "padding_idx", None) is not None:
                array[module.padding_idx] = 0
    module.eval()
    if isinstance(module, nn.Embedding):
        return module, torch.randint(9, shape)
    return module, torch.randn(shape, dtype=dtype)


def called(module, x):
    with torch.no_grad():
        if isinstance(module, nn.MultiheadAttention):
            return module(x, x, x)[0].numpy()
        y = module(x)
    return (y[0] if isinstance(y, tuple) else y).numpy()


def is_first(case, array):
    """Whether an array of the case has its channels on axis 1."""
    return array.ndim == 4 or (array.ndim == 3 and case[2] == SEQUENCES) or (
        case[0] == "Unflatten" and array.ndim == 4
    )  # fmt: skip


def ours(case, array):
    array = np.asarray(array)
    return np.moveaxis(array, 1, -1) if is_first(case, array) else array


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_module_becomes_a_model_that_predicts_the_same(case, dtype):
    module, x = built(case, dtype)
    model = from_module(module, example=x)
    expected = ours(case, called(module, x))
    has_floats = any(array.is_floating_point() for array in module.state_dict().values())
    assert model.dtype == (expected.dtype if has_floats else np.float32)
    tolerance = 1e-5 if model.dtype == np.float32 else 1e-12
    found = model.predict(ours(case, x))
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=tolerance * max(1, abs(expected).max())
    )


@each
def test_its_weights_come_back(case):
    """What a model gives as state dict is what the module had, but for sums of two biases."""
    module, x = built(case)
    model = from_module(module, example=x)
    state = to_state_dict(
        model, names=module_names(module, example=x), input_shape=ours(case, x).shape[1:]
    )
    fresh = copy.deepcopy(module)
    for array in fresh.state_dict().values():
        array.zero_()
    if any(getattr(part, "bias", True) is False for part in module.modules()):
        state = {n: a for n, a in state.items() if n in module.state_dict()}
    fresh.load_state_dict(state)
    np.testing.assert_allclose(called(fresh, x), called(module, x), rtol=1e-5, atol=1e-6)


def conv_net():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2), nn.Flatten(), nn.Linear(3 * 2 * 2, 8), nn.Tanh(), nn.Linear(8, 5),
    )  # fmt: skip


class LastStep(nn.Module):
    """An LSTM whose last output goes on."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.out = nn.Linear(6, 5)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0][:, -1])


def test_training_goes_the_same_way_with_images(rng):
    module = conv_net().double()
    model = from_module(module, cr.SoftmaxCrossEntropy())
    x, y = rng.standard_normal((16, 2, 7, 6)), rng.integers(0, 5, 16)
    steps(module, model, x, x.transpose(0, 2, 3, 1), y, {})


def test_training_goes_the_same_way_with_sequences(rng):
    module = LastStep().double()
    # Of two vectors of biases that are added up, each moves: together twice as far as one.
    module.lstm.bias_hh_l0.requires_grad_(False)
    model = cr.Model(
        [cr.Embedding(9, 4), cr.LSTM(4, 6, all_steps=False), cr.Linear(6, 5)],
        cr.SoftmaxCrossEntropy(), dtype=np.float64,
    )  # fmt: skip
    names = {"embed": "0", "lstm": "1", "out": "2"}
    load_state_dict(model, module.state_dict(), names=names)
    x, y = rng.integers(0, 9, (16, 7)), rng.integers(0, 5, 16)
    steps(module, model, x, x, y, names)


def steps(module, model, theirs, ours, y, names):
    """Take five steps on both sides, and compare losses and weights."""
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(5):
        losses = model.loss(ours, y)
        model.backward()
        model.parameters -= 0.1 * model.gradients
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(torch.tensor(theirs)), torch.tensor(y))
        loss.backward()
        optimizer.step()
        assert losses.mean() == pytest.approx(loss.item(), rel=1e-10)
    state = to_state_dict(model, names=names, arrays=True)
    for name, array in module.state_dict().items():
        if "num_batches" in name:
            continue
        found, expected = state[name], array.numpy()
        if "bias_" in name:  # two that are only ever added up
            other = name.replace("_ih_", "_hh_") if "_ih_" in name else name.replace("hh", "ih")
            found = found + state[other]
            expected = expected + module.state_dict()[other].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype, rng):
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(dtype)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    model = from_module(module, example=x)
    assert model.dtype == (np.float16 if dtype == torch.float16 else np.float32)
    found = model.predict(x)
    np.testing.assert_allclose(
        found, module(torch.tensor(x).to(dtype)).detach().float(), rtol=2e-2, atol=2e-2
    )


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


NOT_OURS = [
    (lambda: nn.Hardtanh(), "Hardtanh: there is no such layer"),
    (lambda: nn.Conv3d(1, 1, 1), "Conv3d"),
    (lambda: nn.Conv2d(1, 1, 3, padding_mode="reflect", padding=1), "pads with zeros"),
    (lambda: nn.MaxPool2d(2, ceil_mode=True), "ours has no ceil_mode"),
    (lambda: nn.AvgPool2d(2, divisor_override=3), "ours has no divisor_override"),
    (lambda: nn.MaxPool2d(2, dilation=2, return_indices=True), "no dilation and no return_indices"),
    (lambda: nn.AdaptiveAvgPool2d((None, 2)), "a number for each axis"),
    (lambda: nn.LSTM(3, 2), "Set batch_first=True"),
    (lambda: nn.LSTM(3, 4, proj_size=2, batch_first=True), "no proj_size"),
    (lambda: nn.MultiheadAttention(4, 2, kdim=3, batch_first=True), "no kdim"),
    (lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True), "no add_bias_kv"),
    (lambda: nn.BatchNorm1d(3, track_running_stats=False), "no track_running_stats"),
    (lambda: nn.BatchNorm1d(3, momentum=None), "no momentum"),
    (lambda: nn.LayerNorm((3, 4)), "normalises the last axis alone"),
    (lambda: nn.RMSNorm(3), "eps=None"),
    (lambda: nn.Softplus(beta=2), "no beta"),
    (lambda: nn.Softmax(dim=0), "acts along axis 0"),
    (lambda: nn.Flatten(0), "flattens all axes but the samples"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Linear(3, 3)), "1 = Linear.*acts on the last"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.LayerNorm(3)), "1 = LayerNorm.*acts on the last"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Softmax(dim=-1)), "acts along axis -1"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.MaxPool1d(2)), "takes 1 axes"),
    (lambda: nn.Sequential(nn.Linear(3, 3), nn.Conv1d(1, 2, 1)), "channels last"),
    (lambda: nn.Sequential(nn.LSTM(3, 2, batch_first=True), nn.BatchNorm1d(2)), "channels on axis"),
    (lambda: nn.Embedding(3, 2, max_norm=1.0), "no max_norm"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation=torch.tanh, batch_first=True),
     "none of ours"),
    (lambda: nn.Sequential(nn.LazyLinear(3)), "LazyLinear"),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "ParametrizedLinear"),
    (lambda: nn.Sequential(), "has no layers"),
    (lambda: LastStep(), "forward of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), NOT_OURS, ids=lambda value: str(value)[:30])
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_what_is_not_ours_is_refused(build, message):
    with pytest.raises(TypeError, match=message):
        from_module(build())


def test_all_that_is_not_ours_is_named_at_once():
    module = nn.Sequential(nn.Hardtanh(), nn.Sequential(nn.ReLU6()), nn.LSTM(3, 2))
    with pytest.raises(TypeError, match=r"0 = Hardtanh.*1\.0 = ReLU6.*2 = LSTM.*batch_first"):
        from_module(module)


def test_hooks_are_refused():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda part, x, y: 2 * y)
    with pytest.raises(TypeError, match="0 = Linear: it has hooks"):
        from_module(module)
    module = nn.Sequential(nn.Linear(2, 2))
    module.register_forward_pre_hook(lambda part, x: 2 * x[0])
    with pytest.raises(TypeError, match="Sequential: it has hooks"):
        from_module(module)


def test_shared_weights_are_refused_unless_they_may_part(rng):
    linear = nn.Linear(3, 3)
    module = nn.Sequential(linear, nn.ReLU(), linear)
    with pytest.raises(ValueError, match=r"0\.weight = 2\.weight; 0\.bias = 2\.bias are shared"):
        from_module(module)
    x = rng.standard_normal((2, 3)).astype(np.float32)
    model = from_module(module, untie=True, example=x)
    np.testing.assert_allclose(model.predict(x), called(module, torch.tensor(x)), atol=1e-6)


def test_a_padding_row_that_is_not_zero_is_refused():
    module = nn.Embedding(3, 2, padding_idx=1)
    module.weight.data.fill_(1)
    with pytest.raises(TypeError, match="the row of its padding_idx 1 is not 0"):
        from_module(module)


class Chained(nn.Module):
    """Its forward is the chain of its children."""

    def __init__(self, extra=lambda x: x):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.act = nn.ReLU()
        self.rest = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
        self.extra = extra

    def forward(self, x):
        return self.rest(self.extra(self.act(self.first(x))))


def test_a_module_of_ones_own_is_taken_if_an_example_proves_it(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    module = Chained()
    model = from_module(module, example=x)
    assert repr(model.layers[2]) == "Sequential([Linear(8, 8), Linear(8, 2)])"
    assert module.training
    state = to_state_dict(model, names=module_names(module, example=x))
    assert set(state) == set(module.state_dict())
    with pytest.raises(ValueError, match=r"outputs for the example differ: up to .* apart"):
        from_module(Chained(torch.tanh), example=x)
    with pytest.raises(ValueError, match="outputs for the example differ: the shapes"):
        from_module(Chained(lambda x: x[:, None]), example=x)
    with pytest.raises(ValueError, match="outputs for the example differ: the shapes"):
        from_module(LastStep(), example=rng.integers(0, 9, (2, 3)))
    with pytest.raises(ValueError, match="do not take the example as a chain"):
        from_module(Flattening(), example=x.reshape(3, 2, 2))


class Flattening(Chained):
    def forward(self, x):
        return super().forward(x.flatten(1))


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 4))

    def forward(self, x):
        return 2 * nn.functional.linear(x, self.weight)


def test_converters(rng):
    def convert(module):
        layer = cr.Linear(4, 3, bias=False)
        layer.weights = 2 * module.weight.detach().numpy().T
        return [layer, cr.Dropout(0.0)]

    module = nn.Sequential(nn.Linear(4, 4), Doubled(), nn.ReLU(), nn.Linear(3, 1))
    x = rng.standard_normal((2, 4)).astype(np.float32)
    with pytest.raises(TypeError, match=r"1 = Doubled: it has parameters of its own \(weight\)"):
        from_module(module, example=x)
    model = from_module(module, example=x, converters={Doubled: convert})
    np.testing.assert_allclose(model.predict(x), called(module, torch.tensor(x)), atol=1e-6)


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
from chainrule.pytorch import load_state_dict, to_state_dict
net = cr.Model([cr.Conv2d(2, 4, 3, padding=1), cr.BatchNorm(4), cr.ReLU(), cr.MaxPool2d(2),
                cr.Conv2d(4, 3, 2), cr.Flatten(), cr.Linear(12, 8), cr.Tanh(), cr.Linear(8, 5)],
               cr.SoftmaxCrossEntropy())
state = safetensors.numpy.load_file({str(tmp_path / "net.safetensors")!r})
load_state_dict(net, state)
xy = np.load({str(tmp_path / "xy.npz")!r})
assert np.allclose(net.predict(xy["x"]), xy["y"], atol=1e-5)
safetensors.numpy.save_file(to_state_dict(net, arrays=True), {str(tmp_path / "back")!r})
try:
    to_state_dict(net)
except ModuleNotFoundError as error:
    assert "pip install torch" in str(error), error
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
    ("example", "message"),
    [
        (1.0, "needs an axis of samples"),
        (np.zeros((2, 5)), "does not take the example: mat1 and mat2"),
        (np.full((2, 4), np.nan), "no number to compare"),
        (np.zeros((0, 4)), "no number to compare"),
    ],
)
def test_an_example_that_proves_nothing(example, message):
    module = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ValueError, match=message):
        from_module(module, example=example)
    assert module.training


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
