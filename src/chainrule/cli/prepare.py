"""The data that the command knows, and how a net wants them: the same for training and predicting.

What is decided here in training goes into the model's file as its metadata.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from chainrule import data as sets
from chainrule.cli.errors import UsageError
from chainrule.layer import Array
from chainrule.model import Model

__all__ = ["DataSet", "Preparation", "load_data"]

FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "boot"]  # fmt: skip
FEWEST = 5


@dataclass
class Preparation:
    """How raw values become what the net takes.

    Attributes
    ----------
    data : str
        The name of the data set.
    sample_shape : list of int
        The shape of a raw sample.
    mean, deviation : float or list of float
        Subtracted, and divided by.
    maximum : float
        The value of a white pixel.
    margin : float or None
        For drawn digits: the share of the image that is left free on each side of the ink. None
        where an image is taken as it is.
    names : list of str
        The classes.
    """

    data: str
    sample_shape: list[int]
    mean: float | list[float]
    deviation: float | list[float]
    maximum: float
    margin: float | None
    names: list[str]

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width, if a sample is an image."""
        shape = self.sample_shape
        return (shape[0], shape[1]) if len(shape) == 2 else None

    def rows(self, raw: Array) -> Array:
        """Return the net's input, shape (samples, features), float32."""
        if list(raw.shape[1:]) != self.sample_shape:
            flat = int(np.prod(self.sample_shape))
            if raw.shape[1:] != (flat,):
                raise ValueError(
                    f"a sample must have shape {tuple(self.sample_shape)}, as those of "
                    f"{self.data}, got {raw.shape[1:]}."
                )
        rows = raw.reshape(len(raw), -1).astype(np.float32)
        rows -= np.asarray(self.mean, np.float32)
        rows /= np.asarray(self.deviation, np.float32)
        return rows

    def into(self, model: Model) -> None:
        """Write it into the model's metadata."""
        model.metadata["preparation"] = asdict(self)

    @classmethod
    def of(cls, model: Model, path: Path) -> "Preparation":
        """Read it from the model's metadata."""
        found = model.metadata.get("preparation")
        if not isinstance(found, dict) or set(found) != {f.name for f in fields(cls)}:
            raise ValueError(
                f"{path}: does not say how its inputs are prepared: it was not made by "
                "`chainrule train`. Load it in Python: chainrule.load(...)."
            )
        return cls(**found)


@dataclass
class DataSet:
    """Raw samples and labels, to train on and held out."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array
    preparation: Preparation


def load_data(name: str) -> DataSet:
    """Load one of the sets that have a name, or a user's file or folder."""
    parts: tuple[Array, ...]
    if name == "digits":
        parts = (*sets.load_digits("train"), *sets.load_digits("test"))
        return _images(name, parts, margin=0.0, maximum=16)
    if name in ("mnist", "fashion-mnist"):
        load = sets.load_mnist if name == "mnist" else sets.load_fashion_mnist
        parts = (*load(split="train"), *load(split="test"))
        if name == "mnist":  # the article's figures
            return _images(name, parts, margin=4 / 28, mean=0.1307 * 255, deviation=0.3081 * 255)
        return _images(name, parts, names=FASHION)
    path = Path(name)
    if path.is_dir():
        parts = tuple(a for split in ("train", "test")
                      for a in sets.load_idx_folder(path, split=split))  # fmt: skip
        return _images(path.resolve().name, parts)
    if path.suffix == ".npz":
        return _table(path)
    if path.exists():
        raise UsageError(
            f"{name}: needs an .npz file with arrays x and y, or a folder of IDX files."
        )
    raise UsageError(
        f"there is no data set, file or folder {name!r}. "
        "Name digits, mnist, fashion-mnist, an .npz file, or a folder with IDX files."
    )


def _images(
    name: str,
    parts: tuple[Array, ...],
    *,
    margin: float | None = None,
    maximum: float | None = None,
    mean: float | None = None,
    deviation: float | None = None,
    names: list[str] | None = None,
) -> DataSet:
    x, y, x_test, y_test = parts
    if not len(x) or not len(x_test):
        raise ValueError(f"{name}: there is no sample in the data.")
    if x.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{name}: images of {x.shape[1:]} to train on, but {x_test.shape[1:]} to test on."
        )
    preparation = Preparation(
        data=name,
        sample_shape=list(x.shape[1:]),
        mean=float(x.mean(dtype=np.float64)) if mean is None else mean,
        deviation=(float(x.std(dtype=np.float64)) or 1.0) if deviation is None else deviation,
        maximum=(255.0 if x.dtype == np.uint8 else float(x.max())) if maximum is None else maximum,
        margin=margin,
        names=names or _class_names(name, y, y_test),
    )
    return DataSet(x, y, x_test, y_test, preparation)


def _table(path: Path) -> DataSet:
    table = sets.load_npz(path)
    x, y = table.x, _labels(path, table.y)
    if table.x_test is None or table.y_test is None:
        if len(x) < FEWEST:
            raise ValueError(f"{path}: {len(x)} samples are too few to train on and to test.")
        x, y, x_test, y_test = sets.train_validation_split(x, y, 0.2, seed=0)
    else:
        x_test, y_test = table.x_test, _labels(path, table.y_test)
    if x.ndim == 3:  # (samples, height, width)
        return _images(path.stem, (x, y, x_test, y_test))
    flat = x.reshape(len(x), -1)
    deviation = flat.std(axis=0, dtype=np.float64)
    preparation = Preparation(
        data=path.stem,
        sample_shape=list(x.shape[1:]),
        mean=flat.mean(axis=0, dtype=np.float64).tolist(),
        deviation=np.where(deviation > 0, deviation, 1).tolist(),
        maximum=255.0,
        margin=None,
        names=_class_names(path.stem, y, y_test),
    )
    return DataSet(x, y, x_test, y_test, preparation)


def _labels(path: Path, y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (y.dtype.kind == "f" and (y != np.round(y)).any()):
        raise ValueError(
            f"{path}: the command trains classifiers: y must be classes 0, 1, 2, …, one a sample, "
            f"got {y.dtype} of shape {y.shape}. For other targets use MeanSquaredError in Python."
        )
    return y.astype(np.int64)


def _class_names(name: str, *labels: Array) -> list[str]:
    lowest, highest = min(y.min() for y in labels), max(y.max() for y in labels)
    if lowest < 0 or highest > 9999:
        raise ValueError(
            f"{name}: the classes must be 0, 1, 2, …, got {lowest} to {highest}. Number them so."
        )
    return [str(i) for i in range(max(2, int(highest) + 1))]
