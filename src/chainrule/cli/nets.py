"""The nets that the command knows by name, and those that a user's file builds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from chainrule.cli.classes import check_outputs
from chainrule.cli.code import failed, functions_of, load_code
from chainrule.cli.errors import UsageError
from chainrule.layer import Layer
from chainrule.layers import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool2d,
    ReLU,
    Reshape,
    Residual,
)
from chainrule.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from chainrule.model import Model

__all__ = [
    "NAMES",
    "Wanted",
    "build",
    "check_name",
    "file_of",
    "lenet",
    "mlp",
    "own_classes",
    "resnet",
]

NAMES = ("mlp", "lenet", "resnet")
LARGE = 20  # pixels a side, from which on the windows of the article on LeNet-5 fit


@dataclass(frozen=True)
class Wanted:
    """What a net is built for.

    Attributes
    ----------
    sample_shape : sequence of int
    outputs : int
        How many classes, or 1 for a number.
    regression : bool
        Whether the output is a number.
    widths : sequence of int
        Of the hidden linear layers.
    dropout : float
    seed : int
    """

    sample_shape: Sequence[int]
    outputs: int
    widths: Sequence[int] = ()
    dropout: float = 0.0
    seed: int = 0
    regression: bool = False

    def linear_layers(self, n_in: int) -> list[Layer]:
        """Return linear layers with ReLU, and dropout if there is some, between them."""
        layers: list[Layer] = []
        for before, after in pairwise([n_in, *self.widths, self.outputs]):
            layers += [Linear(before, after), ReLU()]
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return layers[: -2 if self.dropout else -1]  # neither after the last

    def model(self, layers: Sequence[Layer]) -> Model:
        """Return a model of layers, with the loss that fits."""
        cost: Loss = MeanSquaredError() if self.regression else SoftmaxCrossEntropy()
        return Model(layers, cost, seed=self.seed)

    def image_shape(self, name: str) -> tuple[int, int, int]:
        """Return height, width and channels, or say that the net needs images."""
        shape = self.sample_shape
        if len(shape) not in (2, 3) or min(shape[:2]) < 4:
            raise UsageError(
                f"--model {name} needs images of at least 4 x 4 pixels, and a sample has the shape "
                f"{tuple(shape)}. Use --model mlp."
            )
        height, width, channels = (*shape, 1)[:3]
        return height, width, channels


def check_name(name: str) -> None:
    """Refuse what is neither a known net nor FILE.py:FUNCTION."""
    if name not in NAMES and file_of(name).suffix != ".py":
        raise UsageError(
            f"--model must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, or FILE.py:build, "
            f"got {name!r}."
        )


def build(name: str, wanted: Wanted) -> Model:
    """Return the net of a name, or that of a user's function.

    Raises
    ------
    UsageError
        If the net does not fit the samples, or there is no such function.
    ValueError
        If the function fails, or what it returns does not fit.
    """
    if name in NAMES:
        return {"mlp": mlp, "lenet": lenet, "resnet": resnet}[name](wanted)
    path, function = file_of(name), name.partition(":")[2]
    module = load_code(path)
    make = getattr(module, function or "build", None)
    if not callable(make):
        raise UsageError(
            f"{path}: there is no function {function or 'build'}(sample_shape, classes, seed)."
        )
    try:
        model = make(tuple(wanted.sample_shape), wanted.outputs, wanted.seed)
    except Exception as error:
        raise failed(path, module, error) from error
    if not isinstance(model, Model):
        raise UsageError(f"{name} must return a chainrule.Model, got {type(model).__name__}.")
    rows = np.zeros((2, math.prod(wanted.sample_shape)), np.float32)
    try:
        outputs = model.predict(rows)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name}: the net does not take samples as the command gives them, flat, of shape "
            f"(samples, {rows.shape[1]}): {error} Put Reshape({list(wanted.sample_shape)}) first."
        ) from error
    check_outputs(name, model, outputs.shape[1:], 0 if wanted.regression else wanted.outputs)
    return model


def own_classes(name: str) -> list[type]:
    """Return the layers and losses of a user's file; none for a net that has a name."""
    return [] if name in NAMES else functions_of(load_code(file_of(name)))


def file_of(name: str) -> Path:
    """Return the FILE.py of FILE.py:build."""
    return Path(name.partition(":")[0])


def mlp(wanted: Wanted) -> Model:
    """Return linear layers with ReLU between them."""
    return wanted.model(wanted.linear_layers(math.prod(wanted.sample_shape)))


def lenet(wanted: Wanted) -> Model:
    """Return two convolutions with pooling, and linear layers: for images.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998; with ReLU,
    maxima, and more channels.

    Raises
    ------
    UsageError
        If a sample is no image, or too small a one.
    """
    height, width, channels = wanted.image_shape("lenet")
    size, padding = (5, "valid") if min(height, width) >= LARGE else (3, "same")
    layers: list[Layer] = [
        Reshape([height, width, channels]),
        Conv2d(channels, 16, size, padding=padding),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 32, size, padding=padding),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
    ]
    lost = size - 1 if padding == "valid" else 0
    for _ in range(2):
        height, width = (height - lost) // 2, (width - lost) // 2
    return wanted.model([*layers, *wanted.linear_layers(32 * height * width)])


def resnet(wanted: Wanted) -> Model:
    """Return residual blocks with batch normalisation: for images.

    Source: He et al., Deep Residual Learning for Image Recognition, 2015.

    Raises
    ------
    UsageError
        If a sample is no image, or too small a one.
    """
    height, width, channels = wanted.image_shape("resnet")
    layers: list[Layer] = [Reshape([height, width, channels]), *_convolution(channels, 16), ReLU()]
    if min(height, width) >= LARGE:
        layers.append(MaxPool2d(2))
    layers += [_block(16), ReLU(), MaxPool2d(2), *_convolution(16, 32), ReLU(), _block(32), ReLU()]
    return wanted.model([*layers, GlobalAvgPool(), *wanted.linear_layers(32)])


def _convolution(channels: int, more: int) -> list[Layer]:
    # No biases: the normalisation takes the mean away again.
    return [Conv2d(channels, more, 3, padding="same", bias=False), BatchNorm(more)]


def _block(channels: int) -> Layer:
    same = _convolution(channels, channels)
    return Residual([*same, ReLU(), *_convolution(channels, channels)])
