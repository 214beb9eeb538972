"""What several tests share."""

import os
import signal
import subprocess

# The nets here are small: more threads would only wait for each other, the more so when another
# program keeps the cores busy. Before NumPy is imported, since it reads this once.
for library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import numpy as np
import pytest

# What a shell starts in the background is deaf to Ctrl-C, and so would be what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng():
    return np.random.default_rng(20181)


@pytest.fixture
def mnist_folder():
    folder = os.environ.get("CHAINRULE_DATA")
    if not folder:
        pytest.skip("CHAINRULE_DATA names no folder with MNIST")
    return folder


@pytest.fixture
def run_here(capsys, monkeypatch, tmp_path):
    """Run the command in this process, in ``tmp_path``: quicker, where no process is needed."""
    from chainrule.cli.app import run

    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def here(*words):
        code = run([str(word) for word in words])
        done = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, done.out, done.err)

    yield here
    signal.signal(signal.SIGTERM, before)
