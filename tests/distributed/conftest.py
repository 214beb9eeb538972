"""Real workers on this machine, started by mpiexec, and bounded in time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")

from chainrule.distributed.launch import _environment, find_mpiexec

HERE = Path(__file__).parent
LONGEST = 60  # seconds


def begin(workers, program, *words, cwd=None, **variables):
    """Start a program on several workers."""
    return subprocess.Popen(
        [find_mpiexec(), "-n", str(workers), sys.executable, HERE / program, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**_environment(os.environ, workers), **variables}, start_new_session=True,
    )  # fmt: skip


def finish(workers, program, *words, **options):
    """Run a program to its end; return its code, what it said, and how long it took."""
    start = time.monotonic()
    with begin(workers, program, *words, **options) as child:
        try:
            out, err = child.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
    done = subprocess.CompletedProcess(words, child.returncode, out, err)
    done.seconds = time.monotonic() - start
    return done


@pytest.fixture
def start():
    return begin


@pytest.fixture
def run():
    return finish


@pytest.fixture(scope="session")
def run_alone():
    """The same, for fixtures that last longer than a test."""
    return finish
