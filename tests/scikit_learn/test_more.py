"""What scikit-learn's networks lack: layers, losses, optimisers, schedules, weights, callbacks."""

import copy

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

import chainrule as cr
from chainrule.schedules import OneCycle, Plateau
from chainrule.sklearn import NeuralNetClassifier, NeuralNetRegressor
from chainrule.sklearn.losses import BinaryLogLoss, HalfPoissonDeviance, HalfSquaredError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return scale(x), y


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:600] / 16, y[:600]


def convolutions():
    return [cr.Conv2d(1, 8, 3), cr.ReLU(), cr.Flatten(), cr.Linear(288, 10)]


# -- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (HalfSquaredError(), lambda rng: rng.standard_normal((6, 3))),
        (HalfPoissonDeviance(), lambda rng: rng.poisson(2.0, (6, 3)).astype(float)),
        (BinaryLogLoss(), lambda rng: rng.integers(0, 2, (6, 3)).astype(float)),
    ],
)
def test_the_gradients_of_the_losses(loss, targets, rng):
    x, y = rng.standard_normal((6, 4)), targets(rng)
    assert cr.check_gradients(loss, rng.standard_normal((6, 3)), y).ok
    assert cr.check_gradients(cr.Model([cr.Linear(4, 3)], loss), x, y).ok


# -- the net --------------------------------------------------------------------------------------


def test_an_activation_for_each_layer(iris):
    net = NeuralNetClassifier((8, 6), ["tanh", cr.LeakyReLU(0.2)], max_iter=2).fit(*iris)
    assert [type(layer) for layer in net.model_.layers] == [
        cr.Linear, cr.Tanh, cr.Linear, cr.LeakyReLU, cr.Linear,
    ]  # fmt: skip
    assert net.model_.layers[3].slope == 0.2
    with pytest.raises(ValueError, match="activation has 2 values for 1 hidden layers"):
        NeuralNetClassifier(8, ["tanh", "relu"]).fit(*iris)
    with pytest.raises(ValueError, match="activation: there is no 'rleu'"):
        NeuralNetClassifier(8, "rleu").fit(*iris)


def test_dropout_and_batch_normalisation(digits):
    x, y = digits
    net = NeuralNetClassifier(
        (30, 20),
        dropout=[0.2, 0.0],
        batch_norm=True,
        random_state=0,
        max_iter=30,
        learning_rate_init=0.01,
    ).fit(x, y)
    assert [type(layer) for layer in net.model_.layers] == [
        cr.Linear, cr.BatchNorm, cr.ReLU, cr.Dropout, cr.Linear, cr.BatchNorm, cr.ReLU, cr.Linear,
    ]  # fmt: skip
    assert net.score(x, y) > 0.95
    assert (net.predict_proba(x) == net.predict_proba(x)).all()  # nothing is dropped out there
    again = clone(net).fit(x, y)
    assert (again.coefs_[0] == net.coefs_[0]).all()  # the masks are drawn from random_state too
    other = clone(net).set_params(random_state=1).fit(x, y)
    assert (other.coefs_[0] != net.coefs_[0]).any()


def test_a_lone_last_sample_joins_the_mini_batch_before(digits):
    x, y = digits
    NeuralNetClassifier(batch_norm=True, batch_size=50, max_iter=1).fit(x[:101], y[:101])
    with pytest.raises(ValueError, match="needs at least 2 samples to fit, got one"):
        NeuralNetRegressor(batch_norm=True).fit(x[:1], y[:1])


def test_layers_for_images_stay_as_they_are(digits):
    x, y = digits
    layers = convolutions()
    net = NeuralNetClassifier(layers=layers, random_state=0, max_iter=15, learning_rate_init=0.01)
    images = x.reshape(-1, 8, 8, 1)
    net.fit(images, y)
    assert net.score(images, y) > 0.9
    assert net.n_features_in_ == 8
    assert [w.shape for w in net.coefs_] == [(3, 3, 1, 8), (288, 10)]
    assert all("weights" not in vars(layer) for layer in layers)  # not so much as drawn
    assert layers[0]._buffers is None  # nor part of a model
    flat = NeuralNetClassifier(
        layers=[cr.Reshape([8, 8, 1]), *convolutions()],
        random_state=0,
        max_iter=15,
        learning_rate_init=0.01,
    ).fit(x, y)
    np.testing.assert_allclose(flat.predict_proba(x), net.predict_proba(images), atol=1e-9)
    with pytest.raises(ValueError, match="got \\(600, 8, 4, 2\\)"):
        net.predict(x.reshape(-1, 8, 4, 2))


