"""Training: the loop, and what goes on round it."""

from chainrule.training.callbacks import Callback, KeepBest
from chainrule.training.evaluation import evaluate
from chainrule.training.history import History
from chainrule.training.loop import Run, train

__all__ = ["Callback", "History", "KeepBest", "Run", "evaluate", "train"]
