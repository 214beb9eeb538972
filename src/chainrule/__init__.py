"""chainrule: neural networks in NumPy, with every backward pass written by hand.

A layer is a class with a ``forward`` and a ``backward``; a model chains layers and judges them by
a loss:

>>> from chainrule import *
>>> net = Model([Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy())
>>> net
Model([
    Linear(784, 100),
    ReLU(),
    Linear(100, 10),
    Softmax(),
], CrossEntropy())
"""

from typing import TYPE_CHECKING, Any

from chainrule.data import Batches, load_digits, load_minibatches, load_mnist
from chainrule.layer import Layer
from chainrule.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dropout,
    Embedding,
    Flatten,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    Relu,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.loading import load
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from chainrule.model import Model
from chainrule.optimizers import SGD, Adam, AdamW, Optimizer
from chainrule.training import Callback, History, KeepBest, Run, evaluate, train

if TYPE_CHECKING:
    from chainrule.gradcheck import GradientReport, check_gradients

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AdamW",
    "Batches",
    "Bidirectional",
    "BinaryCrossEntropy",
    "Callback",
    "CrossEntropy",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GradientReport",
    "GELU",
    "GRU",
    "History",
    "Huber",
    "KeepBest",
    "LSTM",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Model",
    "Optimizer",
    "RNN",
    "ReLU",
    "Relu",
    "Residual",
    "Run",
    "SGD",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
    "check_gradients",
    "evaluate",
    "load",
    "load_digits",
    "load_minibatches",
    "load_mnist",
    "train",
]


def __getattr__(name: str) -> Any:
    # The checker is large, and a program that only trains or predicts never asks for it.
    if name in ("GradientReport", "check_gradients"):
        import chainrule.gradcheck

        return getattr(chainrule.gradcheck, name)
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