def test_a_function_makes_the_layers_for_any_number_of_features(iris):
    x, y = iris

    def layers(input_shape, n_outputs):
        return [cr.Linear(*input_shape, 9), cr.Tanh(), cr.Linear(9, n_outputs)]

    net = NeuralNetClassifier(layers=layers, max_iter=3)
    assert [w.shape for w in net.fit(x, y).coefs_] == [(4, 9), (9, 3)]
    assert [w.shape for w in net.fit(x[:, :2], y > 0).coefs_] == [(2, 9), (9, 1)]


def test_a_trained_layer_goes_on_from_its_weights_and_a_frozen_one_stays(iris):
    x, y = iris
    before = NeuralNetClassifier(12, random_state=0, max_iter=50).fit(x, y)
    trained = copy.deepcopy(before.model_.layers[0])
    trained.frozen = True
    net = NeuralNetClassifier(
        layers=[trained, cr.ReLU(), cr.Linear(12, 2)], random_state=0, learning_rate_init=0.1
    ).fit(x, y > 0)
    assert (net.coefs_[0] == before.coefs_[0]).all()
    assert net.score(x, y > 0) > 0.9


def test_indices_go_into_an_embedding(rng):
    words = rng.integers(0, 20, (200, 5))
    labels = (words == 7).any(axis=1)
    net = NeuralNetClassifier(
        layers=[cr.Embedding(20, 4), cr.Flatten(), cr.Linear(20, 1)], max_iter=200,
        learning_rate_init=0.05, random_state=0,
    ).fit(words, labels)  # fmt: skip
    assert net.score(words, labels) > 0.95


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([cr.Linear(4, 2)], r"must end with 3 outputs a sample, for 3 classes, got shape \(2,\)"),
        ([cr.Linear(5, 3)], r"the last axis of the input must be 5"),
        ([], "needs at least one layer"),
        ([cr.Linear(4, 3), cr.Sigmoid(), 1], "layer 2 is 1, which is no layer"),
    ],
)
def test_layers_that_do_not_fit(iris, layers, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NeuralNetClassifier(layers=layers).fit(*iris)


def test_two_classes_may_have_one_output_or_two(iris):
    x, y = iris
    for width in (1, 2):
        net = NeuralNetClassifier(
            layers=[cr.Linear(4, width)], learning_rate_init=0.1, random_state=0
        ).fit(x, y > 0)
        assert net.predict_proba(x).shape == (150, 2)
        np.testing.assert_allclose(net.predict_proba(x).sum(axis=1), 1)
        assert net.score(x, y > 0) == 1
        assert net.out_activation_ == ("logistic" if width == 1 else "softmax")


def test_one_class_has_probability_one(iris):
    x, _ = iris
    net = NeuralNetClassifier(max_iter=2).fit(x, ["only"] * 150)
    assert (net.predict(x) == "only").all()
    assert (net.predict_proba(x) == np.ones((150, 1))).all()


# -- loss, optimiser, schedule --------------------------------------------------------------------


def test_losses_of_ours(iris, rng):
    x, y = iris
    smooth = cr.SoftmaxCrossEntropy(label_smoothing=0.2)
    net = NeuralNetClassifier(loss=smooth, random_state=0, max_iter=500).fit(x, y > 0)
    assert net.n_outputs_ == 2
    assert net.score(x, y > 0) == 1
    hard = NeuralNetClassifier(random_state=0, max_iter=500).fit(x, y > 0)
    assert net.predict_proba(x).max() < 0.98  # the targets are 0.9 and 0.1
    assert hard.predict_proba(x).max() > 0.999
    assert smooth.losses is None  # a copy was used
    x = rng.standard_normal((300, 4))
    values = x @ [1.0, -2.0, 3.0, 0.5]
    values[::10] += 100  # a squared error would follow them
    robust = NeuralNetRegressor(
        cr.Huber(), (), random_state=0, solver=cr.Adam(0.05), max_iter=300
    ).fit(x, values)
    np.testing.assert_allclose(robust.coefs_[0].ravel(), [1, -2, 3, 0.5], atol=0.3)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (cr.MeanSquaredError(), "does not go with this net and these labels. .*SoftmaxCross"),
        (cr.BinaryCrossEntropy(), "does not go with this net and these labels. .*SoftmaxCross"),
        (cr.CrossEntropy(), "takes probabilities. Take SoftmaxCrossEntropy"),
    ],
)
def test_losses_that_do_not_fit(iris, loss, message):
    with pytest.raises(ValueError, match=message):
        NeuralNetClassifier(loss=loss).fit(*iris)


