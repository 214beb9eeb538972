"""The learning-rate finder leaves everything as it was, and finds what can be known."""

import signal

import numpy as np
import pytest

from chainrule import *
from chainrule.data import Augment, Augmented, MiniBatches
from chainrule.training.finder import _twin


def net():
    layers = [Linear(4, 16), BatchNorm(16), ReLU(), Dropout(0.2), Linear(16, 3)]
    return Model(layers, SoftmaxCrossEntropy(), seed=3)


@pytest.fixture
def samples(rng):
    y = rng.integers(0, 3, 200)
    return (rng.standard_normal((200, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32), y


def order(data):
    return [(x.tobytes(), y.tobytes()) for x, y in data]


def everything(model, optimizer):
    """All that a training could change, as bytes."""
    state = [array.tobytes() for _, array in model.named_state()]
    remembered = [array.tobytes() for array in optimizer.state.values()]
    return (
        model.parameters.tobytes(), model.gradients.tobytes(), state, remembered, optimizer.steps,
        optimizer.learning_rate, model.rng.bit_generator.state, model.training,
    )  # fmt: skip


def test_everything_is_left_as_it_was(samples):
    model, optimizer = net(), Adam(0.01)
    train(model, None, 1, samples, optimizer=optimizer, verbose=False)
    before = everything(model, optimizer)
    found = find_learning_rate(model, samples, optimizer=optimizer)
    assert everything(model, optimizer) == before
    assert len(found.rates) > 10


@pytest.mark.parametrize("how", ["an error", "Ctrl-C"])
def test_everything_is_left_as_it_was_when_it_breaks_off(how, samples):
    """An error in the loss, and a real signal, in the middle of the mock training."""
    calls = []

    class Breaks(SoftmaxCrossEntropy):
        def mean(self):
            calls.append(1)
            if len(calls) == 30:
                if how == "an error":
                    raise RuntimeError
                signal.raise_signal(signal.SIGINT)
            return super().mean()

    model = Model([Linear(4, 16), BatchNorm(16), Dropout(0.2), Linear(16, 3)],
                  Breaks(), seed=3)  # fmt: skip
    optimizer, used, fresh = (
        Adam(0.01),
        Batches(*samples, 32, seed=5),
        Batches(*samples, 32, seed=5),
    )
    train(model, None, 1, samples, optimizer=optimizer, verbose=False)
    before = everything(model, optimizer)
    with pytest.raises(RuntimeError if how == "an error" else KeyboardInterrupt):
        find_learning_rate(model, used, optimizer=optimizer)
    assert everything(model, optimizer) == before
    assert order(used) == order(fresh)


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: Batches(x, y, 32, seed=5),
        lambda x, y: MiniBatches(x, y, 32, seed=5),
        lambda x, y: [(x[:100], y[:100]), (x[100:], y[100:])],
    ],
    ids=["Batches", "MiniBatches", "list"],
)
def test_the_order_of_the_data_is_left_as_it_was(make, samples):
    used, fresh = make(*samples), make(*samples)
    find_learning_rate(net(), used)
    for data in (used, fresh):
        if isinstance(data, MiniBatches):
            data.shuffle()
    assert order(used) == order(fresh)


def test_augmented_data_are_left_as_they_were(rng):
    x, y = rng.standard_normal((60, 8, 8)).astype(np.float32), rng.integers(0, 3, 60)
    used, fresh = [Augmented(Batches(x, y, 20), Augment(shift=1, seed=7)) for _ in range(2)]
    model = Model([Flatten(), Linear(64, 3)], SoftmaxCrossEntropy())
    find_learning_rate(model, used)
    assert order(used) == order(fresh)


def test_the_arrays_are_not_copied(samples):
    data = Augmented(Batches(*samples), Augment(seed=7))
    twin = _twin(data)
    assert twin.batches.x is data.batches.x
    assert twin.batches.rng is not data.batches.rng
    assert twin.augment.rng is not data.augment.rng


def test_the_same_twice(samples):
    model = net()
    first, second = (find_learning_rate(model, Batches(*samples)) for _ in range(2))
    assert first.losses.tobytes() == second.losses.tobytes()
    assert str(first) == str(second)


def test_what_it_measures_is_what_its_formulas_say(samples):
    found = find_learning_rate(net(), samples, lowest=1e-4, highest=1e3, steps=50, smoothing=0.8)
    wanted = 1e-4 * 1e7 ** (np.arange(50) / 49)
    np.testing.assert_allclose(found.rates, wanted[: len(found.rates)])
    average = 0.0
    for i, (loss, smoothed) in enumerate(zip(found.losses, found.smoothed, strict=True)):
        average = 0.8 * average + 0.2 * loss
        assert smoothed == pytest.approx(average / (1 - 0.8 ** (i + 1)))
    slopes = np.gradient(found.smoothed, np.log(found.rates))
    lowest = found.smoothed.argmin()
    assert found.steepest == found.rates[5 + slopes[5 : lowest + 1].argmin()]
    assert found.suggestion == pytest.approx(found.rates[found.smoothed.argmin()] / 10)


