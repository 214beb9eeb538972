"""Training where something is odd: data, callbacks, numbers."""

import threading

import numpy as np
import pytest

from chainrule import *


def net(**options):
    return Model([Linear(4, 8), Tanh(), Linear(8, 3)], SoftmaxCrossEntropy(), **options)


@pytest.fixture
def data(rng):
    x = rng.standard_normal((50, 4))
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def test_the_loss_of_the_history_is_that_of_evaluate(data):
    """Before the net has moved, the mean over the epoch is the mean over the data."""
    model = net()
    history = train(model, 1e-12, 1, data, validation_data=data, verbose=False)
    assert history["loss"][0] == pytest.approx(evaluate(model, data)["loss"], rel=1e-5)
    assert history["validation_loss"][0] == pytest.approx(history["loss"][0], rel=1e-5)


def test_training_is_the_loop_written_out(data):
    """Batches, loss, backward, step: nothing else moves the parameters."""
    x, y = data
    by_train, by_hand = net(dtype="float64"), net(dtype="float64")
    train(by_train, 0.1, 3, Batches(x, y, 16, seed=4), optimizer=SGD(1.0, 0.9), verbose=False)
    optimizer, batches = SGD(0.1, 0.9), Batches(x, y, 16, seed=4)
    for _ in range(3):
        for inputs, targets in batches:
            by_hand.loss(inputs, targets)
            by_hand.backward()
            optimizer.step(by_hand.parameters, by_hand.gradients)
    np.testing.assert_array_equal(by_train.parameters, by_hand.parameters)


def test_the_same_seeds_give_the_same_training(data):
    def trained(seed, order):
        model = Model([Linear(4, 8), Dropout(), Linear(8, 3)], SoftmaxCrossEntropy(), seed=seed)
        train(model, 0.1, 2, Batches(*data, 16, seed=order), verbose=False)
        return model.parameters.tobytes()

    assert trained(1, 2) == trained(1, 2)
    assert trained(1, 2) != trained(3, 2)
    assert trained(1, 2) != trained(1, 3)


@pytest.mark.parametrize("lr", [10.0, 1e3, 1e10])
@pytest.mark.parametrize("make", [SGD, lambda: SGD(0.1, 0.9)])
def test_a_net_that_diverges_keeps_finite_parameters(lr, make, rng):
    """On the way there an overflow may warn; the error must come before NaN is stepped on."""
    x = 100 * rng.standard_normal((64, 4))
    model = Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError())
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="lower learning rate"):
        train(model, lr, 200, (x, x[:, 0]), optimizer=make(), verbose=False)
    assert np.isfinite(model.parameters).all()


def test_a_nan_among_the_targets_stops_before_the_step(data):
    model = Model([Linear(4, 1)], MeanSquaredError())
    before = model.parameters.copy()
    y = data[0][:, 0].copy()
    y[3] = np.nan
    with pytest.raises(FloatingPointError, match="nan at step 1"):
        train(model, 0.1, 1, [(data[0], y)], verbose=False)
    np.testing.assert_array_equal(model.parameters, before)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_without_dropout_and_leaves_the_mode(training, data):
    model = Model([Linear(4, 8), Dropout(0.5), Linear(8, 3)], SoftmaxCrossEntropy())
    model.training = training
    state = model.rng.bit_generator.state
    figures = [evaluate(model, data, batch_size=size) for size in (1, 7, 50, 1000)]
    expected = (model.predict_classes(data[0]) == data[1]).mean()
    for each in figures:
        assert each == pytest.approx(figures[0], rel=1e-5)
        assert each["accuracy"] == pytest.approx(expected)
    assert model.training == training
    assert model.rng.bit_generator.state == state


# -- callbacks ----------------------------------------------------------------------------------


class Noting(Callback):
    def __init__(self, notes, name):
        self.notes, self.name = notes, name

    def on_train_begin(self, run):
        self.notes.append((self.name, "begin"))

    def on_train_end(self, run):
        self.notes.append((self.name, "end"))


def test_all_are_told_of_the_end_even_if_one_fails_there(data):
    class Failing(Callback):
        def on_train_end(self, run):
            raise ZeroDivisionError

    notes = []
    callbacks = [Noting(notes, "first"), Failing(), Noting(notes, "last")]
    with pytest.raises(ZeroDivisionError):
        train(net(), 0.1, 1, data, callbacks=callbacks, verbose=False)
    assert notes == [("first", "begin"), ("last", "begin"), ("last", "end"), ("first", "end")]


def test_who_was_not_told_of_the_beginning_is_not_told_of_the_end(data):
    class Failing(Callback):
        def on_train_begin(self, run):
            raise KeyboardInterrupt

    notes, model = [], net()
    callbacks = [Noting(notes, "first"), Failing(), Noting(notes, "last")]
    with pytest.raises(KeyboardInterrupt):
        train(model, 0.1, 1, data, callbacks=callbacks, verbose=False)
    assert notes == [("first", "begin"), ("first", "end")]
    assert model.training


@pytest.mark.parametrize("turn", ["on_epoch_begin", "on_step_end", "on_epoch_end"])
def test_an_interrupt_at_any_turn_gives_the_best_back(turn, data):
    class Interrupt(Callback):
        pass

    def strike(self, run):
        if run.epoch == 3:
            run.model.parameters *= 0
            raise KeyboardInterrupt

    setattr(Interrupt, turn, strike)
    model, best = net(), KeepBest("validation_loss")
    with pytest.raises(KeyboardInterrupt):
        train(model, 0.5, 5, data, validation_data=data, callbacks=[Interrupt(), best],
              verbose=False)  # fmt: skip
    assert best.epoch == 2
    assert evaluate(model, data)["loss"] == pytest.approx(best.best)


