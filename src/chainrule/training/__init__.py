"""Training: the loop, and what goes on round it."""

from chainrule.training.average import WeightAverage
from chainrule.training.callbacks import Callback, KeepBest
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.data_parallel import DataParallel
from chainrule.training.early_stopping import EarlyStopping
from chainrule.training.evaluation import evaluate
from chainrule.training.finder import LearningRates, find_learning_rate
from chainrule.training.gradients import MonitorGradients
from chainrule.training.history import History
from chainrule.training.loop import Run, train
from chainrule.training.records import Hook, MonitorLearningRate, SaveHistory
from chainrule.training.tensorboard import TensorBoard
from chainrule.training.threads import Threads

__all__ = [
    "Callback",
    "Checkpoint",
    "DataParallel",
    "EarlyStopping",
    "History",
    "Hook",
    "KeepBest",
    "LearningRates",
    "MonitorGradients",
    "MonitorLearningRate",
    "Run",
    "SaveHistory",
    "TensorBoard",
    "Threads",
    "WeightAverage",
    "evaluate",
    "find_learning_rate",
    "train",
]
