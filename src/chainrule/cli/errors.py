"""Errors in one line."""

import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["UsageError", "message", "report", "warnings_in_one_line"]

debug = False  # set by --debug


class UsageError(Exception):
    """The command was called with something that makes no sense."""


def message(error: BaseException) -> str:
    """Return what went wrong, and what to do, in one line of plain text."""
    from cyclopts import UnusedCliTokensError

    if isinstance(error, OSError) and error.strerror and error.filename:
        words = f"{error.filename}: {error.strerror}."
    elif isinstance(error, OSError) and error.strerror:
        words = f"{error.strerror}."
    elif isinstance(error, ModuleNotFoundError) and "pip install" in str(error):
        words = str(error)  # of an extra besides the command's own
    elif isinstance(error, ModuleNotFoundError) and error.name:
        words = f"{error.name} is not installed: pip install 'chainrule[cli]'"
    elif isinstance(error, UnusedCliTokensError):
        words = f"unexpected: {' '.join(error.unused_tokens or [])}. See chainrule --help."
    elif isinstance(error, MemoryError):
        words = f"out of memory. {error}"
    else:
        words = str(error) or type(error).__name__
    words = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", words)
    return " ".join(words.split())


def report(error: BaseException, about: object = None) -> None:
    """Print an error on the error output: in one line, or with its traceback for ``--debug``.

    The line names the file that the error is ``about``.
    """
    if debug:
        traceback.print_exception(error)
        return
    words = message(error)
    if about is not None and str(about) not in words:
        words = f"{about}: {words}"
    print(f"chainrule: {words}", file=sys.stderr)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print warnings as errors are printed, without the line of our code that gave them."""

    def show(warning: Warning | str, *_: Any) -> None:
        print(f"chainrule: {' '.join(str(warning).split())}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other libraries, for programmers
        warnings.showwarning = show  # type: ignore[assignment]  # it takes all of them
        yield
