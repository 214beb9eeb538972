"""What is not installed is told with the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needs"]


@contextmanager
def needs(owner: str, package: str, install: str) -> Iterator[None]:
    """Import a package inside: if it is not there, the error names the command that brings it.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.

    Examples
    --------
    >>> with needs("chainrule.onnx", "no_such_package", "'chainrule[onnx]'"):
    ...     import no_such_package
    Traceback (most recent call last):
    ModuleNotFoundError: chainrule.onnx needs no_such_package: pip install 'chainrule[onnx]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"{owner} needs {package}: pip install {install}", name=error.name
        ) from None