def test_keep_best_starts_anew_with_each_training(data):
    """Else the second model would be given the parameters of the first."""
    best = KeepBest("validation_loss")
    first, second = net(seed=1), net(seed=2)
    train(first, 0.5, 10, data, validation_data=data, callbacks=[best], verbose=False)
    of_first = best.best
    train(second, 1e-6, 1, data, validation_data=data, callbacks=[best], verbose=False)
    assert best.epoch == 1
    assert best.best > of_first
    assert not np.allclose(second.parameters, first.parameters)
    larger = Model([Linear(4, 9), Linear(9, 3)], SoftmaxCrossEntropy())
    train(larger, 1e-6, 1, data, validation_data=data, callbacks=[best], verbose=False)


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
def test_of_two_equal_epochs_the_first_is_best(monitor, data):
    class Stay(Optimizer):
        def update(self, parameters, gradients, state):
            pass

    best = KeepBest(monitor)
    train(net(), None, 3, data, optimizer=Stay(0.1), validation_data=data, callbacks=[best],
          verbose=False)  # fmt: skip
    assert best.epoch == 1


def test_keep_best_of_a_column_that_nobody_measures(data):
    with pytest.raises(ValueError, match=r"no 'validation_accuracy', only epoch, loss"):
        train(net(), 0.1, 1, data, callbacks=[KeepBest()], verbose=False)


def test_a_callback_may_change_the_learning_rate_and_sees_the_run(data):
    class Halve(Callback):
        seen = ()

        def on_epoch_end(self, run):
            self.seen += ((run.epoch, run.step, run.optimizer.learning_rate),)
            run.optimizer.learning_rate /= 2
            assert run.epochs == 3
            assert run.steps_per_epoch == 4
            assert run.running_loss == run.history["loss"][-1]

    halve = Halve()
    train(net(), 0.4, 3, Batches(*data, 16), callbacks=[halve], verbose=False)
    assert halve.seen == ((1, 4, 0.4), (2, 8, 0.2), (3, 12, 0.1))


def test_stopping_in_the_middle_of_an_epoch_still_makes_a_row(data):
    class Stop(Callback):
        def on_step_end(self, run):
            run.stop = True

    history = train(net(), 0.1, 5, Batches(*data, 10), validation_data=data, callbacks=[Stop()],
                    verbose=False)  # fmt: skip
    assert len(history) == 1
    assert history["validation_loss"][0] is not None


def test_quiet_is_quiet(data, capsys):
    train(net(), 0.1, 2, data, validation_data=data, verbose=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# -- forms of data ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [list, tuple])
def test_exactly_two_mini_batches(form, data):
    """A tuple of two mini-batches must not pass for a pair of arrays."""
    x, y = data
    for cut in (20, 25):
        batches = form([(x[:cut], y[:cut]), (x[cut:], y[cut:])])
        model = net()
        assert evaluate(model, batches) == pytest.approx(evaluate(model, data), rel=1e-5)
        history = train(model, 1e-9, 1, batches, validation_data=batches, verbose=False)
        assert history["validation_loss"][0] == pytest.approx(evaluate(model, data)["loss"])


def test_exactly_two_mini_batches_that_are_lists(rng):
    """Of equal shapes, so that nothing else gives the mistake away."""
    x = rng.standard_normal((4, 3))
    model = Model([Linear(3, 3)], MeanSquaredError())
    expected = evaluate(model, [[x, 0 * x], [-x, 0 * x]])
    assert evaluate(model, ([x, 0 * x], [-x, 0 * x])) == pytest.approx(expected)


def test_a_pair_of_lists(data):
    x, y = data
    model = net()
    lists = (x.tolist(), y.tolist())
    assert evaluate(model, lists) == pytest.approx(evaluate(model, data), rel=1e-5)


@pytest.mark.parametrize(
    "batch", [3, "xy", None, {"x": 1, "y": 2}, [1], [1, 2, 3, 4], np.ones((2, 4)), {1, 2}]
)
def test_mini_batches_of_a_wrong_form(batch):
    for act in (
        lambda: train(net(), 0.1, 1, [batch], verbose=False),
        lambda: evaluate(net(), [batch]),
    ):
        with pytest.raises((TypeError, ValueError), match=r"mini-batch must be \(inputs, targets"):
            act()


@pytest.mark.parametrize("data", [None, 3, 2.5, "name", np.ones((3, 4))])
def test_data_that_are_none(data):
    for act in (lambda: train(net(), 0.1, 1, data), lambda: evaluate(net(), data)):
        with pytest.raises((TypeError, ValueError), match="mini-batch"):
            act()


def test_weights_in_validation_data_are_refused(rng):
    """Weights that were handed over and ignored would be a wrong figure without a word."""
    x, y = rng.standard_normal((8, 4)), rng.integers(0, 3, 8)
    with pytest.raises(ValueError, match=r"mini-batch must be \(inputs, targets\)"):
        evaluate(net(), [(x, y, np.ones(8))])


def test_two_models_in_two_threads(data):
    """One model serves one thread; two models share nothing."""
    alone = net(seed=1)
    train(alone, 0.1, 20, Batches(*data, 16), verbose=False)
    models = [net(seed=1) for _ in range(2)]
    threads = [
        threading.Thread(
            target=train, args=(m, 0.1, 20, Batches(*data, 16)), kwargs={"verbose": False}
        )
        for m in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        np.testing.assert_array_equal(model.parameters, alone.parameters)
