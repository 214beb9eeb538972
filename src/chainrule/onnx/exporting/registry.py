"""Which function turns a layer of which class into nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from chainrule.layer import Layer
from chainrule.onnx.exporting.value import Value

if TYPE_CHECKING:
    from chainrule.onnx.exporting.graph import Graph

__all__ = ["Converter", "converter", "find", "unsupported"]

Converter = Callable[["Graph", Any, Value], Value]
Written = TypeVar("Written", bound=Converter)

_converters: dict[type, tuple[Converter, bool]] = {}

# A class derived from ours may define these anew: they change nothing of what it computes.
HARMLESS = {"__init__", "__repr__", "initialize", "backward", "backward_parameters"}


def converter(cls: type, *, any_order: bool = False) -> Callable[[Written], Written]:
    """Register the function that turns a layer of this class into nodes: a decorator.

    The function takes the graph, the layer and its input, and returns its output, as
    ``graph.node`` makes it.

    Parameters
    ----------
    cls : type
        The class of the layer; for one that had a function, the new one counts.
    any_order : bool
        Whether the function works on an input whose axes lie in any order, as one that treats
        every value alone does. Otherwise they lie as the layer sees them: channels last.

    Raises
    ------
    TypeError
        If it is no class of layers.

    Examples
    --------
    >>> from chainrule import Layer
    >>> from chainrule.onnx import converter
    >>> class Square(Layer):
    ...     def forward(self, x):
    ...         return x * x
    >>> @converter(Square, any_order=True)
    ... def square(graph, layer, x):
    ...     return graph.node("Mul", x, x)
    """
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise TypeError(f"converter: needs a class derived from chainrule.Layer, got {cls!r}.")

    def register(function: Written) -> Written:
        _converters[cls] = function, any_order
        return function

    return register


def find(cls: type) -> tuple[Converter, bool] | None:
    """Return the function for a class of layers, and whether it works in any order of axes.

    A derived class is converted as its base if it overrides nothing that the base computes with.
    """
    own: set[str] = set()
    for base in cls.__mro__:
        if base in _converters:
            overridden = (own - HARMLESS) & set(dir(base))
            return None if overridden else _converters[base]
        own |= {
            name
            for name, what in vars(base).items()
            if callable(what) or isinstance(what, (property, staticmethod, classmethod))
        }
    return None


def unsupported(layer: Layer) -> list[str]:
    """Return "path: layer" for each layer inside (and itself) that there is no function for.

    What is inside a layer without one is not listed: its function would see to it.
    """
    return _unsupported("", layer)


def _unsupported(path: str, layer: Layer) -> list[str]:
    if find(type(layer)) is None:
        return [f"{path}: {type(layer).__name__}"]
    return [
        line
        for name, child in layer.children().items()
        for line in _unsupported(f"{path}.{name}" if path else name, child)
    ]
