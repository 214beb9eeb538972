"""Several workers behind one command: starting them, and being one of them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from chainrule.cli.errors import UsageError
from chainrule.distributed import Workers, connect, started_by_mpi
from chainrule.distributed.launch import launch

__all__ = ["connected", "launched"]

OURS = ("--workers", "--retries")  # options for the one that starts the others


def launched(words: Sequence[str], workers: int, retries: int) -> int | None:
    """Run the command on several workers and return its code; None if this is one of them."""
    if started_by_mpi():
        return None
    for option, value, least in (("--workers", workers, 1), ("--retries", retries, 0)):
        if value < least:
            raise UsageError(f"{option} must be at least {least}, got {value}.")
    command = [sys.executable, "-m", "chainrule", *_without(words, OURS)]
    again = command if "--resume" in command else [*command, "--resume"]
    return launch(command, workers, retries=retries, again=again, say=_say)


@contextlib.contextmanager
def connected(workers: int | None, timeout: float, lost_after: float) -> Iterator[Workers]:
    """Be one of the workers that were started together; only the first of them prints."""
    if not timeout > 0:
        raise UsageError(f"--timeout must be above 0 seconds, got {timeout}.")
    if not lost_after >= 2:
        raise UsageError(f"--lost-after must be at least 2 seconds, got {lost_after}.")
    with _code_of_first(), connect(timeout=timeout, lost_after=lost_after) as team:
        if workers not in (None, team.size):
            raise UsageError(f"--workers {workers}, but mpiexec has started {team.size}. Leave it.")
        if team.first:
            yield team
            return
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield team


@contextlib.contextmanager
def _code_of_first() -> Iterator[None]:
    """Leave it to the first worker to end with a code, where all fail alike."""
    try:
        yield
    except BaseException as error:
        if getattr(error, "said_elsewhere", False):
            raise SystemExit(0) from None
        raise


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the words without some options and their values.

    Examples
    --------
    >>> _without(["train", "--workers", "4", "--seed", "1", "--retries=2"], OURS)
    ['train', '--seed', '1']
    """
    left, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if not skip and name not in options:
            left.append(word)
        skip = not skip and name in options and not equals
    return left


def _say(words: str) -> None:
    print(f"chainrule: {words}", file=sys.stderr, flush=True)
