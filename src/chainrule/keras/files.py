"""The files that Keras writes, opened so that no hostile one does harm."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.interop.extras import needs
from chainrule.layer import Array
from chainrule.storage import one_line

__all__ = ["Weights", "open_model", "open_weights"]

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MOST_CONFIG = 1 << 24  # bytes; that of a net of a thousand layers has one or two million
MOST_EXPANSION = 100  # how many times its size in the file a part may grow to


class Weights:
    """The arrays of a file of weights, by their paths in it.

    Only arrays that lie in the file whole and as they are count: no links to other places or files,
    and nothing compressed, so that reading never takes more memory than the file has bytes.
    """

    def __init__(self, file: Any) -> None:
        import h5py

        self._found: dict[str, Any] = {}

        def note(path: str, thing: Any) -> None:
            if isinstance(thing, h5py.Dataset):
                self._found[path] = thing

        # A link to a group elsewhere would lead out of the file; those inside are not followed.
        own = isinstance(file.get("layers", getlink=True), h5py.HardLink)
        if own and isinstance(file["layers"], h5py.Group):
            file["layers"].visititems(note)

    def paths(self) -> list[str]:
        """Return the paths of the arrays of layers, but for the states of random generators."""
        return [path for path in self._found if "seed_generator" not in path.split("/")]

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Return the shape of an array, or None if it is not there."""
        return self._found[path].shape if path in self._found else None

    def why_not(self, path: str, shape: tuple[int, ...]) -> str | None:
        """Return what is wrong with an array, or None."""
        if path not in self._found:
            return f"{path} is missing"
        dataset = self._found[path]
        if dataset.shape != shape:
            return f"{path} has shape {dataset.shape}, needs {shape}"
        if dataset.dtype.kind != "f":
            return f"{path} holds {dataset.dtype}, no floats"
        stored = dataset.id.get_storage_size()
        if dataset.external or dataset.is_virtual or dataset.chunks or stored != dataset.nbytes:
            return f"{path} does not lie in the file whole and uncompressed, as Keras writes it"
        return None

    def array(self, path: str) -> Array:
        """Return an array.

        Raises
        ------
        ValueError
            If the file ends before it does.
        """
        try:
            array: Array = np.asarray(self._found[path][()])
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{path} is damaged: {one_line(error)}") from error
        return array


@contextmanager
def open_weights(path: str | os.PathLike[str]) -> Iterator[Weights]:
    """Open a file of weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no HDF5 file, or damaged.
    ModuleNotFoundError
        If h5py is not installed.
    """
    path = _existing(path)
    with _opened(path, path) as weights:
        yield weights


@contextmanager
def open_model(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], Weights]]:
    """Open a ``.keras`` file: the description of the net, and the weights.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError
        As :func:`open_weights`.
    """
    path = _existing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(_part(archive, CONFIG))
            content = _part(archive, WEIGHTS)
    except KeyError as error:
        raise ValueError(f"{path}: {one_line(error.args[0])}") from error
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError,
        ValueError, RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} is damaged, or no .keras file: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: its description is no description of a net.")
    with _opened(io.BytesIO(content), path) as weights:
        yield config, weights


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file.")
    return path


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of an archive, if it does not grow out of proportion."""
    info = archive.getinfo(name)
    most = MOST_EXPANSION * max(info.compress_size, 1000)
    if name == CONFIG:
        most = min(most, MOST_CONFIG)
    with archive.open(info) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} grows to more than {most:,} bytes.")
    return content


@contextmanager
def _opened(content: Any, path: Path) -> Iterator[Weights]:
    with needs("chainrule.keras", "h5py", "'chainrule[keras]'"):
        import h5py
    try:
        file = h5py.File(content, "r")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged, or holds no weights of Keras: {one_line(error)}"
        ) from error
    with file:
        try:
            weights = Weights(file)
        except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {one_line(error)}") from error
        yield weights
