"""What a net of the studio learns from: named sets, points in the plane, a user's own arrays."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.cli.classes import is_yes_no
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import DataSet, load_data
from chainrule.cli.tables import TABLES
from chainrule.data.mnist import FILES, MNIST, download
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.storage import one_line
from chainrule.studio.toys import TOYS

__all__ = [
    "MOST_BYTES", "MOST_UNPACKED", "Data", "SentTable", "as_data", "as_file", "fetch", "fetched",
    "is_here", "load", "names", "read_upload", "refuse_large", "stem_of",
]  # fmt: skip

MOST_BYTES = 64 << 20  # of a file that is uploaded
MOST_UNPACKED = 512 << 20  # of the arrays in it
POINTS, NOISE = 500, 0.1  # of a set in the plane; a fifth of the points is held out
ZIP = b"PK\x03\x04"
MNIST_SIZE = 11_594_722  # of its four files, in bytes

_loading = threading.Lock()


@dataclass(frozen=True)
class SentTable:
    """A table that the page was sent, as it came: which column is learned is not said yet.

    Attributes
    ----------
    name : str
    content : bytes
        The file.
    columns : tuple of str
        The names in its first line.
    """

    name: str
    content: bytes
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """A data set as a net takes it, and as it is shown.

    Attributes
    ----------
    name : str
    held : DataSet
        As ``chainrule train`` has it: raw values, and how they are prepared.
    rows, rows_test : array of float32, shape (samples, features)
        What the net takes, to train on and held out.
    table : SentTable or None
        The table that the page was sent, if they are of one.
    """

    name: str
    held: DataSet
    rows: Array
    rows_test: Array
    table: SentTable | None = None

    @property
    def labels(self) -> Array:
        """The classes of the samples to train on."""
        return self.held.y

    @property
    def labels_test(self) -> Array:
        """The classes of those held out."""
        return self.held.y_test

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return self.held.preparation.names

    @property
    def regression(self) -> bool:
        """Whether a number is predicted, and no class."""
        return self.held.preparation.regression

    @property
    def task(self) -> str | None:
        """What ``chainrule train`` must be told, if the data do not say so alone."""
        return "regression" if self.regression else None

    @property
    def outputs(self) -> int:
        """How many outputs a net for it has: one for each class, or one for a number."""
        return 1 if self.regression else len(self.classes)

    def width_of(self, model: Model) -> int:
        """Return how many outputs a net for it has: of two classes perhaps one, yes or no."""
        if self.regression or self.outputs != 2 or not is_yes_no(model.cost, 1):
            return self.outputs
        width: int = model.predict(self.rows[:1]).shape[-1]
        return width

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of a raw sample: (28, 28) for a digit of MNIST."""
        return tuple(self.held.preparation.sample_shape)

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width, if a sample is an image."""
        return self.held.preparation.image_shape

    @property
    def in_the_plane(self) -> bool:
        """Whether a sample is a point in the plane."""
        return self.sample_shape == (2,)

    @property
    def points(self) -> tuple[Array, Array]:
        """Points in the plane as they are drawn, to train on and held out.

        The columns of a table may be of very different size: they are drawn as the net takes them,
        less their means, in standard deviations.
        """
        as_taken = self.held.preparation.columns is not None
        return (self.rows, self.rows_test) if as_taken else (self.held.x, self.held.x_test)

    def part(self, split: str) -> tuple[Array, Array, Array]:
        """Return (raw samples, rows, labels) of a split, "train" or "test".

        Raises
        ------
        ValueError
            If there is no such split.
        """
        if split == "train":
            return self.held.x, self.rows, self.held.y
        if split == "test":
            return self.held.x_test, self.rows_test, self.held.y_test
        raise ValueError(f'the split must be "train" or "test", got {split!r:.40}.')


def names() -> list[str]:
    """Return the sets that have a name; MNIST may have to be fetched first."""
    return ["digits", "mnist", *TOYS]


def is_here(name: str) -> bool:
    """Whether a set can be loaded without a download."""
    return name != "mnist" or fetched() == 1.0


def fetched() -> float:
    """Return which share of MNIST's files is on this computer, 0 to 1, while they come too."""
    found = 0.0
    for folder in _mnist_folders():
        names = {path.name.removesuffix(".gz").replace(".idx", "-idx") for path in _files(folder)}
        if all(name in names for pair in FILES.values() for name in pair):
            return 1.0
        size = sum(path.stat().st_size for path in _files(folder))
        found = max(found, min(size / MNIST_SIZE, 0.99))
    return found


