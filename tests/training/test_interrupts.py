"""Ctrl-C and SIGTERM: the step that is being made is made whole; a second one acts at once."""

import signal
import threading

import numpy as np
import pytest

from chainrule import *

DATA = (np.ones((64, 3), np.float32), np.ones((64, 1), np.float32))


class Interrupted(Linear):
    """Send signals to this process while a step is being made: real ones."""

    def __init__(self, n_in, n_out, at=3, times=1, number=signal.SIGINT):
        super().__init__(n_in, n_out)
        self.at, self.times, self.number = at, times, number
        self.steps = 0

    def backward_parameters(self, grad):
        self.steps += 1
        if self.steps == self.at:
            for _ in range(self.times):
                signal.raise_signal(self.number)
        super().backward_parameters(grad)


def go(layer, **options):
    steps = []
    model = Model([layer], MeanSquaredError())
    train(model, 0.1, 4, Batches(*DATA, 16), verbose=False,
          callbacks=[Hook(on_step_end=lambda run: steps.append(run.step))], **options)  # fmt: skip
    return steps


@pytest.fixture(autouse=True)
def _handlers_are_given_back():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def test_one_waits_for_the_step(tmp_path):
    layer = Interrupted(3, 1)
    with pytest.raises(KeyboardInterrupt) as caught:
        go(layer, checkpoint=tmp_path)
    assert layer.steps == 3
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000003.safetensors"]
    assert "saved up to step 3 in" in caught.value.__notes__[0]
    with pytest.raises(KeyboardInterrupt):  # in the third step of this process
        go(Interrupted(3, 1), checkpoint=tmp_path, resume=True)
    assert (tmp_path / "checkpoint-000000006.safetensors").exists()


def test_a_second_one_acts_at_once(tmp_path):
    layer = Interrupted(3, 1, times=2)
    with pytest.raises(KeyboardInterrupt):
        go(layer, checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []  # the third step is not whole: nothing is saved of it
    assert not np.array_equal(layer.weights, 0)


def test_a_second_one_acts_at_once_while_the_first_ends_the_training(tmp_path):
    done = []

    class Slow(Callback):
        def get_state(self):
            if done == ["saving"]:
                signal.raise_signal(signal.SIGINT)
                done.append("went on")
            return {}

        def on_step_end(self, run):
            if run.step == 2:
                done.append("saving")
                signal.raise_signal(signal.SIGINT)

    model = Model([Linear(3, 1)], MeanSquaredError())
    with pytest.raises(KeyboardInterrupt):
        train(model, 0.1, 4, Batches(*DATA, 16), verbose=False, callbacks=[Slow()],
              checkpoint=tmp_path)  # fmt: skip
    assert done == ["saving"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkpoint_the_step_is_whole_too():
    seen = []

    class Watch(Callback):
        def on_step_end(self, run):
            seen.append(run.step)

    model = Model([Interrupted(3, 1)], MeanSquaredError())
    with pytest.raises(KeyboardInterrupt):
        train(model, 0.1, 4, Batches(*DATA, 16), verbose=False, callbacks=[Watch()])
    assert seen == [1, 2, 3]


def test_sigterm_ends_with_its_code(tmp_path):
    with pytest.raises(SystemExit) as caught:
        go(Interrupted(3, 1, number=signal.SIGTERM), checkpoint=tmp_path)
    assert caught.value.code == 143
    assert len(list(tmp_path.iterdir())) == 1


def test_a_handler_of_one_s_own_is_called_after_the_step():
    called = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: called.append(number))
    try:
        assert go(Interrupted(3, 1, number=signal.SIGTERM)) == list(range(1, 17))
        assert called == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_one_after_the_last_step_is_not_lost():
    ended = []
    hook = Hook(
        on_epoch_end=lambda run: run.epoch == 2 and signal.raise_signal(signal.SIGINT),
        on_train_end=lambda run: ended.append(run.epoch),
    )
    model = Model([Linear(3, 1)], MeanSquaredError())
    with pytest.raises(KeyboardInterrupt):
        train(model, 0.1, 2, DATA, verbose=False, callbacks=[hook])
    assert ended == [2]


def test_while_the_net_is_judged_it_acts_at_once(tmp_path):
    class Judged(Linear):
        def forward(self, x):
            if not self.training:
                signal.raise_signal(signal.SIGINT)
            return super().forward(x)

    model = Model([Judged(3, 1)], MeanSquaredError())
    with pytest.raises(KeyboardInterrupt) as caught:
        train(model, 0.1, 2, DATA, validation_data=DATA, verbose=False, checkpoint=tmp_path)
    assert "saved up to step 1" in caught.value.__notes__[0]
    history = []

    def keep(run):
        history.extend(run.history.rows)

    other = Model([Linear(3, 1)], MeanSquaredError())
    other.layers[0].__class__ = Judged  # the same net, that is judged in peace
    Judged.forward = Linear.forward
    train(other, 0.1, 2, DATA, validation_data=DATA, verbose=False, checkpoint=tmp_path,
          resume=True)  # fmt: skip
    whole = Model([Linear(3, 1)], MeanSquaredError())
    train(whole, 0.1, 2, DATA, validation_data=DATA, verbose=False)
    np.testing.assert_array_equal(other.parameters, whole.parameters)


def test_in_another_thread_signals_are_left_alone():
    errors = []

    def run():
        try:
            go(Interrupted(3, 1, at=0))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []
