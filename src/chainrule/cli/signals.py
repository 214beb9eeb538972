"""Ctrl-C and SIGTERM: the command ends in the same way, and tells which it was by its code."""

import signal
from types import FrameType

__all__ = ["Terminated", "exit_code", "terminate"]


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as for Ctrl-C."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the code that shells expect of a program ended by a signal."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def terminate(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM.

    Raises
    ------
    Terminated
        Always.
    """
    raise Terminated
