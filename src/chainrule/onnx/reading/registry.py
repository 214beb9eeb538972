"""From operator to function: one entry an operator. Each family of operators is a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.values import Constant, Value

if TYPE_CHECKING:
    from chainrule.onnx.reading.reader import Reader

__all__ = ["OPERATORS", "Converter", "Result", "operator"]

Result = Value | Constant | Sequence[Value | Constant | None]
Converter = Callable[["Reader", Node], Result]

OPERATORS: dict[tuple[str, str], Converter] = {}


def operator(*names: str, domain: str = "ai.onnx") -> Callable[[Converter], Converter]:
    """Say which operators a function turns into steps of the net."""

    def register(function: Converter) -> Converter:
        for name in names:
            OPERATORS[domain, name] = function
        return function

    return register


def known(node: Node) -> bool:
    """Return whether there is a function for an operator."""
    return (node.domain, node.op) in OPERATORS


def converter_of(node: Node) -> Any:
    """Return the function for an operator."""
    return OPERATORS[node.domain, node.op]
