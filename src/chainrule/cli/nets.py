"""The nets that the command knows by name."""

import math
from collections.abc import Sequence
from itertools import pairwise

from chainrule.cli.errors import UsageError
from chainrule.layer import Layer
from chainrule.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Reshape
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.model import Model

__all__ = ["NAMES", "lenet", "mlp"]

NAMES = ("mlp", "lenet")
LARGE = 20  # pixels a side, from which on the windows of the article on LeNet-5 fit


def mlp(sample_shape: Sequence[int], widths: Sequence[int], classes: int, seed: int) -> Model:
    """Return linear layers with ReLU between them."""
    layers: list[Layer] = []
    for n_in, n_out in pairwise([math.prod(sample_shape), *widths, classes]):
        layers += [Linear(n_in, n_out), ReLU()]
    return Model(layers[:-1], SoftmaxCrossEntropy(), seed=seed)  # no ReLU after the last


def lenet(sample_shape: Sequence[int], widths: Sequence[int], classes: int, seed: int) -> Model:
    """Return two convolutions with pooling, and linear layers: for images.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998; with ReLU,
    maxima, and more channels.

    Raises
    ------
    UsageError
        If a sample is no image, or too small a one.
    """
    if len(sample_shape) not in (2, 3) or min(sample_shape[:2]) < 4:
        raise UsageError(
            f"--model lenet needs images of at least 4 x 4 pixels, and a sample has the shape "
            f"{tuple(sample_shape)}. Use --model mlp."
        )
    height, width, channels = (*sample_shape, 1)[:3]
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
    for n_in, n_out in pairwise([32 * height * width, *widths, classes]):
        layers += [Linear(n_in, n_out), ReLU()]
    return Model(layers[:-1], SoftmaxCrossEntropy(), seed=seed)
