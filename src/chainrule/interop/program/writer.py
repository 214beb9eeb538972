"""What a program is put together from: lines, the functions that they call, and arrays."""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType, MappingProxyType
from typing import Any

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.storage import one_line

__all__ = ["Rule", "Writer", "literal", "source_of"]

# Writes the lines for one layer: (writer, layer, its path, the variable that is its input and
# becomes its output).
Rule = Callable[["Writer", Layer, str, str], None]

# What the program calls its own things.
RESERVED = {
    "Array", "Path", "file", "math", "np", "predict", "predict_classes", "predict_proba", "samples",
    "sys", "w", "x",
}  # fmt: skip


class Writer:
    """Collects the lines of ``predict``, the functions that they call, and the arrays.

    Attributes
    ----------
    lines : list of str
        The body of ``predict``.
    functions : dict of str to str
        The source of each function that a line calls, by name.
    arrays : dict of str to array
        What goes into the file of arrays.
    """

    def __init__(self, rules: Mapping[type, Rule]) -> None:
        self.rules = rules
        self.lines: list[str] = []
        self.functions: dict[str, str] = {}
        self.arrays: dict[str, Array] = {}
        self._depth = 0
        self._variables: set[str] = {"x"}

    def layer(self, layer: Layer, path: str, variable: str, more: str = "") -> None:
        """Write the lines for a layer: ``variable`` is its input, and then its output."""
        self.comment(one_line(layer) + more)
        self.rules[type(layer)](self, layer, path, variable)

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append("    " + text if text else "")

    def comment(self, text: str) -> None:
        """Write a comment; one of a container stands before those of its layers, further left."""
        indent = "  " * (self._depth - 1)  # those of the net's own layers stand at the left
        for part in textwrap.wrap(text, 94 - len(indent), break_long_words=False):
            self.line(f"# {indent}{part}")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Write the comments inside further to the right: those of layers in a layer."""
        self._depth += 1
        yield
        self._depth -= 1

    def variable(self, name: str) -> str:
        """Return the name, or the name with the first number that makes it a new one."""
        fresh, number = name, 1
        while fresh in self._variables:
            number += 1
            fresh = f"{name}_{number}"
        self._variables.add(fresh)
        return fresh

    def array(self, path: str, name: str, array: Array) -> str:
        """Put an array into the file; return how the program says it."""
        key = f"{path}.{name}" if path else name
        self.arrays[key] = array
        return f"w[{literal(key)}]"

    def call(
        self,
        variable: str,
        function: Callable[..., Any],
        *values: str,
        named: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        """Write ``variable = function(...)``; the function's source goes along.

        ``values`` and ``named`` are words of the program; ``options`` are written out, but for
        those that are the function's defaults.
        """
        self.use(function)
        name = function.__name__
        defaults = {n: p.default for n, p in inspect.signature(function).parameters.items()}
        words = [*values, *(f"{key}={word}" for key, word in named.items())]
        for key, value in options.items():
            if type(value) is not type(defaults.get(key)) or value != defaults[key]:
                words.append(f"{key}={literal(value)}")
        text = f"{variable} = {name}({', '.join(words)})"
        if len(text) + 4 <= 100:
            self.line(text)
            return
        self.line(f"{variable} = {name}(")
        line = ""
        for word in words:  # as many on a line as fit
            if line and len(line) + len(word) + 2 > 90:
                self.line(f"    {line}")
                line = ""
            line += f" {word}," if line else f"{word},"
        self.line(f"    {line}")
        self.line(")")

    def use(self, function: Callable[..., Any]) -> None:
        """Take a function and those of its file that it calls into the program."""
        if not isinstance(function, FunctionType):
            raise TypeError(f"export: needs a function written with def, got {function!r}.")
        name, source = function.__name__, source_of(function)
        if name in RESERVED or self.functions.setdefault(name, source) != source:
            raise ValueError(
                f"export: the program has something else of the name {name}. Rename your function."
            )
        for called in sorted(_names(source) & set(function.__globals__) - {"np", "math", "Array"}):
            other = function.__globals__[called]
            if not isinstance(other, FunctionType) or other.__module__ != function.__module__:
                raise ValueError(
                    f"export: the function {name} uses {called}. It may use np, math and other "
                    "functions of its own file."
                )
            if called not in self.functions:
                self.use(other)


def literal(value: Any) -> str:
    """Return a plain value as code; nothing but numbers, text, None and tuples of these.

    Examples
    --------
    >>> literal((1, float("inf"))), literal("a")
    ('(1, float("inf"))', '"a"')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if type(value) is str and value.isascii() and value.isprintable() and not {*'"\\'} & {*value}:
        return f'"{value}"'
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    raise TypeError(f"export: {type(value).__name__} is no number, text, None, or tuple of these.")


def source_of(function: FunctionType) -> str:
    """Return the text of a function, as it stands in its file.

    Raises
    ------
    ValueError
        If it is no plain function of a file: a lambda, or one that needs what stands around it.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
        tree = ast.parse(source).body
    except (OSError, TypeError, SyntaxError) as error:
        raise ValueError(f"export: the source of {function!r} is not to be had: {error}") from None
    if not isinstance(tree[0], ast.FunctionDef) or function.__closure__:
        raise ValueError(
            f"export: {function.__qualname__} must be a function written with def, that uses "
            "nothing of another function around it."
        )
    return source


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
