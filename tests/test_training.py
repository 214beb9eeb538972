"""The loop, its callbacks, evaluation and history."""

import csv

import numpy as np
import pytest

from chainrule import *
from chainrule.data import MiniBatches
from chainrule.training.progress import Progress


def net():
    return Model([Linear(4, 8), Tanh(), Linear(8, 3)], SoftmaxCrossEntropy())


@pytest.fixture
def data(rng):
    x = rng.standard_normal((50, 4))
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def test_the_article_s_line(data, capsys):
    history = train(net(), 0.1, 2, data)
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch {i}/2: loss = {history['loss'][i - 1]:.4f}" for i in (1, 2)
    ]


def test_validation_joins_the_line_and_the_history(data, capsys):
    history = train(net(), 0.5, 3, data, validation_data=data)
    assert history["epoch"] == [1, 2, 3]
    assert history["validation_accuracy"][-1] > history["validation_accuracy"][0]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"Epoch 3/3: loss = {history['loss'][-1]:.4f}, validation loss = ")
    assert last.endswith(f"validation accuracy = {history['validation_accuracy'][-1]:.4f}")


@pytest.mark.parametrize("form", ["arrays", "list", "Batches", "with weights"])
def test_every_form_of_data(form, data):
    x, y = data
    forms = {
        "arrays": data,
        "list": [(x[:30], y[:30]), (x[30:], y[30:])],
        "Batches": Batches(x, y, 16),
        "with weights": [(x, y, np.ones(50))],
    }
    model = net()
    before = evaluate(model, data)["loss"]
    train(model, 0.5, 5, forms[form], verbose=False)
    assert evaluate(model, data)["loss"] < before


def test_sample_weights_of_0_leave_samples_out(data):
    x, y = data
    weighted, cut = net(), net()
    train(weighted, 0.1, 3, [(x, y, np.arange(50) < 20)], verbose=False)
    train(cut, 0.1, 3, [(x[:20], y[:20])], verbose=False)
    np.testing.assert_allclose(weighted.parameters, cut.parameters, rtol=1e-4, atol=1e-6)


def test_the_learning_rate_goes_to_the_optimizer(data):
    optimizer = Adam(0.5)
    train(net(), 0.01, 1, data, optimizer=optimizer, verbose=False)
    assert optimizer.learning_rate == 0.01
    train(net(), None, 1, data, optimizer=SGD(0.25), verbose=False)
    with pytest.raises(ValueError, match="Build a new"):
        train(Model([Linear(4, 3)], SoftmaxCrossEntropy()), 0.1, 1, data, optimizer=optimizer)


def test_mini_batches_are_dealt_anew_each_epoch(rng):
    x, seen = rng.standard_normal((12, 4)), []

    class Watch(Callback):
        def on_epoch_begin(self, run):
            seen.append(np.concatenate([inputs.copy() for inputs, _ in batches]))

    for shuffle in (True, False):
        seen.clear()
        batches = MiniBatches(x, rng.integers(0, 3, 12), 5)
        train(net(), 0.1, 3, batches, callbacks=[Watch()], shuffle=shuffle, verbose=False)
        np.testing.assert_array_equal(seen[0], x)
        assert np.array_equal(seen[1], x) != shuffle
        assert np.array_equal(seen[1], seen[2]) != shuffle
        np.testing.assert_array_equal(np.sort(seen[2], axis=0), np.sort(x, axis=0))


class Log(Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, run):
        self.calls.append("begin")

    def on_epoch_begin(self, run):
        self.calls.append(f"epoch {run.epoch}")

    def on_step_end(self, run):
        self.calls.append(run.step)

    def on_epoch_end(self, run):
        self.calls.append(f"ended {run.epoch}")

    def on_train_end(self, run):
        self.calls.append("end")


def test_the_order_of_the_turns(data):
    log = Log()
    train(net(), 0.1, 2, Batches(*data, 25), callbacks=[log], verbose=False)
    assert log.calls == [
        "begin", "epoch 1", 1, 2, "ended 1", "epoch 2", 3, 4, "ended 2", "end",
    ]  # fmt: skip


