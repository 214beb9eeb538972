"""A user's own data: arrays in an .npz file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from chainrule.layer import Array

__all__ = ["Table", "load_npz", "read_npz"]


@dataclass
class Table:
    """Inputs and targets, and those held out if the file has some.

    Attributes
    ----------
    x, y : array
        Inputs and targets to train on.
    x_test, y_test : array or None
        Inputs and targets held out.
    """

    x: Array
    y: Array
    x_test: Array | None = None
    y_test: Array | None = None


def load_npz(path: str | os.PathLike[str], *, max_bytes: int = 1 << 34) -> Table:
    """Load inputs and targets from an .npz file; nothing is unpickled.

    The file has the arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test`` and ``y_test``,
    in small or capital letters.

    Parameters
    ----------
    path : path
        The file.
    max_bytes : int
        The largest content that is believed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, has not these arrays, or they hold no numbers, NaN, no sample, or
        differ in length.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "data.npz")
    ...     np.savez(path, x=np.zeros((5, 3)), y=np.arange(5))
    ...     load_npz(path).x.shape
    (5, 3)
    """
    arrays = {name.lower(): array for name, array in read_npz(path, max_bytes=max_bytes).items()}
    names = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    if not set(names) <= set(arrays):
        raise ValueError(
            f"{path}: needs the arrays x and y (or x_train, y_train, x_test, y_test), "
            f"has {', '.join(sorted(arrays)) or 'none'}."
        )
    held = [arrays.get("x_test"), arrays.get("y_test")]
    if (held[0] is None) != (held[1] is None):
        raise ValueError(f"{path}: has only one of x_test and y_test.")
    table = Table(arrays[names[0]], arrays[names[1]], *held)
    _check(path, "x", table.x, table.y)
    if table.x_test is not None and table.y_test is not None:
        _check(path, "x_test", table.x_test, table.y_test)
        if table.x.shape[1:] != table.x_test.shape[1:]:
            raise ValueError(
                f"{path}: a sample of x has shape {table.x.shape[1:]}, of x_test "
                f"{table.x_test.shape[1:]}."
            )
    return table


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = 1 << 34) -> dict[str, Array]:
    """Return the arrays of an .npz file, or of an .npy file under the name ``x``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, holds objects, or declares more than ``max_bytes``.
    """
    import zipfile
    import zlib

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with path.open("rb") as file:
            if file.read(6) == npy.MAGIC_PREFIX:
                file.seek(0)
                return {"x": _read_npy(path, file, path.stat().st_size, max_bytes)}
        arrays = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = _read_npy(path, file, member.file_size, max_bytes)
        return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
            OverflowError, SyntaxError, TypeError, MemoryError) as error:  # fmt: skip
        raise ValueError(f"{path} is damaged, or no .npz file: {error}.") from error


def _read_npy(path: Path, file: Any, size: int, max_bytes: int) -> Array:
    """Read one array; the header is held against the size before memory is taken."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{path}: NPY version {version} is not known.")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError(f"{path}: holds Python objects. Save arrays of numbers.")
    expected = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if expected > min(size, max_bytes):
        raise ValueError(
            f"{path}: declares {expected:,} bytes, but holds {size:,} (the limit is {max_bytes:,})."
        )
    content = bytearray()
    while len(content) < expected:
        piece = file.read(min(1 << 20, expected - len(content)))
        if not piece:
            raise ValueError(f"{path} is truncated. Get or write the file again.")
        content += piece
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _check(path: str | os.PathLike[str], name: str, x: Array, y: Array) -> None:
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        raise ValueError(
            f"{path}: {name} must be numbers of shape (samples, ...), got {x.dtype} {x.shape}."
        )
    if y.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: the targets must be numbers, got {y.dtype}. Encode classes as 0, 1, 2, …"
        )
    if y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"{path}: {name} has {len(x)} samples, its targets {y.shape}.")
    if x.size == 0:
        raise ValueError(f"{path}: {name} is empty: shape {x.shape}.")
    for what, array in ((name, x), ("the targets", y)):
        bad = int((~np.isfinite(array)).sum()) if array.dtype.kind == "f" else 0
        if bad:
            raise ValueError(
                f"{path}: {bad:,} values of {what} are NaN or infinite. Fill or drop them first."
            )
