"""Callbacks: early stopping, files of the history, TensorBoard, hooks."""

import contextlib
import csv
import json
import shutil

import numpy as np
import pytest

from chainrule import *
from chainrule.schedules import ExponentialDecay, Plateau
from chainrule.training.checkpoint_file import read_state, write_state


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((64, 3))
    return x, x @ np.array([[1.0], [2.0], [-1.0]]) + 0.1 * rng.standard_normal((64, 1))


def net():
    return Model([Linear(3, 1)], MeanSquaredError())


class Scripted(Callback):
    """Write given values into the history: what the others look at is then known."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, run):
        run.history.rows[-1]["figure"] = self.values[run.epoch - 1]


def stopped_after(values, **options):
    stop = EarlyStopping("figure", **options)
    model, seen = net(), []
    hook = Hook(on_epoch_end=lambda run: seen.append(run.model.parameters.copy()))
    train(model, 0.01, len(values), data(), callbacks=[hook, Scripted(values), stop], verbose=False)
    return len(seen), stop, seen, model


def test_early_stopping_counts_and_gives_back_the_best():
    epochs, stop, seen, model = stopped_after([5, 4, 3, 3.5, 3, 2, 1], patience=2)
    assert epochs == 5
    assert (stop.best, stop.epoch, stop.bad_epochs) == (3, 3, 2)
    np.testing.assert_array_equal(model.parameters, seen[2])


def test_early_stopping_options():
    assert stopped_after([5, 4.9, 4.8, 4.7], patience=2, min_delta=0.5)[0] == 3
    assert stopped_after([float("nan")] * 4, patience=3)[0] == 3
    epochs, _, seen, model = stopped_after([1, 2, 3], patience=1, restore_best=False)
    assert epochs == 2
    np.testing.assert_array_equal(model.parameters, seen[1])
    with pytest.raises(ValueError, match="patience must be at least 1, got 0"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="min_delta"):
        EarlyStopping(min_delta=float("nan"))


def test_early_stopping_by_a_figure_that_nobody_measures():
    with pytest.raises(ValueError, match="no 'validation_loss', only epoch, loss") as caught:
        train(net(), 0.1, 2, data(), callbacks=[EarlyStopping()], verbose=False)
    assert "callback EarlyStopping in on_epoch_end" in caught.value.__notes__[0]


def test_of_a_score_greater_is_better():
    for name, greater in {"validation_f1": True, "validation_auc": True, "r2": True,
                          "validation_top_5_accuracy": True, "validation_rmse": False,
                          "loss": False}.items():  # fmt: skip
        assert EarlyStopping(name).greater_is_better is greater


def test_files_of_the_history(tmp_path):
    files = [SaveHistory(tmp_path / "h.csv"), SaveHistory(tmp_path / "h.jsonl")]
    history = train(net(), 0.1, 3, data(), callbacks=[Scripted([1, float("nan"), 2]), *files],
                    verbose=False)  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == history["loss"]
    lines = [json.loads(line) for line in (tmp_path / "h.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == history["loss"]
    assert [line["figure"] for line in lines] == [1, None, 2]
    with pytest.raises(ValueError, match=r"must end in \.csv or \.jsonl"):
        SaveHistory("h.txt")


def test_the_learning_rate_of_each_step():
    monitor = MonitorLearningRate()
    history = train(net(), 0.1, 3, data(), optimizer=SGD(1.0, 0.5), callbacks=[monitor],
                    schedule=ExponentialDecay(0.5), verbose=False)  # fmt: skip
    assert monitor.learning_rates == [0.1, 0.05, 0.025]
    assert history["momentum"] == [0.5] * 3


def test_hooks():
    said = []
    turns = ["on_train_begin", "on_epoch_begin", "on_step_end", "on_epoch_end", "on_train_end"]
    hook = Hook(**{turn: lambda run, turn=turn: said.append(turn) for turn in turns})
    train(net(), 0.1, 1, data(), callbacks=[hook], verbose=False)
    assert said == turns
    with pytest.raises(TypeError, match="no on_lunch; there are on_train_begin, "):
        Hook(on_lunch=print)
    with pytest.raises(TypeError, match="on_step_end must be a function, got 3"):
        Hook(on_step_end=3)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (KeepBest(), r"must be a list of them, as \[KeepBest\(…\)\], got KeepBest"),
        (KeepBest, r"must be a list of them, as \[KeepBest\(…\)\], got KeepBest"),
        ([KeepBest], r"must be a Callback, as KeepBest\(\) or .* Write KeepBest\(\)\."),
        ([None], r"must be a Callback, as KeepBest\(\) or .*, got None"),
        ([print], r"must be a Callback.*on_epoch_end=function"),
    ],
)
def test_what_is_no_callback(callbacks, message):
    with pytest.raises(TypeError, match=message):
        train(net(), 0.1, 1, data(), callbacks=callbacks, verbose=False)
    train(net(), 0.1, 1, data(), callbacks=(Callback() for _ in range(2)), verbose=False)


class Fill(Callback):
    """Fill the disk before the third epoch, and make room before another."""

    def __init__(self, disk, until):
        self.filler = disk / "filler"
        self.until = until

    def on_epoch_begin(self, run):
        if run.epoch == 3:
            with self.filler.open("wb", 0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 64)
        elif run.epoch == self.until:
            self.filler.unlink()


def rows_of(path):
    if path.suffix == ".csv":
        return len(path.read_text().splitlines()) - 1
    return len([json.loads(line) for line in path.read_text().splitlines()])


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_full_disk_stops_no_history(small_disk, ending):
    path = small_disk / "made" / f"history.{ending}"
    seen = []
    watch = Hook(on_epoch_end=lambda run: seen.append(rows_of(path)))
    callbacks = [Fill(small_disk, until=5), SaveHistory(path), watch]
    with pytest.warns(RuntimeWarning, match=rf"{path}: .* after epoch [34] .*No space.*goes on"):
        train(net(), 0.1, 6, data(), callbacks=callbacks, verbose=False)
    assert seen == [1, 2, 2, 2, 5, 6]


def test_a_history_that_could_not_be_written_is_tried_again_at_the_end(small_disk):
    path = small_disk / "history.csv"
    room = Hook(on_train_end=lambda run: (small_disk / "filler").unlink())
    callbacks = [SaveHistory(path), Fill(small_disk, until=0), room]  # the last ends first
    with pytest.warns(RuntimeWarning, match="No space left"):
        train(net(), 0.1, 4, data(), callbacks=callbacks, verbose=False)
    assert rows_of(path) == 4


def test_a_history_s_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file") as caught:
        train(net(), 0.1, 1, data(), callbacks=[SaveHistory(tmp_path / "file" / "h.csv")])
    assert "SaveHistory in on_train_begin" in caught.value.__notes__[0]


# -- TensorBoard ---------------------------------------------------------------------------------


def events(folder):
    """Read the event files as TensorBoard does: a later file takes the place from its step on."""
    import struct

    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.suffix):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            if 16 + length > len(content):  # a disk was full
                break
            event = event_pb2.Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            if event.session_log.status == event_pb2.SessionLog.START:
                for values in found.values():
                    for step in [s for s in values if s >= event.step]:
                        del values[step]
            for value in event.summary.value:
                assert event.step not in found.setdefault(value.tag, {})
                found[value.tag][event.step] = value.simple_value
    return found


def test_event_files(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    board = TensorBoard(tmp_path, every_steps=2)
    x, y = data()
    history = train(net(), 0.1, 3, Batches(x, y, 16), callbacks=[board], verbose=False)
    found = events(tmp_path)
    assert set(found) == {"step/loss", "step/learning_rate", "epoch/loss"}
    assert list(found["step/loss"]) == [2, 4, 6, 8, 10, 12]
    assert list(found["epoch/loss"]) == [4, 8, 12]
    assert list(found["epoch/loss"].values()) == pytest.approx(history["loss"], rel=1e-6)


def test_event_files_of_a_training_that_goes_on(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")

    class Fail(Callback):
        def __init__(self, at):
            self.at = at

        def on_step_end(self, run):
            if run.step == self.at:
                raise RuntimeError

    def go(folder, at, resume):
        board = TensorBoard(tmp_path / folder, every_steps=1)
        x, y = data()
        train(net(), 0.1, 3, Batches(x, y, 16), callbacks=[board, Fail(at)], verbose=False,
              checkpoint=tmp_path / f"{folder}-c", resume=resume)  # fmt: skip

    go("whole", 0, resume=False)
    with pytest.raises(RuntimeError):
        go("parts", 6, resume=False)
    last = sorted((tmp_path / "parts-c").iterdir())[-1]
    last.unlink()  # as if it had been killed: what was written after the epoch is made again
    go("parts", 0, resume=True)
    whole, parts = events(tmp_path / "whole"), events(tmp_path / "parts")
    assert parts.keys() == whole.keys()
    for name, values in whole.items():
        assert dict(sorted(parts[name].items())) == values


def test_a_full_disk_stops_no_event_files(small_disk):
    """The library's own writer would wait for its thread, which has ended, for ever."""
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    board = TensorBoard(small_disk / "made" / "events", every_steps=1)
    x, y = data()
    with pytest.warns(RuntimeWarning, match=r"events: the figures .*No space left.*goes on"):
        history = train(net(), 0.001, 8, Batches(x, y, 1), callbacks=[Fill(small_disk, 7), board],
                        verbose=False)  # fmt: skip
    found = events(small_disk / "made" / "events")
    assert list(found["step/loss"]) == list(range(1, 513))
    assert list(found["epoch/loss"].values()) == pytest.approx(history["loss"], rel=1e-6)


