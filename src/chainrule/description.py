"""What an object was built with: as Python code (``repr``) and as plain JSON (a saved model).

Both come from one rule: every constructor argument is kept in an attribute of the same name.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["arguments", "build", "code", "describe"]


def arguments(thing: object) -> dict[str, Any]:
    """Return the constructor's arguments of ``thing``, by name, as they stand now.

    Raises
    ------
    TypeError
        If an argument of the constructor has no attribute of the same name.
    """
    found = {}
    for parameter in _signature(type(thing)):
        name = parameter.name
        if not hasattr(thing, name):
            raise TypeError(
                f"{type(thing).__name__}: __init__ takes {name!r}, but the object has no "
                f"attribute of that name. Write self.{name} = {name} in __init__."
            )
        found[name] = getattr(thing, name)
    return found


def code(thing: object) -> str:
    """Return the shortest constructor call that builds ``thing`` again."""
    try:
        values = arguments(thing)
    except TypeError:
        return f"{type(thing).__name__}(...)"
    words = []
    for position, parameter in enumerate(_signature(type(thing))):
        value = values[parameter.name]
        required = parameter.default is inspect.Parameter.empty
        first = position == 0 and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        if not required and _same(value, parameter.default):
            continue
        words.append(
            _literal(value) if required or first else f"{parameter.name}={_literal(value)}"
        )
    return f"{type(thing).__name__}({', '.join(words)})"


def describe(thing: object) -> dict[str, Any]:
    """Return ``{"class": name, "arguments": {...}}`` in types that JSON knows."""
    return {
        "class": type(thing).__name__,
        "arguments": {name: _plain(thing, value) for name, value in arguments(thing).items()},
    }


def build(description: Any, classes: Mapping[str, type]) -> Any:
    """Build the object that :func:`describe` described, from the given classes alone.

    Nothing of the description is executed: a class is looked up by name, its arguments are data.

    Raises
    ------
    ValueError
        If the description is damaged or names an unknown class.
    """
    if not isinstance(description, dict) or set(description) != {"class", "arguments"}:
        raise ValueError(f"a description has a class and its arguments, got {description!r:.200}")
    name, values = description["class"], description["arguments"]
    if not isinstance(name, str) or not isinstance(values, dict):
        raise ValueError(f"a description has a class and its arguments, got {description!r:.200}")
    if name not in classes:
        raise ValueError(
            f"unknown class {name!r:.80}. If it is a class of your own, pass it: "
            "chainrule.load(path, classes=[YourLayer])."
        )
    try:
        return classes[name](**{key: _rebuilt(value, classes) for key, value in values.items()})
    except TypeError as error:
        raise ValueError(f"{name} does not take the arguments {values!r:.200}: {error}") from error


def _signature(cls: type) -> list[inspect.Parameter]:
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if cls.__init__ is object.__init__:  # type: ignore[misc]  # asks which class defines it
        return []
    return [p for p in inspect.signature(cls).parameters.values() if p.kind not in skipped]


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(np.all(value == default))


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, tuple):
        return repr(list(value))
    return repr(value)


def _plain(owner: object, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Sequence):
        return [_plain(owner, item) for item in value]
    if hasattr(value, "forward"):
        return describe(value)
    raise TypeError(
        f"{type(owner).__name__}: an argument of type {type(value).__name__} cannot be saved. "
        "Arguments that are saved are numbers, text, lists of these, or layers."
    )


def _rebuilt(value: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, dict):
        return build(value, classes)
    if isinstance(value, list):
        return [_rebuilt(item, classes) for item in value]
    return value
