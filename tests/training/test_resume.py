"""A training that was stopped, anywhere and by anything, ends as one that was not."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import (
    Batches,
    Callback,
    Hook,
    Linear,
    MeanSquaredError,
    Model,
    OneCycle,
    train,
)
from chainrule.training.checkpoint_file import read_state
from training import program
from training.program import simple

PROGRAM = Path(program.__file__)
HOOKS = ["on_epoch_begin", "on_step_end", "on_epoch_end"]


class Fails(Callback):
    """Raise at the n-th call of any hook, once."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def _count(self, run):
        self.calls += 1
        if self.calls == self.at:
            raise RuntimeError("I give up")

    on_epoch_begin = on_step_end = on_epoch_end = _count


def train_until(folder, at, epochs=2, place=1):
    """Train from the newest checkpoint on; the callback fails at its n-th call (0: never)."""
    net, settings = program.parts()
    settings["callbacks"].insert(place, Fails(at))
    folder.mkdir(exist_ok=True)
    try:
        history = train(
            net, None, epochs, checkpoint=folder, resume=bool(list(folder.iterdir())), **settings
        )
    except RuntimeError:
        return None
    del settings["callbacks"][place]
    return program.end(net, settings, history)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train_until(tmp_path_factory.mktemp("undisturbed"), at=0)


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("at", [2, 3, 7, 11, 12, 13, 14, 23, 24])
def test_a_callback_that_fails_loses_nothing(undisturbed, tmp_path, at, place):
    assert train_until(tmp_path / "c", at, place=place) is None
    same(train_until(tmp_path / "c", at=0, place=place), undisturbed)


def test_failing_again_and_again(undisturbed, tmp_path):
    ends = []
    while not ends or ends[-1] is None:
        ends.append(train_until(tmp_path / "c", at=3))
    assert len(ends) > 10
    same(ends[-1], undisturbed)


def test_the_error_names_the_callback_and_the_file(tmp_path):
    net, settings = program.parts()
    settings["callbacks"].append(Fails(5))
    with pytest.raises(RuntimeError, match="I give up") as caught:
        train(net, None, 2, checkpoint=tmp_path, **settings)
    named, saved = caught.value.__notes__
    assert named == "Raised by the callback Fails in on_step_end, in epoch 1, after step 4."
    assert "saved up to step 4 in" in saved
    assert "checkpoint-000000004.safetensors" in saved


