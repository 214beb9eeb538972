"""Data that are odd: what works, and what the error says of the rest."""

import math

import numpy as np
import pytest

from chainrule import *
from chainrule.data import FileBatches

RNG = np.random.default_rng(0)
X = RNG.standard_normal((10, 3))
Y = np.arange(10) % 2
V = X[:, :1]


def holed(array, value):
    array = array.copy()
    array[4, 0] = value
    return array


def classifier(*more):
    return Model([Linear(3, 4), *more, ReLU(), Linear(4, 2)], SoftmaxCrossEntropy())


def regressor():
    return Model([Linear(3, 1)], MeanSquaredError())


def normalised():
    return classifier(BatchNorm(4))


NUMBERS = "the inputs must be numbers"
CLASSES = r"SoftmaxCrossEntropy: the targets must be class indices \(integers\)"
WORKS = None

# The net, inputs, targets; what train says, and what evaluate says ("nan": the loss it finds).
CASES = {
    "no sample": (classifier, X[:0], Y[:0], "no sample in the data", "no sample in the data"),
    "one class only": (classifier, X, Y * 0, WORKS, WORKS),
    "a batch larger than the data": (classifier, X[:3], Y[:3], WORKS, WORKS),
    "labels too high": (classifier, X, Y + 1, "must be 0 to 1, got 1 to 2", "0 to 1, got 1 to 2"),
    "labels below 0": (classifier, X, Y - 1, "must be 0 to 1, got -1 to 0", "0 to 1, got -1 to 0"),
    "a last batch of one, normalised": (normalised, X[:9], Y[:9], "drop_last=True", WORKS),
    "objects": (classifier, X.astype(object), Y, NUMBERS, NUMBERS),
    "rows of several lengths": (
        classifier, np.array([[1, 2], [1]], dtype=object), Y[:2], NUMBERS, NUMBERS
    ),
    "NaN": (classifier, holed(X, np.nan), Y, "inputs have 1 NaN.*in sample 4", "nan"),
    "infinity": (classifier, holed(X, np.inf), Y, "inputs have 0 NaN and 1 inf", "nan"),
    "NaN in the targets": (regressor, X, holed(V, np.nan), "targets have 1 NaN", "nan"),
    "numbers too large": (classifier, X * 1e300, Y, "Normalise the data", "nan"),
    "whole numbers": (classifier, (9 * X).astype(int), Y, WORKS, WORKS),
    "bytes": (classifier, (9 * abs(X)).astype(np.uint8), Y, WORKS, WORKS),
    "float16": (classifier, X.astype(np.float16), Y, WORKS, WORKS),
    "lists": (classifier, X.tolist(), Y.tolist(), WORKS, WORKS),
    "text": (classifier, X.astype(str), Y, NUMBERS, NUMBERS),
    "complex numbers": (classifier, X + 1j, Y, NUMBERS, NUMBERS),
    "no array": (classifier, None, Y, "as many inputs as targets", "needs arrays"),
    "a single number": (classifier, 3.0, Y, "as many inputs as targets", "needs arrays"),
    "lengths that differ": (classifier, X, Y[:9], r"\(10, 3\) and \(9,\)", "10 inputs but 9"),
    "rows of another width": (classifier, X[:, :2], Y, "last axis of the input must be 3", "be 3"),
    "too many probabilities": (classifier, X, np.ones((10, 3)), CLASSES, CLASSES),
    "labels in a column": (classifier, X, Y[:, None], CLASSES, CLASSES),
    "yes and no": (classifier, X, Y.astype(bool), WORKS, WORKS),
    "labels as floats": (classifier, X, Y.astype(float), CLASSES, CLASSES),
    "labels as text": (classifier, X, np.array(["a", "b"] * 5), CLASSES, CLASSES),
    "values in a row": (regressor, X, V[:, 0], WORKS, WORKS),
    "too many values": (regressor, X, np.ones((10, 2)), "must be numbers of shape", "of shape"),
}  # fmt: skip
cases = pytest.mark.parametrize(
    ("make", "x", "y", "said", "judged"), CASES.values(), ids=list(CASES)
)


def losses(history):
    return [loss for loss in history["loss"] if loss is not None]


@cases
def test_train(make, x, y, said, judged):
    model = make()
    before = model.parameters.copy()

    def go():
        return train(model, 0.1, 1, Batches(x, y, 8, shuffle=False), verbose=False)

    if said is WORKS:
        assert all(math.isfinite(loss) for loss in losses(go()))
    else:
        with pytest.raises((ValueError, FloatingPointError), match=said):
            go()
        assert np.isfinite(model.parameters).all()
        if "drop_last" not in said:  # that error comes in the last mini-batch
            np.testing.assert_array_equal(model.parameters, before)


@cases
def test_evaluate(make, x, y, said, judged):
    if judged is WORKS or judged == "nan":
        found = evaluate(make(), (x, y))["loss"]
        assert math.isnan(found) == (judged == "nan")
    else:
        with pytest.raises(ValueError, match=judged):
            evaluate(make(), (x, y))


@cases
def test_file_batches(make, x, y, said, judged):
    def go():
        return train(make(), 0.1, 1, FileBatches(x, y, 8, shuffle=False), verbose=False)

    if said is WORKS:
        assert all(math.isfinite(loss) for loss in losses(go()))
    else:
        with pytest.raises((ValueError, FloatingPointError, TypeError)) as caught:
            go()
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) > 20


def test_a_short_last_batch_can_be_left_out():
    history = train(normalised(), 0.1, 2, Batches(X[:9], Y[:9], 8, drop_last=True), verbose=False)
    assert len(history) == 2


def test_no_mini_batch_at_all():
    with pytest.raises(ValueError, match="gave no mini-batch in epoch 1"):
        train(classifier(), 0.1, 1, [], verbose=False)
    with pytest.raises(ValueError, match="no sample in the data"):
        evaluate(classifier(), [])


def test_weights_below_0():
    with pytest.raises(ValueError, match="sample_weights must be 0 or more"):
        train(classifier(), 0.1, 1, (X, Y, -np.ones(10)), verbose=False)
