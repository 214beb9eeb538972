"""Normalisation beside PyTorch's and beside the formulas, in training and in inference."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}
each_type = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)
middles = st.lists(st.integers(1, 5), max_size=3)
KINDS = {
    "batch": cr.BatchNorm,
    "layer": cr.LayerNorm,
    "rms": cr.RMSNorm,
    "group": lambda n, **options: cr.GroupNorm(2 if n % 2 == 0 else 1, n, **options),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make parity")


def plain(x, scale, shift, axes, groups=1, centre=True, epsilon=1e-5):
    """Return the normalised values, by the formula: over ``axes``, and the channels of a group."""
    by_group = x.reshape(*x.shape[:-1], groups, -1)
    mean = by_group.mean(axis=axes, keepdims=True) if centre else 0.0
    variance = ((by_group - mean) ** 2).mean(axis=axes, keepdims=True)
    return ((by_group - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) * scale + shift


def random_parameters(layer, rng):
    for _, array in layer.named_parameters():
        array[...] = rng.uniform(-2, 2, array.shape)
    return layer


@each_kind
@given(st.integers(2, 4), middles, st.integers(1, 7), st.booleans())
@settings(max_examples=30, deadline=None)
def test_beside_the_formula(kind, samples, middle, n, affine):
    rng = np.random.default_rng([samples, n])
    layer = random_parameters(KINDS[kind](n, affine=affine).astype(np.float64), rng)
    x = rng.standard_normal((samples, *middle, n)) * 3 + 1
    scale = layer.scale if affine else 1
    shift = layer.shift if affine and kind != "rms" else 0
    axes, options = {
        # The last two axes of what `plain` looks at are groups, and the channels of a group.
        "batch": (tuple(range(x.ndim - 1)), {"groups": n}),
        "layer": ((-1,), {}),
        "rms": ((-1,), {"centre": False, "epsilon": 1e-6}),
        "group": ((*range(1, x.ndim - 1), -1), {"groups": getattr(layer, "groups", 1)}),
    }[kind]
    expected = plain(x, scale, shift, axes, **options)
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-9, atol=1e-9)


@each_type
@given(st.integers(1, 4), middles, st.integers(1, 5), st.floats(0.05, 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_batch_norm_step_for_step_beside_pytorch(
    torch, dtype, samples, middle, n, momentum, affine
):
    """Three mini-batches in training, then one in inference: values, gradients, averages."""
    samples = max(samples, 2)
    rng = np.random.default_rng([samples, n])
    layer = cr.BatchNorm(n, momentum=momentum, epsilon=1e-3, affine=affine).astype(dtype)
    random_parameters(layer, rng)
    theirs = torch.nn.BatchNorm1d(n, eps=1e-3, momentum=momentum, affine=affine)
    theirs = theirs.to(torch.tensor(np.zeros(0, dtype)).dtype)
    if affine:
        theirs.weight.data = torch.tensor(layer.scale.copy())
        theirs.bias.data = torch.tensor(layer.shift.copy())
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    for training in (True, True, True, False):
        layer.set_modes(training=training, keeping=True)
        theirs.train(training)
        x = (rng.standard_normal((samples, *middle, n)) * 2 + 3).astype(dtype)
        upstream = rng.standard_normal(x.shape).astype(dtype)
        tensor = torch.tensor(x, requires_grad=True)
        theirs.zero_grad()
        out = theirs(tensor.reshape(-1, n)).reshape(x.shape)
        out.backward(torch.tensor(upstream))
        np.testing.assert_allclose(layer.forward(x), out.detach().numpy(), **tolerance)
        np.testing.assert_allclose(
            layer.backward(upstream), tensor.grad.numpy(), rtol=1e-3,
            atol=100 * TOLERANCE[dtype],
        )  # fmt: skip
        if affine:
            for name, reference in (("scale", theirs.weight), ("shift", theirs.bias)):
                np.testing.assert_allclose(
                    getattr(layer, f"grad_{name}"), reference.grad.numpy(), rtol=1e-3,
                    atol=100 * TOLERANCE[dtype],
                )  # fmt: skip
        np.testing.assert_allclose(layer.running_mean, theirs.running_mean.numpy(), **tolerance)
        np.testing.assert_allclose(layer.running_variance, theirs.running_var.numpy(), **tolerance)


@each_type
@given(st.sampled_from([(1, 4), (2, 4), (3, 6), (1, 1), (5, 5)]), st.integers(2, 4), middles)
@settings(max_examples=30, deadline=None)
def test_group_norm_beside_pytorch(torch, dtype, sizes, samples, middle):
    groups, n = sizes
    rng = np.random.default_rng([samples, n])
    layer = random_parameters(cr.GroupNorm(groups, n, epsilon=1e-2).astype(dtype), rng)
    x = (rng.standard_normal((samples, *middle, n)) * 2 + 3).astype(dtype)
    upstream = rng.standard_normal(x.shape).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    weight = torch.tensor(layer.scale.copy(), requires_grad=True)
    out = torch.nn.functional.group_norm(
        tensor.movedim(-1, 1), groups, weight, torch.tensor(layer.shift.copy()), eps=1e-2
    ).movedim(1, -1)
    out.backward(torch.tensor(upstream))
    tolerance = {"rtol": 10 * TOLERANCE[dtype], "atol": 10 * TOLERANCE[dtype]}
    np.testing.assert_allclose(layer.forward(x), out.detach().numpy(), **tolerance)
    np.testing.assert_allclose(layer.backward(upstream), tensor.grad.numpy(), **tolerance)
    np.testing.assert_allclose(layer.grad_scale, weight.grad.numpy(), **tolerance)


# -- batch normalisation's two modes --------------------------------------------------------------


def small_net(**options):
    return cr.Model(
        [cr.Linear(3, 4), cr.BatchNorm(4), cr.Tanh(), cr.Linear(4, 2)],
        cr.SoftmaxCrossEntropy(),
        **options,
    )


def trained(rng, **options):
    model = small_net(**options)
    x, y = rng.standard_normal((12, 3)) + 2, rng.integers(0, 2, 12)
    cr.train(model, 0.1, 4, [(x[:7], y[:7]), (x[7:], y[7:])], verbose=False)
    return model


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (1, 2, 3, 4)])
def test_the_checker_proves_both_modes(training, shape, rng):
    layer = cr.BatchNorm(4)
    layer.forward(rng.standard_normal((9, 4)) * 3 + 1)
    before = copy.deepcopy(dict(layer.named_state()))
    layer.training = training
    report = cr.check_gradients(layer, rng.standard_normal(shape))
    assert report.ok, report
    for name, array in layer.named_state():
        np.testing.assert_array_equal(array, before[name])
    assert layer.training == layer.keeping == training


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("noisy", [cr.BatchNorm(4), cr.Dropout(0.5)], ids=repr)
def test_the_checker_proves_a_model_in_both_modes(training, noisy, rng):
    """The derivative by the inputs too is of the mode that the model is in."""
    model = cr.Model(
        [cr.Linear(3, 4), copy.deepcopy(noisy), cr.Tanh(), cr.Linear(4, 2)],
        cr.SoftmaxCrossEntropy(),
    )
    model.training = training
    report = cr.check_gradients(model, rng.standard_normal((5, 3)), np.array([0, 1, 1, 0, 1]))
    assert report.ok, report
    assert model.training == training


@pytest.mark.parametrize("wrong", ["no mean term", "no variance term", "inference's"])
def test_the_checker_sees_a_term_left_out(wrong, rng):
    class Wrong(cr.BatchNorm):
        def backward(self, grad):
            right = super().backward(grad)
            slope = self._slope(self.inverse)
            if wrong == "no mean term":
                return right + slope * grad.mean(axis=0)
            if wrong == "no variance term":
                normal = self.centred * self.inverse
                return right + slope * normal * (grad * normal).mean(axis=0)
            return slope * grad

    report = cr.check_gradients(Wrong(4), rng.standard_normal((6, 4)))
    assert not report["input"].ok
    assert report["scale"].ok
    assert report["shift"].ok


def test_input_gradient_is_that_of_inference(rng):
    model = trained(rng, dtype="float64")
    before = copy.deepcopy(dict(model.named_state()))
    x, y = rng.standard_normal((4, 3)), np.array([0, 1, 1, 0])
    gradient = model.input_gradient(x, y)

    def mean_loss(shifted):
        return model.cost.forward(model.predict(shifted), y).mean()

    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        slope = (mean_loss(x + step) - mean_loss(x - step)) / 2e-5
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-9)
    for name, array in model.named_state():
        np.testing.assert_array_equal(array, before[name])


def test_inference_meets_training_where_the_averages_are_the_batch():
    x = np.random.default_rng(0).standard_normal((50, 3)) * 4 + 7
    layer = cr.BatchNorm(3, momentum=1, epsilon=1e-12).astype(np.float64)
    y = layer.forward(x)
    layer.training = False
    np.testing.assert_allclose(layer.forward(x) * np.sqrt(50 / 49), y, rtol=1e-9)


def test_a_far_mean_does_not_spoil_the_variance():
    """E[x^2] - E[x]^2 would lose every digit here in float32."""
    x = np.random.default_rng(0).standard_normal((1000, 4, 2)).astype(np.float32) + 4096
    exact = (x - x.mean(axis=(0, 1), dtype=float)) / x.std(axis=(0, 1), dtype=float)
    layer = cr.BatchNorm(2)
    np.testing.assert_allclose(layer.forward(x), exact, atol=2e-3)
    layer.running_mean = x.mean(axis=(0, 1), dtype=float)
    layer.running_variance = x.var(axis=(0, 1), dtype=float)
    layer.training = False
    np.testing.assert_allclose(layer.forward(x), exact, atol=2e-3)


def test_saved_loaded_and_copied_with_its_averages(rng, tmp_path):
    model = trained(rng)
    assert [name for name, _ in model.named_state()] == ["1.running_mean", "1.running_variance"]
    assert np.abs(model.layers[1].running_mean).max() > 0.01
    model.save(tmp_path / "net.safetensors")
    x = rng.standard_normal((6, 3))
    for other in (cr.load(tmp_path / "net.safetensors"), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
        other.loss(x, [0, 1] * 3)
        assert not np.array_equal(other.predict(x), model.predict(x))


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3), (1, 1, 1, 3)])
def test_one_value_a_channel(shape, rng):
    """In training there is no variance; in inference, and for the others, one sample is fine."""
    x = rng.standard_normal(shape)
    layer = cr.BatchNorm(3)
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): in training.*two values.*larger mini"):
        layer.forward(x)
    assert layer.running_mean.tolist() == [0, 0, 0]
    layer.training = False
    np.testing.assert_allclose(layer.forward(x), x, rtol=1e-5)
    for other in (cr.LayerNorm(3), cr.RMSNorm(3), cr.GroupNorm(1, 3)):
        assert np.isfinite(other.forward(x)).all()


# -- all of them ----------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("size", [1e-3, 300.0, 3e4])
def test_half_precision_follows_float32(kind, size, rng):
    """Squares of numbers beyond 255 overflow there."""
    x = (size * rng.uniform(-1, 1, (6, 5, 4))).astype(np.float16)
    upstream = rng.standard_normal(x.shape).astype(np.float16)
    narrow, broad = KINDS[kind](4).astype(np.float16), KINDS[kind](4)
    y = narrow.forward(x)
    np.testing.assert_allclose(y, broad.forward(x.astype(np.float32)), rtol=2e-3, atol=2e-3)
    broad_grad = broad.backward(upstream.astype(np.float32))
    np.testing.assert_allclose(narrow.backward(upstream), broad_grad, rtol=2e-3, atol=1e-3)
    assert y.dtype == narrow.scale.dtype == np.float16


@each_kind
def test_in_a_model_that_trains(kind, rng):
    """Images far from the origin, which a net without normalisation does not get hold of."""
    net = cr.Model(
        [KINDS[kind](2), cr.Flatten(), cr.Linear(18, 8), KINDS[kind](8), cr.Tanh(),
         cr.Linear(8, 2)],
        cr.SoftmaxCrossEntropy(),
    )  # fmt: skip
    y = np.arange(60) % 2
    x = rng.standard_normal((60, 3, 3, 2)) + (0 if kind == "rms" else 50)
    x[:, 1, 1, 0] += 4 * y
    batches = [(x[:25], y[:25]), (x[25:32], y[25:32]), (x[32:], y[32:])]
    history = cr.train(net, None, 25, batches, optimizer=cr.Adam(0.02), verbose=False)
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    np.testing.assert_allclose(net.predict(x, batch_size=7), net.predict(x), rtol=1e-4, atol=1e-4)
    if kind == "batch":
        assert (net.predict_classes(x) == y).mean() > 0.9


@each_kind
@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda build: build(0), ValueError, "at least 1 channel"),
        (lambda build: build(2.0), TypeError, r"\(.*2\.0.*whole number"),
        (lambda build: build(4, epsilon=0), ValueError, "epsilon must be greater than 0, got 0"),
        (lambda build: build(4).forward(np.zeros((3, 5))), ValueError, r"must be 4, got.*\(3, 5\)"),
        (lambda build: build(4).forward(np.zeros(4)), ValueError, r"axis of samples.*x\[None\]"),
        (lambda build: setattr(build(4), "scale", 1.0), ValueError, r"scale must have shape \(4,"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(kind, act, error, words):
    with pytest.raises(error, match=words):
        act(KINDS[kind])


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: cr.GroupNorm(4, 6), r"GroupNorm\(4, 6\): 6 channels do not make 4 groups"),
        (lambda: cr.GroupNorm(0, 6), "0 groups"),
        (lambda: cr.BatchNorm(3, momentum=0), "momentum must be above 0 and up to 1, got 0"),
        (lambda: cr.BatchNorm(3, momentum=1.5), "momentum"),
        (lambda: setattr(cr.BatchNorm(3), "running_mean", np.zeros(4)), r"running_mean.*\(3,\)"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(act, words):
    with pytest.raises(ValueError, match=words):
        act()


def test_parameters_that_there_are():
    names = lambda layer: [name for name, _ in layer.named_parameters()]  # noqa: E731
    assert names(cr.LayerNorm(3)) == ["scale", "shift"]
    assert names(cr.LayerNorm(3, bias=False)) == ["scale"]
    assert names(cr.LayerNorm(3, affine=False)) == []
    assert names(cr.RMSNorm(3)) == ["scale"]
    assert names(cr.BatchNorm(3, affine=False)) == []
    assert repr(cr.BatchNorm(3, momentum=0.2)) == "BatchNorm(3, momentum=0.2)"
    assert repr(cr.GroupNorm(1, 3)) == "GroupNorm(1, 3)"
