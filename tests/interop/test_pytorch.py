"""Modules of PyTorch become models: the same outputs, and the same steps of training."""

import copy

import numpy as np
import pytest

import chainrule as cr
from cases_pytorch import (
    MODULES,
    LastStep,
    built,
    called,
    conv_net,
    nn,
    ours,
    torch,
)
from chainrule.pytorch import from_module, load_state_dict, module_names, to_state_dict

pytestmark = pytest.mark.filterwarnings(
    # What PyTorch itself says of its own layers.
    "ignore:enable_nested_tensor is True:UserWarning",
    "ignore:Using padding='same' with even kernel:UserWarning",
    "ignore:dropout option adds dropout after all but last:UserWarning",
)

each = pytest.mark.parametrize("case", MODULES, ids=lambda case: case[0])


@pytest.fixture(autouse=True)
def no_fast_path():
    """PyTorch's fast path takes any GELU for the exact one."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


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
    (lambda: nn.Sequential(nn.ELU(-1.0), nn.LayerNorm(3, eps=0)),
     r"0 = ELU\(alpha=-1\.0\): .* must be greater than 0; 1 = LayerNorm.*greater than 0"),
    (lambda: encoder_with(norm1=nn.Identity()), "its norm1 is Identity, and not LayerNorm or RMS"),
    (lambda: encoder_with(linear2=nn.Sequential(nn.Linear(6, 4))), "its linear2 is Sequential"),
    (lambda: nn.TransformerEncoder(Doubled(), 2, enable_nested_tensor=False),
     "made of Doubled, and not TransformerEncoderLayer"),
    (lambda: nn.Sequential(nn.LazyLinear(3)), "LazyLinear"),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "ParametrizedLinear"),
    (lambda: nn.Sequential(), "has no layers"),
    (lambda: LastStep(), "forward of its own"),
]  # fmt: skip


def encoder_with(**parts):
    """Return an encoder layer of which parts were replaced."""
    module = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    for name, part in parts.items():
        setattr(module, name, part)
    return module


@pytest.mark.parametrize(("build", "message"), NOT_OURS, ids=lambda value: str(value)[:30])
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_what_is_not_ours_is_refused(build, message):
    with pytest.raises(TypeError, match=message):
        from_module(build())


@pytest.mark.parametrize("function", [from_module, module_names])
def test_only_modules_are_taken(function):
    with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module, got dict.*load_state_dict"):
        function({})


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
    module = nn.Sequential(encoder_with())
    module[0].self_attn.out_proj.register_forward_hook(lambda part, x, y: 2 * y)
    with pytest.raises(TypeError, match=r"0\.self_attn\.out_proj = .*: it has hooks"):
        from_module(module)


def test_a_forward_that_was_replaced_is_refused():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].forward = lambda x: 2 * x
    with pytest.raises(TypeError, match="0 = Linear: its forward was replaced"):
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