def test_the_loss_follows_what_the_layers_end_with(iris):
    x, y = iris
    end = [cr.Linear(4, 3), cr.Softmax()]
    net = NeuralNetClassifier(layers=end, max_iter=2).fit(x, y)
    assert isinstance(net.model_.cost, cr.CrossEntropy)
    np.testing.assert_allclose(net.predict_proba(x).sum(axis=1), 1)
    with pytest.raises(ValueError, match=r"takes logits. Leave .* Softmax\(\), out"):
        NeuralNetClassifier(layers=end, loss=cr.SoftmaxCrossEntropy()).fit(x, y)
    with pytest.raises(ValueError, match=r"takes logits. Leave .* Sigmoid\(\), out"):
        NeuralNetClassifier(layers=[cr.Linear(4, 1), cr.Sigmoid()]).fit(x, y > 0)
    with pytest.raises(ValueError, match="is for classes"):
        NeuralNetRegressor(cr.SoftmaxCrossEntropy()).fit(x, y)


def test_an_optimiser_of_ours_is_copied_and_brings_its_own_settings(iris):
    x, y = iris
    given = cr.AdamW(0.01, weight_decay=0.1)
    net = NeuralNetClassifier(
        5, solver=given, learning_rate=OneCycle(), alpha=100.0, max_iter=20, random_state=0
    ).fit(x, y)
    assert given.steps == 0
    assert net.solver is given
    assert net._optimizer.steps == 20
    assert net._optimizer.weight_decay == 0.1  # alpha is that of the named solvers
    rates = net.history_["learning_rate"]
    assert max(rates) <= 0.01
    assert rates[-1] < 0.001


def test_an_lbfgs_of_ours(iris):
    x, y = iris
    net = NeuralNetClassifier(5, solver=cr.LBFGS(30), random_state=0).fit(x, y)
    assert net.score(x, y) > 0.97
    assert net.n_iter_ <= 30
    assert not hasattr(net, "partial_fit")
    with pytest.raises(ValueError, match="Leave out Dropout"):
        NeuralNetClassifier(dropout=0.5, solver="lbfgs").fit(x, y)


def test_a_plateau_judges_by_the_validation_data(iris):
    x, y = iris
    net = NeuralNetClassifier(
        5, solver=cr.SGD(0.5), learning_rate=Plateau(0.1, patience=0, threshold=0.5), max_iter=30
    )
    net.fit(x, y, X_val=x[::3], y_val=y[::3])
    assert net.history_["learning_rate"][-1] < 0.5
    assert {"validation_loss", "validation_accuracy"} <= set(net.history_.columns)
    with pytest.raises(ValueError, match="learning_rate must be one of its names"):
        net.partial_fit(x, y)


# -- weights --------------------------------------------------------------------------------------


def test_class_weights_are_sample_weights(iris):
    x, y = iris
    x, y = x[20:], y[20:]
    options = {"random_state": 0, "max_iter": 20}
    weights = compute_sample_weight("balanced", y)
    balanced = NeuralNetClassifier(class_weight="balanced", **options).fit(x, y)
    by_hand = NeuralNetClassifier(**options).fit(x, y, weights)
    assert (balanced.coefs_[0] == by_hand.coefs_[0]).all()
    factor = compute_class_weight("balanced", classes=np.unique(y), y=y)
    named = NeuralNetClassifier(class_weight=dict(enumerate(factor)), **options)
    assert (named.fit(x, y).coefs_[0] == by_hand.coefs_[0]).all()
    own = np.linspace(0.5, 2, len(x))
    both = clone(named).fit(x, y, own)
    assert (
        both.coefs_[0] == NeuralNetClassifier(**options).fit(x, y, own * weights).coefs_[0]
    ).all()
    part = clone(named).partial_fit(x, y, own, classes=[0, 1, 2])
    other = NeuralNetClassifier(**options).partial_fit(x, y, own * weights, classes=[0, 1, 2])
    assert (part.coefs_[0] == other.coefs_[0]).all()
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        clone(balanced).partial_fit(x, y, classes=[0, 1, 2])


