"""Ctrl-C and SIGTERM: held back until the step that is being made is done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """While it is entered, a first signal waits for ``check``; a second one acts at once.

    It does so too while the first one ends the training, as when a checkpoint is being written.

    What a signal does is what it did before: Ctrl-C raises KeyboardInterrupt. Only where SIGTERM
    would end the process on the spot, and ``ends`` is set, it raises SystemExit(143) in its place.

    Parameters
    ----------
    ends : bool
        Whether there is something to save that a SIGTERM should wait for.
    """

    def __init__(self, *, ends: bool) -> None:
        self.ends = ends
        self.pending: int | None = None
        self._at_once = False
        self._ending = False
        self._frame: FrameType | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                default = number == signal.SIGTERM and before is signal.SIG_DFL and self.ends
                if callable(before) or default:
                    self._before[number] = before
                    signal.signal(number, self._hold)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if error is None:
            self.check()  # one that came after the last step

    def check(self) -> None:
        """Let a signal that came act now."""
        if self.pending is not None:
            number, self.pending = self.pending, None
            try:
                self._act(number)
            except BaseException:
                self._ending = True
                raise

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let signals act as they come: what goes on here changes nothing."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._frame = frame
        if self._at_once or self._ending or self.pending is not None:
            self.pending = None
            self._act(number)
        else:
            self.pending = number

    def _act(self, number: int) -> None:
        before: Callable[[int, FrameType | None], Any] | int = self._before[number]
        if not callable(before):
            raise SystemExit(128 + number)
        before(number, self._frame)
