"""A training as it goes on."""

import math
from dataclasses import dataclass, field

from chainrule.distributed.workers import Workers
from chainrule.model import Model
from chainrule.optimizers import Optimizer
from chainrule.state import State
from chainrule.training.history import History

__all__ = ["BETWEEN", "JUDGING", "STEPS", "Run"]

# What comes next: an epoch begins, its steps go on, or it is judged on the validation data.
BETWEEN, STEPS, JUDGING = "between epochs", "steps", "judging"


@dataclass
class Run:
    """A training as it goes on: what callbacks are given.

    Attributes
    ----------
    model : Model
    optimizer : Optimizer
    epochs : int
        How many there will be.
    steps_per_epoch : int or None
        None where the data do not say.
    steps : int or None
        The same for the whole training.
    epoch, step : int
        Where it is, both from 1; ``step`` counts through all epochs.
    loss : float
        The mean loss of the last step.
    running_loss : float
        The mean loss over the epoch so far.
    history : History
    stop : bool
        Set it to end after the current step.
    workers : Workers
        Who trains together; ``run.workers.first`` is true in the one that prints and writes.
    """

    model: Model
    optimizer: Optimizer
    epochs: int
    steps_per_epoch: int | None = None
    epoch: int = 0
    step: int = 0
    loss: float = math.nan
    history: History = field(default_factory=History)
    stop: bool = False
    phase: str = BETWEEN
    total: float = 0.0  # the sum of the epoch's losses, and of how many
    count: int = 0
    workers: Workers = field(default_factory=Workers)
    sound: bool = True  # between two steps: what there is can be saved

    @property
    def steps(self) -> int | None:
        """How many steps there will be in all."""
        return None if self.steps_per_epoch is None else self.steps_per_epoch * self.epochs

    @property
    def running_loss(self) -> float:
        """The mean loss over the epoch so far."""
        return self.total / self.count if self.count else math.nan

    def epoch_line(self) -> str:
        """Return the line that an epoch prints."""
        row = self.history.rows[-1]
        line = f"Epoch {self.epoch}/{self.epochs}: loss = {row['loss']:.4f}"
        for name, value in row.items():
            if name.startswith("validation_"):
                line += f", {name.replace('_', ' ')} = {value:.4f}"
        return line

    def get_state(self) -> State:
        """Return where it is."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "loss": self.loss,
            "stop": self.stop,
            "phase": self.phase,
            "total": self.total,
            "count": self.count,
            "history": [dict(row) for row in self.history.rows],
        }

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        if state["phase"] not in (BETWEEN, STEPS, JUDGING):
            raise ValueError(f"it is damaged: a training has no phase {state['phase']!r:.40}.")
        self.history.rows[:] = [dict(row) for row in state["history"]]
        for name in ("epoch", "step", "loss", "stop", "phase", "total", "count"):
            setattr(self, name, state[name])