def fetch() -> None:
    """Download MNIST into the user's cache; what is there is kept.

    Raises
    ------
    OSError
        If it comes from no mirror whole.
    ModuleNotFoundError
        If pooch is not installed.
    """
    try:
        download(MNIST)
    except OSError as error:
        raise OSError(
            "MNIST could not be downloaded: none of its servers sent it. Check the network and try "
            "again, or set CHAINRULE_DATA to a folder that has its files. The digits need no "
            "network."
        ) from error


def load(name: str) -> Data:
    """Return a data set by its name.

    Raises
    ------
    ValueError
        If there is no set of that name, or it must be fetched first.
    OSError
        If its files cannot be read.

    Examples
    --------
    >>> load("digits").rows.shape, load("moons").in_the_plane
    ((1438, 64), True)
    """
    with _loading:  # so that two threads get the same
        return _load(name)


@functools.lru_cache(maxsize=4)  # MNIST as the net takes it has 200 MB: not once a reset
def _load(name: str) -> Data:
    if name in TOYS:
        x, y = TOYS[name](POINTS, NOISE, np.random.default_rng(0))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.npz"
            np.savez(path, x=x.astype(np.float32), y=y)
            return as_data(name, load_data(str(path)))
    if name not in names():
        raise ValueError(f"there is no data set {name!r:.40}. There are: {', '.join(names())}.")
    if not is_here(name):
        raise ValueError("MNIST is not on this computer yet. Train offers to download it.")
    return as_data(name, load_data(name))


def read_upload(name: str, content: bytes) -> Data:
    """Return the data of an .npz file that a user has sent; nothing in it is executed.

    Parameters
    ----------
    name : str
        The name of the file; only its stem is used, and nothing is written under it.
    content : bytes
        The file.

    Raises
    ------
    ValueError
        If it is too large, no .npz file, damaged, or nothing to learn from.
    """
    stem = stem_of(name)
    refuse_large(name, content, "Train on it with the command: chainrule train FILE.npz.")
    if Path(name).suffix.lower() in TABLES:
        raise ValueError(
            f"{stem}: a table of this kind is opened by the command: chainrule studio "
            f"FILE{Path(name).suffix} --target COLUMN. Here a .csv or .npz file can be sent."
        )
    if not content.startswith(ZIP):
        raise ValueError(
            f"{stem}: needs an .npz file with arrays x and y: numpy.savez({stem + '.npz'!r}, "
            "x=x, y=y); or a table as .csv."
        )
    with as_file(f"{stem}.npz", content) as path:
        return as_data(stem, load_data(str(path), max_bytes=MOST_UNPACKED))


def refuse_large(name: str, content: bytes, remedy: str) -> None:
    """Refuse a file that is larger than one that may be sent.

    Raises
    ------
    ValueError
        With the remedy.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"{stem_of(name)}: a file of {len(content) >> 20:,} MB; at most {MOST_BYTES >> 20} can "
            f"be sent. {remedy}"
        )


@contextlib.contextmanager
def as_file(name: str, content: bytes) -> Iterator[Path]:
    """Have what was sent as a file for as long as it is read.

    Raises
    ------
    ValueError
        What its reader says is wrong with it, without the path.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            yield path
        except (ValueError, OSError, MemoryError, UsageError) as error:
            words = str(error) or "out of memory"
            raise ValueError(one_line(words.replace(f"{folder}{os.sep}", ""))) from error


def stem_of(name: str) -> str:
    """Return what data from a file of any name are called.

    Examples
    --------
    >>> stem_of("../../my data.csv"), stem_of("/")
    ('my-data', 'data')
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem)[:40] or "data"


def as_data(name: str, held: DataSet) -> Data:
    """Return a data set with what a net takes of it."""
    rows = held.preparation.rows
    return Data(name, held, rows(held.x), rows(held.x_test))


def _mnist_folders() -> list[Path]:
    """Return where MNIST may be, as ``load_mnist`` looks for it."""
    named = os.environ.get("CHAINRULE_DATA")
    folders = [Path(named) / "mnist", Path(named)] if named else []
    try:
        import pooch
    except ModuleNotFoundError:
        return folders
    return [*folders, Path(pooch.os_cache("chainrule")) / "mnist"]


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []
