"""The number of threads while training, and after."""

import numpy as np
import pytest

from chainrule import *
from chainrule.training import threads

threadpoolctl = pytest.importorskip("threadpoolctl")


def counts():
    return [i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]


class Log(Callback):
    def __init__(self):
        self.seen = []

    def on_step_end(self, run):
        self.seen.append(counts())


@pytest.fixture
def two_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if 2 not in counts():
            pytest.skip("this BLAS has no second thread")
        yield


def trained(choice, *, epochs=1, fail=False):
    net = Model([Linear(6, 4), ReLU(), Linear(4, 3)], SoftmaxCrossEntropy())
    rng = np.random.default_rng(0)
    data = Batches(rng.standard_normal((200, 6)), rng.integers(0, 3, 200), 2)
    log = Log()

    class Fail(Callback):
        def on_step_end(self, run):
            if fail and run.step == 30:
                raise KeyboardInterrupt

    train(net, 0.1, epochs, data, callbacks=[choice, log, Fail()], verbose=False)
    return log.seen


@pytest.mark.usefixtures("two_threads")
def test_a_number_holds_while_training_and_goes_with_it():
    before = counts()
    seen = trained(Threads(1))
    assert seen == [[1] * len(before)] * 100
    assert counts() == before


@pytest.mark.usefixtures("two_threads")
def test_an_interrupted_training_gives_the_threads_back():
    before = counts()
    with pytest.raises(KeyboardInterrupt):
        trained(Threads("auto"), fail=True)
    assert counts() == before


@pytest.mark.usefixtures("two_threads")
def test_of_two_trainings_at_once_the_last_gives_the_threads_back():
    before = counts()
    first, second, run = Threads(1), Threads(), None
    first.on_train_begin(run)
    second.on_train_begin(run)  # finds what the first has set
    used = set()
    for _ in range(3 * threads.TRIAL):
        second.on_step_end(run)
        used.add(second.chosen)
    assert used == {1, 2}
    first.on_train_end(run)  # in the other order than they began
    second.on_train_end(run)
    assert counts() == before


@pytest.mark.usefixtures("two_threads")
def test_auto_tries_each_count_and_settles():
    before = counts()
    choice = Threads()
    seen = trained(choice)
    trial, rounds = threads.TRIAL, threads.ROUNDS
    # What a step's end sees is what the next step uses.
    expected = ([1] * trial + [2] * trial) * rounds
    assert [each[0] for each in seen[: len(expected) - 1]] == expected[1:]
    assert {each[0] for each in seen[len(expected) :]} == {choice.chosen}
    assert counts() == before


@pytest.mark.usefixtures("two_threads")
def test_auto_goes_with_the_faster(monkeypatch):
    """A clock in which steps with two threads take twice as long."""
    choice = Threads()
    time = 0.0

    def clock():
        nonlocal time
        time += choice.chosen
        return time

    monkeypatch.setattr(threads.time, "perf_counter", clock)
    trained(choice)
    assert choice.chosen == 1


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("least_gain", "chosen"), [(1.0, 2), (1.4, 2), (1.6, 1)])
def test_more_threads_must_be_worth_it(monkeypatch, least_gain, chosen):
    """A clock in which steps with two threads are 1.5 times as fast."""
    choice = Threads(least_gain=least_gain)
    time = 0.0

    def clock():
        nonlocal time
        time += 3.0 if choice.chosen == 1 else 2.0
        return time

    monkeypatch.setattr(threads.time, "perf_counter", clock)
    trained(choice)
    assert choice.chosen == chosen


@pytest.mark.parametrize("least_gain", [0.9, 0, -1, float("nan")])
def test_gains_that_make_no_sense(least_gain):
    with pytest.raises(ValueError, match="least_gain must be 1 or more"):
        Threads(least_gain=least_gain)


@pytest.mark.usefixtures("two_threads")
def test_auto_tries_again(monkeypatch):
    monkeypatch.setattr(threads, "AGAIN", 5)
    seen = trained(Threads())
    trials = 2 * threads.TRIAL * threads.ROUNDS
    assert {each[0] for each in seen[trials + 5 :]} == {1, 2}


def test_one_thread_has_nothing_to_try():
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert trained(Threads()) == [[1] * len(counts())] * 100


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "many", None])
def test_counts_that_make_no_sense(count):
    with pytest.raises(ValueError, match="1 or more"):
        Threads(count)


def test_a_count_of_numpys():
    assert Threads(np.int64(2)).count == 2
