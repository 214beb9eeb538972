"""Whatever ends one of the workers ends all of them soon, and nothing that was saved is lost."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

SOON = 60  # seconds on a busy machine; alone it takes three
SHARED = Path("/dev/shm")
SHM = "/dev/shm/mpich_shm_"


def end(folder):
    return dict(np.load(folder / "end.npz"))


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, run):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(2, "faulty.py", "none", folder)
    assert done.returncode == 0, done.stderr
    return end(folder)


def left_over():
    """Return the names in the shared memory of this machine that no process uses any more."""
    names = set(SHARED.glob("mpich_shm_*")) if SHARED.exists() else set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            names -= {
                Path(line.split()[-1]) for line in maps.read_text().splitlines() if SHM in line
            }
    return names


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return not Path("/proc").exists()


def wait_until(condition, seconds=SOON):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.05)


def pids_of(folder):
    """Return the processes of a slow training, when both workers make steps."""
    files = [folder / f"pid-{rank}" for rank in range(2)]
    wait_until(lambda: all(file.exists() and file.read_text() for file in files), 120)
    return [int(file.read_text()) for file in files]


FAILING = ["raise", "exit", "before", "after", "uneven", "stop"]


@pytest.fixture(scope="module")
def failures(tmp_path_factory, start, finish):
    """Return how those end in which one worker fails, and their folders; all run at once."""
    folders = {mode: tmp_path_factory.mktemp(mode) for mode in FAILING}
    patience = {mode: 5 if mode == "stop" else 30 for mode in FAILING}  # seconds
    children = {m: start(2, "faulty.py", m, folders[m], patience[m]) for m in FAILING}
    done = {mode: finish(child) for mode, child in children.items()}
    return {mode: (done[mode], folders[mode]) for mode in FAILING}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("raise", "ZeroDivisionError: division by zero"),
        ("raise", "Raised by the callback Hook in on_step_end, in epoch 3, after step 15"),
        ("exit", "SystemExit: 3"),
        ("before", "it fails before the training"),
        ("uneven", "worker 0 has no sample in a mini-batch of step 7, and batch normalisations"),
    ],
)
def test_an_error_in_one_ends_all_with_its_traceback(failures, mode, words):
    done, folder = failures[mode]
    assert done.returncode not in (0, None)
    assert not (folder / "end.npz").exists()
    assert f"worker {int(mode != 'uneven')} of 2 failed:\nTraceback" in done.stderr
    assert words in done.stderr


def test_one_that_fails_when_all_is_done_is_told_and_keeps_nobody(failures):
    done, folder = failures["after"]
    assert done.returncode not in (0, None)
    assert "RuntimeError: it fails after the training" in done.stderr
    assert (folder / "end.npz").exists()


def test_one_that_is_stopped_ends_all_in_the_time_allowed(failures):
    done, _ = failures["stop"]
    assert done.returncode not in (0, None)
    assert "it has waited 5 s for" in done.stderr


def test_one_that_is_killed_ends_all_and_the_restart_gives_the_same(run, tmp_path, undisturbed):
    before = left_over()
    done = run(2, "faulty.py", "kill", tmp_path)
    assert done.returncode not in (0, None)
    assert not (tmp_path / "end.npz").exists()
    assert left_over() <= before
    done = run(2, "faulty.py", "kill", tmp_path)  # it happens only once
    assert done.returncode == 0, done.stderr
    assert "Going on from" in done.stdout
    same(end(tmp_path), undisturbed)


def test_a_flipped_bit_names_worker_and_layer(run, tmp_path):
    done = run(2, "faulty.py", "flip", tmp_path)
    assert done.returncode not in (0, None)
    assert "workers 0 and 1 differ in 3.weights of layer 3, Linear(8, 3), at step 16" in done.stderr
    assert done.stderr.count("RuntimeError: ") == 1  # worker 0 alone says it


def test_of_three_the_one_that_differs_is_named(run, tmp_path):
    done = run(3, "faulty.py", "flip", tmp_path)
    assert "worker 2 differs from the others in 3.weights of layer 3" in done.stderr


def test_without_its_launcher_no_worker_stays(start, tmp_path):
    before = left_over()
    with start(2, "faulty.py", "slow", tmp_path) as launcher:
        pids = pids_of(tmp_path)
        assert all(map(alive, pids))
        launcher.kill()
        wait_until(lambda: not any(map(alive, pids)))
    assert left_over() <= before


def test_a_signal_stops_all_at_one_step_and_the_restart_gives_the_same(
    start, run, tmp_path, undisturbed
):
    with start(2, "faulty.py", "slow", tmp_path) as launcher:
        pids_of(tmp_path)
        launcher.send_signal(signal.SIGINT)
        launcher.communicate(timeout=SOON)
    assert launcher.returncode not in (0, None)
    done = run(2, "faulty.py", "none", tmp_path)
    assert "Going on from" in done.stdout
    same(end(tmp_path), undisturbed)


def test_a_signal_to_one_worker_stops_all(start, tmp_path):
    with start(2, "faulty.py", "slow", tmp_path) as launcher:
        os.kill(pids_of(tmp_path)[1], signal.SIGTERM)
        out, err = launcher.communicate(timeout=SOON)
    assert launcher.returncode not in (0, None)
    assert any((tmp_path / "checkpoints").iterdir()), out + err


@pytest.mark.parametrize("workers", [1, 3])
def test_another_number_of_workers_goes_on_to_the_same_to_rounding(run, tmp_path, workers):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    assert run(2, "faulty.py", "plain", whole).returncode == 0
    shutil.copytree(whole / "checkpoints", parts / "checkpoints")
    for newest in sorted((parts / "checkpoints").iterdir())[1:]:
        newest.unlink()  # it goes on from the one before the end
    done = run(workers, "faulty.py", "plain", parts)
    assert done.returncode == 0, done.stderr
    assert "It was begun by 2 workers: a step still takes 2 mini-batches" in done.stdout
    for name, array in end(whole).items():
        np.testing.assert_allclose(end(parts)[name], array, atol=1e-5)


@pytest.fixture(scope="module")
def differences(run):
    done = run(2, "different.py")
    assert done.returncode == 0, done.stderr
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return {name: words for name, _, words in lines}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("net", "its layer 0 is 'Linear(3, 5)', and worker 0's is 'Linear(3, 4)'"),
        ("seed", "its first 0.weights"),
        ("length", "its number of samples is 39, and worker 0's is 40"),
        ("batch size", "its number of mini-batches is 8, and worker 0's is 10"),
        ("order", "its order of the data"),
        ("rate", "its optimizer is 'SGD(1.1)', and worker 0's is 'SGD(0.1)'"),
        ("epochs", "its number of epochs is 2, and worker 0's is 1"),
        ("callbacks", "its callbacks is ['KeepBest'], and worker 0's is []"),
        ("version", "its version of chainrule is '9.1', and worker 0's is '9.0'"),
        ("unsized", "in epoch 1 the data of 1 of 2 workers ended after step 3"),
        ("alike", "nothing was said"),
        ("alike again", "nothing was said"),
    ],
)
def test_what_differs_is_said_before_the_first_step(differences, name, words):
    assert words in differences[name]
