"""Embedding: indices of any kind, its gradient, padding, and the way to it through a model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr


def plain_gradient(indices, grad, n_tokens):
    """Add each place's gradient to the row of its token, one after the other."""
    grad_w = np.zeros((n_tokens, grad.shape[-1]), grad.dtype)
    for place in np.ndindex(indices.shape):
        grad_w[indices[place]] += grad[place]
    return grad_w


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@given(st.data(), shapes, st.integers(1, 9), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_gradient_is_the_plain_sum(data, shape, n_tokens, width):
    rng = np.random.default_rng(0)
    padding = data.draw(st.none() | st.integers(0, n_tokens - 1))
    layer = cr.Embedding(n_tokens, width, padding=padding).astype("float64")
    indices = rng.integers(0, n_tokens, shape)
    y = layer.forward(indices)
    expected = layer.weights[indices]
    assert y.shape == (*shape, width)
    grad = rng.standard_normal(y.shape)
    grad_x = layer.backward(grad)
    plain = plain_gradient(indices, grad, n_tokens)
    if padding is not None:
        expected[indices == padding] = 0
        plain[padding] = 0
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(layer.grad_w, plain, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(grad_x, np.zeros(shape))


@pytest.mark.parametrize("padding", [None, 2])
def test_beside_torch(padding, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    layer = cr.Embedding(6, 4, padding=padding)
    theirs = torch.nn.Embedding(6, 4, padding_idx=padding)
    theirs.weight.data = torch.tensor(layer.weights.copy())
    x = rng.integers(0, 6, (5, 7))
    grad = rng.standard_normal((5, 7, 4)).astype(np.float32)
    y = theirs(torch.tensor(x))
    y.backward(torch.tensor(grad))
    np.testing.assert_allclose(layer.forward(x), y.detach().numpy())
    layer.backward_parameters(grad)
    np.testing.assert_allclose(layer.grad_w, theirs.weight.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_the_row_of_padding_stays_zero_in_training(rng):
    net = cr.Model(
        [cr.Embedding(5, 3, padding=0), cr.Flatten(), cr.Linear(12, 2)], cr.SoftmaxCrossEntropy()
    )
    x, y = rng.integers(0, 5, (20, 4)), rng.integers(0, 2, 20)
    before = net.layers[0].weights.copy()
    cr.train(net, None, 3, [(x, y)], optimizer=cr.Adam(0.01), verbose=False)
    np.testing.assert_array_equal(net.layers[0].weights[0], 0)
    assert (net.layers[0].weights[1:] != before[1:]).all()


def test_a_gradient_is_stored_anew_each_time(rng):
    layer = cr.Embedding(4, 2)
    for token in (1, 3):
        layer.forward(np.array([token]))
        layer.backward(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(layer.grad_w, [[0, 0], [0, 0], [0, 0], [1, 1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float64, bool])
def test_any_type_of_index(dtype):
    layer = cr.Embedding(3, 2)
    x = np.array([[0, 1], [1, 0]])
    np.testing.assert_array_equal(layer.forward(x.astype(dtype)), layer.forward(x))


def test_large_indices_reach_the_layer_through_a_model():
    """As float16, 2049 would be 2048."""
    layers = [cr.Sequential([cr.Embedding(2050, 1)])]
    net = cr.Model(layers, cr.MeanSquaredError(), dtype="float16")
    net.parameters[2048:] = [3, 7]
    np.testing.assert_array_equal(net.predict(np.array([2048, 2049])), [[3], [7]])
    np.testing.assert_array_equal(net.forward(np.array([[2049]])), [[[7]]])


def test_only_indices_stay_whole_numbers():
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    assert net.predict(np.array([[1, 2]])).dtype == np.float32
    assert not cr.Sequential([cr.Linear(2, 1), cr.Embedding(2, 1)]).takes_integers


def test_the_checker_takes_indices(rng):
    x, y = rng.integers(0, 4, (5, 3)), rng.integers(0, 2, (5, 3))
    assert cr.check_gradients(cr.Embedding(4, 2), x).ok
    net = cr.Model([cr.Embedding(4, 3), cr.Linear(3, 2)], cr.SoftmaxCrossEntropy())
    report = cr.check_gradients(net, x, y)
    assert report.ok, report.text()
    assert [f.name for f in report.findings] == ["0.weights", "1.weights", "1.biases"]


def test_summary_and_file(tmp_path, rng):
    net = cr.Model([cr.Embedding(7, 3, padding=6), cr.Linear(3, 2)], cr.MeanSquaredError())
    assert "Embedding(7, 3, padding=6)  (4, 3)                21" in net.summary(4)
    net.save(tmp_path / "net.safetensors")
    x = rng.integers(0, 7, (3, 4))
    np.testing.assert_array_equal(cr.load(tmp_path / "net.safetensors").predict(x), net.predict(x))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.array([[0, 5]]), r"Embedding\(5, 2\): token indices must be from 0 to 4, got 5"),
        (np.array([-1, 2]), "from 0 to 4, got -1"),
        (np.array([0.0, 1.5]), "whole numbers, got 1.5. Use Linear"),
        (np.array([np.nan]), "whole numbers, got nan"),
        (np.array([np.inf]), "whole numbers, got inf"),
        (np.array(3), "axis of samples"),
    ],
)
def test_wrong_indices(x, words):
    with pytest.raises(ValueError, match=words):
        cr.Embedding(5, 2).forward(x)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: cr.Embedding(0, 2), ValueError, "at least 1"),
        (lambda: cr.Embedding(2, 0), ValueError, "at least 1"),
        (lambda: cr.Embedding(2.0, 2), TypeError, "whole numbers"),
        (lambda: cr.Embedding(3, 2, padding=3), ValueError, "index from 0 to 2, got 3"),
        (lambda: cr.Embedding(3, 2, padding=-1), ValueError, "index from 0 to 2"),
        (lambda: cr.Embedding(3, 2, padding=0.5), TypeError, "whole numbers"),
    ],
)
def test_wrong_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()
