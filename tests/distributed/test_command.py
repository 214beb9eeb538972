"""chainrule train --workers: what a person types."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from chainrule.cli.together import _without
from chainrule.distributed.launch import _environment, find_mpiexec, launch

COMMAND = [sys.executable, "-m", "chainrule", "train"]


def begin(*words, cwd, before=()):
    return subprocess.Popen(
        [*before, *COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=cwd, env=_environment(os.environ, 2),
    )  # fmt: skip


def finish(*words, cwd, before=()):
    with begin(*words, cwd=cwd, before=before) as child:
        out, err = child.communicate(timeout=120)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def workers_in(folder):
    """Return the processes of the workers that train into a folder, by their command lines."""
    lines = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True)
    return [
        int(line.split()[0])
        for line in lines.stdout.splitlines()
        if f"--out {folder}" in line and "--workers" not in line and "mpiexec" not in line
        and "hydra" not in line and "prterun" not in line
    ]  # fmt: skip


def wait_until(condition, seconds=40):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.05)


def _losses(path):
    return [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]


def same(one, other):
    for name in ("model.safetensors", "history.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


WORDS = ["--epochs", "12", "--dropout", "0.2", "--checkpoint-steps", "5"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return how two workers trained that mpiexec started, and their folder."""
    folder = tmp_path_factory.mktemp("whole")
    mpiexec = [find_mpiexec(), "-n", "2"]
    done = finish(*WORDS, "--out", "run", cwd=folder, before=mpiexec)
    assert done.returncode == 0, done.stderr
    return done, folder / "run"


def test_two_workers_train_and_one_of_them_speaks(whole):
    done, folder = whole
    assert "on digits with 2 workers: 1,438 samples" in done.stdout
    assert done.stdout.count("Epoch 12/12") == 1
    made = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "history.csv", "curves.png", "run.toml"} <= made
    assert "workers = 2" in (folder / "run.toml").read_text()


def test_a_worker_that_dies_is_started_again_and_the_run_is_the_same(whole, tmp_path):
    words = [*WORDS, "--workers", "2", "--retries", "1"]
    with begin(*words, "--out", "killed", cwd=tmp_path) as child:
        checkpoints = tmp_path / "killed" / "checkpoints"
        wait_until(lambda: checkpoints.exists() and any(checkpoints.glob("checkpoint-*")))
        os.kill(workers_in("killed")[-1], signal.SIGKILL)
        _, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert "starting them again (1 of 1)" in err
    same(whole[1], tmp_path / "killed")


def test_options_of_many_workers_and_one_process_that_does_the_same(tmp_path):
    done = finish(
        "--epochs", "1", "--workers", "2", "--optimizer", "adam", "--scale-lr", "--sync-norms",
        "--overlap", "--shard-optimizer", "--schedule", "step", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "digits-001"
    text = (run / "run.toml").read_text()
    assert all(f"{name} = true" in text for name in ("scale_lr", "overlap", "shard_optimizer"))
    done = finish("--config", run / "run.toml", "--out", "alone", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    losses = [_losses(folder / "history.csv") for folder in (run, tmp_path / "alone")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a signal when a parent dies")
def test_without_the_command_no_worker_stays(tmp_path):
    with begin("--epochs", "9999", "--workers", "2", "--out", "orphans", cwd=tmp_path) as child:
        wait_until(lambda: any((tmp_path / "orphans").glob("history.csv")))
        assert len(workers_in("orphans")) == 2
        child.kill()
        wait_until(lambda: not workers_in("orphans"))


def test_a_signal_ends_them_in_order(tmp_path):
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143}
    with contextlib.ExitStack() as ends:
        children = {}
        for number in codes:  # at once
            folder = str(int(number))
            words = ["--epochs", "9999", "--workers", "2", "--out", folder]
            children[number] = ends.enter_context(begin(*words, cwd=tmp_path))
        for number, child in children.items():
            folder = str(int(number))
            wait_until(lambda f=folder: (tmp_path / f / "history.csv").exists())
            child.send_signal(number)
        for number, child in children.items():
            out, err = child.communicate(timeout=60)
            assert child.returncode == codes[number], err
            words = f"chainrule train --resume --out {int(number)}"
            assert f"To go on with the training:\n  {words}" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nosuch.csv"], 2, "nosuch.csv: there is no such file"),
        (["--lr", "0"], 2, "--lr must be greater than 0"),
        (["--out", "/dev/null/x"], 1, "cannot write into /dev/null/x"),
        (["--lr", "1e4", "--out", "run"], 1, "the loss diverges"),
    ],
)
def test_what_all_do_wrong_is_said_once(tmp_path, words, code, said):
    done = finish(*words, "--workers", "2", "--retries", "1", cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("chainrule: ") == (1 if code == 2 else 2 + 1)  # each time, and between


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--workers", "2", "--retries", "-1"], "--retries must be at least 0, got -1"),
        (["--timeout", "0"], "--timeout must be above 0 seconds"),
        (["--lost-after", "1"], "--lost-after must be at least 2 seconds, got 1"),
    ],
)
def test_options_that_make_no_sense(tmp_path, words, said):
    done = finish(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_workers_inside_mpiexec_must_fit(tmp_path):
    mpiexec = [find_mpiexec(), "-n", "2"]
    done = finish("--workers", "3", cwd=tmp_path, before=mpiexec)
    assert done.returncode == 2
    assert "--workers 3, but mpiexec has started 2" in done.stderr


def test_the_words_for_the_workers():
    words = ["train", "mnist", "--workers=2", "--retries", "3", "--seed", "1"]
    assert _without(words, ("--workers", "--retries")) == ["train", "mnist", "--seed", "1"]


def test_a_program_that_fails_is_tried_again_as_often_as_said():
    said = []
    assert launch([sys.executable, "-c", "exit(5)"], 1, retries=2, say=said.append) == 5
    assert said == [
        "The workers ended with code 5: starting them again (1 of 2).",
        "The workers ended with code 5: starting them again (2 of 2).",
    ]
    assert launch([sys.executable, "-c", "exit(2)"], 1, retries=2, say=said.append) == 2
    assert len(said) == 2