def test_a_folder_of_event_files_that_vanishes(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    remove = Hook(on_epoch_begin=lambda run: run.epoch == 3 and shutil.rmtree(tmp_path / "events"))
    train(net(), 0.1, 4, data(), callbacks=[remove, TensorBoard(tmp_path / "events")],
          verbose=False)  # fmt: skip
    assert list(events(tmp_path / "events")["epoch/loss"]) == [3, 4]


# -- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeepBest("validation_loss"),
        lambda: EarlyStopping(patience=4),
        lambda: WeightAverage(0.9, keep=True),
        MonitorLearningRate,
    ],
)
def test_a_state_goes_through_a_file(make, tmp_path):
    def go(epochs, folder, callback, resume=False):
        model = Model([Linear(3, 4), BatchNorm(4), ReLU(), Linear(4, 1)], MeanSquaredError())
        train(
            model, 0.05, epochs, data(), validation_data=data(1), callbacks=[callback],
            checkpoint=tmp_path / folder, resume=resume, verbose=False,
        )  # fmt: skip
        return model, callback

    whole, undisturbed = go(6, "whole", make())
    go(3, "parts", make())
    again, resumed = go(6, "parts", make(), resume=True)
    np.testing.assert_array_equal(again.parameters, whole.parameters)
    write_state(tmp_path / "a", undisturbed.get_state())
    write_state(tmp_path / "b", resumed.get_state())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_state(tmp_path / "a").keys() == undisturbed.get_state().keys()


