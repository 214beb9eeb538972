"""What a training writes down: its history in a file, and the learning rate of each step."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.state import State
from chainrule.storage import write_atomically
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["Hook", "MonitorLearningRate", "SaveHistory"]


class SaveHistory(Callback):
    """Write the history into a file after each epoch, whole or not at all.

    Where it cannot be written (a full disk), a warning says so, what was there before stays, the
    training goes on, and the next epoch tries again.

    Parameters
    ----------
    path : path
        ``.csv``, or ``.jsonl``: a JSON object a line, with null for what is no finite number. Its
        folder is made if it is not there.

    Raises
    ------
    ValueError
        If the file has another ending.
    OSError
        If the folder cannot be made when the training begins.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, SaveHistory, train
    >>> net = Model([Linear(3, 1, initializer="zeros")], MeanSquaredError())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "history.jsonl"
    ...     data = np.ones((4, 3)), np.ones((4, 1))
    ...     _ = train(net, 0.1, 1, data, callbacks=[SaveHistory(path)], verbose=False)
    ...     print(path.read_text(), end="")
    {"epoch": 1, "loss": 1.0}
    """

    writes = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"SaveHistory: the file must end in .csv or .jsonl, got {path}.")

        self._left = False  # whether there is something that could not be written

    def on_train_begin(self, run: "Run") -> None:
        """Make the folder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._left = False

    def on_epoch_end(self, run: "Run") -> None:
        """Write all rows."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
            self._write(run)
            self._left = False
        except OSError as error:
            self._left = True
            warnings.warn(
                f"{self.path}: the history after epoch {run.epoch} could not be written: "
                f"{error.strerror or error}. The training goes on.",
                RuntimeWarning,
                stacklevel=2,
            )

    def on_train_end(self, run: "Run") -> None:
        """Try once more what could not be written."""
        if self._left:
            self.on_epoch_end(run)

    def _write(self, run: "Run") -> None:
        if self.path.suffix == ".csv":
            run.history.save_csv(self.path)
            return
        import json

        lines = [json.dumps({k: _finite(v) for k, v in row.items()}) for row in run.history.rows]
        write_atomically(self.path, "".join(line + "\n" for line in lines).encode())


class MonitorLearningRate(Callback):
    """Write the learning rate, and the momentum if there is one, into each row of the history.

    Attributes
    ----------
    learning_rates : list of float
        Those of all steps.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, MonitorLearningRate, train
    >>> from chainrule.schedules import ExponentialDecay
    >>> net, monitor = Model([Linear(3, 1)], MeanSquaredError()), MonitorLearningRate()
    >>> data = np.ones((4, 3)), np.ones((4, 1))
    >>> history = train(net, 0.1, 3, data, schedule=ExponentialDecay(0.5), callbacks=[monitor],
    ...                 verbose=False)
    >>> monitor.learning_rates
    [0.1, 0.05, 0.025]
    """

    def __init__(self) -> None:
        self.learning_rates: list[float] = []

    def on_train_begin(self, run: "Run") -> None:
        """Begin a new list."""
        self.learning_rates = []

    def on_step_end(self, run: "Run") -> None:
        """Note the learning rate of the step."""
        self.learning_rates.append(run.optimizer.learning_rate)

    def on_epoch_end(self, run: "Run") -> None:
        """Write the last ones into the epoch's row."""
        row = run.history.rows[-1]
        row["learning_rate"] = run.optimizer.learning_rate
        if run.optimizer.momentum:
            row["momentum"] = run.optimizer.momentum

    def get_state(self) -> State:
        """Return the learning rates of all steps."""
        return {"learning_rates": list(self.learning_rates)}

    def set_state(self, state: State) -> None:
        """Go on from there."""
        self.learning_rates = list(state["learning_rates"])


class Hook(Callback):
    """Call functions of yours at turns of the loop.

    Parameters
    ----------
    **functions
        By the name of the turn: ``on_train_begin``, ``on_epoch_begin``, ``on_step_end``,
        ``on_epoch_end``, ``on_train_end``. Each is given the run.

    Raises
    ------
    TypeError
        If there is no such turn, or something else than a function is given.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Hook, Linear, MeanSquaredError, Model, train
    >>> net = Model([Linear(3, 1)], MeanSquaredError())
    >>> hook = Hook(on_epoch_end=lambda run: print("epoch", run.epoch))
    >>> data = np.ones((4, 3)), np.ones((4, 1))
    >>> history = train(net, 0.1, 2, data, callbacks=[hook], verbose=False)
    epoch 1
    epoch 2
    """

    def __init__(self, **functions: Any) -> None:
        turns = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in functions.items():
            if name not in turns:
                raise TypeError(f"Hook: there is no {name}; there are {', '.join(turns)}.")
            if not callable(function):
                raise TypeError(f"Hook: {name} must be a function, got {function!r}.")
            setattr(self, name, function)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
