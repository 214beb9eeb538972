"""How parameters are first drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *
from chainrule.initializers import INITIALIZERS, fans, initializer, orthogonal

each = pytest.mark.parametrize("name", INITIALIZERS)
RANDOM = [name for name in INITIALIZERS if name != "zeros"]


@each
@pytest.mark.parametrize("shape", [(30, 40), (40, 30), (3, 3, 8, 16)])
def test_mean_and_variance(name, shape):
    values = initializer(name)(np.random.default_rng(1), shape)
    n_in, n_out = fans(shape)
    variance = {
        "he": 2 / n_in,
        "lecun": 1 / n_in,
        "glorot": 2 / (n_in + n_out),
        "orthogonal": 1 / max(math.prod(shape[:-1]), shape[-1]),
        "zeros": 0,
    }[name]
    assert values.shape == shape
    assert values.dtype == np.float64
    assert values.var() == pytest.approx(variance, rel=0.2)
    # Five standard errors of the mean.
    assert abs(values.mean()) <= 5 * math.sqrt(variance / values.size)


@each
def test_the_generator_alone_decides(name):
    draws = [initializer(name)(np.random.default_rng(seed), (4, 5)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.array_equal(draws[0], draws[2]) == (name == "zeros")


@each
def test_a_generator_goes_on(name):
    """Two layers of one net must not start alike."""
    rng = np.random.default_rng(1)
    first, second = (initializer(name)(rng, (4, 5)) for _ in range(2))
    assert np.array_equal(first, second) == (name == "zeros")


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_orthogonal_is(n_in, n_out, seed):
    weights = orthogonal(np.random.default_rng(seed), (n_in, n_out))
    gram = weights.T @ weights if n_in >= n_out else weights @ weights.T
    np.testing.assert_allclose(gram, np.eye(min(n_in, n_out)), atol=1e-12)


def test_glorot_stays_within_its_limit():
    weights = initializer("glorot")(np.random.default_rng(0), (50, 70))
    limit = math.sqrt(6 / 120)
    assert 0.99 * limit < np.abs(weights).max() <= limit


def test_fans():
    assert fans((784, 100)) == (784, 100)
    assert fans((3, 5, 16, 32)) == (240, 480)
    for shape in ((), (3,)):
        with pytest.raises(ValueError, match=r"n_in, n_out"):
            fans(shape)
    for name in RANDOM:
        with pytest.raises(ValueError, match=r"n_in, n_out.*\(3,\)"):
            initializer(name)(np.random.default_rng(0), (3,))


@pytest.mark.parametrize("name", ["hee", "", "HE", None, 3])
def test_an_unknown_name(name):
    with pytest.raises(ValueError, match=r"unknown initializer .*he, glorot, lecun, orthogonal"):
        initializer(name)


@each
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_linear_draws_by_its_name(name, dtype):
    layer = Linear(6, 5, initializer=name)
    net = Model([layer], MeanSquaredError(), dtype=dtype, seed=9)
    expected = initializer(name)(np.random.default_rng(9), (6, 5))
    np.testing.assert_array_equal(layer.weights, expected.astype(dtype))
    assert not layer.biases.any()
    assert layer.weights.base is net.parameters


def test_he_keeps_the_size_of_a_signal_through_many_relus(rng):
    layers = [layer for _ in range(20) for layer in (Linear(128, 128), ReLU())]
    x = rng.standard_normal((256, 128)).astype(np.float32)
    y = Model(layers, MeanSquaredError()).predict(x)
    assert 0.1 < (y**2).mean() / (x**2).mean() < 10


def test_two_layers_of_a_net_do_not_start_alike():
    first, second = Model([Linear(5, 5), Linear(5, 5)], MeanSquaredError()).layers
    assert not np.array_equal(first.weights, second.weights)


def test_nor_do_two_layers_of_a_container_that_stands_alone():
    block = Sequential([Linear(5, 5), Linear(5, 5)])
    block.forward(np.ones((2, 5), np.float32))
    first, second = block.layers
    assert not np.array_equal(first.weights, second.weights)


def test_nor_do_two_masks_of_a_container_that_stands_alone():
    block = Sequential([Dropout(0.5), Dropout(0.5)])
    block.forward(np.ones((20, 20), np.float32))
    first, second = (layer.mask for layer in block.layers)
    assert not np.array_equal(first, second)


def test_drawing_anew():
    layer = Linear(3, 2)
    layer.weights = np.ones((3, 2))
    layer.initialize(np.random.default_rng(5))
    np.testing.assert_array_equal(
        layer.weights, initializer("he")(np.random.default_rng(5), (3, 2)).astype(np.float32)
    )


def test_drawing_what_is_missing_keeps_what_was_set():
    layer = Linear(3, 2)
    layer.biases = np.array([5.0, 6.0])
    layer.draw_missing(np.random.default_rng(0))
    np.testing.assert_array_equal(layer.biases, [5, 6])
    assert layer.weights.any()
