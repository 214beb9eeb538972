"""The data that the command knows: sets that have a name, and a user's files and folders."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chainrule import data as sets
from chainrule.cli.errors import UsageError
from chainrule.cli.image_folder import holds_images, read_image_folder
from chainrule.cli.preparation import Preparation
from chainrule.cli.tables import TABLES, are_numbers, labels_or_values, read_table
from chainrule.data import read_npz
from chainrule.layer import Array
from chainrule.model import Model

__all__ = ["DataSet", "Preparation", "holds_numbers", "labels", "load_data", "one_a_sample"]

FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "boot"]  # fmt: skip
FEWEST = 3  # of a class: a fifth of 3, rounded, is 1
MOST_CLASSES = 1000
Scale = tuple[float, float | None]  # mean and deviation of the numbers to predict
CLASSES: Scale = (0.0, None)
OR_NUMBERS = "; or, if they are numbers to predict: --task regression"


@dataclass
class DataSet:
    """Raw samples and labels, to train on and held out.

    Where numbers are predicted, ``y`` and ``y_test`` are those that the net learns, and ``values``
    and ``values_test`` what they are in their own unit.
    """

    x: Array
    y: Array
    x_test: Array
    y_test: Array
    preparation: Preparation
    values: Array | None = None
    values_test: Array | None = None

    def raw(self) -> tuple[Array, Array, Array, Array]:
        """Return samples and targets, to train on and held out, in their own unit."""
        if self.values is None or self.values_test is None:
            return self.x, self.y, self.x_test, self.y_test
        return self.x, self.values, self.x_test, self.values_test

    def prepared_as(self, made: Preparation) -> "DataSet":
        """Return it with other figures of the same kind: numbers are scaled by them.

        Raises
        ------
        ValueError
            If some of the numbers are too large for float32 then.
        """
        if self.values is None or self.values_test is None:
            return replace(self, preparation=made)
        with np.errstate(over="ignore"):
            y, y_test = made.targets(self.values), made.targets(self.values_test)
        if not (np.isfinite(y).all() and np.isfinite(y_test).all()):
            raise ValueError(
                f"{self.preparation.data}: some of the numbers to predict are much too large; "
                f"most are about {made.target_mean:.4g}, spread {made.target_deviation:.4g}."
            )
        return replace(self, y=y, y_test=y_test, preparation=made)

    def suited_to(self, model: Model) -> "DataSet":
        """Return it as a net takes it: to one that takes indices, whole numbers go as they are."""
        if not model._net.takes_integers or self.x.dtype.kind not in "iu":
            return self
        return replace(self, preparation=replace(self.preparation, mean=0.0, deviation=1.0))


@np.errstate(over="ignore", invalid="ignore")  # Preparation looks at the figures
def load_data(
    name: str,
    target: str | None = None,
    task: str | None = None,
    image_size: int | None = None,
    *,
    max_bytes: int = 1 << 34,
) -> DataSet:
    """Load one of the sets that have a name, or a user's file or folder.

    Parameters
    ----------
    name : str
    target : str, optional
        The column of a table that is predicted.
    task : {"classification", "regression"}, optional
        What is done with a table or an .npz file; None looks at the target.
    image_size : int, optional
        The height and width to which the images of a folder are brought.
    max_bytes : int
        The largest content of an .npz file that is believed.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    OSError, ValueError
        If the data cannot be read, or are nothing to learn from.
    """
    parts: tuple[Array, ...]
    path = Path(name)
    table = path.suffix.lower() in TABLES
    arrays = path.suffix == ".npz"
    if target is not None and arrays:
        raise UsageError(f"--target is for tables, as .csv; in {name} it is y that is predicted.")
    if (target is not None or task is not None) and not table and not arrays:
        raise UsageError(f"--target and --task are for tables, as .csv, and {name} is none.")
    if image_size is not None and not path.is_dir():
        raise UsageError(f"--image-size is for a folder of images, and {name} is none.")
    if name == "digits":
        parts = (*sets.load_digits("train"), *sets.load_digits("test"))
        return _images(name, parts, margin=0.0, maximum=16)
    if name in ("mnist", "fashion-mnist"):
        load = sets.load_mnist if name == "mnist" else sets.load_fashion_mnist
        parts = (*load(split="train"), *load(split="test"))
        if name == "mnist":  # the article's figures
            return _images(name, parts, margin=4 / 28, mean=0.1307 * 255, deviation=0.3081 * 255)
        return _images(name, parts, names=FASHION)
    if path.is_dir() and (image_size is not None or holds_images(path)):
        return image_folder(path, image_size)
    if path.is_dir():
        parts = tuple(a for split in ("train", "test")
                      for a in sets.load_idx_folder(path, split=split))  # fmt: skip
        return _images(path.resolve().name, parts)
    if arrays:
        return _table(path, task, max_bytes)
    if table:
        return _columns(path, target, task)
    if path.exists():
        raise UsageError(
            f"{name}: needs an .npz file with arrays x and y, a .csv or .parquet table, or a "
            "folder of images or of IDX files."
        )
    raise UsageError(
        f"there is no data set, file or folder {name!r}. Name digits, mnist, fashion-mnist, an "
        ".npz file, a .csv or .parquet table, or a folder with images or IDX files."
    )


def _columns(path: Path, target: str | None, task: str | None) -> DataSet:
    table = read_table(path, target)
    found = labels_or_values(path, table, task)
    x, y = table.x, found.y
    if found.names is None:
        _refuse_few(path, x)
    if found.names is not None and np.bincount(y).max() < FEWEST:
        raise ValueError(
            f"{path}: the classes have too few samples to hold out a fifth of each. Give more; or, "
            f"if {table.target_name!r} is a number to be predicted: --task regression."
        )
    stratify = found.names is not None
    x, y, x_test, y_test = sets.train_validation_split(x, y, 0.2, seed=0, stratify=stratify)
    mean, deviation = _spread(x)
    target_mean, target_deviation = CLASSES if stratify else _scale(path, y)
    preparation = Preparation(
        data=path.stem,
        sample_shape=[x.shape[1]],
        mean=mean,
        deviation=deviation,
        maximum=255.0,
        margin=None,
        names=found.names or [],
        columns=table.columns,
        target=table.target_name,
        target_mean=target_mean,
        target_deviation=target_deviation,
    )
    return _scaled(DataSet(x, y, x_test, y_test, preparation))


def _refuse_few(path: Path, x: Array) -> None:
    if len(x) < 2 * FEWEST:
        raise ValueError(f"{path}: {len(x)} rows are too few to hold out a fifth.")


def _scale(path: Path, y: Array) -> Scale:
    """Return mean and deviation of numbers to predict."""
    mean, deviation = float(y.mean()), float(y.std()) or 1.0
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        raise ValueError(
            f"{path}: the numbers to predict are too large for a mean. Scale them down."
        )
    return mean, deviation


def _scaled(data: DataSet) -> DataSet:
    """Return data with the targets as the net learns them."""
    if not data.preparation.regression:
        return data
    return replace(data, values=data.y, values_test=data.y_test).prepared_as(data.preparation)


def _spread(x: Array) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each column; 1 for one that does not vary."""
    varies = x.max(axis=0) > x.min(axis=0)
    deviation = x.std(axis=0, dtype=np.float64)
    means: list[float] = x.mean(axis=0, dtype=np.float64).tolist()
    return means, np.where(varies & (deviation != 0), deviation, 1).tolist()


