"""The compiled max pooling is NumPy's: the same values, and the same places win."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.compiled

CASES = {
    "LeNet's first": (lambda: cr.MaxPool2d(2), (3, 12, 10, 6)),  # few channels: NumPy's forward
    "LeNet's second": (lambda: cr.MaxPool2d(2), (3, 8, 8, 16)),
    "rows unseen": (lambda: cr.MaxPool2d((3, 2)), (2, 8, 7, 9)),
    "overlap": (lambda: cr.MaxPool2d(3, 2), (2, 9, 8, 8)),
    "padding": (lambda: cr.MaxPool2d((2, 3), (1, 2), padding=1), (2, 5, 6, 8)),
    "gaps": (lambda: cr.MaxPool2d(2, 3), (2, 8, 9, 8)),
    "large": (lambda: cr.MaxPool2d((17, 16), 1), (1, 18, 17, 8)),  # ranks of two bytes
    "sequence": (lambda: cr.MaxPool1d(3, 2, padding=1), (2, 9, 8)),
}


@pytest.fixture
def compiled():
    pytest.importorskip("numba", reason="numba is not installed: pip install 'chainrule[compiled]'")
    yield chainrule.compiled
    chainrule.compiled.disable()


def values(kind, shape, dtype):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(shape).astype(dtype)
    if kind == "ties":
        return np.maximum(x, 0)
    if kind == "strange":
        for value in (np.nan, np.inf, -np.inf):
            x[rng.random(shape) < 0.2] = value
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("kind", ["distinct", "ties", "strange"])
@pytest.mark.parametrize("name", CASES)
def test_as_numpys(name, kind, dtype, compiled):
    make, shape = CASES[name]
    x = values(kind, shape, dtype)
    before = x.copy()

    def passes():
        layer = make()
        y = layer.forward(x)
        winner = layer.winner.copy()
        grad = np.random.default_rng(6).standard_normal(y.shape).astype(dtype)
        grad_x = layer.backward(grad)
        layer.training = False
        return y, winner, layer.forward(x), grad_x

    numpy = passes()
    compiled.enable()
    *same, grad_x = passes()
    for a, b in zip(numpy, same, strict=False):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(b, a)
    # An input in several windows gets their gradients in another order.
    np.testing.assert_allclose(
        grad_x, numpy[3], atol=8 * np.finfo(dtype).eps * np.abs(grad_x).max()
    )
    np.testing.assert_array_equal(x, before)


def test_against_pytorch(compiled):
    torch = pytest.importorskip("torch")
    compiled.enable()
    x = np.random.default_rng(7).standard_normal((4, 11, 9, 12), dtype=np.float32)
    layer = cr.MaxPool2d(3, 2, padding=1)
    y = layer.forward(x)
    grad = np.random.default_rng(8).standard_normal(y.shape, dtype=np.float32)
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    theirs = torch.nn.functional.max_pool2d(tensor, 3, 2, padding=1)
    theirs.backward(torch.tensor(np.moveaxis(grad, -1, 1).copy()))
    np.testing.assert_array_equal(y, np.moveaxis(theirs.detach().numpy(), 1, -1))
    expected = np.moveaxis(tensor.grad.numpy(), 1, -1)
    np.testing.assert_allclose(layer.backward(grad), expected, atol=1e-5)


def test_forms_may_change_between_the_passes(compiled):
    x = np.random.default_rng(9).standard_normal((2, 6, 6, 8))
    layer = cr.MaxPool2d(2)
    expected = [layer.forward(x), layer.backward(layer.forward(x))]
    for first, then in ((compiled.enable, compiled.disable), (compiled.disable, compiled.enable)):
        first()
        y = layer.forward(x)
        then()
        np.testing.assert_array_equal(layer.backward(y), expected[1])
        np.testing.assert_array_equal(y, expected[0])


def test_what_numpys_form_refuses_or_takes(compiled):
    compiled.enable()
    layer = cr.MaxPool2d(2)
    with pytest.raises(ValueError, match="the input must be"):
        layer.forward(np.ones((4, 4, 8)))
    with pytest.raises(ValueError, match="larger than the input"):
        layer.forward(np.ones((1, 1, 1, 8)))
    layer.forward(np.ones((2, 4, 4, 8)))
    with pytest.raises(ValueError, match="broadcast"):
        layer.backward(np.ones((3, 2, 2, 8)))
    assert layer.forward(np.ones((0, 4, 4, 8))).shape == (0, 2, 2, 8)
    turned = np.arange(2 * 8 * 4 * 4.0).reshape(2, 8, 4, 4).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(layer.forward(turned), turned[:, 1::2, 1::2])
