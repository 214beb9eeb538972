"""A thread that ends a worker which would wait for ever, or has been left alone."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

__all__ = ["EXIT_CODE", "Watchdog"]

EXIT_CODE = 75  # of a worker that waited in vain: to try again is worth it
LOOK = 0.5  # seconds between two looks


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
        self._since: float | None = None
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
        self._what, self._since = what, time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def _look(self) -> None:
        while not self._stop.wait(LOOK):
            since = self._since
            if since is not None and time.monotonic() - since > self.timeout:
                self._end(
                    f"it has waited {self.timeout:g} s for {self._what}: another worker is "
                    "stopped, cut off, very slow, or does something else. Look at it, or allow "
                    "more: timeout=SECONDS."
                )
            if os.getppid() != self._parent:
                self._end("what started it is gone.")

    def _end(self, why: str) -> None:
        with contextlib.suppress(Exception):
            print(f"chainrule: {self.who} ends: {why}", file=sys.stderr, flush=True)
        os._exit(EXIT_CODE)