def image_folder(path: Path, size: int | None) -> DataSet:
    """Load a folder of images, one folder a class."""
    shape = None if size is None else (size, size)
    x, y, x_test, y_test, names = read_image_folder(path, shape)
    if x_test is None or y_test is None:
        if np.bincount(y).max() < FEWEST:
            raise ValueError(
                f"{path}: the classes have too few images to hold out a fifth of each. Give more, "
                "or a folder test beside train."
            )
        x, y, x_test, y_test = sets.train_validation_split(x, y, 0.2, seed=0, stratify=True)
    return _images(path.resolve().name, (x, y, x_test, y_test), names=names)


def _images(
    name: str,
    parts: tuple[Array, ...],
    *,
    margin: float | None = None,
    maximum: float | None = None,
    mean: float | None = None,
    deviation: float | None = None,
    names: list[str] | None = None,
    scale: Scale = CLASSES,
) -> DataSet:
    x, y, x_test, y_test = parts
    if not len(x) or not len(x_test):
        raise ValueError(f"{name}: there is no sample in the data.")
    if x.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{name}: images of {x.shape[1:]} to train on, but {x_test.shape[1:]} to test on."
        )
    maximum = _maximum(x) if maximum is None else maximum
    preparation = Preparation(
        data=name,
        sample_shape=list(x.shape[1:]),
        mean=float(x.mean(dtype=np.float64)) if mean is None else mean,
        deviation=(float(x.std(dtype=np.float64)) or 1.0) if deviation is None else deviation,
        maximum=maximum,
        margin=margin,
        names=names or ([] if scale[1] else _class_names(name, y, y_test)),
        background=_background(x, maximum) if x.ndim == 3 else None,
        target_mean=scale[0],
        target_deviation=scale[1],
    )
    return _scaled(DataSet(x, y, x_test, y_test, preparation))


