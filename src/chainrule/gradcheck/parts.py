"""What is inside a thing under test: parts with a backward, their parameters, what they draw from.

The thing may be anybody's, so what it does not declare is told by its names.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Layer
from chainrule.model import Model

__all__ = [
    "Parameter",
    "find_parameters",
    "generators",
    "is_float_array",
    "parts",
    "set_state",
    "state_of",
]

# Pairs of names that a layer which is not ours may use; ours declare their own.
KNOWN_PAIRS = {
    "weights": "grad_w",
    "biases": "grad_b",
    "weight": "grad_weight",
    "bias": "grad_bias",
    "W": "dW",
    "b": "db",
}


@dataclass(frozen=True)
class Parameter:
    """Where a parameter and its gradient are found, from the thing under test."""

    path: tuple[str | int, ...]
    name: str
    gradient: str

    @property
    def label(self) -> str:
        """The parameter's name, as ``"0.weights"`` inside a container."""
        steps = [str(step) for step in self.path if step != "layers"]
        return ".".join([*steps, self.name])

    def owner(self, thing: Any) -> Any:
        """Return the object that has it."""
        for step in self.path:
            thing = thing[step] if isinstance(step, int) else getattr(thing, step)
        return thing


def parts(thing: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield (path, object) for the thing and every object with a backward inside it."""
    yield path, thing
    if isinstance(thing, Model):
        yield from _inside(thing.layers, (*path, "layers"))
        return
    seen: set[int] = set()  # a container may name the same child twice, as Residual does
    for name, value in list(getattr(thing, "__dict__", {}).items()):
        if id(value) in seen or name.startswith("_"):
            continue
        for found in _inside(value, (*path, name)):
            if id(found[1]) not in seen:
                seen.add(id(found[1]))
                yield found


def _inside(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _inside(item, (*path, i))
    elif not isinstance(value, type) and callable(getattr(value, "backward", None)):
        yield from parts(value, path)


def find_parameters(thing: Any, given: Mapping[str, str]) -> list[Parameter]:
    """Return the parameters of all parts: declared, given, known by name, or guessed by name."""
    found = []
    for path, part in parts(thing):
        pairs = getattr(part, "parameters", None)
        if not isinstance(part, Layer) or not isinstance(pairs, Mapping):
            pairs = {**KNOWN_PAIRS, **_guessed_pairs(part), **given}
        for name, gradient in pairs.items():
            value = getattr(part, name, None) if _has(part, name) else None
            if isinstance(value, float) or is_float_array(value):
                found.append(Parameter(path, name, gradient))
    return found


def _guessed_pairs(part: Any) -> dict[str, str]:
    """Return the pairs by the usual ways of naming a gradient after its parameter."""
    names = {n for n in getattr(part, "__dict__", {}) if not n.startswith("_")}
    pairs = {}
    for name in names:
        for gradient in (f"grad_{name}", f"{name}_grad", f"d{name}", f"d_{name}"):
            if gradient in names or _mentions(part, gradient):
                pairs[name] = gradient
    return pairs


def _mentions(part: Any, name: str) -> bool:
    """Whether the part's backward sets an attribute of that name (it may not be set yet)."""
    code = getattr(getattr(type(part), "backward", None), "__code__", None)
    return code is not None and name in code.co_names


def _has(part: Any, name: str) -> bool:
    if name in getattr(part, "__dict__", {}):
        return True
    return isinstance(part, Layer) and name in (part.parameter_shapes() or part.parameters)


def is_float_array(value: Any) -> bool:
    """Whether it is an array of floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def generators(thing: Any) -> list[Any]:
    """Return every random generator that the thing's code can reach."""
    found: list[Any] = []
    kinds: tuple[type, ...] = (np.random.Generator, np.random.RandomState)
    if "random" in sys.modules:  # nobody draws from a module that nobody imported
        kinds += (sys.modules["random"].Random,)
    for _, part in parts(thing):
        if isinstance(part, Layer):
            found.append(part.rng)
        forward = inspect.unwrap(getattr(type(part), "forward", None) or (lambda: None))
        reachable = {**getattr(forward, "__globals__", {}), **getattr(part, "__dict__", {})}
        found += [value for value in reachable.values() if isinstance(value, kinds)]
    return list({id(generator): generator for generator in found}.values())


def state_of(generator: Any) -> Any:
    """Return where a generator of any kind stands."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if hasattr(generator, "getstate") else generator.get_state()


def set_state(generator: Any, state: Any) -> None:
    """Let a generator of any kind go on from there."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif hasattr(generator, "setstate"):
        generator.setstate(state)
    else:
        generator.set_state(state)
