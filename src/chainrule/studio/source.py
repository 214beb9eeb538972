"""The lines of a layer that did it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass

from chainrule.layer import Function

__all__ = ["Source", "source", "working"]


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


def source(thing: Function, method: str) -> Source | None:
    """Return the lines of a method of a layer; None where they are not to be had.

    Examples
    --------
    >>> from chainrule import ReLU
    >>> source(ReLU(), "backward").lines[0].strip()
    'def backward(self, grad: Array) -> Array:'
    """
    function = getattr(type(thing), method, None)
    if function is None:
        return None
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return None
    file = inspect.getsourcefile(function) or ""
    _, inside, rest = file.replace("\\", "/").rpartition("/chainrule/")
    return Source(
        f"chainrule/{rest}" if inside else file.replace("\\", "/").rpartition("/")[2],
        first,
        tuple(line.rstrip("\n") for line in lines),
    )


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
