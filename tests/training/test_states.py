"""Optimisers and schedules go on where they were, and are not carried over to another net."""

import copy

import numpy as np
import pytest

from cases_optimizers import OPTIMIZERS
from chainrule import *
from chainrule.schedules import Cosine, OneCycle, Plateau, Warmup
from chainrule.training.checkpoint_file import read_state, write_state

SCHEDULES = {
    "none": lambda: None,
    "1cycle": OneCycle,
    "restarts": lambda: Cosine(7, growth=2),
    "warm-up": lambda: Warmup(5, Cosine()),
    "plateau": lambda: Plateau(0.5, patience=1, monitor="loss", threshold=0.5),
}


def data():
    x = np.random.default_rng(1).standard_normal((40, 3))
    return Batches(x, np.tanh(x @ np.array([[1.0], [2.0], [-1.0]])), 8, seed=2)


def net(dtype):
    return Model([Linear(3, 5), ReLU(), Linear(5, 1)], MeanSquaredError(), dtype=dtype)


def go(case, schedule, dtype, folder, stop_at=0, resume=False):
    model, optimizer = net(dtype), case.make()

    def stop(run):
        if run.step == stop_at:
            raise RuntimeError

    train(model, None, 8, data(), optimizer=optimizer, schedule=schedule(), verbose=False,
          checkpoint=folder, resume=resume, callbacks=[Hook(on_step_end=stop)])  # fmt: skip
    return model.parameters, optimizer.get_state()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("case", OPTIMIZERS, ids=lambda case: case.name)
def test_twenty_steps_and_twenty_more(case, schedule, dtype, tmp_path):
    whole, remembered = go(case, schedule, dtype, tmp_path / "whole")
    with pytest.raises(RuntimeError):
        go(case, schedule, dtype, tmp_path / "parts", stop_at=20)
    resumed, remembered_too = go(case, schedule, dtype, tmp_path / "parts", resume=True)
    assert resumed.tobytes() == whole.tobytes()
    write_state(tmp_path / "a", remembered)
    write_state(tmp_path / "b", remembered_too)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_state(tmp_path / "a")["steps"] == 40


def test_what_was_remembered_is_not_carried_over():
    optimizer = Adam(0.01)
    first, other = net("float32"), net("float32")
    for _ in range(2):  # the same model goes on
        train(first, None, 1, data(), optimizer=optimizer, verbose=False)
    with pytest.raises(ValueError, match=r"remembers 10 steps on another model.*reset\(\)"):
        train(other, None, 1, data(), optimizer=optimizer, verbose=False)
    train(other, None, 1, data(), optimizer=optimizer.reset(), verbose=False)
    fresh = net("float32")
    train(fresh, None, 1, data(), optimizer=Adam(0.01), verbose=False)
    np.testing.assert_array_equal(other.parameters, fresh.parameters)


def test_what_remembers_nothing_serves_any_net():
    optimizer = SGD(0.01)
    for _ in range(2):
        train(net("float32"), None, 1, data(), optimizer=optimizer, verbose=False)


def test_a_copy_may_serve_a_copy():
    optimizer, model = NAdam(0.01), net("float64")
    train(model, None, 2, data(), optimizer=optimizer, verbose=False)
    twin, again = copy.deepcopy((model, optimizer))
    for which, whose in ((model, optimizer), (twin, again)):
        train(which, None, 1, data(), optimizer=whose, verbose=False)
    np.testing.assert_array_equal(model.parameters, twin.parameters)


@pytest.mark.parametrize("case", OPTIMIZERS, ids=lambda case: case.name)
def test_reset_is_as_built(case):
    ends = []
    optimizer = case.make()
    for _ in range(2):
        model = net("float64")
        train(model, None, 2, data(), optimizer=optimizer.reset(), verbose=False)
        ends.append(model.parameters)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "SGD"}, "the state is that of SGD"),
        ({"size": 7}, "a net of 7 parameters"),
        ({"averages": {}}, "that of a net"),
        ({"averages": {"mean": np.zeros(3), "mean_square": np.zeros(3)}}, "that of a net"),
        ({"learning_rate": -1.0}, "a learning rate of -1.0"),
        ({"steps": -1}, "that of a net"),
        ({"steps": "3"}, "damaged: Adam/steps"),
        ({"momentum": 1.0}, "a momentum of 1.0"),
        ({"momentum": None}, "damaged: Adam/momentum"),
        ({"averages": None}, "damaged: Adam/averages"),
        ({"averages": dict.fromkeys(("mean", "mean_square"), np.zeros(26, int))}, "that of a net"),
        ({"averages": dict.fromkeys(("mean", "mean_square"), [0.0] * 26)}, "that of a net"),
    ],
)
def test_a_state_that_does_not_fit(change, message):
    optimizer = Adam(0.01)
    model = net("float32")
    train(model, None, 1, data(), optimizer=optimizer, verbose=False)
    before = optimizer.get_state()
    with pytest.raises(ValueError, match=message):
        optimizer.set_state({**before, **change})
    after = optimizer.get_state()
    assert after["steps"] == before["steps"]
    np.testing.assert_array_equal(after["averages"]["mean"], before["averages"]["mean"])


@pytest.mark.parametrize("case", OPTIMIZERS, ids=lambda case: case.name)
def test_a_state_in_a_loop_of_ones_own(case, rng):
    """Without a model that it is bound to."""
    first, w = case.make(), np.ones(5)
    gradients = rng.standard_normal((6, 5))
    for gradient in gradients[:3]:
        first.step(w, gradient)
    second, v = case.make(), w.copy()
    second.set_state(first.get_state())
    for gradient in gradients[3:]:
        first.step(w, gradient)
        second.step(v, gradient)
    np.testing.assert_array_equal(v, w)


def test_a_state_that_lacks_everything():
    for state in ({}, None, 5, {"class": "Adam"}):
        with pytest.raises(ValueError, match=r"it is damaged: .*Adam"):
            Adam(0.01).set_state(state)


def test_a_net_without_parameters_goes_on():
    model, optimizer = Model([ReLU()], MeanSquaredError()), Adam(0.01)
    x = np.ones((8, 3))
    train(model, None, 1, (x, x), optimizer=optimizer, verbose=False)
    other = Adam(0.01).bind(model)
    other.set_state(optimizer.get_state())
    assert other.steps == 1


def test_an_optimizer_without_memory_takes_the_next_nets_float_type():
    optimizer, ends = SGD(0.01), []
    train(net("float32"), None, 1, data(), optimizer=optimizer, verbose=False)
    for which in (optimizer, SGD(0.01)):
        model = net("float64")
        train(model, None, 1, data(), optimizer=which, verbose=False)
        ends.append(model.parameters)
    np.testing.assert_array_equal(*ends)


def test_an_average_that_does_not_fit():
    average, model = WeightAverage(0.9), net("float32")
    train(model, 0.01, 1, data(), callbacks=[average], verbose=False)
    before = average.get_state()
    for state in ({}, {"parameters": np.zeros(3)}, {"parameters": np.zeros(26, int)},
                  {"parameters": "none"}):  # fmt: skip
        with pytest.raises(ValueError, match="WeightAverage"):
            average.set_state(state)
    average.set_state(before)
    assert average.parameters is not before["parameters"], "a later step would change the state"
    np.testing.assert_array_equal(average.parameters, before["parameters"])
