"""Pooling beside PyTorch's and beside plain loops: kernels, strides, paddings, odd sizes."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import chainrule as cr


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make parity")


def plain_pool(x, upstream, kernel, stride, padding, choose):
    """Return output and input gradient, window by window; ``choose`` gives value and shares."""
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    height, width = x.shape[1:3]
    y, grad = np.zeros_like(upstream), np.zeros_like(x)
    for n, i, j, c in itertools.product(*map(range, upstream.shape)):
        rows = slice(max(0, i * sh - ph), min(height, i * sh - ph + kh))
        columns = slice(max(0, j * sw - pw), min(width, j * sw - pw + kw))
        y[n, i, j, c], shares = choose(x[n, rows, columns, c], kh * kw)
        grad[n, rows, columns, c] += shares * upstream[n, i, j, c]
    return y, grad


def greatest(window, size):
    shares = np.zeros(window.shape)
    shares.flat[window.argmax()] = 1  # the first, row by row
    return window.max(), shares


def mean(window, size):
    return window.sum() / size, np.full(window.shape, 1 / size)


def mean_inside(window, size):
    return window.mean(), np.full(window.shape, 1 / window.size)


@st.composite
def windows(draw, axes=2):
    """Draw (sizes, kernel, stride, padding) of which at least one window fits."""
    number = lambda least, most: st.tuples(*[st.integers(least, most)] * axes)  # noqa: E731
    sizes, kernel, stride = draw(number(1, 9)), draw(number(1, 4)), draw(number(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    assume(all(n + 2 * p >= k for n, p, k in zip(sizes, padding, kernel, strict=True)))
    return sizes, kernel, stride, padding


def few_values(seed, shape, dtype=np.float64):
    """Draw from four values, so that there are ties."""
    return np.random.default_rng(seed).integers(-2, 2, shape).astype(dtype)


PLAIN = {
    "max": (cr.MaxPool2d, greatest),
    "mean": (cr.AvgPool2d, mean),
    "inside": (lambda *args, **kw: cr.AvgPool2d(*args, **kw, count_padding=False), mean_inside),
}


@pytest.mark.parametrize("kind", PLAIN)
@given(windows(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
@example(((5, 5), (3, 3), (2, 2), (1, 1)), 2, 2, 0)
@example(((7, 6), (2, 2), (3, 3), (1, 1)), 1, 1, 1)
@settings(max_examples=30, deadline=None)
def test_beside_plain_loops(kind, window, samples, channels, seed):
    sizes, kernel, stride, padding = window
    build, choose = PLAIN[kind]
    layer = build(kernel, stride, padding=padding)
    x = few_values(seed, (samples, *sizes, channels))
    y = layer.forward(x)
    upstream = np.random.default_rng(seed).standard_normal(y.shape)
    plain_y, plain_grad = plain_pool(x, upstream, kernel, stride, padding, choose)
    np.testing.assert_allclose(y, plain_y, rtol=1e-13)
    np.testing.assert_allclose(layer.backward(upstream), plain_grad, rtol=1e-12, atol=1e-14)


def beside(torch, layer, function, x, seed, **options):
    """Hold a layer against PyTorch's function: output and input gradient."""
    tensor = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch.nn.functional, function)(tensor.movedim(-1, 1), **options)
    theirs = theirs.movedim(1, -1)
    upstream = np.random.default_rng(seed).standard_normal(tuple(theirs.shape)).astype(x.dtype)
    theirs.backward(torch.tensor(upstream))
    y = layer.forward(x)
    tolerance = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}[x.dtype]
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        layer.backward(upstream), tensor.grad.numpy(), rtol=10 * tolerance, atol=10 * tolerance
    )


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_beside_pytorch(torch, axes, dtype, data):
    sizes, kernel, stride, padding = data.draw(windows(axes))
    seed = data.draw(st.integers(0, 99))
    x = few_values(seed, (2, *sizes, 3), dtype)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding}
    maximum, average = getattr(cr, f"MaxPool{axes}d"), getattr(cr, f"AvgPool{axes}d")
    beside(torch, maximum(kernel, stride, padding=padding), f"max_pool{axes}d", x, seed, **options)
    for count in (True, False):
        layer = average(kernel, stride, padding=padding, count_padding=count)
        beside(torch, layer, f"avg_pool{axes}d", x, seed, count_include_pad=count, **options)


@pytest.mark.parametrize("axes", [1, 2])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_adaptive_beside_pytorch(torch, axes, data):
    """Also where more windows are asked for than there are places."""
    number = st.tuples(*[st.integers(1, 9)] * axes)
    sizes, output, seed = data.draw(number), data.draw(number), data.draw(st.integers(0, 99))
    x = np.random.default_rng(seed).standard_normal((2, *sizes, 3))
    layer = getattr(cr, f"AdaptiveAvgPool{axes}d")(output)
    beside(torch, layer, f"adaptive_avg_pool{axes}d", x, seed, output_size=output)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_global_average(sizes, channels):
    x = np.random.default_rng(0).standard_normal((3, *sizes, channels))
    layer = cr.GlobalAvgPool()
    y = layer.forward(x)
    np.testing.assert_allclose(y, x.mean(axis=tuple(range(1, x.ndim - 1))), atol=1e-14)
    grad = layer.backward(y)
    assert grad.shape == x.shape
    np.testing.assert_allclose(grad.reshape(3, -1, channels).sum(1), y, atol=1e-14)


