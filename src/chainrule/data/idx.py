"""The IDX format, in which MNIST and its relatives come: plain, or inside gzip."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chainrule.layer import Array
from chainrule.storage import one_line, write_atomically

if TYPE_CHECKING:
    import gzip

__all__ = ["header", "read_idx", "write_idx"]

# The third byte of the magic number, and the (big-endian) type of the values.
TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
PIECE = 1 << 20
MOST_AXES = 64  # of NumPy's arrays


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 1 << 32) -> Array:
    """Read an IDX file, plain or gzipped (told by its content, not by its name).

    Parameters
    ----------
    path : path
        The file.
    max_bytes : int
        The largest content that is believed.

    Returns
    -------
    array
        In the machine's own byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no IDX file, is damaged or truncated, has bytes left over, or declares more than
        ``max_bytes``.

    Notes
    -----
    Memory is taken as the content arrives, never by what the header declares: a small file cannot
    fill the memory. Source: LeCun, Cortes and Burges, The MNIST database, 1998.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "small.idx.gz")
    ...     write_idx(path, np.array([[1, 2], [3, 4]], dtype=np.uint8))
    ...     read_idx(path)
    array([[1, 2],
           [3, 4]], dtype=uint8)
    """
    import gzip
    import zlib

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file. Name an IDX file, plain or .gz.")
    try:
        with _opened(path) as file:
            dtype, shape = header(file)
            expected = math.prod(shape) * dtype.itemsize
            if expected > max_bytes:
                raise ValueError(
                    f"declares {expected:,} bytes, more than the limit of {max_bytes:,}. "
                    "If that is right, raise max_bytes."
                )
            content = _content(file, expected)
            if len(content) < expected:
                raise ValueError(
                    f"is truncated: it declares shape {shape}, {expected:,} bytes, and has "
                    f"{len(content):,}. Get the file again."
                )
            if file.read(1):
                raise ValueError(
                    f"there are bytes after the {expected:,} that its shape {shape} declares. "
                    "Get the file again."
                )
        # It refuses as well what NumPy has no place for: an axis of 0 among axes that are too long.
        array = np.frombuffer(content, dtype).reshape(shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged gzip: {one_line(error)}. Get the file again.") from error
    except ValueError as error:
        raise ValueError(f"{path}: {one_line(error)}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, whole or not at all; gzipped if the name ends in ``.gz``.

    Raises
    ------
    ValueError
        If the format has no place for the array's type.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    codes = {dtype.newbyteorder("="): code for code, dtype in TYPES.items()}
    array = np.asarray(array)
    if array.dtype not in codes or array.ndim == 0:
        raise ValueError(
            f"{path}: IDX holds arrays of uint8, int8, int16, int32, float32 or float64, "
            f"got {array.dtype} of shape {array.shape}."
        )
    code = codes[array.dtype]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(TYPES[code]).tobytes()
    if path.suffix == ".gz":
        import gzip

        content = gzip.compress(content, mtime=0)  # the same array gives the same file
    write_atomically(path, content)


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[IO[bytes] | gzip.GzipFile]":
    import gzip

    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            yield file
        else:
            with gzip.open(file) as unzipped:
                yield unzipped


def header(file: "IO[bytes] | gzip.GzipFile") -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and the shape that a file declares; what it holds follows."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"is no IDX file: it begins with {magic.hex(' ') or 'nothing'}, an IDX file with "
            "00 00, a type and a rank."
        )
    rank = magic[3]
    if rank > MOST_AXES:
        raise ValueError(f"declares {rank} axes, and arrays have {MOST_AXES} at most.")
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError("is truncated in its header. Get the file again.")
    return TYPES[magic[2]], tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def _content(file: "IO[bytes] | gzip.GzipFile", expected: int) -> bytearray:
    content = bytearray()
    while len(content) < expected:
        piece = file.read(min(PIECE, expected - len(content)))
        if not piece:
            break
        content += piece
    return content
