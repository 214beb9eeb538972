"""A user's own data: arrays in an .npz file."""

import math
import os
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from chainrule.layer import Array
from chainrule.storage import one_line

if TYPE_CHECKING:
    import zipfile

__all__ = ["Table", "load_npz", "npy_header", "read_npz"]


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
    found = read_npz(path, max_bytes=max_bytes)
    arrays = {name.lower(): array for name, array in found.items()}
    if len(arrays) < len(found):
        raise ValueError(
            f"{path}: of some arrays it has two, in small and in capital letters: "
            f"{one_line(', '.join(sorted(found)))}."
        )
    names = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    if not set(names) <= set(arrays):
        raise ValueError(
            f"{path}: needs the arrays x and y (or x_train, y_train, x_test, y_test), "
            f"has {one_line(', '.join(sorted(arrays))) or 'none'}."
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


def read_npz(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = 1 << 34,
    only: Collection[str] | None = None,
) -> dict[str, Array]:
    """Return the arrays of an .npz file, or of an .npy file under the name ``x``.

    Nothing is unpickled, and memory is taken as the content arrives, never by what is declared.

    Parameters
    ----------
    path : path
    max_bytes : int
        The largest content that is believed.
    only : collection of str, optional
        The names, in small letters, of the arrays that are read; all if nothing is said.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, holds objects, or declares more than ``max_bytes`` in all.
    """
    import zipfile

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    with path.open("rb") as file:
        try:
            if file.read(6) == npy.MAGIC_PREFIX:
                file.seek(0)
                return {"x": _read_npy(file, path.stat().st_size, max_bytes)}
            with zipfile.ZipFile(file) as archive:
                return _read_members(archive, max_bytes, only)
        except ValueError as error:
            raise ValueError(f"{path}: {one_line(error)}") from error
        except MemoryError:  # of a file that may be sound
            raise
        except Exception as error:  # of a damaged archive Python's reader can say anything
            raise ValueError(f"{path} is damaged, or no .npz file: {one_line(error)}.") from error


def _read_members(
    archive: "zipfile.ZipFile", max_bytes: int, only: Collection[str] | None
) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    left = max_bytes
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if only is not None and name.lower() not in only:
            continue
        # Python's readers of other methods unpack without a bound; and NumPy writes only these two.
        if member.compress_type not in (0, 8):
            raise ValueError(
                f"{member.filename!r} is packed by a method that NumPy does not use. Write the "
                "file again: numpy.savez_compressed(path, x=x, y=y)."
            )
        if name in arrays:
            raise ValueError(f"holds two arrays of the name {name!r}. Write the file again.")
        with archive.open(member) as file:
            arrays[name] = _read_npy(file, member.file_size, left)
        left -= arrays[name].nbytes
    return arrays


def _read_npy(file: IO[bytes], size: int, max_bytes: int) -> Array:
    """Read one array; the header is held against the size before memory is taken."""
    shape, fortran, dtype = npy_header(file)
    if dtype.hasobject:
        raise ValueError("holds Python objects. Save arrays of numbers.")
    expected = math.prod(shape) * dtype.itemsize
    if expected > min(size, max_bytes):
        raise ValueError(
            f"declares {expected:,} bytes, but holds {size:,} (the limit is {max_bytes:,})."
        )
    content = bytearray()
    while len(content) < expected:
        piece = file.read(min(1 << 20, expected - len(content)))
        if not piece:
            raise ValueError("is truncated. Get or write the file again.")
        content += piece
    if file.read(1):  # an archive compares its checksum when it has come to the end
        raise ValueError(f"has bytes after the {expected:,} that its shape {shape} declares.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape that an .npy file declares, whether in Fortran's order, and the type.

    Raises
    ------
    ValueError
        If the header is damaged. The error does not name the file.
    """
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"NPY version {version} is not known.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header of Python 2 can be read as well
            shape, fortran, dtype = readers[version](file)
    except Exception as error:  # it is parsed as Python's literals, which can fail in any way
        raise ValueError(f"its header is damaged: {error}") from error
    if any(n < 0 for n in shape):
        raise ValueError(f"its header is damaged: it declares the shape {shape}.")
    return shape, fortran, dtype


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
