"""With the same random state ours fits the same net as scikit-learn's, to rounding."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale
from sklearn.utils.validation import has_fit_parameter

from chainrule.sklearn import NeuralNetClassifier, NeuralNetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSIFIERS = MLPClassifier, NeuralNetClassifier
REGRESSORS = MLPRegressor, NeuralNetRegressor


def digits():
    x, y = load_digits(return_X_y=True)
    return x[:500] / 16, y[:500]


def two_classes():
    x, y = load_breast_cancer(return_X_y=True)
    return scale(x), np.array(["malignant", "benign"])[y]


def zero_or_one():  # with early stopping, before 1.8 theirs takes no words
    x, y = load_breast_cancer(return_X_y=True)
    return scale(x), y


def labels():
    x, y = digits()
    return x, np.column_stack([y > 3, y % 2 == 0, y < 2]).astype(int)


def values():
    return load_diabetes(return_X_y=True)


def several_values():
    x, y = digits()
    return x, np.column_stack([y, y**2, -y]).astype(float)


def weighted(data):
    x, y = data()
    weights = np.random.default_rng(0).uniform(0, 2, len(x))
    weights[::7] = 0
    return x, y, weights


def compare(theirs, ours, rtol=1e-6):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.out_activation_ == theirs.out_activation_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    for name in ("coefs_", "intercepts_"):
        mine, own = getattr(ours, name), getattr(theirs, name)
        assert [array.dtype for array in mine] == [array.dtype for array in own]
        for a, b in zip(mine, own, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name)
        mine, own = getattr(ours, name, None), getattr(theirs, name, None)
        assert (mine is None) == (own is None)
        if mine is not None:
            np.testing.assert_allclose(mine, own, rtol=rtol)


CASES = [
    (CLASSIFIERS, digits, {}),
    (CLASSIFIERS, digits, {"hidden_layer_sizes": (20, 10), "activation": "tanh", "alpha": 1.0}),
    (CLASSIFIERS, digits, {"activation": "logistic", "early_stopping": True}),
    (CLASSIFIERS, digits, {"activation": "identity", "batch_size": 64, "shuffle": False}),
    (CLASSIFIERS, digits, {"solver": "lbfgs", "alpha": 0.1}),
    (CLASSIFIERS, digits, {"solver": "lbfgs", "max_fun": 10, "tol": 0.0}),
    (CLASSIFIERS, two_classes, {"max_iter": 300}),
    (CLASSIFIERS, zero_or_one, {"early_stopping": True, "max_iter": 100}),
    (CLASSIFIERS, two_classes, {"hidden_layer_sizes": ()}),
    (CLASSIFIERS, labels, {}),
    (CLASSIFIERS, labels, {"early_stopping": True}),
    (REGRESSORS, values, {"max_iter": 60}),
    (REGRESSORS, values, {"loss": "poisson"}),
    (REGRESSORS, values, {"early_stopping": True, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    (REGRESSORS, values, {"solver": "lbfgs"}),
    (REGRESSORS, several_values, {}),
    *(
        (CLASSIFIERS, two_classes, {"solver": "sgd", "learning_rate_init": 0.1, **options})
        for options in (
            {"momentum": 0.0},
            {"nesterovs_momentum": False},
            {"learning_rate": "invscaling", "power_t": 0.3},
            {"learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2, "max_iter": 100},
            {"learning_rate": "adaptive", "tol": 0.1, "nesterovs_momentum": False},
        )
    ),
]


@pytest.mark.parametrize(("sides", "data", "options"), CASES)
def test_the_same_net(sides, data, options):
    if "loss" in options and "loss" not in MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no Poisson loss: 1.7 has")
    x, y = data()
    theirs, ours = (side(random_state=3, **{"max_iter": 25, **options}) for side in sides)
    compare(theirs.fit(x, y), ours.fit(x, y))
    np.testing.assert_allclose(ours.score(x, y), theirs.score(x, y), rtol=1e-9)
    assert ours.predict(x).dtype == theirs.predict(x).dtype
    if sides is CLASSIFIERS:
        assert (ours.classes_ == theirs.classes_).all()
        np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-8)


@pytest.mark.skipif(
    not has_fit_parameter(MLPClassifier(), "sample_weight"),
    reason="this scikit-learn's MLP takes no weights: that of 1.7 does",
)
@pytest.mark.parametrize(
    ("sides", "data"), [(CLASSIFIERS, digits), (CLASSIFIERS, labels), (REGRESSORS, values)]
)
def test_the_same_net_with_weights(sides, data):
    x, y, weights = weighted(data)
    for options in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        theirs, ours = (side(random_state=3, max_iter=20, **options) for side in sides)
        compare(theirs.fit(x, y, weights), ours.fit(x, y, weights))


def test_the_same_net_in_float32():
    x, y = digits()
    x = x[:, x.std(axis=0) > 0].astype(np.float32)  # what never varies has no gradient but rounding
    theirs, ours = (side(random_state=3, max_iter=25).fit(x, y) for side in CLASSIFIERS)
    assert ours.coefs_[0].dtype == ours.predict_proba(x).dtype == np.float32
    compare(theirs, ours, rtol=2e-3)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_the_same_net_from_sparse_inputs(kind):
    x, y = digits()
    for options in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        theirs, ours = (side(random_state=3, max_iter=15, **options) for side in CLASSIFIERS)
        compare(theirs.fit(x, y), ours.fit(kind(x), y))
    np.testing.assert_allclose(ours.predict_proba(kind(x)), ours.predict_proba(x), atol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_same_net_part_by_part(solver):
    x, y = digits()
    theirs, ours = (side(random_state=3, solver=solver) for side in CLASSIFIERS)
    for start in (0, 100, 250):
        part, of = x[start : start + 100], y[start : start + 100]
        for net in (theirs, ours):
            net.partial_fit(part, of, classes=np.arange(10))
        compare(theirs, ours)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_same_net_from_where_the_last_fit_ended(solver):
    x, y = values()
    theirs, ours = (
        side(random_state=3, solver=solver, max_iter=8, warm_start=True) for side in REGRESSORS
    )
    for _ in range(3):
        compare(theirs.fit(x, y), ours.fit(x, y))


def test_the_same_draws_from_a_random_state_that_is_shared():
    x, y = digits()
    shared = [np.random.RandomState(0) for _ in range(2)]
    for _ in range(2):  # the second fit draws on
        theirs, ours = (
            side(random_state=random, max_iter=5).fit(x, y)
            for side, random in zip(CLASSIFIERS, shared, strict=True)
        )
        compare(theirs, ours)


def test_coefficients_of_theirs_serve_ours():
    x, y = two_classes()
    theirs = MLPClassifier(random_state=0, max_iter=20).fit(x, y)
    ours = NeuralNetClassifier(max_iter=1).fit(x, y)
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-12)
    assert ours.coefs_[0] is ours.model_.layers[0].weights  # they are the net's own again
    ours.coefs_[0] = np.zeros((2, 2))
    with pytest.raises(ValueError, match="weights must have shape"):
        ours.predict(x)
    ours.coefs_ = theirs.coefs_[:1]
    with pytest.raises(ValueError, match="coefs_ has 1 arrays, but the net has 2"):
        ours.predict(x)
