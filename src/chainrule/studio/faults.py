"""An error in training, in words."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chainrule
from chainrule.cli.errors import message

__all__ = ["described", "tame"]

OURS = Path(chainrule.__file__).parent
# What train advises that the page has no control for.
NOT_HERE = ("clip_norm", "dtype")


def described(error: BaseException) -> str:
    """Return what went wrong in a sentence, with the line of a user's own code where it did.

    Examples
    --------
    >>> described(ValueError("the loss is NaN"))
    'the loss is NaN.'
    >>> described(ValueError("train: the loss diverges."))
    'The loss diverges.'
    >>> described(ValueError("train: it is inf. Try: a lower rate, as 0.1; clip_norm=1."))
    'It is inf. Try: a lower rate, as 0.1.'
    """
    words = message(error).rstrip(".") + "."
    if words.startswith("train: "):  # on the page it is plain what trains
        words, tried, remedies = (words[7:8].upper() + words[8:]).partition(" Try: ")
        here = [one for one in remedies[:-1].split("; ") if not one.startswith(NOT_HERE)]
        words += f"{tried}{'; '.join(here)}." if tried and here else ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(OURS) or "site-packages" in file.parts:
            continue
        if frame.filename.startswith("<") or file.is_relative_to(sys.base_prefix):
            continue
        return f"{file.name}, line {frame.lineno}: {type(error).__name__}: {words}"
    return words


def tame(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, which may call a user's own code; return what it returns.

    Raises
    ------
    Exception
        Also in the place of what would end a thread or the server, as ``sys.exit()`` in a layer.
    """
    try:
        return function(*arguments)
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