def test_class_weights_of_labels_of_their_own(iris):
    x, y = iris
    rows = np.column_stack([y > 0, y > 1]).astype(int)
    net = NeuralNetClassifier(class_weight="balanced", random_state=0, max_iter=5).fit(x, rows)
    other = NeuralNetClassifier(random_state=0, max_iter=5)
    other.fit(x, rows, compute_sample_weight("balanced", rows))
    assert (net.coefs_[0] == other.coefs_[0]).all()
    assert net.predict(x).shape == net.predict_proba(x).shape == rows.shape


def test_mini_batches_without_weight_are_left_out(iris):
    x, y = iris
    weights = np.repeat([0.0, 1.0], [50, 100])
    net = NeuralNetClassifier(batch_size=25, shuffle=False, random_state=0, max_iter=3)
    net.fit(x, y, weights)
    assert net._optimizer.steps == 3 * 4
    with pytest.raises(ValueError, match="egative values"):
        net.fit(x, y, -weights)


# -- validation data and callbacks ----------------------------------------------------------------


def test_validation_data_of_the_user_stop_the_fit(iris):
    x, y = iris
    held = slice(None, None, 5)
    net = NeuralNetClassifier(
        (30, 30), early_stopping=True, random_state=0, max_iter=300, learning_rate_init=0.02
    ).fit(x, y, X_val=x[held], y_val=y[held])
    assert net.n_iter_ < 300
    assert net.t_ == 150 * net.n_iter_  # no sample was held back
    assert net.best_validation_score_ == max(net.validation_scores_)
    # What is kept is the net of the best epoch.
    assert accuracy_score(y[held], net.predict(x[held])) == net.best_validation_score_


def test_validation_data_without_stopping_are_looked_at_only(iris):
    x, y = iris
    weights = np.linspace(0, 1, 150)
    plain = NeuralNetRegressor(random_state=0, max_iter=10).fit(x, y)
    net = NeuralNetRegressor(random_state=0, max_iter=10)
    net.fit(x, y, X_val=x, y_val=y, sample_weight_val=weights)
    assert (net.coefs_[0] == plain.coefs_[0]).all()
    assert plain.validation_scores_ is None
    assert len(net.validation_scores_) == 10
    assert net.validation_scores_[-1] == pytest.approx(net.score(x, y, weights))
    assert net.history_["validation_r2"] == net.validation_scores_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X_val": True}, "X_val is provided, but y_val was not"),
        ({"y_val": True}, "y_val is provided, but X_val was not"),
        ({"sample_weight_val": True}, "sample_weight_val is provided, but X_val was not"),
    ],
)
def test_validation_data_come_in_pairs(iris, options, message):
    x, y = iris
    given = {name: x if name == "X_val" else y for name in options}
    with pytest.raises(ValueError, match=message):
        NeuralNetClassifier().fit(x, y, **given)


def test_callbacks_are_told_and_can_stop(iris):
    x, y = iris
    seen = []
    hook = cr.Hook(on_epoch_end=lambda run: seen.append(run.history["validation_loss"][-1]))
    stop = cr.EarlyStopping("validation_loss", patience=3)
    net = NeuralNetClassifier(
        50, callbacks=[hook, stop], random_state=0, max_iter=2000, learning_rate_init=0.1, tol=0.0,
        n_iter_no_change=np.inf,
    ).fit(x, y, X_val=x[::4], y_val=y[::4])  # fmt: skip
    assert len(seen) == net.n_iter_ < 2000
    assert stop.best == min(seen)
    with pytest.raises(TypeError, match="callbacks must be a list of Callback"):
        NeuralNetClassifier(callbacks=[print]).fit(x, y)


def test_freezing_by_a_callback_between_epochs(iris):
    x, y = iris
    kept = []

    def freeze(run):
        if run.epoch == 3:
            run.model.layers[0].frozen = True
            kept.append(run.model.layers[0].weights.copy())

    net = NeuralNetClassifier(
        8, callbacks=[cr.Hook(on_epoch_end=freeze)], random_state=0, max_iter=6
    ).fit(x, y)
    assert (net.coefs_[0] == kept[0]).all()
