"""Windows taken together give what they give one by one."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import correlation
from chainrule.layers.bands import neighbours
from chainrule.layers.windows import Window

# Layer, height and width of its images, number of its windows along the width.
LAYERS = {
    "LeNet's first": (lambda: cr.Conv2d(1, 6, 5), (7, 16), 12),
    "LeNet's second": (lambda: cr.Conv2d(6, 16, 5), (6, 12), 8),
    "same": (lambda: cr.Conv2d(3, 4, 3, padding="same"), (5, 6), 6),
    "even kernel": (lambda: cr.Conv2d(2, 3, (2, 4), padding="same"), (4, 6), 6),
    "stride": (lambda: cr.Conv2d(2, 3, 3, stride=2, padding=1), (7, 12), 6),
    "more stride than kernel": (lambda: cr.Conv2d(2, 3, 2, stride=3), (5, 18), 6),
    "dilation": (lambda: cr.Conv2d(2, 3, 3, dilation=2, padding=(2, 1)), (6, 8), 6),
    "both": (lambda: cr.Conv2d(2, 3, (2, 3), stride=(2, 3), dilation=(1, 2)), (6, 20), 6),
    "sequence": (lambda: cr.Conv1d(2, 3, 3), (14,), 12),
    "up": (lambda: cr.ConvTranspose2d(3, 2, 4, stride=2, padding=1), (3, 6), 6),
    "up, one by one": (lambda: cr.ConvTranspose2d(2, 3, 3), (3, 6), 6),
}


def passes(make, lengths, dtype):
    rng = np.random.default_rng(1)
    layer = make().astype(dtype)
    layer.rng = np.random.default_rng(2)
    x = rng.standard_normal((9, *lengths, layer.n_in)).astype(dtype)
    y = layer.forward(x)
    grad_x = layer.backward(rng.standard_normal(y.shape).astype(dtype))
    return y, grad_x, layer.grad_w, layer.grad_b


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("name", LAYERS)
def test_together_as_one_by_one(name, count, dtype, monkeypatch):
    make, lengths, windows = LAYERS[name]
    asked = []

    def at_most(window, steps, channels, outputs, sent=False):
        asked.append(steps)
        return count if steps % count == 0 else 1

    monkeypatch.setattr(correlation, "neighbours", lambda *_, **__: 1)
    plain = passes(make, lengths, dtype)
    monkeypatch.setattr(correlation, "neighbours", at_most)
    for a, b in zip(plain, passes(make, lengths, dtype), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=32 * np.finfo(dtype).eps * np.abs(a).max())
    assert windows in asked


def test_a_mini_batch_may_be_empty():
    layer = cr.Conv2d(1, 6, 5)
    y = layer.forward(np.zeros((0, 12, 12, 1), np.float32))
    assert y.shape == (0, 8, 8, 6)
    assert layer.backward(y).shape == (0, 12, 12, 1)
    assert not layer.grad_w.any()


@pytest.mark.parametrize("steps", [1, 7, 24, 223])
def test_neighbours_fill_the_width(steps):
    counts = [
        neighbours(Window((k, k), (s, s)), steps, channels, outputs)
        for k in (1, 2, 3, 5) for s in (1, 2) for channels in (1, 3, 64) for outputs in (1, 6, 64)
    ]  # fmt: skip
    assert all(steps % count == 0 for count in counts)


def test_what_is_not_finite_reaches_the_neighbours_and_no_further():
    """It is said in ``bands.py``: zero times infinity is not a number."""
    layer = cr.Conv2d(1, 6, 5)
    x = np.zeros((8, 28, 28, 1), np.float32)
    x[0, 14, 0] = np.nan
    y = layer.forward(x)
    assert np.isfinite(y[1:]).all()
    assert np.isfinite(y[0, :10]).all()
    assert np.isfinite(y[0, 15:]).all()
    assert np.isfinite(y[0, :, 8:]).all()
    assert np.isnan(y[0, 10:15, 0]).all()


@pytest.mark.parametrize(("n_in", "n_out", "length"), [(1, 6, 28), (6, 16, 12)])
def test_lenets_layers_against_pytorch(n_in, n_out, length):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    layer = cr.Conv2d(n_in, n_out, 5).astype(np.float64)
    x = rng.standard_normal((8, length, length, n_in))
    y = layer.forward(x)
    grad = rng.standard_normal(y.shape)
    grad_x = layer.backward(grad)
    tensors = [
        torch.tensor(array.copy(), requires_grad=True)
        for array in (np.moveaxis(x, -1, 1), layer.weights.transpose(3, 2, 0, 1), layer.biases)
    ]
    theirs = torch.nn.functional.conv2d(*tensors)
    theirs.backward(torch.tensor(np.moveaxis(grad, -1, 1).copy()))
    pairs = [
        (y, np.moveaxis(theirs.detach().numpy(), 1, -1)),
        (grad_x, np.moveaxis(tensors[0].grad.numpy(), 1, -1)),
        (layer.grad_w, tensors[1].grad.numpy().transpose(2, 3, 1, 0)),
        (layer.grad_b, tensors[2].grad.numpy()),
    ]
    for ours, expected in pairs:
        np.testing.assert_allclose(ours, expected, atol=1e-11)
