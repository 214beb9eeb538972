"""Real workers on this machine, started by mpiexec, and bounded in time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")

from chainrule.distributed.launch import _environment, find_mpiexec

HERE = Path(__file__).parent
LONGEST = 180  # seconds


def begin(workers, program, *words, cwd=None, **variables):
    """Start a program on several workers."""
    return subprocess.Popen(
        [find_mpiexec(), "-n", str(workers), sys.executable, HERE / program, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**_environment(os.environ, workers), **variables}, start_new_session=True,
    )  # fmt: skip


def ended(child):
    """Wait for its end; return its code and what it said."""
    with child:
        try:
            out, err = child.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


@pytest.fixture(scope="session")
def start():
    return begin


@pytest.fixture(scope="session")
def finish():
    return ended


@pytest.fixture(scope="session")
def run():
    return lambda *words, **options: ended(begin(*words, **options))
