"""Wrong layers, each with the mistake that it makes; and right ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WRONG: list["Entry"] = []
RIGHT: list["Entry"] = []


@dataclass
class Entry:
    """A class to check: how to build it, what to feed it, and its mistake."""

    name: str
    build: Callable[[], Any]
    x: np.ndarray
    y: np.ndarray | None = None
    mistake: str = ""
    parameters: dict[str, str] | None = None
    also: tuple[str, ...] = field(default=())  # explains the numbers equally


def _array(x: Any) -> np.ndarray:
    if isinstance(x, tuple):
        return np.random.default_rng(42).standard_normal(x)
    return np.asarray(x)


def wrong(
    mistake: str,
    x: Any = (4, 3),
    *arguments: Any,
    y: Any = None,
    parameters: dict[str, str] | None = None,
    also: tuple[str, ...] = (),
) -> Callable[[type], type]:
    """Enter a class that makes this mistake; ``x`` is an input or its shape."""

    def enter(cls: type) -> type:
        target = None if y is None else _array(y)
        WRONG.append(Entry(cls.__name__, lambda: cls(*arguments), _array(x), target, mistake,
                           parameters, also))  # fmt: skip
        return cls

    return enter


def right(x: Any = (4, 3), *arguments: Any, y: Any = None) -> Callable[[type], type]:
    """Enter a class that makes none."""

    def enter(cls: type) -> type:
        target = None if y is None else _array(y)
        RIGHT.append(Entry(cls.__name__, lambda: cls(*arguments), _array(x), target))
        return cls

    return enter
