"""Training: the loop, and what goes on round it."""

from chainrule.training.callbacks import Callback, KeepBest
from chainrule.training.evaluation import evaluate
from chainrule.training.history import History
from chainrule.training.loop import Run, train
from chainrule.training.threads import Threads

__all__ = ["Callback", "History", "KeepBest", "Run", "Threads", "evaluate", "train"]
