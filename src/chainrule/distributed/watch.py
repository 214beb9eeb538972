"""A thread that ends a worker which would wait for ever, or has been left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EXIT_CODE", "Watchdog"]

EXIT_CODE = 75  # of a worker that waited in vain: to try again is worth it
LOOK = 0.5  # seconds between two looks
LAUNCHER = 3.0  # seconds which the launcher has to end the others when a worker has died
# What starts workers, on the machine of mpiexec and on the others.
LAUNCHERS = (b"mpiexec", b"mpirun", b"hydra_", b"prte", b"orte")


class Watchdog:
    """Ends the process if what it waits for does not come, or if what started it is gone.

    The launcher ends the other workers when one of them has ended so.

    Parameters
    ----------
    who : str
        What the process is called in the message.
    timeout : float
        How many seconds it may wait.
    """

    def __init__(self, who: str, timeout: float) -> None:
        self.who = who
        self.timeout = timeout
        self._parent = os.getppid()
        self._waited: list[float] | None = None  # how long, of the wait that goes on
        self._what = ""
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._look, name="chainrule-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """While it is entered, the process waits for something."""
        self._what, self._waited = what, [0.0]  # a new one: the thread may still look at the last
        try:
            yield
        finally:
            self._waited = None

    def lost(self, rank: int, silent: bool) -> None:
        """End the process, since another worker is gone.

        Parameters
        ----------
        rank : int
            Which.
        silent : bool
            Whether its system is silent too; else the launcher has some time to end all.
        """
        if silent:
            self._end(
                f"nothing comes from worker {rank} any more: its machine, or the network to it, is "
                "down.", launchers=True,
            )  # fmt: skip
        if not self._stop.wait(LAUNCHER):
            self._end(f"worker {rank} has died.")

    def _look(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(LOOK):
            now = time.monotonic()
            waited, passed, last = self._waited, now - last, now
            if waited is not None:
                # A job that was stopped, and goes on, has not waited in that time.
                waited[0] += min(passed, 2 * LOOK)
                if waited[0] > self.timeout:
                    self._end(
                        f"it has waited {self.timeout:g} s for {self._what}: another worker is "
                        "stopped, cut off, very slow, or does something else. Look at it, or "
                        "allow more: timeout=SECONDS."
                    )
            if os.getppid() != self._parent:
                self._end("what started it is gone.")

    def _end(self, why: str, *, launchers: bool = False) -> None:
        try:
            with contextlib.suppress(Exception):
                print(f"chainrule: {self.who} ends: {why}", file=sys.stderr, flush=True)
            if launchers:
                time.sleep(LOOK)  # for the others of this machine to say so, and to be heard
                _end_launchers()
        finally:
            os._exit(EXIT_CODE)


def _end_launchers() -> None:
    """End what started this process: it would wait for its part on the lost machine.

    Only Linux tells what a process is; elsewhere, and of other names, none is ended.
    """
    pid = os.getppid()
    with contextlib.suppress(OSError):
        while pid > 1:
            name, _, rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
            if not name.partition(b"(")[2].startswith(LAUNCHERS):
                return
            os.kill(pid, signal.SIGKILL)
            pid = int(rest.split()[1])
