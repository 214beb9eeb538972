"""A model as an ONNX graph."""

from typing import Any

__all__ = ["converter", "export"]


def converter(cls: type) -> Any:
    """Register how a layer becomes nodes."""
    raise NotImplementedError


def export(*args: Any, **options: Any) -> None:
    """Write a model as an ONNX file."""
    raise NotImplementedError
