"""A training with everything that has a state, as a program that the tests start and kill.

python program.py FOLDER EPOCHS [--slow] trains, or goes on, and writes FOLDER/end.npz.
"""

import sys
from pathlib import Path

import numpy as np

from chainrule import (
    Adam,
    Batches,
    BatchNorm,
    Callback,
    Checkpoint,
    Dropout,
    KeepBest,
    Linear,
    MeanSquaredError,
    Model,
    OneCycle,
    ReLU,
    SoftmaxCrossEntropy,
    WeightAverage,
    load_digits,
    train,
)


class Tell(Callback):
    """Say each step on the output, and remember all of them."""

    def __init__(self):
        self.heard = []

    def on_step_end(self, run):
        self.heard.append(run.loss)
        print("step", run.step, flush=True)

    def on_epoch_end(self, run):
        self.heard.append(-run.epoch)

    def get_state(self):
        return {"heard": self.heard}

    def set_state(self, state):
        self.heard = list(state["heard"])


def parts(width=40):
    """Return the net, its data and what goes round them: the same in each process."""
    x, y = load_digits("train")
    x = x.reshape(len(x), -1) / np.float32(16)
    layers = [Linear(64, width), BatchNorm(width), ReLU(), Dropout(0.2), Linear(width, 10)]
    net = Model(layers, SoftmaxCrossEntropy(), seed=3)
    settings = {
        "data": Batches(x[:600], y[:600], 32, seed=4),
        "optimizer": Adam(0.01, weight_decay=0.001),
        "schedule": OneCycle(),
        "validation_data": (x[600:900], y[600:900]),
        "callbacks": [Tell(), KeepBest("validation_loss"), WeightAverage(0.95)],
        "accumulate": 2,
        "clip_norm": 1.0,
        "verbose": False,
    }
    return net, settings


def end(net, settings, history):
    """Return everything that a training leaves, as arrays."""
    tell, best, average = settings["callbacks"]
    state = dict(net.named_state())
    return {
        "parameters": net.parameters,
        **state,
        "heard": np.array(tell.heard),
        "best": np.array([best.best, best.epoch]),
        "average": average.parameters,
        "rows": np.array([list(row.values()) for row in history.rows]),
        "random": net.rng.random(5),
        "averages": np.concatenate(list(settings["optimizer"].state.values())),
    }


def simple(folder, epochs=3, layer=None, data=None, **options):
    """Train a small net, with a checkpoint after each step, and return its parameters."""
    x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    net = Model([layer or Linear(3, 2)], MeanSquaredError())
    checkpoint = Checkpoint(folder, every_steps=1, **options.pop("often", {}))
    data = (x, x[:, :2]) if data is None else data
    train(net, 0.1, epochs, data, checkpoint=checkpoint, verbose=False, **options)
    return net.parameters


if __name__ == "__main__":
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    net, settings = parts()
    data = settings.pop("data")
    checkpoint = Checkpoint(folder / "checkpoints", every_steps=1)
    print("ready", flush=True)
    history = train(net, None, epochs, data, checkpoint=checkpoint, resume=True, **settings)
    np.savez(folder / "end.npz", **end(net, settings, history))
