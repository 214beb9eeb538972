"""The studio's training: steered, watched, saved; and the same training as anywhere else."""

import queue
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from chainrule import SGD, Batches, Layer, Linear, Model, SoftmaxCrossEntropy, load, train
from chainrule.cli.settings import read_settings
from chainrule.distributed.cores import threads_each
from chainrule.studio import nets, pilot
from chainrule.studio.data import load as load_data
from chainrule.studio.own import Own, resolve
from chainrule.studio.recipe import Recipe
from chainrule.studio.runs import past_runs
from chainrule.studio.search import JUDGED, Errands, judged
from chainrule.studio.session import DRAWING, Session

MOONS = Recipe(data="moons", net="linear-8,relu", batch=50)
SOON = 60


@pytest.fixture
def session(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = Session()
    made.set_up(MOONS)
    yield made
    made.close()


def test_it_is_the_training_of_train(session):
    for _ in range(3):
        session.epoch().result(SOON)
    data = load_data("moons")
    net = nets.build(MOONS.net, MOONS.loss, (2,), 2, image=False)
    batches = Batches(data.rows, data.labels, 50, seed=0)
    history = train(
        net, None, 3, batches, optimizer=SGD(0.1), verbose=False,
        validation_data=(data.rows_test, data.labels_test),
    )  # fmt: skip
    frame = session.frame
    assert (frame.parameters == net.parameters).all()
    assert frame.figures == history.rows[-1]
    assert (frame.epoch, frame.step, frame.state) == (3, 24, "paused")


def test_steps(session):
    assert (session.frame.step, session.frame.state) == (0, "paused")
    session.step().result(SOON)
    first = session.frame
    session.step().result(SOON)
    assert (first.step, session.frame.step) == (1, 2)
    assert (first.parameters != session.frame.parameters).any()
    assert session.frame.number > first.number
    assert session.frame.seconds > 0
    assert [step for step, _ in session.frame.losses] == [1, 2]


def test_a_frame_never_changes(session):
    session.step().result(SOON)
    frame = session.frame
    before = frame.parameters.copy()
    session.epoch().result(SOON)
    assert (frame.parameters == before).all()


def test_play_and_pause(session):
    session.play()
    while session.frame.step < 20:
        pass
    session.pause()
    frame = session.frame
    assert frame.state == "paused"
    assert session.frame is frame


def test_what_showing_took_keeps_the_next_frame_away(session, monkeypatch):
    monkeypatch.setattr(pilot, "LEAST_OFTEN", np.inf)
    session.play()
    while (before := session.frame).step == 0:
        pass
    session.charge(10.0)  # seconds: a small share of the time until the frame after the next
    while (frame := session.frame) is before:
        pass
    step = frame.step
    while session.training.run.step < step + 3000:  # many times as long as frames are apart else
        pass
    assert session.frame is frame
    session.pause()
    assert session.frame.step > step


def test_a_page_that_took_very_long_once_does_not_stand_still(session, monkeypatch):
    monkeypatch.setattr(pilot, "LEAST_OFTEN", 0.2)
    session.play()
    session.charge(1e6)
    for _ in range(3):
        before = session.frame
        while session.frame is before:
            pass
    session.pause()


def test_a_browser_takes_from_a_training_that_has_every_core(session):
    noted, cores = [], threads_each(1)
    session.training.pilot.charge = noted.append
    for threads in (cores - 1, cores):
        session.training.threads.chosen = threads
        session.charge(0.5, drawn=True)
        session.charge(0.5)
    assert noted == [0.5, 0.5, 0.5 + DRAWING, 0.5]


def test_what_is_changed_while_it_runs_is_in_the_next_frame(session):
    session.play()
    session.set_learning_rate(0.03)
    session.set_batch(7)
    recipe = session.frame.recipe
    assert (recipe.lr, recipe.batch) == (0.03, 7)
    session.pause()
    session.step().result(SOON)
    assert len(session.frame.batch) <= 7


def test_a_weight_is_changed_by_hand(session):
    session.change("0.weights", (1, 3), 0.5)
    assert session.frame.parameters[8 + 3] == 0.5
    with pytest.raises(ValueError, match=r"has shape \(2, 8\): there is no place \(2, 0\)"):
        session.change("0.weights", (2, 0), 1.0)
    with pytest.raises(ValueError, match="finite"):
        session.change("0.weights", (0, 0), np.nan)
    with pytest.raises(ValueError, match="no parameter"):
        session.change("7.weights", (0, 0), 1.0)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_a_learning_rate_that_makes_no_sense(session, value):
    with pytest.raises(ValueError, match="learning rate"):
        session.set_learning_rate(value)


def test_what_cannot_be_built_leaves_everything_as_it_was(session):
    session.step().result(SOON)
    frame = session.frame
    for bad in ({"net": "conv2d-8-3"}, {"net": "linear-8,batchnorm,maxpool2d-2"}):
        with pytest.raises(ValueError, match="images"):
            session.set_up(Recipe(data="moons", **bad))
    assert session.frame is frame
    session.step().result(SOON)
    assert session.frame.step == 2


def test_divergence_is_told_in_words_and_reset_is_the_way_back(session):
    session.set_up(Recipe(data="moons", net="linear-8,relu", loss="mean-squared-error", lr=1e5))
    session.epoch().result(SOON)
    assert session.frame.state == "failed"
    assert "The loss" in session.frame.words
    assert "Traceback" not in session.frame.words
    assert "Try: a lower learning rate, as 1e+04 (it is 1e+05)." in session.frame.words
    assert "clip_norm" not in session.frame.words  # the page cannot set it
    session.step().result(SOON)  # nothing happens, and nothing hangs
    session.set_learning_rate(0.1)
    session.reset()
    session.epoch().result(SOON)
    assert (session.frame.state, session.frame.words) == ("paused", "")


class Broken(Layer):
    """Fails on its way back."""

    def forward(self, x):
        return x

    def backward(self, grad):
        raise KeyError("no such thing")


def test_an_error_in_a_layer_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def make():
        return Model([Linear(64, 8), Broken(), Linear(8, 10)], SoftmaxCrossEntropy())

    own = Own("net.py:build", load_data("digits"), Recipe(net="own", loss="own"), make, "net.py")
    session = Session(own)
    session.step().result(SOON)
    assert session.frame.state == "failed"
    assert "no such thing" in session.frame.words
    session.close()


class Leaves(Layer):
    """Ends the program on its way back, or, outside training, forward."""

    def forward(self, x):
        if not self.training and len(x) > 2:  # so many are tried when it is built
            raise SystemExit(3)
        return x

    def backward(self, grad):
        raise SystemExit(4)


def test_a_layer_that_ends_the_program_ends_the_training_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def make():
        return Model([Linear(64, 8), Leaves(), Linear(8, 10)], SoftmaxCrossEntropy())

    own = Own("net.py:build", load_data("digits"), Recipe(net="own", loss="own"), make, "net.py")
    session = Session(own)
    errands = Errands(session)
    errands.begin(JUDGED, "", judged)
    assert errands.wait(JUDGED).words == "SystemExit: 3."
    with pytest.raises(RuntimeError, match="SystemExit: 5"):
        session.do(lambda run: sys.exit(5))
    assert session.frame.state == "paused"
    session.step().result(SOON)
    assert session.frame.state == "failed"
    assert re.fullmatch(r"test_training\.py, line \d+: SystemExit: 4\.", session.frame.words)
    session.close()


class Holds(Layer):
    """Waits on its way back until it may go on."""

    def __init__(self, holds, gate):
        self.holds, self.gate = holds, gate

    def __deepcopy__(self, memo):
        return Holds(self.holds, self.gate)

    def forward(self, x):
        return x

    def backward(self, grad):
        self.holds.set()
        self.gate.wait(SOON)
        return grad


def test_a_step_without_end_is_told_in_words_and_another_net_can_be_built(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    holds, gate = threading.Event(), threading.Event()

    def make():
        return Model([Linear(64, 8), Holds(holds, gate), Linear(8, 10)], SoftmaxCrossEntropy())

    own = Own("net.py:build", load_data("digits"), Recipe(net="own", loss="own"), make, "net.py")
    session = Session(own)
    session.step()
    holds.wait(SOON)
    session.training.patience = 0.2
    with pytest.raises(TimeoutError, match="takes longer than"):
        session.set_learning_rate(0.3)
    session.set_up(MOONS)
    session.step().result(SOON)
    assert session.frame.step == 1
    gate.set()  # what was given up comes to its end, and shows nothing
    session.step().result(SOON)
    assert (session.frame.step, session.frame.recipe.data) == (2, "moons")
    session.close()


def test_a_step_is_told_to_those_who_asked_even_if_it_goes_on(session):
    session.set_speed(2.0)
    for ask in (session.step, session.epoch):
        asked = ask()
        session.play()  # before it is made, or just after
        session.set_speed(np.inf)
        asked.result(SOON)
    assert session.frame.state == "running"


def test_a_pause_in_the_middle_of_a_step_does_not_keep_the_old_speed(session):
    session.set_speed(1e-3)
    steered, begun, paused = session.training.pilot, threading.Event(), threading.Event()

    def hold(run):  # the last callback: in the place of a step that takes its time
        begun.set()
        paused.wait(SOON)

    between, steered._between = steered._between, lambda run: (hold(run), between(run))
    session.play()
    begun.wait(SOON)
    steered.tell(pilot.PAUSE)
    paused.set()
    session.set_speed(np.inf)
    session.epoch().result(SOON)
    assert session.frame.epoch == 1


def test_orders_and_wishes_of_every_kind_from_many_threads(session):
    """None may be left without an answer, at any speed; then it obeys as before."""
    failures = []

    def steer(seed):
        rng = np.random.default_rng(seed)
        wishes = [
            session.play, session.pause, lambda: session.step().result(SOON),
            lambda: session.epoch().result(SOON),
            lambda: session.set_batch(int(rng.integers(1, 99))),
            lambda: session.set_speed(float(rng.choice([1e-300, 0.001, 5.0, 1e4, np.inf]))),
            lambda: session.change("0.weights", (0, 0), 0.1), lambda: session.charge(5.0),
        ]  # fmt: skip
        try:
            for choice in rng.integers(0, len(wishes), 60):
                wishes[choice]()
        except BaseException as error:
            failures.append(error)

    crowd = [threading.Thread(target=steer, args=(s,), daemon=True) for s in range(6)]
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):  # who plays slowly keeps others from a step
        session.set_speed(np.inf)
        session.play()
        crowd[0].join(0.02)
    assert not failures
    session.pause()
    step = session.frame.step
    session.step().result(SOON)
    assert session.frame.step == step + 1


def test_a_wish_in_the_moment_before_a_slow_step_is_heard(session):
    """Between its look at what is to do and its wait nothing may slip through."""
    session.set_speed(1e-3)
    session.step().result(SOON)
    session.play()
    steered, goals = session.training.pilot, queue.Queue()

    class Late(threading.Condition):
        """Has a step wished for just before the training takes hold of it, to wait."""

        def __enter__(self):
            if goals.empty() and sys._getframe(1).f_code is pilot.Pilot._between.__code__:
                goals.put(None)
                goals.put(session.step())
            return super().__enter__()

    before, steered._changed = steered._changed, Late()
    with before:
        before.notify_all()
    goals.get(timeout=SOON)
    goals.get(timeout=SOON).result(SOON)
    assert session.frame.step == 2


def test_orders_from_many_threads(session):
    session.play()
    failures = []

    def steer(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(20):
                session.set_learning_rate(float(rng.uniform(0.01, 0.1)))
                session.change("0.weights", (0, 0), 0.1)
                assert session.frame.step >= 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=steer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not failures
    session.reset()
    assert session.frame.step == 0


@pytest.mark.parametrize("data", ["digits", "moons"])
def test_a_run_is_saved_as_the_command_saves_it(session, data, run_here):
    session.set_up(Recipe(data=data, net="linear-8,relu", batch=32))
    session.epoch().result(SOON)
    session.epoch().result(SOON)
    folder = session.save()
    assert str(folder) == f"runs/studio-{data}-001"
    model = load(folder / "model.safetensors")
    assert (model.parameters == session.frame.parameters).all()
    assert read_settings(folder)[0].epochs == 2
    session.step().result(SOON)
    assert session.save() == folder  # the same run
    [past] = past_runs()
    assert past.figures["epochs"] == 2

    session.epoch().result(SOON)  # the third epoch's end
    session.save()
    history = (folder / "history.csv").read_text()
    again = run_here("train", "--config", folder / "run.toml", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert "differ" not in again.stdout
    assert Path("again/history.csv").read_text() == history
    source = data if data == "digits" else folder / "data.npz"
    assert run_here("evaluate", folder / "model.safetensors", source).returncode == 0


def test_close_saves_what_is_new(session):
    assert session.close(save=True) is None  # nothing was trained
    session.set_up(MOONS)
    session.epoch().result(SOON)
    folder = session.close(save=True)
    assert (folder / "model.safetensors").exists()


def test_a_run_that_was_saved_is_opened_again(session):
    session.set_up(Recipe(data="digits", net="linear-8,relu"))
    session.epoch().result(SOON)
    folder = session.save()
    for target in (folder, folder / "model.safetensors", f"{folder / 'net.py'}:build"):
        own = resolve(str(target), None)
        again = Session(own)
        assert again.data.name == "digits"
        if ":build" not in str(target):
            assert (again.frame.parameters == session.frame.parameters).all()
        again.step().result(SOON)
        assert again.frame.step == 1
        again.close()


def test_curves_are_bounded(session):
    session.set_up(Recipe(data="moons", net="linear-4,relu", batch=1))
    for _ in range(3):
        session.epoch().result(SOON)
    assert session.frame.step == 1200
    assert len(session.frame.losses) <= 400


def test_a_slow_training_still_obeys_at_once(session):
    session.set_speed(0.001)
    session.play()
    session.set_learning_rate(0.5)  # it does not wait for the next step
    assert session.frame.step <= 1
    session.pause()
    session.set_speed(np.inf)
    session.epoch().result(SOON)
    assert session.frame.epoch == 1
    with pytest.raises(ValueError, match="speed"):
        session.set_speed(0)