def test_stopping_ends_after_the_step(data):
    class Stop(Log):
        def on_step_end(self, run):
            super().on_step_end(run)
            run.stop = run.step == 3

    log = Stop()
    history = train(net(), 0.1, 9, Batches(*data, 25), callbacks=[log], verbose=False)
    assert log.calls[-3:] == [3, "ended 2", "end"]
    assert len(history) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_callbacks_are_told_of_the_end_whatever_ends_it(data, error):
    class Raise(Log):
        def on_step_end(self, run):
            raise error

    log, model = Raise(), net()
    model.training = False
    with pytest.raises(error):
        train(model, 0.1, 1, data, callbacks=[log], verbose=False)
    assert log.calls[-1] == "end"
    assert not model.training


def test_keep_best_gives_the_best_back(data):
    class Spoil(Callback):
        def on_epoch_begin(self, run):
            if run.epoch == 4:
                run.model.parameters *= 0

    model, best = net(), KeepBest()
    history = train(model, 0.5, 4, data, validation_data=data, callbacks=[best, Spoil()],
                    verbose=False)  # fmt: skip
    assert best.epoch != 4
    assert evaluate(model, data)["accuracy"] == best.best == max(history["validation_accuracy"])


def test_a_loss_that_is_not_finite_stops_before_the_step(data):
    x, y = data
    x[7, 2] = np.nan
    model = net()
    before = model.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 1 .*NaN.*sample 7"):
        train(model, 0.1, 1, [(x, y)], verbose=False)
    np.testing.assert_array_equal(model.parameters, before)


@pytest.mark.parametrize("epochs", [0, -1, True, 1.5, "3"])
def test_epochs_that_make_no_sense(epochs, data):
    with pytest.raises(ValueError, match="nb_epoch"):
        train(net(), 0.1, epochs, data)


@pytest.mark.parametrize("lr", [0, -1, float("nan"), float("inf")])
def test_learning_rates_that_make_no_sense(lr, data):
    with pytest.raises(ValueError, match="learning rate"):
        train(net(), lr, 1, data)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda x, y: [], ValueError, "no mini-batch in epoch 1"),
        (lambda x, y: iter([(x, y)]), ValueError, "no mini-batch in epoch 2.*generator"),
        (lambda x, y: x, TypeError, "mini-batches"),
        (lambda x, y: 3, TypeError, "mini-batches"),
        (lambda x, y: [x], ValueError, r"must be \(inputs, targets\)"),
        (lambda x, y: (x, y[:-1]), ValueError, "as many inputs as targets"),
        (lambda x, y: (x[:0], y[:0]), ValueError, "no sample"),
        (lambda x, y: [(x[:, :3], y)], ValueError, "last axis"),
        (lambda x, y: [(x, y + 2)], ValueError, "0 to 2"),
    ],
)
def test_data_that_do_not_fit(make, kind, words, data):
    with pytest.raises(kind, match=words):
        train(net(), 0.1, 2, make(*data), verbose=False)


def test_evaluation_is_over_all_samples(data):
    model = net()
    x, y = data
    whole = evaluate(model, data)
    assert evaluate(model, data, batch_size=7) == pytest.approx(whole, rel=1e-5)
    assert evaluate(model, [(x[:9], y[:9]), (x[9:], y[9:])]) == pytest.approx(whole, rel=1e-5)
    assert whole["accuracy"] == (model.predict_classes(x) == y).mean()
    one_hot = np.eye(3)[y]
    assert evaluate(model, (x, one_hot)) == pytest.approx(whole, rel=1e-5)
    assert model.training
    with pytest.raises(ValueError, match="no sample"):
        evaluate(model, [])
    regression = Model([Linear(4, 1)], MeanSquaredError())
    assert list(evaluate(regression, (x, x[:, 0]))) == ["loss"]


def test_history(tmp_path):
    history = History()
    history.append({"epoch": 1, "loss": 0.5})
    history.append({"epoch": 2, "loss": 0.25, "validation_loss": 0.75})
    history.save_csv(tmp_path / "history.csv")
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert rows[0] == {"epoch": "1", "loss": "0.5", "validation_loss": ""}
    assert rows[1]["validation_loss"] == "0.75"
    with pytest.raises(KeyError, match="there are: epoch, loss"):
        history["accuracy"]


def test_the_bar_shows_the_figures(data, capsys):
    pytest.importorskip("rich")
    train(net(), 0.1, 2, data, validation_data=data, callbacks=[Progress()], verbose=False)
    shown = capsys.readouterr().out
    assert "Epoch 2/2: loss = " in shown
