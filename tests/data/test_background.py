"""Mini-batches made in a background thread: the same ones, and no thread is left behind."""

import gc
import signal
import subprocess
import sys
import threading
import traceback

import numpy as np
import pytest

from chainrule import (
    Batches,
    Flatten,
    Linear,
    Model,
    ReLU,
    SoftmaxCrossEntropy,
    load_digits,
    train,
)
from chainrule.data import Augment, Augmented
from chainrule.data.background import made_ahead

SETTINGS = {"shift": 1, "rotate": 10, "mix_up": 0.3, "classes": 10, "seed": 4}


def threads(wait=60):
    """Return the names of the threads that have not ended after these seconds."""
    ours = [t for t in threading.enumerate() if t.name.startswith("chainrule")]
    for thread in ours:
        thread.join(wait)
    return [t.name for t in ours if t.is_alive()]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert threads() == []


def digits(ahead=2, batch_size=50, augment=None):
    images, labels = load_digits("test")
    batches = Batches(images, labels, batch_size, seed=3)
    return Augmented(batches, augment or Augment(**SETTINGS), ahead=ahead)


def kept(data):
    """Go through the data without copying: what was given earlier must stay as it was."""
    return [array for batch in list(data) for array in batch]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("ahead", [1, 2, 5, 100])
def test_the_same_with_and_without_a_thread(ahead):
    plain, threaded = digits(0), digits(ahead)
    epochs = [kept(plain) for _ in range(3)]
    for epoch in epochs:
        assert_same(kept(threaded), epoch)
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    assert len(threaded) == len(plain) == len(epochs[0]) / 2 == 8


def test_every_sample_comes_once():
    images, labels = load_digits("test")
    got = kept(digits(augment=Augment()))
    seen = {image.tobytes() for x in got[::2] for image in x}
    assert seen == {image.tobytes() for image in images}
    np.testing.assert_array_equal(np.sort(np.concatenate(got[1::2])), np.sort(labels))


def test_leaving_early_ends_the_thread_and_changes_nothing_of_the_next_time():
    data = digits(ahead=3)
    for i, _ in enumerate(data):
        if i == 1:
            break
    assert threads() == []
    whole = digits(0)
    kept(whole)
    assert_same(kept(data), kept(whole))


def test_it_works_ahead_and_no_further_than_told():
    asked, two_ready = [], threading.Event()

    class Counted(Augment):
        def __call__(self, x, y, rng=None):
            asked.append(threading.current_thread())
            if len(asked) == 3:
                two_ready.set()
            return super().__call__(x, y, rng)

    iterator = iter(digits(ahead=2, augment=Counted()))
    next(iterator)
    assert two_ready.wait(30)  # one is in use, two are made beside it
    iterator.close()
    assert len(asked) == 3
    assert threading.main_thread() not in asked


def test_errors_come_out_with_their_traceback():
    class Broken(Augment):
        def __call__(self, x, y, rng=None):
            if len(x) < 50:  # the last
                raise ZeroDivisionError("in the thread")
            return super().__call__(x, y, rng)

    got = []
    data = digits(augment=Broken())
    with pytest.raises(ZeroDivisionError, match="in the thread") as caught:
        got.extend(data)
    assert len(got) == 7  # all before it came
    assert traceback.extract_tb(caught.tb)[-1].name == "__call__"
    with pytest.raises(ZeroDivisionError):  # again: it is not spent
        list(data)


def go_through(data, action):
    for _ in data:
        action()


def test_an_error_of_the_consumer_ends_the_thread():
    with pytest.raises(ZeroDivisionError):
        go_through(digits(), lambda: 1 / 0)


def test_ctrl_c_ends_the_thread():
    with pytest.raises(KeyboardInterrupt):
        go_through(digits(), lambda: signal.raise_signal(signal.SIGINT))


def test_ctrl_c_while_waiting_ends_the_thread():
    main, went_on = threading.main_thread().ident, []

    class Interrupting(Augment):
        def __call__(self, x, y, rng=None):
            if len(x) < 50:  # the last: the consumer waits for it, or is on its way
                signal.pthread_kill(main, signal.SIGINT)
            return super().__call__(x, y, rng)

    with pytest.raises(KeyboardInterrupt):
        go_through(digits(ahead=1, augment=Interrupting()), lambda: went_on.append(1))
    assert len(went_on) < 8


def test_letting_go_of_an_iterator_ends_its_thread():
    iterators = [iter(digits()) for _ in range(3)]
    for iterator in iterators:
        next(iterator)
    assert len(threads(wait=0)) == 3
    del iterator, iterators
    gc.collect()
    assert threads() == []


def test_the_garbage_collector_does_not_wait_for_a_thread():
    may_go_on = threading.Event()

    def items():
        yield "first"
        may_go_on.wait(60)
        yield "second"

    iterator = made_ahead(items(), ahead=1)
    assert next(iterator) == "first"
    cycle = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()
    assert threads(wait=0) != []  # it is still in the midst of the second
    may_go_on.set()


def test_a_program_can_end_with_an_iteration_open():
    code = """
import numpy as np
from chainrule import Batches
from chainrule.data import Augment, Augmented
open_one = iter(Augmented(Batches(np.zeros((9, 2, 2)), np.zeros(9), 1), Augment()))
next(open_one)
print("ends")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("ends\n", "")


def test_weights_come_along_in_memory_of_their_own():
    x, y, weights = np.zeros((2, 3, 3)), np.array([0, 1]), np.array([1.0, 2.0])
    ((_, _, got),) = Augmented([(x, y, weights)], Augment(shift=1))
    np.testing.assert_array_equal(got, weights)
    assert not np.shares_memory(got, weights)
    with pytest.raises(ValueError, match="Leave out the sample weights"):
        list(Augmented([(x, y, weights)], Augment(mix_up=1, classes=2)))


def test_a_net_learns_from_it():
    images, labels = load_digits("train")
    held_out = load_digits("test")
    net = Model([Flatten(), Linear(64, 50), ReLU(), Linear(50, 10)], SoftmaxCrossEntropy())
    data = Augmented(Batches(images / 16, labels), Augment(**SETTINGS))
    history = train(net, 0.1, 15, data, validation_data=(held_out[0] / 16, held_out[1]),
                    verbose=False)  # fmt: skip
    assert history["validation_accuracy"][-1] > 0.75


@pytest.mark.parametrize(
    "batches", [(np.zeros((2, 3, 3)), np.zeros(2)), np.zeros((2, 2)), (a for a in [1]), 3]
)
def test_what_is_no_mini_batches_is_refused(batches):
    with pytest.raises(TypeError, match=r"Use Batches\(x, y\)"):
        Augmented(batches, Augment())
    with pytest.raises(ValueError, match="0 or more"):
        Augmented([], Augment(), ahead=-1)