def test_plateau_goes_on_where_it_was(tmp_path):
    def go(stop_at=0, **options):
        def stop(run):
            if run.epoch == stop_at:
                raise RuntimeError

        model, (x, y) = net(), data()
        schedule = Plateau(0.5, patience=1, monitor="loss", threshold=0.1)
        history = train(model, 0.05, 30, Batches(x, y, 8), schedule=schedule, verbose=False,
                        callbacks=[Hook(on_epoch_begin=stop)], **options)  # fmt: skip
        return model.parameters, history["learning_rate"]

    whole, rates = go()
    assert len(set(rates)) > 2
    with pytest.raises(RuntimeError):
        go(rates.index(min(rates)), checkpoint=tmp_path)
    resumed, rates_too = go(checkpoint=tmp_path, resume=True)
    assert rates_too == rates
    np.testing.assert_array_equal(resumed, whole)


def test_threads_go_on_with_the_same_number():
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    threads = Threads("auto")
    with pytest.raises(ValueError, match="number of threads, got 'many'"):
        threads.set_state({"chosen": "many"})

    def begin(run):
        threads.set_state({"chosen": 1})

    seen = []
    watch = Hook(on_train_begin=begin, on_step_end=lambda run: seen.append(threads.chosen))
    x, y = data()
    train(net(), 0.01, 10, Batches(x, y, 8), callbacks=[threads, watch], verbose=False)
    assert seen == [1] * 80
