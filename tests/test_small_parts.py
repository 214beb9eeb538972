"""Initialisers, metrics, optimisers' refusals, the normal distribution."""

import math

import numpy as np
import pytest

from chainrule import SGD, Adam, AdamW, Linear
from chainrule.initializers import INITIALIZERS, fans, initializer
from chainrule.layers.normal import normal
from chainrule.metrics import accuracy, confusion_matrix, labels


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(30, 40), (40, 30), (3, 3, 8, 16)])
def test_initializers(name, shape):
    draw = initializer(name)
    first, same = (draw(np.random.default_rng(1), shape) for _ in range(2))
    assert first.shape == shape
    np.testing.assert_array_equal(first, same)
    n_in, n_out = fans(shape)
    variance = {
        "he": 2 / n_in,
        "lecun": 1 / n_in,
        "glorot": 2 / (n_in + n_out),
        "orthogonal": 1 / max(math.prod(shape[:-1]), shape[-1]),
        "zeros": 0,
    }[name]
    assert first.var() == pytest.approx(variance, rel=0.2)


def test_an_unknown_initializer_is_named():
    with pytest.raises(ValueError, match=r"'hee'.*he, glorot"):
        Linear(2, 2, initializer="hee").draw_missing(np.random.default_rng(0))
    with pytest.raises(ValueError, match="n_in, n_out"):
        initializer("he")(np.random.default_rng(0), (3,))


def test_the_normal_distribution():
    x = np.linspace(-37, 37, 5001)
    cdf, density = normal(x)
    expected = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    # exp(-x^2 / 2) itself errs by x^2 / 2 roundings, far out in the tail.
    tolerance = 1e-14 + np.finfo(float).eps * x * x
    assert (np.abs(cdf / expected - 1) <= tolerance).all()
    np.testing.assert_allclose(density, np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    single, _ = normal(x[np.abs(x) < 6].astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected[np.abs(x) < 6], rtol=3e-6)


def test_accuracy():
    assert accuracy([1, 0, 2, 2], [1, 0, 2, 0]) == 0.75
    assert accuracy([1, 0], np.array([[0.2, 0.8], [0.9, 0.1]])) == 1
    assert accuracy([1, 0], np.array([[1.0], [1.0]])) == 0.5
    assert accuracy([[1, 0], [1, 1]], [[1, 0], [0, 1]]) == 0.75
    with pytest.raises(ValueError, match="one shape"):
        accuracy([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="at least one"):
        accuracy([], [])


def test_labels():
    np.testing.assert_array_equal(labels(np.eye(3)[[2, 0]]), [2, 0])
    np.testing.assert_array_equal(labels(np.array([1.0, 0.0])), [1, 0])


def test_confusion_matrix_beside_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    np.testing.assert_array_equal(
        confusion_matrix(predicted, true, 5), sklearn.confusion_matrix(true, predicted)
    )
    with pytest.raises(ValueError, match="0 to 3"):
        confusion_matrix(predicted, true, 4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(0), "greater than 0"),
        (lambda: SGD(0.1, 1.0), "below 1"),
        (lambda: SGD(0.1, nesterov=True), "nesterov"),
        (lambda: SGD(0.1, weight_decay=-1), "weight_decay"),
        (lambda: Adam(betas=(0.9, 1.0)), "betas"),
        (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: AdamW(weight_decay=-0.1), "weight_decay"),
    ],
)
def test_optimizers_refuse_nonsense(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_optimizers_keep_the_gradients_and_the_type():
    for optimizer in (SGD(0.1, 0.9, nesterov=True, weight_decay=0.1), Adam(), AdamW()):
        parameters, gradients = np.ones(5, np.float32), np.full(5, 0.5, np.float32)
        for _ in range(3):
            optimizer.step(parameters, gradients)
        assert (gradients == 0.5).all()
        assert parameters.dtype == np.float32
        assert all(state.dtype == np.float32 for state in optimizer.state.values())
    with pytest.raises(ValueError, match="gradients"):
        SGD().step(np.ones(3), np.ones(4))


def test_repr_of_optimizers():
    assert repr(SGD(0.1, 0.9)) == "SGD(0.1, momentum=0.9)"
    assert repr(AdamW()) == "AdamW()"
