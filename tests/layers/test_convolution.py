"""Convolutions: against plain loops, against PyTorch over all their options, and in a net."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases_convolution import conv, conv_transpose, pair
from chainrule.layers import windows
from chainrule.layers.correlation import correlate, correlate_weights, spread, swapped
from chainrule.layers.windows import Window


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make parity")


# -- the three products, as loops over the formula ------------------------------------------


def plain_correlate(x, weights, window, groups):
    padded = window.pad(x)
    rows, columns = window.steps(x.shape[1:3])
    back = x.shape[-1] // groups
    y = np.zeros((len(x), rows, columns, weights.shape[-1]))
    for p, q, i, j, o in np.ndindex(rows, columns, *window.kernel, y.shape[-1]):
        u = window.stride[0] * p + window.dilation[0] * i
        v = window.stride[1] * q + window.dilation[1] * j
        block = o // (y.shape[-1] // groups)
        seen = padded[:, u, v, block * back : (block + 1) * back]
        y[:, p, q, o] += seen @ weights[i, j, :, o]
    return y


def derivative(f, shape, direction):
    """Return d(f(x) . direction)/dx of a linear f, one place after the other."""
    gradient = np.empty(shape)
    for index in np.ndindex(shape):
        x = np.zeros(shape)
        x[index] = 1
        gradient[index] = (f(x) * direction).sum()
    return gradient


WINDOWS = [
    Window((1, 1)),
    Window((2, 3)),
    Window((3, 3), pads=((1, 1), (1, 1))),
    Window((2, 2), stride=(2, 2)),
    Window((2, 2), stride=(3, 3), pads=((0, 1), (2, 0))),
    Window((2, 3), dilation=(2, 1), pads=((2, 2), (0, 1))),
    Window((3, 2), stride=(2, 1), dilation=(1, 3), pads=((1, 2), (3, 3))),
]


@pytest.mark.parametrize("cache", [1, 2**19], ids=["one at a time", "all at once"])
@pytest.mark.parametrize(("n_in", "n_out", "groups"), [(1, 2, 1), (2, 3, 1), (4, 2, 2), (3, 3, 3)])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_products_are_the_formula(window, n_in, n_out, groups, cache, rng, monkeypatch):
    """All of them: one sample a piece and several, each form that they choose among."""
    monkeypatch.setattr(windows, "CACHE", cache)
    x = rng.standard_normal((3, 4, 5, n_in))
    weights = rng.standard_normal((*window.kernel, n_in // groups, n_out))
    expected = plain_correlate(x, weights, window, groups)
    grad = rng.standard_normal(expected.shape)
    y, grad_w, grad_x = np.empty_like(expected), np.empty_like(weights), np.empty_like(x)

    def buffer(name, shape):
        return np.full(shape, np.nan)  # what was there before must not matter

    correlate(x, weights, y, window, groups, buffer)
    correlate_weights(x, grad, grad_w, window, groups, buffer)
    spread(grad, swapped(weights, groups), grad_x, window, groups, buffer)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        grad_w,
        derivative(lambda w: plain_correlate(x, w, window, groups), weights.shape, grad),
        rtol=1e-12,
        atol=1e-12,
    )
    # The samples do not know of each other: one shows the derivative for all.
    np.testing.assert_allclose(
        grad_x[1:2],
        derivative(
            lambda x: plain_correlate(x, weights, window, groups), (1, *x.shape[1:]), grad[1:2]
        ),
        rtol=1e-12,
        atol=1e-12,
    )


# -- over the options, against PyTorch ------------------------------------------------------


def compare(layer, torch_function, torch, shape, seed):
    """Values and all gradients in float64."""
    rng = np.random.default_rng(seed)
    layer = layer.astype(np.float64)
    layer.draw_missing(rng)
    if layer.bias:
        layer.biases = rng.standard_normal(layer.n_out)
    x = rng.standard_normal(shape)
    parameters = {
        name: torch.tensor(array, requires_grad=True) for name, array in layer.named_parameters()
    }
    tensor = torch.tensor(x, requires_grad=True)
    theirs = torch_function(torch, layer)(tensor, parameters)
    y = layer.forward(x)
    assert y.shape == tuple(theirs.shape)
    grad = rng.standard_normal(y.shape)
    theirs.backward(torch.tensor(grad))
    grad_x = layer.backward(grad)
    pairs = [
        (y, theirs.detach()),
        (grad_x, tensor.grad),
        (layer.grad_w, parameters["weights"].grad),
    ]
    if layer.bias:
        pairs.append((layer.grad_b, parameters["biases"].grad))
    for ours, other in pairs:
        np.testing.assert_allclose(ours, other.numpy(), rtol=1e-10, atol=1e-10)


axis = st.integers(1, 3)
lengths = st.integers(1, 9)


@st.composite
def options(draw, axes):
    """Return the arguments of a convolution, and lengths that it fits."""

    def some(least, most):
        if draw(st.booleans()):
            return draw(st.integers(least, most))
        return draw(st.lists(st.integers(least, most), min_size=axes, max_size=axes))

    groups = draw(st.integers(1, 3))
    n_in, n_out = (groups * draw(st.integers(1, 3)) for _ in range(2))
    padding = draw(st.sampled_from(["same", "valid", "numbers"]))
    chosen = {
        "stride": some(1, 4),
        "dilation": some(1, 3),
        "padding": some(0, 4) if padding == "numbers" else padding,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return (n_in, n_out, some(1, 4)), chosen, (draw(st.integers(1, 3)), *some_lengths(draw, axes))


def some_lengths(draw, axes):
    return [draw(lengths) for _ in range(axes)]


def fits(layer, shape):
    padding = 0 if isinstance(layer.padding, str) else layer.padding
    every = [pair(value, layer.axes) for value in (layer.kernel_size, layer.dilation, padding)]
    return layer.padding == "same" or all(
        d * (k - 1) + 1 <= n + 2 * p for n, k, d, p in zip(shape, *every, strict=True)
    )


@pytest.mark.parametrize("make", [cr.Conv1d, cr.Conv2d])
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_convolution_against_pytorch(make, data, seed, torch):
    positional, chosen, shape = data.draw(options(1 if make is cr.Conv1d else 2))
    layer = make(*positional, **chosen)
    if not fits(layer, shape[1:]):
        with pytest.raises(ValueError, match="the kernel spans"):
            layer.forward(np.zeros((*shape, layer.n_in)))
        return
    compare(layer, conv, torch, (*shape, layer.n_in), seed)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_transposed_convolution_against_pytorch(data, seed, torch):
    positional, chosen, shape = data.draw(options(2))
    if chosen["padding"] != "same":
        chosen["output_padding"] = [
            data.draw(st.integers(0, s - 1)) for s in pair(chosen["stride"], 2)
        ]
    layer = cr.ConvTranspose2d(*positional, **chosen)
    try:
        layer.forward(np.zeros((*shape, layer.n_in)))
    except ValueError as error:
        assert "leaves nothing" in str(error)  # noqa: PT017  # only where it says so
        return
    compare(layer, conv_transpose, torch, (*shape, layer.n_in), seed)


# -- what follows from the definition ---------------------------------------------------------


def test_a_pointwise_convolution_is_a_linear_layer(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    point, linear = cr.Conv2d(5, 6, 1).astype(np.float64), cr.Linear(5, 6).astype(np.float64)
    linear.weights = point.weights[0, 0]
    grad = rng.standard_normal((2, 3, 4, 6))
    np.testing.assert_allclose(point.forward(x), linear.forward(x))
    np.testing.assert_allclose(point.backward(grad), linear.backward(grad))
    np.testing.assert_allclose(point.grad_w[0, 0], linear.grad_w)


def test_a_kernel_as_large_as_the_image_is_a_linear_layer(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    whole = cr.Conv2d(5, 6, (3, 4)).astype(np.float64)
    linear = cr.Linear(60, 6).astype(np.float64)
    linear.weights = whole.weights.reshape(60, 6)
    np.testing.assert_allclose(whole.forward(x)[:, 0, 0], linear.forward(x.reshape(2, 60)))


def test_a_shift_of_the_image_shifts_the_output(rng):
    layer = cr.Conv2d(2, 3, 3).astype(np.float64)
    x = rng.standard_normal((1, 8, 8, 2))
    np.testing.assert_allclose(layer.forward(x[:, 1:, 2:]), layer.forward(x)[:, 1:, 2:])


def test_a_transposed_convolution_is_the_way_back_of_a_convolution(rng):
    options = {"stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2, "bias": False}
    there = cr.Conv2d(4, 6, 3, **options).astype(np.float64)
    back = cr.ConvTranspose2d(6, 4, 3, output_padding=(1, 0), **options).astype(np.float64)
    back.weights = swapped(there.weights, 2)
    x = rng.standard_normal((2, 6, 7, 4))
    y = there.forward(x)
    grad = rng.standard_normal(y.shape)
    np.testing.assert_allclose(there.backward(grad), back.forward(grad))
    # <A x, g> = <x, A^T g>
    np.testing.assert_allclose((y * grad).sum(), (x * back.forward(grad)).sum())


@pytest.mark.parametrize(("kernel", "stride"), [*itertools.product((1, 2, 3, 4), (1, 2, 3))])
def test_same_gives_the_length_over_the_stride(kernel, stride):
    for n in range(1, 9):
        there = cr.Conv2d(1, 1, kernel, stride=stride, padding="same")
        assert there.forward(np.zeros((1, n, n, 1))).shape[1:3] == (-(-n // stride),) * 2
        back = cr.ConvTranspose2d(1, 1, kernel, stride=stride, padding="same")
        assert back.forward(np.zeros((1, n, n, 1))).shape[1:3] == (n * stride,) * 2


def test_the_weights_are_drawn_by_fan_in():
    for layer in (cr.Conv2d(64, 100, 3), cr.Conv2d(128, 100, 3, groups=2), cr.Conv1d(192, 300, 3)):
        assert layer.weights.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 64)), rel=0.02)
        assert not layer.biases.any()


# -- in a net -----------------------------------------------------------------------------------


def stripes(rng, count):
    """Draw noisy images with stripes: class 0 lying, class 1 standing."""
    labels = rng.integers(0, 2, count)
    rows = np.sin(np.arange(8) * 2 + rng.uniform(0, 6, (count, 1)))
    images = np.where(labels[:, None, None], rows[:, None, :], rows[:, :, None])
    return (images + 0.3 * rng.standard_normal((count, 8, 8)))[..., None], labels


def test_a_net_learns(rng):
    net = cr.Model(
        [
            cr.Conv2d(1, 4, 3, padding="same"), cr.ReLU(), cr.Conv2d(4, 4, 3, stride=2, groups=4),
            cr.ReLU(), cr.ConvTranspose2d(4, 3, 2), cr.Flatten(), cr.Linear(48, 2),
        ],
        cr.SoftmaxCrossEntropy(),
    )  # fmt: skip
    x, y = stripes(rng, 200)
    before = net.parameters.copy()
    cr.train(net, None, 8, cr.Batches(x, y, 20), optimizer=cr.Adam(0.01), verbose=False)
    assert net.parameters.dtype == np.float32
    assert (net.parameters != before).mean() > 0.99
    test_x, test_y = stripes(rng, 100)
    assert (net.predict(test_x).argmax(axis=1) == test_y).mean() > 0.95


def test_a_net_over_sequences_learns(rng):
    """Which of two short patterns stands somewhere in the noise."""
    x = 0.2 * rng.standard_normal((200, 12, 1))
    y = rng.integers(0, 2, 200)
    for sequence, label, at in zip(x, y, rng.integers(0, 9, 200), strict=True):
        sequence[at : at + 3, 0] += [1, -1, 1] if label else [-1, 1, -1]
    net = cr.Model(
        [cr.Conv1d(1, 8, 3), cr.ReLU(), cr.Flatten(), cr.Linear(80, 2)], cr.SoftmaxCrossEntropy()
    )
    cr.train(
        net, None, 10, cr.Batches(x[:150], y[:150], 15), optimizer=cr.Adam(0.01), verbose=False
    )
    assert (net.predict(x[150:]).argmax(axis=1) == y[150:]).mean() > 0.9


def test_what_a_model_reuses_does_not_leak_between_batches(rng):
    """Other batch sizes and image sizes in turn: the same answers as from a fresh layer."""
    net = cr.Model(
        [cr.Conv2d(2, 3, 3, padding="same"), cr.Conv2d(3, 2, 3, padding=2, stride=2)],
        cr.MeanSquaredError(),
        dtype=np.float64,
    )
    for samples, height, width in [(5, 6, 7), (2, 9, 4), (1, 1, 1), (5, 6, 7)]:
        x = rng.standard_normal((samples, height, width, 2))
        y = rng.standard_normal(net.predict(x).shape)
        net.loss(x, y)
        net.backward()
        fresh = cr.Model(
            [cr.Conv2d(2, 3, 3, padding="same"), cr.Conv2d(3, 2, 3, padding=2, stride=2)],
            cr.MeanSquaredError(),
            dtype=np.float64,
        )
        fresh.parameters = net.parameters
        fresh.loss(x, y)
        fresh.backward()
        np.testing.assert_array_equal(net.gradients, fresh.gradients)
        np.testing.assert_array_equal(net.predict(x), fresh.predict(x))


def test_the_windows_of_the_whole_batch_are_never_held():
    """They would be 25 times the images; what it holds is a piece, and what it hands on."""
    layer = cr.Conv2d(4, 4, 5, padding="same")
    net = cr.Model([layer], cr.MeanSquaredError())
    x = np.zeros((256, 16, 16, 4), np.float32)
    net.loss(x, x)
    net.backward()
    results = {"y", "grad_x"}
    held = sum(array.nbytes for name, array in layer._buffers.items() if name not in results)
    assert held < 3 * windows.CACHE < 25 * x.nbytes / 10


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.Conv2d(0, 3, 3), r"Conv2d\(0, 3, 3\): n_in must be a whole number"),
        (lambda: cr.Conv2d(1, 3.0, 3), "n_out must be a whole number"),
        (
            lambda: cr.Conv2d(1, 3, 0),
            "kernel_size must be a whole number, or 2 of them, at least 1",
        ),
        (lambda: cr.Conv2d(1, 3, (3, 3, 3)), "kernel_size"),
        (lambda: cr.Conv2d(1, 3, "3"), "kernel_size"),
        (lambda: cr.Conv1d(1, 3, (3, 3)), "kernel_size must be a whole number, at least 1"),
        (lambda: cr.Conv2d(1, 3, 3, stride=0), "stride"),
        (lambda: cr.Conv2d(1, 3, 3, stride=1.5), "stride"),
        (lambda: cr.Conv2d(1, 3, 3, padding=-1), "padding must be a whole number"),
        (lambda: cr.Conv2d(1, 3, 3, padding="full"), 'padding must be "same", "valid"'),
        (lambda: cr.Conv2d(1, 3, 3, dilation=[1]), "dilation"),
        (lambda: cr.Conv2d(4, 6, 3, groups=4), "groups=4 must divide both numbers"),
        (lambda: cr.Conv2d(1, 3, 3, initializer="best"), "unknown initializer 'best'"),
        (lambda: cr.ConvTranspose2d(1, 1, 3, output_padding=1), "less than the stride"),
        (
            lambda: cr.ConvTranspose2d(1, 1, 3, stride=2, padding="same", output_padding=1),
            "settles the length",
        ),
    ],
)
def test_constructors_refuse_nonsense(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (cr.Conv2d(3, 8, 5), (2, 3, 28, 28), r"transpose\(0, 2, 3, 1\)"),
        (cr.Conv2d(3, 8, 5), (28, 28, 3), r"x\[None\]"),
        (cr.Conv2d(1, 8, 5), (64, 28, 28), r"\(64, 28, 28\).*x\[..., None\]"),
        (
            cr.Conv2d(3, 8, 5),
            (2, 28, 28, 4),
            r"\(samples, height, width, 3\), got \(2, 28, 28, 4\)",
        ),
        (cr.Conv2d(3, 8, 5), (2, 3, 4, 3), r'spans \[5, 5\].* only \[3, 4\].*"same"'),
        (cr.Conv1d(3, 8, 5), (2, 3, 9), r"transpose\(0, 2, 1\)"),
        (cr.Conv1d(3, 8, 5), (2, 4, 3), r"spans \[5\].* only \[4\]"),
        (cr.ConvTranspose2d(3, 8, 1, padding=2), (2, 4, 4, 3), "leaves nothing"),
    ],
)
def test_inputs_that_do_not_fit_are_named(layer, shape, words):
    with pytest.raises(ValueError, match=words):
        layer.forward(np.zeros(shape))
