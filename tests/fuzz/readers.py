"""What reads files that others made: a row a reader. One more reader is one more row."""

import gzip
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import *
from chainrule.cli.preparation import Preparation
from chainrule.data import load_npz, read_idx, read_npz, write_idx
from chainrule.data.stored import FileRows
from chainrule.storage import read_arrays, write_arrays

LIMIT = 1 << 20  # bytes: what the readers that take a limit are told


@dataclass
class Reader:
    """A function that reads a file, and how files that it reads are made.

    ``write`` writes one sound file after another: each call of a writer gets a path.
    """

    name: str
    read: Callable[[Path], Any]
    writers: list[Callable[[Path], Any]]

    def __str__(self) -> str:
        return self.name

    def corpus(self, folder: Path) -> list[bytes]:
        """Return the content of sound files."""
        contents = []
        for i, write in enumerate(self.writers):
            path = folder / f"sound-{i}"
            write(path)
            contents.append(path.read_bytes())
        return contents


class FaultError(AssertionError):
    """A reader did something else than to return, or to say in one line what is wrong."""


def outcome(reader: Reader, path: Path) -> str | None:
    """Read; return the error's message, or None if there was none; a fault is raised."""
    try:
        reader.read(path)
    except (ValueError, OSError) as error:
        message = str(error)
        if isinstance(error, UnicodeError):
            raise FaultError(f"{error!r} is no error of ours") from error
        if str(path) not in message:
            raise FaultError(f"does not name the file: {message[:300]!r}") from error
        if not message.isprintable() or len(message) > 1000:
            raise FaultError(f"is no line to read: {len(message)}, {message[:1500]!r}") from error
        return message
    except Exception as error:
        raise FaultError(f"{type(error).__name__}: {error}"[:500]) from error
    return None


def small() -> Model:
    return Model([Linear(3, 4), ReLU(), Linear(4, 2)], SoftmaxCrossEntropy(), seed=1)


def rich() -> Model:
    layers = [
        Conv2d(1, 4, 3, padding="same"), BatchNorm(4), ReLU(), MaxPool2d(2),
        Residual([Conv2d(4, 2, 1), Tanh()], shortcut=Conv2d(4, 2, 1, bias=False)),
        Flatten(), Dropout(0.2), Linear(8, 4, initializer="orthogonal"), GELU("tanh"), LayerNorm(4),
        Linear(4, 2),
    ]  # fmt: skip
    return Model(layers, SoftmaxCrossEntropy(class_weights=[1, 2], label_smoothing=0.1))


def sequences() -> Model:
    layers = [Embedding(5, 4), MultiHeadAttention(4, 2), LSTM(4, 3), Linear(3, 2)]
    return Model(layers, MeanSquaredError(), dtype=np.float64)


def prepared() -> Model:
    model = small()
    Preparation(
        data="digits", sample_shape=[3], mean=[0.5, 1, 2], deviation=1.5, maximum=16.0,
        margin=0.1, names=["a", "b"], background="dark",
    ).into(model)  # fmt: skip
    return model


def read_onnx(path: Path) -> Model:
    import chainrule.onnx

    with warnings.catch_warnings():  # what it says of weights that are shared is no fault
        warnings.filterwarnings("ignore", message=".*used in several places")
        return chainrule.onnx.load(path)


def as_onnx(make: Callable[[], Model]) -> Callable[[Path], None]:
    shapes = {small: 3, rich: (4, 4, 1), sequences: (6,)}

    def write(path: Path) -> None:
        import chainrule.onnx

        chainrule.onnx.export(make(), path, shapes[make])

    return write


def as_npz(save: Callable[..., None], **arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            save(file, **arrays)

    return write


def as_npy(array: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array)

    return write


def zipped_idx(array: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_idx(path, array)
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))

    return write


def every_row(path: Path) -> None:
    rows = FileRows(path)
    rows.read(0, np.empty(rows.shape, rows.dtype))


IMAGES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
X = np.arange(20.0).reshape(5, 4)
Y = np.arange(5)
TABLES = [
    as_npz(np.savez, x=X, y=Y),
    as_npz(np.savez_compressed, x=np.asfortranarray(X.astype(">f4")), y=Y),
    as_npz(np.savez, X_train=X, Y_train=Y, X_test=X[:2], Y_test=Y[:2]),
]

READERS = [
    Reader(
        "idx",
        lambda path: read_idx(path, max_bytes=LIMIT),
        [
            lambda path: write_idx(path, IMAGES),
            lambda path: write_idx(path, np.arange(9, dtype=np.uint8)),
            lambda path: write_idx(path, np.zeros((0, 3), np.float64)),
        ],
    ),
    Reader(
        "idx.gz",
        lambda path: read_idx(path, max_bytes=LIMIT),
        [zipped_idx(IMAGES), zipped_idx(np.zeros((100, 28), np.float32))],
    ),
    Reader(
        "rows",
        every_row,
        [
            lambda path: write_idx(path, IMAGES),
            as_npy(X),
            as_npy(np.arange(9, dtype=np.uint8)),
            as_npy(np.zeros((0, 3))),
        ],
    ),
    Reader("table", lambda path: load_npz(path, max_bytes=LIMIT), [*TABLES]),
    Reader(
        "npz",
        lambda path: read_npz(path, max_bytes=LIMIT),
        [*TABLES, as_npy(X), as_npy(np.zeros(3, "f4,i2")), as_npy(np.array(["a", "bc"]))],
    ),
    Reader(
        "model",
        load,
        [lambda path, make=make: make().save(path) for make in (small, rich, sequences)],
    ),
    Reader("onnx", read_onnx, [as_onnx(small), as_onnx(rich), as_onnx(sequences)]),
    Reader(
        "arrays",
        read_arrays,
        [lambda path: write_arrays(path, {"a": X, "b/0": Y}, {"list": [1, {"x": None}]})],
    ),
    Reader(
        "preparation",
        lambda path: Preparation.of(load(path), path),
        [lambda path: prepared().save(path)],
    ),
]

if importlib.util.find_spec("chainrule.training.checkpoint_file"):
    from chainrule.training.checkpoint_file import read_state, write_state

    STATE = {"run": {"step": 3, "loss": 0.5}, "model": {"weights": X, "name": "a"}, "list": [Y, 1]}
    READERS.append(Reader("checkpoint", read_state, [lambda path: write_state(path, STATE)]))
