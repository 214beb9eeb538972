"""ONNX files: write a model as a graph that others run, read the graphs that others wrote."""

from typing import Any

from chainrule.onnx.exporting import converter, export

__all__ = ["converter", "export", "load"]


def __getattr__(name: str) -> Any:
    # Writing and reading need nothing of each other, so the reader comes when it is asked for.
    if name == "load":
        from importlib import import_module

        return import_module("chainrule.onnx.reading").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
