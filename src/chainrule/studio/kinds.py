"""The kinds of layers that a net of the studio can be built of."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.layer import Layer
from chainrule.layers import (
    ELU,
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    GlobalAvgPool,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)

__all__ = ["KINDS", "Kind", "Number"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Number:
    """A number that a kind of layer is built with."""

    label: str
    first: float
    least: float
    most: float
    whole: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of layer that can be added.

    Attributes
    ----------
    label : str
        As the class is called.
    what : str
        What it is good for, in a few words.
    make : function (shape, numbers) -> Layer
        Builds it for samples of a shape.
    numbers : tuple of Number
    images : bool
        Whether it works on images alone.
    """

    label: str
    what: str
    make: Callable[[Shape, tuple[float, ...]], Layer]
    numbers: tuple[Number, ...] = ()
    images: bool = False


UNITS = Number("units", 32, 1, 2048)
CHANNELS = Number("channels", 8, 1, 128)
SIZE = Number("size", 3, 1, 11)
HALVES = Number("size", 2, 2, 8)
SHARE = Number("share", 0.2, 0.0, 0.9, whole=False)


def _residual(shape: Shape, numbers: tuple[float, ...]) -> Layer:
    n = shape[-1]
    return Residual([Linear(n, n), ReLU(), Linear(n, n)])


KINDS: dict[str, Kind] = {
    "linear": Kind(
        "Linear",
        "weighted sums of all inputs",
        lambda s, v: Linear(math.prod(s), int(v[0])),
        (UNITS,),
    ),
    "relu": Kind("ReLU", "cuts off what is below 0", lambda s, v: ReLU()),
    "tanh": Kind("Tanh", "squeezes into -1 to 1", lambda s, v: Tanh()),
    "sigmoid": Kind("Sigmoid", "squeezes into 0 to 1", lambda s, v: Sigmoid()),
    "leakyrelu": Kind("LeakyReLU", "lets a little through below 0", lambda s, v: LeakyReLU()),
    "elu": Kind("ELU", "goes smoothly to -1", lambda s, v: ELU()),
    "gelu": Kind("GELU", "a smooth ReLU, as in transformers", lambda s, v: GELU()),
    "silu": Kind("SiLU", "a smooth ReLU", lambda s, v: SiLU()),
    "softplus": Kind("Softplus", "a ReLU with a rounded corner", lambda s, v: Softplus()),
    "conv2d": Kind(
        "Conv2d",
        "small filters moved over an image",
        lambda s, v: Conv2d(s[2], int(v[0]), int(v[1]), padding="same"),
        (CHANNELS, SIZE),
        images=True,
    ),
    "maxpool2d": Kind(
        "MaxPool2d",
        "the maximum of each square",
        lambda s, v: MaxPool2d(int(v[0])),
        (HALVES,),
        images=True,
    ),
    "avgpool2d": Kind(
        "AvgPool2d",
        "the mean of each square",
        lambda s, v: AvgPool2d(int(v[0])),
        (HALVES,),
        images=True,
    ),
    "globalavgpool": Kind(
        "GlobalAvgPool", "the mean of each channel", lambda s, v: GlobalAvgPool(), images=True
    ),
    "batchnorm": Kind("BatchNorm", "mean 0 and deviation 1", lambda s, v: BatchNorm(s[-1])),
    "layernorm": Kind("LayerNorm", "the same within a sample", lambda s, v: LayerNorm(s[-1])),
    "dropout": Kind("Dropout", "drops a share at random", lambda s, v: Dropout(v[0]), (SHARE,)),
    "residual": Kind("Residual", "two linear layers beside a path", _residual),
}
