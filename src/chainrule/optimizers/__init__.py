"""Optimisers: how the flat parameter vector moves along the flat gradient. One family a file."""

from chainrule.optimizers.adam import Adam, AdamW, NAdam, RAdam
from chainrule.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from chainrule.optimizers.base import Optimizer
from chainrule.optimizers.clipping import clip_norm, clip_value
from chainrule.optimizers.groups import decay_all, decay_matrices
from chainrule.optimizers.lbfgs import LBFGS
from chainrule.optimizers.lion import Lion
from chainrule.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "LBFGS",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "clip_norm",
    "clip_value",
    "decay_all",
    "decay_matrices",
]