def test_it_stops_where_the_loss_diverges(rng):
    """On a bowl the loss grows once the rate is above 2 over the greatest curvature."""
    x = rng.standard_normal((64, 3))
    model = Model([Linear(3, 1)], MeanSquaredError(), dtype=np.float64)
    data = [(x, (x @ [[1.0], [2.0], [3.0]]))]
    found = find_learning_rate(model, data, lowest=1e-3, highest=1e4, steps=200)
    curvature = 2 * np.linalg.eigvalsh(np.cov(np.c_[x, np.ones(64)].T, bias=True)).max()
    assert found.diverged
    assert len(found.rates) < 150
    assert 0.5 * 2 / curvature < found.rates[-1] < 10 * 2 / curvature
    assert max(found.suggestion, found.steepest) < 2 / curvature
    too_low = find_learning_rate(model, data, lowest=1e-9, highest=1e-6)
    assert not too_low.diverged
    assert len(too_low.rates) == 200


def test_its_suggestion_trains(samples):
    found = find_learning_rate(net(), samples)
    model = net()
    history = train(model, found.suggestion, 10, samples, schedule=OneCycle(), verbose=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_overflow_ends_it(rng):
    x = rng.standard_normal((64, 3)).astype(np.float32)
    model = Model([Linear(3, 1)], MeanSquaredError())
    found = find_learning_rate(model, [(x, x[:, :1])], lowest=1e-25, highest=1e25, steps=20)
    assert found.diverged


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 0}, "0 < lowest < highest, got 0"),
        ({"lowest": 1.0, "highest": 0.1}, "0 < lowest < highest"),
        ({"steps": 9}, "steps must be at least 10, got 9"),
        ({"smoothing": 1}, "smoothing must be from 0 to below 1"),
    ],
)
def test_nonsense_is_refused(options, words, samples):
    with pytest.raises(ValueError, match=words):
        find_learning_rate(net(), samples, **options)


def test_data_that_would_be_used_up(samples):
    stream = iter(Batches(*samples))
    with pytest.raises(TypeError, match=r"only once.*got generator"):
        find_learning_rate(net(), stream)
    assert len(list(stream)) == 4
    with pytest.raises(ValueError, match=r"no finite number after \d steps"):
        find_learning_rate(net(), (np.full((70, 4), np.nan), np.zeros(70, int)))


# -- the average of the weights -------------------------------------------------------------------


def test_the_average_is_its_formula(samples):
    seen = []

    class Look(Callback):
        def on_step_end(self, run):
            seen.append(run.model.parameters.copy())

    model, average = net(), WeightAverage(0.9)
    train(model, 0.1, 2, samples, callbacks=[average, Look()], verbose=False)
    expected = seen[0]
    for w in seen[1:]:
        expected = 0.9 * expected + 0.1 * w
    np.testing.assert_allclose(average.parameters, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.parameters, seen[-1])
    with average.applied(model):
        np.testing.assert_array_equal(model.parameters, average.parameters)
    np.testing.assert_array_equal(model.parameters, seen[-1])
    with pytest.raises(RuntimeError, match="broken"), average.applied(model):
        raise RuntimeError("broken")
    np.testing.assert_array_equal(model.parameters, seen[-1])


def test_the_average_is_pytorchs(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    theirs = torch.nn.Linear(3, 2).double()
    reference = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    model, average = Model([Linear(3, 2)], MeanSquaredError(), dtype=np.float64), WeightAverage(0.8)
    run = Run(model, SGD(), 1)
    average.on_train_begin(run)
    for w in rng.standard_normal((10, 8)):
        model.parameters = w
        theirs.weight.data = torch.tensor(model.layers[0].weights.T.copy())
        theirs.bias.data = torch.tensor(model.layers[0].biases.copy())
        average.on_step_end(run)
        reference.update_parameters(theirs)
    with average.applied(model):
        np.testing.assert_allclose(
            model.layers[0].weights.T, reference.module.weight.detach(), rtol=1e-12
        )


def test_the_model_keeps_the_average_if_asked(samples):
    model, average = net(), WeightAverage(0.9, keep=True)
    train(model, 0.1, 1, samples, callbacks=[average], verbose=False)
    np.testing.assert_array_equal(model.parameters, average.parameters)
    half, average = net().astype(np.float16), WeightAverage(0.9, keep=True)
    train(half, 0.1, 1, samples, callbacks=[average], verbose=False)
    assert average.parameters.dtype == np.float32


def test_no_average_yet():
    with pytest.raises(RuntimeError, match="before the first step"), WeightAverage().applied(net()):
        pass
    with pytest.raises(ValueError, match="decay must be from 0 to below 1, got 1"):
        WeightAverage(1)
