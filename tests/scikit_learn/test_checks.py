"""scikit-learn's own checks of an estimator: all of them, and none expected to fail."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from chainrule import Adam, AdamW, Huber, Tanh
from chainrule.sklearn import NeuralNetClassifier, NeuralNetRegressor

pytestmark = [
    # They fit on a few samples for a few epochs, and on data that overflow.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]


@parametrize_with_checks([
    NeuralNetClassifier(),
    NeuralNetRegressor(),
    NeuralNetClassifier(20, "gelu", solver=AdamW(0.01)),
    NeuralNetRegressor(Huber(), 20, [Tanh()], solver=Adam(0.01)),
])  # fmt: skip
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def names(estimator):
    return [check.func.__name__ for _, check in estimator_checks_generator(estimator)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(NeuralNetClassifier(), MLPClassifier()), (NeuralNetRegressor(), MLPRegressor())],
)
def test_no_check_of_theirs_is_missing(ours, theirs):
    assert set(names(theirs)) <= set(names(ours))
    assert len(names(ours)) >= len(names(theirs)) > 50