def _maximum(x: Array) -> float:
    """Return the value of a white pixel."""
    largest = float(x.max())
    return 255.0 if x.dtype == np.uint8 or largest <= 0 else largest


def _background(x: Array, maximum: float) -> str | None:
    """Return whether most images stand on black or on white."""
    border = np.concatenate([x[:, 0].ravel(), x[:, -1].ravel(), x[:, :, 0].ravel()])
    share = float(np.median(border)) / maximum
    return "dark" if share < 0.1 else "light" if share > 0.9 else None


def _table(path: Path, task: str | None, max_bytes: int) -> DataSet:
    table = sets.load_npz(path, max_bytes=max_bytes)
    found = [one_a_sample(path, y) for y in (table.y, table.y_test) if y is not None]
    numbers = any(are_numbers(y, task) for y in found)
    targets = [y.astype(np.float64) if numbers else labels(path, y) for y in found]
    names = None if numbers else _class_names(path.stem, *targets)
    if table.x_test is not None:
        x, y, x_test, y_test = table.x, targets[0], table.x_test, targets[1]
    else:
        if numbers:
            _refuse_few(path, table.x)
        elif np.bincount(targets[0]).max() < FEWEST:
            raise ValueError(
                f"{path}: the classes have too few samples to hold out a fifth of each. "
                f"Give more, or x_test and y_test{OR_NUMBERS}."
            )
        x, y, x_test, y_test = sets.train_validation_split(
            table.x, targets[0], 0.2, seed=0, stratify=not numbers
        )
    if numbers and (y == y[0]).all():
        raise ValueError(f"{path}: y is {y[0]:g} for every sample: there is nothing to learn.")
    scale = _scale(path, y) if numbers else CLASSES
    if x.ndim == 3:  # (samples, height, width)
        return _images(path.stem, (x, y, x_test, y_test), names=names, scale=scale)
    mean, deviation = _spread(x.reshape(len(x), -1))
    preparation = Preparation(
        data=path.stem,
        sample_shape=list(x.shape[1:]),
        mean=mean,
        deviation=deviation,
        maximum=255.0,
        margin=None,
        names=names or [],
        target_mean=scale[0],
        target_deviation=scale[1],
    )
    return _scaled(DataSet(x, y, x_test, y_test, preparation))


def one_a_sample(path: Path, y: Array) -> Array:
    """Return the targets of an .npz file as one for each sample.

    Raises
    ------
    ValueError
        If there are several for each.
    """
    if y.ndim > 1 and y[0].size == 1:
        y = y.reshape(len(y))
    if y.ndim != 1:
        raise ValueError(
            f"{path}: the targets have shape {y.shape}, and one a sample is learned. Of columns of "
            "0 and 1 make classes, y.argmax(axis=1); of several numbers give one, y[:, 0], or "
            "learn them all in Python with MeanSquaredError."
        )
    return y


def holds_numbers(path: Path) -> bool:
    """Whether the targets of an .npz file are numbers; not, if it is none that can be read."""
    try:
        found = read_npz(path, only=("y", "y_train", "y_test"))
    except (ValueError, OSError):  # which is told when it is loaded
        return False
    return any(y.dtype.kind in "fiub" and are_numbers(y) for y in found.values())


def labels(path: Path, y: Array) -> Array:
    """Return targets as classes.

    Raises
    ------
    ValueError
        If they are not whole.
    """
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise ValueError(
            f"{path}: classes are whole numbers 0, 1, 2, …, and these targets are not: they are "
            "numbers to predict."
        )
    return y.astype(np.int64)


def _class_names(name: str, *labels: Array) -> list[str]:
    lowest, highest = min(y.min() for y in labels), max(y.max() for y in labels)
    if lowest < 0 or highest >= MOST_CLASSES:
        raise ValueError(
            f"{name}: the classes must be 0, 1, 2, … up to {MOST_CLASSES - 1}, got {lowest} to "
            f"{highest}. Number them so{OR_NUMBERS}."
        )
    if all((y == lowest).all() for y in labels):
        raise ValueError(f"{name}: every sample is of class {lowest}: there is nothing to learn.")
    return [str(i) for i in range(int(highest) + 1)]
