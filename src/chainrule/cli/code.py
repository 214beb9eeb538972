"""A user's own Python file: loaded when the command line names it, never otherwise."""

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any

from chainrule.cli.errors import UsageError
from chainrule.layer import Function

__all__ = ["functions_of", "load_code"]


def load_code(path: Path) -> Any:
    """Run a Python file as a module.

    Raises
    ------
    UsageError
        If it is no Python file.
    ValueError
        If it raises an error; the message has its line.
    """
    if not path.is_file():
        raise UsageError(
            f"{path}: there is no such file. Name a Python file: FILE.py or FILE.py:NAME."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: needs a Python file, FILE.py or FILE.py:NAME.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an import would, so that its classes can be copied
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise failed(path, module, error) from error
    return module


def failed(path: Path, module: Any, error: Exception) -> ValueError:
    """Return an error in the user's code with its line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == module.__file__]
    line = f"line {frames[-1].lineno}: " if frames else ""
    return ValueError(f"{path}: {line}{type(error).__name__}: {error}")


def functions_of(module: Any) -> list[type]:
    """Return the layers and losses that a module defines or has imported from elsewhere."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Function)
        and not value.__module__.startswith("chainrule.")
    ]
