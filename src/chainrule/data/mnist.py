"""MNIST and Fashion-MNIST: from a folder, from the cache, or downloaded into it."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from chainrule.data.batches import one_hot
from chainrule.data.idx import read_idx
from chainrule.layer import Array
from chainrule.state import State, generator_state, set_generator_state

__all__ = [
    "FASHION_MNIST",
    "MNIST",
    "MiniBatches",
    "Source",
    "download",
    "load_fashion_mnist",
    "load_idx_folder",
    "load_minibatches",
    "load_mnist",
]

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's pixels, scaled to 0..1
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True)
class Source:
    """Where a data set can be downloaded.

    Attributes
    ----------
    name : str
        Also the name of its folder in the cache.
    mirrors : sequence of str
        Addresses of folders with the files, tried in turn.
    checksums : dict
        File name, and its hash as pooch writes it (``"md5:..."``).
    """

    name: str
    mirrors: Sequence[str]
    checksums: dict[str, str]


MNIST = Source(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    {
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = Source(
    "fashion-mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def load_mnist(
    folder: str | os.PathLike[str] | None = None, *, split: str = "train"
) -> tuple[Array, Array]:
    """Return the handwritten digits of MNIST.

    They are read from ``folder``; else from the folder that the environment variable
    ``CHAINRULE_DATA`` names, or ``mnist`` inside it; else they are downloaded once into the
    user's cache, which needs the extra ``chainrule[download]``.

    Parameters
    ----------
    folder : path, optional
        A folder with the four IDX files, plain or ``.gz``.
    split : {"train", "test"}
        The 60,000 to train on, or the 10,000 to test on.

    Returns
    -------
    images : array of uint8, shape (samples, 28, 28)
        Grey values, 0 to 255.
    labels : array of int64, shape (samples,)
        The digits, 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a file.
    OSError
        If the download fails from every mirror.
    ValueError
        If a file is damaged, or there is no such split.

    Notes
    -----
    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998.
    """
    return load_idx_folder(_folder(MNIST, folder, in_root=True), split=split)


def load_fashion_mnist(
    folder: str | os.PathLike[str] | None = None, *, split: str = "train"
) -> tuple[Array, Array]:
    """Return the pictures of clothes of Fashion-MNIST; a drop-in for MNIST.

    As :func:`load_mnist`; under ``CHAINRULE_DATA`` its folder is ``fashion-mnist``, since the files
    have the same names as MNIST's.

    Parameters
    ----------
    folder : path, optional
        A folder with the four IDX files, plain or ``.gz``.
    split : {"train", "test"}
        The 60,000 to train on, or the 10,000 to test on.

    Returns
    -------
    images : array of uint8, shape (samples, 28, 28)
    labels : array of int64, shape (samples,)

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As :func:`load_mnist`.

    Notes
    -----
    Source: Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017 (MIT licence).
    """
    return load_idx_folder(_folder(FASHION_MNIST, folder, in_root=False), split=split)


def load_idx_folder(folder: str | os.PathLike[str], *, split: str = "train") -> tuple[Array, Array]:
    """Return (images, labels) from a folder with IDX files named as those of MNIST.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file is damaged, the two differ in length, or there is no such split.
    """
    folder = Path(folder)
    if split not in FILES:
        raise ValueError(f'split must be "train" or "test", got {split!r}.')
    images, labels = (read_idx(_file(folder, name)) for name in FILES[split])
    if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"{folder}: the {split} images have shape {images.shape}, the labels {labels.shape}; "
            "needs one label for each image."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{folder}: the {split} labels must be integers, got {labels.dtype}.")
    return images, labels.astype(np.int64)


def download(source: Source, cache: str | os.PathLike[str] | None = None) -> Path:
    """Download what is missing of a data set, and return its folder.

    Files that are there and whole are kept, so that a broken download goes on where it stopped.

    Parameters
    ----------
    source : Source
        Mirrors, and the checksum of each file.
    cache : path, optional
        Where the data sets' folders are; the user's cache if None.

    Raises
    ------
    ModuleNotFoundError
        If pooch is not installed.
    OSError
        If a file comes from no mirror whole.
    """
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Downloading {source.name} needs pooch: pip install 'chainrule[download]'. Or name a "
            "folder that has the files, by CHAINRULE_DATA."
        ) from error
    pooch.get_logger().setLevel("WARNING")
    folder = Path(pooch.os_cache("chainrule") if cache is None else cache) / source.name
    for name, checksum in source.checksums.items():
        reasons = []
        for mirror in source.mirrors:
            try:
                pooch.retrieve(mirror + name, checksum, fname=name, path=folder)
                break
            except (OSError, ValueError) as error:  # not reached; or not the file that was meant
                reasons.append(f"{mirror}: {_first_words(error)}")
        else:
            raise OSError(
                f"{source.name}: {name} could not be downloaded ({'; '.join(reasons)}). Check the "
                "network and try again; or set CHAINRULE_DATA to a folder that has the files; or "
                "use the embedded digits, which need no network."
            )
    return folder


class MiniBatches(Sequence[tuple[Array, Array]]):
    """A sequence of mini-batches (inputs, targets), which can be dealt anew.

    The data set stays where it is: a mini-batch is gathered when it is asked for.

    Parameters
    ----------
    inputs, targets : array, shape (samples, ...)
        The data set.
    batch_size : int
        How many samples a mini-batch has; the last may have fewer.
    seed : int
        Draws the orders.

    Raises
    ------
    ValueError
        If the lengths differ, or ``batch_size`` is not at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> data = MiniBatches(np.arange(4.0), np.arange(4), batch_size=2)
    >>> data[1]
    (array([2., 3.]), array([2, 3]))
    >>> data.shuffle()
    >>> len(data), sorted(x for inputs, _ in data for x in inputs.tolist())
    (2, [0.0, 1.0, 2.0, 3.0])
    """

    def __init__(
        self, inputs: Array, targets: Array, batch_size: int = 64, *, seed: int = 0
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"MiniBatches: batch_size must be at least 1, got {batch_size}.")
        self._inputs, self._targets = np.asarray(inputs), np.asarray(targets)
        if len(self._inputs) != len(self._targets):
            raise ValueError(
                f"MiniBatches: needs as many inputs as targets, got {len(self._inputs)} and "
                f"{len(self._targets)}."
            )
        self._batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        self._order: Array | None = None  # as the samples came
        self._drawn_from: State | None = None

    def shuffle(self) -> None:
        """Deal all samples into new mini-batches."""
        self._drawn_from = generator_state(self._rng)
        self._order = self._rng.permutation(len(self._inputs))

    def get_state(self) -> State:
        """Return where the generator stood when the order was drawn (None: it has not been)."""
        return {"drawn_from": self._drawn_from, "generator": generator_state(self._rng)}

    def set_state(self, state: State) -> None:
        """Go on from there, with the same order."""
        self._order = None
        if state["drawn_from"] is not None:
            set_generator_state(self._rng, state["drawn_from"])
            self.shuffle()
        set_generator_state(self._rng, state["generator"])

    def batches_from(self, first: int) -> Iterator[tuple[Array, Array]]:
        """Yield the mini-batches from one on."""
        return (self[i] for i in range(first, len(self)))

    def __len__(self) -> int:
        return math.ceil(len(self._inputs) / self._batch_size)

    @overload
    def __getitem__(self, i: int) -> tuple[Array, Array]: ...
    @overload
    def __getitem__(self, i: slice) -> list[tuple[Array, Array]]: ...
    def __getitem__(self, i: int | slice) -> tuple[Array, Array] | list[tuple[Array, Array]]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        start = range(0, len(self._inputs), self._batch_size)[i]
        samples: slice | Array = slice(start, start + self._batch_size)
        if self._order is not None:
            samples = self._order[samples]
        return self._inputs[samples], self._targets[samples]


def load_minibatches(
    batch_size: int = 64,
    *,
    split: str = "train",
    folder: str | os.PathLike[str] | None = None,
    shuffle: bool = True,
    seed: int = 0,
) -> MiniBatches:
    """Return MNIST as the article prepares it: mini-batches (inputs, targets).

    Inputs are rows of 784 pixels, scaled to 0..1 and normalised by the mean 0.1307 and the
    deviation 0.3081; targets are one-hot rows of 10. Both are float32. ``data.shuffle()`` deals
    the samples into new mini-batches.

    Parameters
    ----------
    batch_size : int
        How many samples a mini-batch has; the last may have fewer.
    split : {"train", "test"}
        Which part of MNIST.
    folder : path, optional
        Where the files are; see :func:`load_mnist`.
    shuffle : bool
        Whether the samples are shuffled.
    seed : int
        Draws the orders.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As :func:`load_mnist`.
    """
    images, labels = load_mnist(folder, split=split)
    inputs = images.reshape(len(images), -1).astype(np.float32)
    inputs /= 255 * DEVIATION
    inputs -= MEAN / DEVIATION
    batches = MiniBatches(inputs, one_hot(labels, 10), batch_size, seed=seed)
    if shuffle:
        batches.shuffle()
    return batches


def _folder(source: Source, folder: str | os.PathLike[str] | None, *, in_root: bool) -> Path:
    if folder is not None:
        return Path(folder)
    named = os.environ.get("CHAINRULE_DATA")
    if named:
        root = Path(named)
        if not root.is_dir():
            raise FileNotFoundError(f"CHAINRULE_DATA={named}: there is no such folder.")
        if (root / source.name).is_dir():
            return root / source.name
        if in_root and any(root.glob("*-idx?-ubyte*")):
            return root
    return download(source)


def _file(folder: Path, name: str) -> Path:
    dotted = name.replace("-idx", ".idx")  # as some unpackers name them
    for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise FileNotFoundError(
        f"{folder}: there is no {name}, plain or .gz. Needs the IDX files as MNIST names them: "
        f"{', '.join(n for pair in FILES.values() for n in pair)}."
    )


def _first_words(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
