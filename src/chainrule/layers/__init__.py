"""The layers: one family a file."""

from chainrule.layers.activation import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Relu,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from chainrule.layers.container import Residual, Sequential
from chainrule.layers.convolution import Conv1d, Conv2d
from chainrule.layers.dropout import Dropout
from chainrule.layers.linear import Linear
from chainrule.layers.reshape import Flatten
from chainrule.layers.softmax import LogSoftmax, Softmax
from chainrule.layers.transposed import ConvTranspose2d

__all__ = [
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "ELU",
    "GELU",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "Relu",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
