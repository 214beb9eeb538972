"""The lines of a layer that did it."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chainrule.layer import Function, Layer

__all__ = ["Source", "helpers", "learn", "source", "working"]

MOST_HELPERS = 8  # methods that are shown beside one
NO_HELPER = re.compile("_wrong|_check|_real_steps|prepare$|parameter_shapes$")


@dataclass(frozen=True)
class Source:
    """The lines of a method.

    Attributes
    ----------
    file : str
        As ``chainrule/layers/linear.py``; the name alone of a user's own file.
    first : int
        The number of the first line.
    lines : tuple of str
    """

    file: str
    first: int
    lines: tuple[str, ...]


def source(thing: Function | type[Function], method: str) -> Source | None:
    """Return the lines of a method of a layer or its class; None where they are not to be had.

    Examples
    --------
    >>> from chainrule import ReLU
    >>> source(ReLU(), "backward").lines[0].strip()
    'def backward(self, grad: Array) -> Array:'
    """
    function = getattr(thing if isinstance(thing, type) else type(thing), method, None)
    if function is None:
        return None
    try:
        lines, first = _lines(function)
    except (OSError, TypeError):
        return None
    file = inspect.getsourcefile(function) or ""
    _, inside, rest = file.replace("\\", "/").rpartition("/chainrule/")
    return Source(
        f"chainrule/{rest}" if inside else file.replace("\\", "/").rpartition("/")[2],
        first,
        tuple(line.rstrip("\n") for line in lines),
    )


@functools.lru_cache(maxsize=1024)
def _lines(function: Any) -> tuple[list[str], int]:
    """Return the lines as they were when they were asked for first: a file may change later."""
    return inspect.getsourcelines(function)


def learn(things: Iterable[Function]) -> None:
    """Take note of the lines of layers while they are those that run."""
    for thing in things:
        for method in ("forward", "backward"):
            source(thing, method)
            helpers(thing, method)


def helpers(thing: Function, method: str) -> tuple[str, ...]:
    """Return the methods of a layer that one of its methods calls, directly or not.

    Those with a name for others come first. Those that every layer has are left out, and those that
    check what comes in: they compute nothing.

    Examples
    --------
    >>> from chainrule import GRU
    >>> helpers(GRU(3, 2), "forward")[:2]
    ('step', '_by_steps')
    """
    found: dict[str, None] = {}
    waiting = [method]
    while waiting and len(found) < MOST_HELPERS:
        shown = source(thing, waiting.pop(0))
        for name in re.findall(r"self\.(\w+)\(", "\n".join(shown.lines)) if shown else ():
            own = getattr(type(thing), name, None)
            plain = inspect.isfunction(own) and name != method and not NO_HELPER.match(name)
            if plain and getattr(Layer, name, None) is not own and name not in found:
                found[name] = None
                waiting.append(name)
    return tuple(sorted(found, key=lambda name: name.startswith("_")))


def working(shown: Source) -> tuple[int, ...]:
    """Return which lines compute: not the docstring, and not what refuses a wrong input.

    Examples
    --------
    >>> from chainrule import ReLU
    >>> lines = source(ReLU(), "backward")
    >>> [lines.lines[i].strip() for i in working(lines)][-1].startswith("return")
    True
    """
    try:
        (method,) = ast.parse(textwrap.dedent("\n".join(shown.lines))).body
    except (SyntaxError, ValueError):
        return ()
    if not isinstance(method, ast.FunctionDef):
        return ()
    found: set[int] = set()
    for i, statement in enumerate(method.body):
        words = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        refuses = isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Raise)
        if not (refuses or (i == 0 and words)):
            found.update(range(statement.lineno - 1, statement.end_lineno or statement.lineno))
    return tuple(sorted(found))
