"""Rows of an array that stays on the disk: .npy and IDX files, read a stretch at a time."""

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from chainrule.data import idx
from chainrule.data.table import npy_header
from chainrule.layer import Array
from chainrule.storage import one_line

__all__ = ["ArrayRows", "FileRows", "Rows", "as_rows"]


class Rows:
    """An array of which only stretches of rows are read.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """How many bytes a row has."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def read(self, start: int, out: Array) -> None:
        """Fill ``out`` with the rows from ``start`` on."""
        raise NotImplementedError


class ArrayRows(Rows):
    """Those of an array in memory, or of one that NumPy maps into it."""

    def __init__(self, array: Array) -> None:
        if array.dtype.kind not in "fiub":
            raise ValueError(f"the data must be numbers, got an array of {array.dtype}.")
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def read(self, start: int, out: Array) -> None:
        """Fill ``out`` with the rows from ``start`` on."""
        out[...] = self.array[start : start + len(out)]


class FileRows(Rows):
    """Those of a file. It is read, not mapped: pages that are mapped would fill the memory.

    Parameters
    ----------
    path : path
        A ``.npy`` file, or an IDX file that is not packed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither, is truncated, or its rows do not lie one after the other.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file. Name a .npy or IDX file.")
        with self.path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start[:2] == b"\x1f\x8b":
                raise ValueError(f"{path} is packed: rows in it cannot be reached. gunzip it.")
            try:
                if start == npy.MAGIC_PREFIX:
                    self.shape, self.dtype = self._npy_header(file)
                else:
                    self.dtype, self.shape = idx.header(file)
            except ValueError as error:
                raise ValueError(f"{path}: {one_line(error)}") from error
            self.offset = file.tell()
        declared, there = math.prod(self.shape) * self.dtype.itemsize, self.path.stat().st_size
        if there - self.offset != declared:
            raise ValueError(
                f"{path}: declares {one_line(f'{declared:,} bytes of shape {self.shape}')}, and "
                f"has {there - self.offset:,}. Get or write the file again."
            )

    @staticmethod
    def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        shape, fortran, dtype = npy_header(file)
        if dtype.kind not in "fiub":
            raise ValueError(f"the data must be numbers, got {dtype} of shape {shape}.")
        if fortran and len(shape) > 1:
            raise ValueError(
                "its columns lie one after the other, not its rows. Write it again: "
                "numpy.save(path, numpy.ascontiguousarray(array))."
            )
        return tuple(shape), dtype

    def read(self, start: int, out: Array) -> None:
        """Fill ``out`` with the rows from ``start`` on.

        Raises
        ------
        ValueError
            If the file has become shorter.
        """
        rows = np.empty(out.shape, self.dtype) if out.dtype != self.dtype else out
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start * self.row_bytes)
            left = rows.reshape(-1).view(np.uint8).data
            while left:
                count = file.readinto(left)
                if not count:
                    raise ValueError(f"{self.path} has become shorter while it was being read.")
                left = left[count:]
        if rows is not out:
            out[...] = rows


def as_rows(owner: str, data: Any) -> Rows:
    """Return the rows of a path or an array."""
    if isinstance(data, (str, os.PathLike)):
        rows: Rows = FileRows(data)
    else:
        rows = ArrayRows(data if isinstance(data, np.ndarray) else np.asarray(data))
    if not rows.shape:
        raise ValueError(f"{owner}: needs arrays of samples, got a single number.")
    return rows
