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
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    Add,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Bidirectional,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LearnedPositions,
    Linear,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    MultiHeadAttention,
    Parallel,
    ReLU,
    Relu,
    Reshape,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SpatialDropout,
    Tanh,
    TransformerBlock,
    Transpose,
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
from chainrule.optimizers import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)
from chainrule.schedules import (
    Cosine,
    ExponentialDecay,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    StepDecay,
    Warmup,
)
from chainrule.training import (
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    Hook,
    KeepBest,
    MonitorLearningRate,
    Run,
    SaveHistory,
    TensorBoard,
    Threads,
    WeightAverage,
    evaluate,
    find_learning_rate,
    train,
)

if TYPE_CHECKING:
    from chainrule.gradcheck import GradientReport, check_gradients

__version__ = "0.1.0"

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "Batches",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "Callback",
    "Checkpoint",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Cosine",
    "CrossEntropy",
    "Dropout",
    "EarlyStopping",
    "ELU",
    "Embedding",
    "ExponentialDecay",
    "Flatten",
    "GELU",
    "GlobalAvgPool",
    "GradientReport",
    "GroupNorm",
    "GRU",
    "History",
    "Hook",
    "Huber",
    "KeepBest",
    "Layer",
    "LayerNorm",
    "LBFGS",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "Lion",
    "LogSoftmax",
    "Loss",
    "LSTM",
    "MaxPool1d",
    "MaxPool2d",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Model",
    "MonitorLearningRate",
    "MultiHeadAttention",
    "NAdam",
    "OneCycle",
    "Optimizer",
    "Parallel",
    "Plateau",
    "Polynomial",
    "RAdam",
    "ReLU",
    "Relu",
    "Reshape",
    "Residual",
    "RMSNorm",
    "RMSprop",
    "RNN",
    "Run",
    "SaveHistory",
    "Schedule",
    "Sequential",
    "SGD",
    "Sigmoid",
    "SiLU",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SpatialDropout",
    "StepDecay",
    "Tanh",
    "TensorBoard",
    "Threads",
    "TransformerBlock",
    "Transpose",
    "Warmup",
    "WeightAverage",
    "check_gradients",
    "evaluate",
    "find_learning_rate",
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
