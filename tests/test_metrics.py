"""How good the answers are; and the normal distribution that GELU needs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *
from chainrule.layers.normal import normal
from chainrule.metrics import accuracy, confusion_matrix, labels


def test_accuracy_by_hand():
    assert accuracy([1, 0, 2, 2], [1, 0, 2, 0]) == 0.75
    assert accuracy([1, 0], np.array([[0.2, 0.8], [0.9, 0.1]])) == 1
    assert accuracy([1, 0], np.array([[1.0], [1.0]])) == 0.5
    assert accuracy([[1, 0], [1, 1]], [[1, 0], [0, 1]]) == 0.75
    assert accuracy([[1, 0], [1, 1]], np.eye(2)[[[1, 0], [0, 1]]]) == 0.75
    assert isinstance(accuracy([1], [1]), float)


@pytest.mark.parametrize(
    ("predicted", "targets", "words"),
    [
        ([1, 0], [1, 0, 1], r"one shape.*\(2,\).*\(3,\)"),
        ([], [], "at least one"),
        ([[1, 0]], [1, 0], "one shape"),
    ],
)
def test_accuracy_refuses(predicted, targets, words):
    with pytest.raises(ValueError, match=words):
        accuracy(predicted, targets)


def test_labels():
    np.testing.assert_array_equal(labels(np.eye(3)[[2, 0]]), [2, 0])
    np.testing.assert_array_equal(labels(np.array([1.0, 0.0])), [1, 0])
    np.testing.assert_array_equal(labels([[1], [0]]), [1, 0])
    np.testing.assert_array_equal(labels([True, False]), [1, 0])


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_confusion_matrix_by_counting(classes, samples, seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, (2, samples))
    counts = confusion_matrix(predicted, true, classes)
    expected = np.zeros((classes, classes), int)
    for t, p in zip(true, predicted, strict=True):
        expected[t, p] += 1
    np.testing.assert_array_equal(counts, expected)
    assert counts.trace() / samples == pytest.approx(accuracy(predicted, true))
    one_hot = np.eye(classes)[true]
    if classes > 1:
        np.testing.assert_array_equal(confusion_matrix(predicted, one_hot, classes), counts)


def test_confusion_matrix_beside_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    np.testing.assert_array_equal(
        confusion_matrix(predicted, true, 5), sklearn.confusion_matrix(true, predicted)
    )


@pytest.mark.parametrize("predicted", [[0, 4], [-1, 0]])
def test_classes_that_are_not_there(predicted):
    with pytest.raises(ValueError, match="0 to 3"):
        confusion_matrix(predicted, [0, 1], 4)
    with pytest.raises(ValueError, match="0 to 3"):
        confusion_matrix([0, 1], predicted, 4)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_accuracy_of_yes_or_no_with_soft_targets(outputs, rng):
    """A target of 0.9 is a yes."""
    z = rng.standard_normal((20, outputs))
    yes = rng.integers(0, 2, (20, outputs))
    model = Model([Flatten()], BinaryCrossEntropy())
    expected = float(((z > 0) == yes).mean())
    for targets in (yes, yes.astype(float), 0.1 + 0.8 * yes):
        assert evaluate(model, (z, targets))["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_accuracy_of_sequences(steps, rng):
    z, t = rng.standard_normal((5, steps, 3)), rng.integers(0, 3, (5, steps))
    model = Model([Dropout(0.0)], SoftmaxCrossEntropy())
    expected = (z.argmax(axis=-1) == t).mean()
    for targets in (t, np.eye(3)[t]):
        assert evaluate(model, (z, targets))["accuracy"] == pytest.approx(expected)


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
