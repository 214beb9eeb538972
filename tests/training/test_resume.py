"""A training that was stopped, anywhere and by anything, ends as one that was not."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from chainrule import (
    Batches,
    Callback,
    Checkpoint,
    Hook,
    Linear,
    MeanSquaredError,
    Model,
    OneCycle,
    train,
)
from training import program

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


def simple(folder, epochs=3, layer=None, data=None, **options):
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    net = Model([layer or Linear(3, 2)], MeanSquaredError())
    checkpoint = Checkpoint(folder, every_steps=1, **options.pop("often", {}))
    data = (x, x[:, :2]) if data is None else data
    train(net, 0.1, epochs, data, checkpoint=checkpoint, verbose=False, **options)
    return net.parameters


def test_more_epochs_may_follow_where_no_schedule_depends_on_them(tmp_path):
    simple(tmp_path / "a", epochs=2)
    longer = simple(tmp_path / "a", epochs=4, resume=True)
    np.testing.assert_array_equal(longer, simple(tmp_path / "b", epochs=4))
    simple(tmp_path / "c", epochs=2, schedule=OneCycle())
    with pytest.raises(ValueError, match="number of epochs was 2, and is 4 now"):
        simple(tmp_path / "c", epochs=4, schedule=OneCycle(), resume=True)


class Own(Linear):
    """Another layer with the same parameters."""


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


# -- damaged files -------------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    whole = simple(tmp_path / "whole")
    simple(tmp_path / "a", epochs=2)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    before, newest = sorted(files)
    content = files[newest]
    for i, damaged in enumerate((content[:-1], content[:100], b"", content[:-9] + bytes(9))):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / before).write_bytes(files[before])
        (folder / newest).write_bytes(damaged)
        with pytest.warns(RuntimeWarning, match=f"{newest} is damaged.*Going on from {before}"):
            np.testing.assert_array_equal(simple(folder, resume=True), whole)


def test_after_a_damaged_checkpoint_the_last_two_are_whole(tmp_path):
    """One of a later step than the one that was gone back to takes the place of none."""
    counts = []

    def count(run):
        names = [path.name for path in sorted(tmp_path.iterdir())]
        counts.append([int(name[11:20]) for name in names])

    simple(tmp_path, epochs=4, callbacks=[Hook()])
    newest = tmp_path / "checkpoint-000000004.safetensors"
    (tmp_path / "checkpoint-000000008.safetensors").write_bytes(newest.read_bytes()[:-1])
    newest.unlink()
    with pytest.warns(RuntimeWarning, match="damaged"):
        simple(tmp_path, epochs=9, resume=True, callbacks=[Hook(on_epoch_begin=count)])
    assert counts == [[3, 8], [3, 4, 8], [4, 5, 8], [5, 6, 8], [6, 7, 8], [7, 8]]


def test_every_flipped_byte_is_found(tmp_path):
    from chainrule.training.checkpoint_file import read_state

    simple(tmp_path, epochs=1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for i in range(0, len(content), max(1, len(content) // 400)):
        for change in (1, 0x20, 0x80):
            flipped = bytearray(content)
            flipped[i] ^= change
            path.write_bytes(flipped)
            with pytest.raises(ValueError, match=path.name):
                read_state(path)
    path.write_bytes(content)
    read_state(path)


def test_when_all_are_damaged_it_says_so(tmp_path):
    simple(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"damaged.*damaged.*Remove the file"):
        simple(tmp_path, resume=True)


def test_another_version_and_a_model(tmp_path):
    from chainrule.storage import read_arrays, write_arrays
    from chainrule.training.checkpoint_file import read_state

    simple(tmp_path, epochs=1)
    (path,) = tmp_path.iterdir()
    arrays, description = read_arrays(path)
    write_arrays(path, arrays, {**description, "checkpoint": 2})
    with pytest.raises(ValueError, match="a checkpoint of format 2, and this chainrule reads 1"):
        simple(tmp_path, resume=True)
    Model([Linear(3, 2)], MeanSquaredError()).save(path)
    with pytest.raises(ValueError, match=r"is no checkpoint\. If it is a model: chainrule.load"):
        read_state(path)


# -- what cannot be written ----------------------------------------------------------------------


def test_a_full_disk_does_not_stop_the_training(small_disk, tmp_path):
    class Fill(Callback):
        """Fill the disk after the second epoch, and make room after the fourth."""

        def on_epoch_begin(self, run):
            filler = small_disk / "filler"
            if run.epoch == 3:
                with filler.open("wb", 0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * 512)
            elif run.epoch == 5:
                filler.unlink()

    folder = small_disk / "c"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        full = simple(folder, epochs=6, callbacks=[Fill()])
    messages = [str(warning.message) for warning in caught]
    assert [m.split("step ")[1].split(" could")[0] for m in messages] == ["3", "3", "4", "4"]
    assert all("No space left" in m and "The training goes on." in m for m in messages)
    assert "The last one is checkpoint-000000002.safetensors." in messages[0]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint-000000005.safetensors", "checkpoint-000000006.safetensors"]
    np.testing.assert_array_equal(full, simple(tmp_path / "other", epochs=6))


def test_a_disk_that_is_read_only(small_disk):
    folder = small_disk / "c"
    simple(folder, epochs=1)
    kept = [path.read_bytes() for path in folder.iterdir()]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match=r"cannot write checkpoints into.*Read-only file system"):
        simple(folder, resume=True)
    assert [path.read_bytes() for path in folder.iterdir()] == kept


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    class Remove(Callback):
        def on_epoch_begin(self, run):
            for path in (tmp_path / "c").iterdir():
                path.unlink()
            (tmp_path / "c").rmdir()

    simple(tmp_path / "c", callbacks=[Remove()])
    assert len(list((tmp_path / "c").iterdir())) == 1


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(OSError, match="cannot write checkpoints into"):
        simple(tmp_path / "c")
    assert (tmp_path / "c").read_text() == "mine"


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
