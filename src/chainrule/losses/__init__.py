"""The losses: how far the outputs are from the targets."""

from chainrule.losses.base import Loss
from chainrule.losses.classification import BinaryCrossEntropy, CrossEntropy, SoftmaxCrossEntropy
from chainrule.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SoftmaxCrossEntropy",
]
