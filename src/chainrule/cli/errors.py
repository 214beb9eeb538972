"""Errors in one line."""

import re
import sys
import traceback

__all__ = ["UsageError", "message", "report"]

debug = False  # set by --debug


class UsageError(Exception):
    """The command was called with something that makes no sense."""


def message(error: BaseException) -> str:
    """Return what went wrong, and what to do, in one line of plain text."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        words = f"{error.filename}: {error.strerror}."
    elif isinstance(error, MemoryError):
        words = f"out of memory. {error}"
    else:
        words = str(error) or type(error).__name__
    words = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", words)
    return " ".join(words.split())


def report(error: BaseException) -> None:
    """Print an error on the error output: in one line, or with its traceback for ``--debug``."""
    if debug:
        traceback.print_exception(error)
    else:
        print(f"chainrule: {message(error)}", file=sys.stderr)
