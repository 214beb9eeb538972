"""How a net wants its data: the same for training and predicting.

What is decided in training goes into the model's file as its metadata.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array
from chainrule.model import Model

__all__ = ["Preparation"]

MOST_VALUES = 1 << 26  # of a sample: images are scaled to what a model's file says


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
    background : {"dark", "light", None}
        Of the training images; None where they have none, or are no images.
    columns : list of str or None
        The names of a table's columns, in the order in which the net takes them.
    target : str or None
        The name of what is predicted.
    target_mean : float
        Subtracted from the numbers to be predicted.
    target_deviation : float or None
        What they are divided by; None where classes are predicted.
    """

    data: str
    sample_shape: list[int]
    mean: float | list[float]
    deviation: float | list[float]
    maximum: float
    margin: float | None
    names: list[str]
    background: str | None = None
    columns: list[str] | None = None
    target: str | None = None
    target_mean: float = 0.0
    target_deviation: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense: it may come from a damaged file, or from wild data."""
        numbers = [np.ravel(n) for n in (self.mean, self.deviation, self.maximum)]
        if not all(a.dtype.kind in "fi" and np.isfinite(a).all() for a in numbers):
            raise ValueError(f"{self.data}: some values are too large for a mean. Scale them down.")
        sound = (
            (numbers[1] > 0).all()
            and (numbers[2] > 0).all()
            and len(self.sample_shape) > 0
            and all(isinstance(n, int) and n > 0 for n in self.sample_shape)
            and math.prod(self.sample_shape) <= MOST_VALUES
            and all(a.size in (1, math.prod(self.sample_shape)) for a in numbers[:2])
            and np.ndim(self.maximum) == 0
            and isinstance(self.data, str)
            and (self.margin is None or (0 <= self.margin < 0.5 and self.background == "dark"))
            and (len(self.names) >= 2 or self.regression)
            and all(isinstance(name, str) for name in self.names)
            and self.background in ("dark", "light", None)
            and (self.columns is None or [len(self.columns)] == self.sample_shape)
            and (self.columns is None or all(isinstance(name, str) for name in self.columns))
            and isinstance(self.target, str | None)
            and isinstance(self.target_mean, float | int)
            and math.isfinite(self.target_mean)
            and (self.target_deviation is None or 0 < self.target_deviation < math.inf)
        )
        if not sound:
            raise ValueError(f"{self.data}: it makes no sense how its inputs are prepared.")

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width, if a sample is an image."""
        shape = self.sample_shape
        coloured = len(shape) == 3 and shape[2] == 3
        return (shape[0], shape[1]) if len(shape) == 2 or coloured else None

    @property
    def regression(self) -> bool:
        """Whether a number is predicted, and no class."""
        return self.target_deviation is not None

    def values(self, outputs: Array) -> Array:
        """Return numbers in the target's own units, shape (samples,)."""
        wide = outputs.reshape(len(outputs)).astype(np.float64)
        return wide * (self.target_deviation or 1.0) + self.target_mean

    def targets(self, values: ArrayLike) -> Array:
        """Return numbers as the net learns them, shape (samples, 1), float32."""
        scaled = (np.asarray(values) - self.target_mean) / (self.target_deviation or 1.0)
        return np.asarray(scaled, np.float32).reshape(-1, 1)

    def rows(self, raw: Array) -> Array:
        """Return the net's input, shape (samples, features), float32.

        Raises
        ------
        ValueError
            If a sample has another shape, or values too large for float32.
        """
        if list(raw.shape[1:]) != self.sample_shape:
            flat = int(np.prod(self.sample_shape))
            if raw.shape[1:] != (flat,):
                raise ValueError(
                    f"a sample must have shape {tuple(self.sample_shape)}, as those of "
                    f"{self.data}, got {raw.shape[1:]}."
                )
        # The mean goes before the digits do: in float32, 1.7e9 and 1.7e9 + 1 are one number.
        wide = np.dtype(np.float32 if raw.dtype.itemsize < 4 else np.float64)
        rows: Array = raw.reshape(len(raw), -1).astype(wide)
        with np.errstate(over="ignore"):
            rows -= np.asarray(self.mean, wide)
            rows /= np.asarray(self.deviation, wide)
            rows = rows.astype(np.float32, copy=False)
        if not np.isfinite(rows).all():
            raise ValueError(
                "some values are much too large; the model was trained on "
                f"values about {np.mean(self.mean):.4g}, spread {np.mean(self.deviation):.4g}."
            )
        return rows

    def into(self, model: Model) -> None:
        """Write it into the model's metadata."""
        model.metadata["preparation"] = asdict(self)

    @classmethod
    def of(cls, model: Model, path: Path) -> "Preparation":
        """Read it from the model's metadata."""
        found = model.metadata.get("preparation")
        if not isinstance(found, dict):
            raise ValueError(
                f"{path}: does not say how its inputs are prepared: it was not made by "
                "`chainrule train`. Load it in Python: chainrule.load(...)"
                f"{', or chainrule.onnx.load(...)' if path.suffix == '.onnx' else ''}."
            )
        try:
            return cls(**found)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: what it says of how its inputs are prepared is damaged. Train it again."
            ) from error
