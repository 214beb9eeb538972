"""Metrics: our own forms agree with scikit-learn's, and both with what is counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *
from chainrule.training import judging
from chainrule.training.judging import NAMES, as_metrics, judge

BOTH = pytest.mark.parametrize("ours", [True, False], ids=["ours", "scikit-learn"])


@pytest.fixture
def _who(request, monkeypatch, ours):
    if ours:
        monkeypatch.setattr(judging, "_sklearn", lambda: None)
    else:
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def figures(names, outputs, targets, cost):
    return judge(as_metrics(names), np.asarray(outputs, float), np.asarray(targets), cost)


@BOTH
@pytest.mark.usefixtures("_who")
def test_two_classes_by_hand(ours):
    logits = [[0.0, 2.0], [0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [0.5, 1.0]]
    found = figures(
        ["precision", "recall", "f1", "auc", "accuracy"],
        logits, [1, 0, 1, 0, 1], SoftmaxCrossEntropy(),
    )  # fmt: skip
    # Said yes: samples 0, 1 and 4. Of the pairs (yes, no) of scores all but 0.5 < 1 and -1 < 1.
    expected = {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "auc": 4 / 6, "accuracy": 0.6}
    assert found == pytest.approx(expected)


@BOTH
@pytest.mark.usefixtures("_who")
def test_three_classes_by_hand(ours):
    outputs = np.eye(3)[[0, 1, 1, 2]]
    found = figures(["precision", "recall", "f1", "top_2_accuracy"], outputs, [0, 1, 2, 2],
                    CrossEntropy())  # fmt: skip
    assert found["precision"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["recall"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert found["top_2_accuracy"] == 1  # class 2 of the third sample shares its place


@BOTH
@pytest.mark.usefixtures("_who")
def test_values_by_hand(ours):
    found = figures(["rmse", "r2"], [[1.0], [2.0], [3.0]], [1.0, 2.0, 5.0], MeanSquaredError())
    assert found["rmse"] == pytest.approx(np.sqrt(4 / 3))
    assert found["r2"] == pytest.approx(1 - 4 / (26 / 3))
    assert np.isnan(figures(["r2"], [[1.0]], [1.0], MeanSquaredError())["r2"])


@BOTH
@pytest.mark.usefixtures("_who")
def test_one_class_only_has_no_auc(ours):
    outputs = np.zeros((3, 2))
    found = figures(["auc", "f1", "precision"], outputs, [0, 0, 0], SoftmaxCrossEntropy())
    assert np.isnan(found["auc"])
    assert found["f1"] == found["precision"] == 0


CLASSIFIED = ["accuracy", "precision", "recall", "f1", "auc", "top_2_accuracy"]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 5), st.integers(1, 30), st.integers(0, 10**6), st.booleans())
def test_ours_and_theirs_agree(classes, samples, seed, several):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(seed)
    outputs = rng.integers(-2, 3, (samples, classes)).astype(float)  # with many equal scores
    if several:
        cost, y = BinaryCrossEntropy(), rng.integers(0, 2, (samples, classes))
        names = ["precision", "recall", "f1", "auc"]
    else:
        cost, y = SoftmaxCrossEntropy(), rng.integers(0, classes, samples)
        names = CLASSIFIED
    theirs = figures(names, outputs, y, cost)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "_sklearn", lambda: None)
        ours = figures(names, outputs, y, cost)
    assert ours == pytest.approx(theirs, nan_ok=True)
    if not several:
        assert theirs["accuracy"] == metrics.accuracy_score(y, outputs.argmax(axis=1))
    values = rng.standard_normal((samples, 2))
    theirs = figures(["rmse", "r2"], outputs[:, :2], values, MeanSquaredError())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "_sklearn", lambda: None)
        ours = figures(["rmse", "r2"], outputs[:, :2], values, MeanSquaredError())
    assert ours == pytest.approx(theirs, nan_ok=True)
    if samples > 1:
        assert theirs["rmse"] == pytest.approx(
            np.sqrt(metrics.mean_squared_error(values, outputs[:, :2]))
        )


def test_what_is_no_metric():
    with pytest.raises(ValueError, match=r"no metric 'f2'\. There are accuracy, "):
        as_metrics(["f2"])
    with pytest.raises(TypeError, match="a name or a function, got 3"):
        as_metrics({"three": 3})
    with pytest.raises(ValueError, match="'f1' is for classes, and MeanSquaredError"):
        figures(["f1"], [[1.0]], [1.0], MeanSquaredError())
    assert list(as_metrics("f1")) == ["f1"]
    assert "top_5_accuracy" in NAMES


def digits():
    x, y = load_digits("train")
    return x.reshape(len(x), -1) / np.float32(16), y


def net(classes=10):
    return Model([Linear(64, classes)], SoftmaxCrossEntropy())


@BOTH
@pytest.mark.usefixtures("_who")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_told_by_nan(ours, value):
    outputs = np.array([[1.0], [value], [3.0], [2.0]])
    assert np.isnan(figures(["r2"], outputs, [1, 2, 5, 1], MeanSquaredError())["r2"])
    assert np.isnan(figures(["r2"], [[1.0], [2.0]], [1, value], MeanSquaredError())["r2"])
    probabilities = np.hstack([1 - outputs, outputs])
    assert np.isnan(figures(["auc"], probabilities, [0, 1, 0, 1], CrossEntropy())["auc"])


def raises(outputs, targets):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["rmse"], ValueError, r"'rmse' is for values.*got shapes \(4,\) and \(4, 2\)"),
        ({"mine": lambda o, t: None}, TypeError, "'mine' must return a number, got None"),
        ({"mine": lambda o, t: np.ones(3)}, TypeError, "'mine' must return a number, got array"),
        ({"loss": lambda o, t: 1}, ValueError, "cannot be called 'loss'"),
        ([lambda o, t: 1, lambda o, t: 2], ValueError, "two metrics have one name.*dictionary"),
        ([raises], ZeroDivisionError, "Raised by the metric 'raises'"),
    ],
)
def test_metrics_that_do_not_fit(metrics, error, message):
    net = Model([Linear(3, 2)], SoftmaxCrossEntropy())
    with pytest.raises(error, match=message):
        evaluate(net, (np.ones((4, 3)), np.array([0, 1, 0, 1])), metrics=metrics)
    with pytest.raises(ValueError, match="what is judged has no weights"):
        evaluate(net, (np.ones((4, 3)), np.array([0, 1, 0, 1]), np.ones(4)))


def test_in_train_and_evaluate():
    x, y = digits()

    def share_of_zeros(outputs, targets):
        assert outputs.shape == (len(targets), 10)
        return (targets == 0).mean()

    model = net()
    history = train(
        model, 0.1, 2, Batches(x, y), validation_split=0.25, verbose=False,
        metrics=["f1", "top_3_accuracy", share_of_zeros],
    )  # fmt: skip
    assert history.columns == [
        "epoch", "loss", "validation_loss", "validation_accuracy", "validation_f1",
        "validation_top_3_accuracy", "validation_share_of_zeros",
    ]  # fmt: skip
    top = history["validation_top_3_accuracy"][-1]
    assert history["validation_accuracy"][-1] < top <= 1
    found = evaluate(model, (x, y), metrics={"mine": share_of_zeros, "theirs": "recall"})
    assert found["mine"] == (y == 0).mean()
    assert found["theirs"] == pytest.approx(found["accuracy"], abs=0.05)


def test_metrics_need_data_to_judge_by():
    x, y = digits()
    with pytest.raises(ValueError, match="metrics need validation_data"):
        train(net(), 0.1, 1, (x, y), metrics=["f1"])
    with pytest.raises(ValueError, match="not both"):
        train(net(), 0.1, 1, (x, y), validation_split=0.2, validation_data=(x, y))


def test_what_is_held_out_is_not_trained_on():
    x, y = digits()
    seen, held = [], []

    class Look(Linear):
        def forward(self, x):
            (seen if self.training else held).append(x.copy())
            return super().forward(x)

    x = np.column_stack([x[:, :63], np.arange(len(x))]).astype(np.float32)
    model = Model([Look(64, 10)], SoftmaxCrossEntropy())
    train(model, 1e-9, 2, (x, y, np.ones(len(x))), validation_split=0.2, verbose=False)
    seen, held = ({int(v) for a in arrays for v in a[:, 63]} for arrays in (seen, held))
    assert seen.isdisjoint(held)
    assert seen | held == set(range(len(x)))
    counts = np.bincount(y[sorted(held)])
    np.testing.assert_allclose(counts / np.bincount(y), 0.2, atol=0.01)


def test_lists_of_mini_batches_cannot_be_parted():
    x, y = digits()
    with pytest.raises(TypeError, match=r"not list\. Pass validation_data"):
        train(net(), 0.1, 1, [(x, y)], validation_split=0.2)