@pytest.mark.parametrize("x", [[[0, 1], [1, 0]], [[1, 1], [1, 1]], [[0, 0], [2, 2]]])
def test_at_a_tie_the_first_wins_row_by_row(x):
    x = np.array(x, np.float32)[None, :, :, None]
    layer = cr.MaxPool2d(2)
    layer.forward(x)
    grad = layer.backward(np.full((1, 1, 1, 1), 7, np.float32))
    assert grad.ravel().tolist() == [7.0 * (i == x.argmax()) for i in range(4)]


@pytest.mark.parametrize("value", [-5.0, -1e30, -np.inf])
def test_padding_never_wins(value):
    """Not against very negative inputs, nor against -inf: the gradient goes to an input."""
    x = np.full((2, 3, 3, 2), value)
    layer = cr.MaxPool2d(2, padding=1)
    np.testing.assert_array_equal(layer.forward(x), np.full((2, 2, 2, 2), value))
    assert layer.backward(np.ones((2, 2, 2, 2))).sum() == 16


def test_a_nan_shows_in_its_windows_alone():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    x[0, 0, 1, 0] = np.nan
    for layer in (cr.MaxPool2d(2), cr.AvgPool2d(2), cr.AdaptiveAvgPool2d(2)):
        assert np.isnan(layer.forward(x)).ravel().tolist() == [True, False, False, False]


def test_windows_of_more_than_a_byte_can_count():
    """What is kept says which position won: 256 of them are more than 8 bits tell apart."""
    x = np.zeros((1, 20, 20, 1))
    x[0, 19, 18, 0] = 1
    layer = cr.MaxPool2d(20)
    assert layer.forward(x).item() == 1
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 1, 1))), x)
    x[0, 19, 18, 0] = -1
    layer.forward(x)
    assert layer.backward(np.ones((1, 1, 1, 1)))[0, 0, 0, 0] == 1


def test_half_precision_does_not_overflow_in_a_sum():
    x = np.full((1, 16, 16, 1), 6e4, np.float16)
    for layer in (cr.AvgPool2d(8), cr.GlobalAvgPool(), cr.AdaptiveAvgPool2d(3)):
        y = layer.forward(x)
        assert y.dtype == np.float16
        assert (y == x[0, 0, 0, 0]).all()


@pytest.mark.parametrize(
    "pool",
    [
        lambda: cr.MaxPool2d(2),
        lambda: cr.MaxPool2d(3, 2, padding=1),
        lambda: cr.AvgPool2d(3, 2, padding=1, count_padding=False),
        lambda: cr.AdaptiveAvgPool2d(2),
    ],
)
def test_in_a_model_that_trains(pool, rng):
    """Buffers are reused there, also over mini-batches of several sizes."""
    net = cr.Model(
        [pool(), cr.Linear(1, 8), cr.Tanh(), cr.GlobalAvgPool(), cr.Linear(8, 2)],
        cr.SoftmaxCrossEntropy(),
    )
    y = np.arange(60) % 2
    x = rng.standard_normal((60, 6, 6, 1)) + y[:, None, None, None]
    batches = [(x[:25], y[:25]), (x[25:32], y[25:32]), (x[32:], y[32:])]
    history = cr.train(net, None, 20, batches, optimizer=cr.Adam(0.02), verbose=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    np.testing.assert_array_equal(net.predict(x, batch_size=7), net.predict(x, batch_size=60))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: cr.MaxPool2d(0), r"MaxPool2d: kernel_size must be a whole number, or 2.*got 0"),
        (lambda: cr.MaxPool2d((2, 2, 2)), "kernel_size"),
        (lambda: cr.MaxPool2d("2"), "kernel_size"),
        (lambda: cr.MaxPool2d(2.0), "kernel_size"),
        (lambda: cr.AvgPool1d((2, 2)), r"AvgPool1d: kernel_size must be a whole number, at least"),
        (lambda: cr.MaxPool2d(2, 0), "stride"),
        (lambda: cr.MaxPool2d(2, padding=-1), r"padding must be.*or 2 of.*at least 0"),
        (lambda: cr.MaxPool2d(3, padding=2), r"MaxPool2d\(3, padding=2\).*at most half the kernel"),
        (lambda: cr.AdaptiveAvgPool2d(0), "output_size"),
        (lambda: cr.MaxPool2d(2).forward(np.zeros((3, 8, 8))), r"x\[\.\.\., None\]"),
        (lambda: cr.MaxPool2d(2).forward(np.zeros((3, 8))), r"height, width.*\(3, 8\)"),
        (lambda: cr.AvgPool1d(2).forward(np.zeros((3, 8))), r"steps.*\(3, 8\).*x\[\.\.\., None\]"),
        (lambda: cr.AvgPool2d(4).forward(np.zeros((1, 3, 9, 1))), r"\(4\).*\(1, 3, 9, 1\)"),
        (lambda: cr.GlobalAvgPool().forward(np.zeros((3, 8))), r"GlobalAvgPool\(\).*\(3, 8\)"),
        (lambda: cr.GlobalAvgPool().forward(np.zeros((3, 0, 8))), r"\(3, 0, 8\)"),
        (lambda: cr.AdaptiveAvgPool2d(2).forward(np.zeros((3, 0, 8, 1))), "nothing to average"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(act, words):
    with pytest.raises(ValueError, match=words):
        act()


def test_the_shortest_code():
    assert repr(cr.MaxPool2d(2)) == "MaxPool2d(2)"
    assert repr(cr.MaxPool2d((3, 2), 2, padding=1)) == "MaxPool2d([3, 2], stride=2, padding=1)"
    assert repr(cr.AvgPool1d(2, count_padding=False)) == "AvgPool1d(2, count_padding=False)"