class Remembers(Callback):
    """Has a state that a test gives it."""

    def __init__(self, state):
        self.state = state

    def get_state(self):
        return self.state() if callable(self.state) else self.state

    def set_state(self, state):
        if state["figure"] > 1:
            raise ZeroDivisionError("not in my state")


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"names": np.array(["a", "b"])}, TypeError, "/0/1/names' is an array of <U1; a checkp"),
        ({"things": np.array([None])}, TypeError, "/0/1/things' is an array of object"),
        ({"seen": {1, 2}}, TypeError, "/0/1/seen' is a set; a checkpoint holds numbers"),
        (lambda: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_a_state_that_cannot_be_saved_is_told_at_the_beginning(tmp_path, state, error, message):
    steps = []
    callbacks = [Remembers(state), Hook(on_step_end=steps.append)]
    with pytest.raises(error, match=message) as caught:
        simple(tmp_path, callbacks=callbacks)
    assert not steps
    if error is ZeroDivisionError:
        assert "by the callback Remembers in get_state, in epoch 0" in caught.value.__notes__[0]


def test_an_error_in_a_callback_s_set_state_names_it_and_leaves_the_net(tmp_path):
    simple(tmp_path, callbacks=[Remembers({"figure": 2})])
    net = Model([Linear(3, 2)], MeanSquaredError(), seed=5)
    before = net.parameters.copy()
    x = np.ones((40, 3), np.float32)
    with pytest.raises(ZeroDivisionError) as caught:
        train(net, 0.1, 4, (x, x[:, :2]), checkpoint=tmp_path, resume=True, verbose=False,
              callbacks=[Remembers({"figure": 1})])  # fmt: skip
    assert "by the callback Remembers in set_state" in caught.value.__notes__[0]
    np.testing.assert_array_equal(net.parameters, before)


def test_a_finished_training_is_not_trained_again(undisturbed, tmp_path):
    same(train_until(tmp_path / "c", at=0), undisturbed)
    before = sorted(path.read_bytes() for path in (tmp_path / "c").iterdir())
    assert len(before) == 2
    same(train_until(tmp_path / "c", at=0), undisturbed)
    assert sorted(path.read_bytes() for path in (tmp_path / "c").iterdir()) == before


def test_more_epochs_may_follow_where_no_schedule_depends_on_them(tmp_path):
    simple(tmp_path / "a", epochs=2)
    longer = simple(tmp_path / "a", epochs=4, resume=True)
    np.testing.assert_array_equal(longer, simple(tmp_path / "b", epochs=4))
    simple(tmp_path / "c", epochs=2, schedule=OneCycle())
    with pytest.raises(ValueError, match="number of epochs was 2, and is 4 now"):
        simple(tmp_path / "c", epochs=4, schedule=OneCycle(), resume=True)


class Own(Linear):
    """Another layer with the same parameters."""


class With(Linear):
    """A layer that is given a function."""

    def __init__(self, n_in, n_out, function):
        super().__init__(n_in, n_out)
        self.function = function


def test_a_function_in_a_layer_may_be_elsewhere_in_memory(tmp_path):
    one, other = With(3, 2, lambda x: x), With(3, 2, lambda x: x)
    assert repr(one) != repr(other)  # they have an address
    simple(tmp_path / "a", epochs=2, layer=one)
    longer = simple(tmp_path / "a", epochs=4, layer=other, resume=True)
    np.testing.assert_array_equal(longer, simple(tmp_path / "b", epochs=4, layer=With(3, 2, len)))


def test_a_single_process_says_nothing_of_several(tmp_path):
    """So its files are what they were before there were several."""
    simple(tmp_path)
    for path in tmp_path.iterdir():
        state = read_state(path)
        assert state["data"].keys() == {"used", "start", "length"}
        assert "workers" not in state


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layer": Own(3, 2)}, r"layer 0 is Linear\(3, 2\), and here it is Own\(3, 2\)"),
        ({"clip_norm": 1.0}, "clip_norm was None, and is 1.0 now"),
        ({"schedule": OneCycle()}, r"schedule was None, and is OneCycle\(\) now"),
        ({"data": [(np.ones((2, 3)), np.ones((2, 2)))] * 3}, "had 1 mini-batches, and these have"),
        ({"callbacks": [Callback()]}, "with the callbacks none, and these are Callback"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path, changed, message):
    simple(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        simple(tmp_path, resume=True, **changed)
    assert str(tmp_path) in str(caught.value)


def test_what_is_refused_is_not_half_taken(tmp_path):
    simple(tmp_path)
    x = np.ones((40, 3), np.float32)
    net = Model([Linear(3, 2)], MeanSquaredError(), seed=5)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="callbacks"):
        train(net, 0.1, 3, (x, x[:, :2]), checkpoint=tmp_path, resume=True, callbacks=[Callback()],
              verbose=False)  # fmt: skip
    np.testing.assert_array_equal(net.parameters, before)


def test_a_folder_with_checkpoints_is_not_begun_anew(tmp_path):
    simple(tmp_path)
    with pytest.raises(FileExistsError, match="resume=True"):
        simple(tmp_path)


def test_a_generator_that_serves_data_and_model_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    net = Model([Linear(3, 2)], MeanSquaredError(), seed=rng)
    data = Batches(np.ones((40, 3)), np.ones((40, 2)), 8, seed=rng)
    with pytest.raises(ValueError, match="Give each a seed of its own"):
        train(net, 0.1, 1, data, checkpoint=tmp_path)
    train(net, 0.1, 1, data, verbose=False)


def test_resume_needs_a_folder():
    with pytest.raises(ValueError, match="checkpoint=FOLDER"):
        train(Model([Linear(3, 2)], MeanSquaredError()), 0.1, 1, [], resume=True)


# -- a real process ------------------------------------------------------------------------------


def start(folder, epochs=30):
    command = [sys.executable, str(PROGRAM), str(folder), str(epochs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_to_the_end(folder):
    with start(folder) as child:
        _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    with np.load(folder / "end.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_to_the_end(tmp_path_factory.mktemp("whole"))


def being_written(folder):
    return any(name.endswith(".part") for name in os.listdir(folder))


def test_killed_at_twenty_moments(whole, tmp_path):
    """Ten times after a number of steps, ten times while a checkpoint is being written."""
    moments = random.Random(6)
    reached = 0
    for kill in range(20):
        with start(tmp_path) as child:
            assert child.stdout.readline() == "ready\n"
            for _ in range(moments.randint(1, 2)):
                line = child.stdout.readline()
            while kill % 2 and child.poll() is None and not being_written(tmp_path / "checkpoints"):
                pass
            child.kill()
            rest = child.stdout.read()
        assert child.returncode == -signal.SIGKILL, "it ended before it was killed"
        last = int((line + rest).split()[-1])
        assert last > reached  # it goes on
        reached = last - 1  # the checkpoint of the last step may not have been written
    same(run_to_the_end(tmp_path), whole)
    assert not being_written(tmp_path / "checkpoints")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -2), (signal.SIGTERM, 143)])
def test_a_signal_ends_after_the_step_with_a_checkpoint(whole, tmp_path, number, code):
    with start(tmp_path) as child:
        for line in child.stdout:
            if line == "step 7\n":
                child.send_signal(number)
                break
        rest, errors = child.communicate(timeout=60)
    assert child.returncode == code
    last = int((line + rest).split()[-1])
    assert f"checkpoint-{last:09d}.safetensors" in os.listdir(tmp_path / "checkpoints")
    if number == signal.SIGINT:
        assert f"The training is saved up to step {last} in" in errors
    same(run_to_the_end(tmp_path), whole)


def test_what_a_callback_froze_stays_frozen(tmp_path):
    def go(folder, stop_at=0, resume=False):
        def turn(run):
            if run.step == 3:
                run.model.layers[0].frozen = True
            if run.step == stop_at:
                raise RuntimeError

        x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
        net = Model([Linear(3, 4), Linear(4, 2)], MeanSquaredError())
        train(net, 0.1, 3, Batches(x, x[:, :2], 8), checkpoint=folder, resume=resume,
              callbacks=[Hook(on_step_end=turn)], verbose=False)  # fmt: skip
        return net

    whole = go(tmp_path / "a")
    with pytest.raises(RuntimeError):
        go(tmp_path / "b", stop_at=7)
    resumed = go(tmp_path / "b", resume=True)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    assert resumed.layers[0].frozen


def test_gradients_that_spoil_the_last_step(tmp_path):
    class Spoiled(Linear):
        def backward_parameters(self, grad):
            super().backward_parameters(grad)
            self.grad_b = np.full(2, np.nan)

    with pytest.raises(FloatingPointError, match=r"after step 1 \(epoch 1\).*0.biases.*2 NaN"):
        simple(tmp_path, layer=Spoiled(3, 2), epochs=1)
