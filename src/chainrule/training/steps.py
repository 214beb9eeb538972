"""What goes on round a step of the optimiser: its rate, its gradients, their length."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Array
from chainrule.losses import Loss
from chainrule.optimizers import Optimizer, clip_norm, clip_value
from chainrule.optimizers.clipping import check_most
from chainrule.schedules import Schedule
from chainrule.state import State, Stateful, check_state

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Clip", "MeanGradient", "Pace"]


class Pace:
    """Sets the learning rate and the momentum before each step, as a schedule says.

    Parameters
    ----------
    schedule : Schedule or function (step, total) -> factor, or None
        None leaves both as they are.
    optimizer : Optimizer
        Its learning rate and momentum are those that ``give_back`` sets again.
    """

    def __init__(
        self,
        schedule: Schedule | Callable[[int, int | None], float] | None,
        optimizer: Optimizer,
    ) -> None:
        if schedule is not None and (isinstance(schedule, type) or not callable(schedule)):
            hint = f" Write {schedule.__name__}()." if isinstance(schedule, type) else ""
            raise TypeError(
                f"train: schedule must be a Schedule or a function (step, total), got {schedule!r}."
                + hint
            )
        self.schedule = schedule
        self.optimizer = optimizer
        self.learning_rate = optimizer.learning_rate
        self.momentum = optimizer.momentum
        if isinstance(schedule, Schedule):
            schedule.reset()

    def set(self, run: "Run") -> None:
        """Set them for the step that comes."""
        schedule = self.schedule
        if schedule is None:
            return
        position, total = run.step - 1, run.steps
        if isinstance(schedule, Schedule) and schedule.per_epoch:
            position, total = run.epoch - 1, run.epochs
        if total is not None:  # data may be longer than they said
            position = min(position, total - 1)
        factor = schedule(position, total)
        if not _is_factor(factor):
            raise ValueError(
                f"train: the schedule {schedule!r} gave {factor!r} for step {position} of {total}; "
                "it must give what the learning rate is multiplied by: 0 or more, and finite."
            )
        self.optimizer.learning_rate = self.learning_rate * float(factor)
        if isinstance(schedule, Schedule) and self.momentum:
            momentum = schedule.momentum_at(position, total)
            if momentum is not None:
                self.optimizer.momentum = float(momentum)

    def observe(self, row: dict[str, float]) -> None:
        """Write the learning rate into an epoch's row, and let the schedule look at it."""
        if self.schedule is None:
            return
        row["learning_rate"] = self.optimizer.learning_rate
        if isinstance(self.schedule, Schedule):
            self.schedule.observe(row)

    def get_state(self) -> State:
        """Return the learning rate and the momentum that it began with, and the schedule's."""
        remembered: State = self.schedule.get_state() if isinstance(self.schedule, Stateful) else {}
        return {
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "schedule": remembered,
        }

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        check_state(state, {**self.get_state(), "schedule": {}}, "pace")
        learning_rate, momentum = state["learning_rate"], state["momentum"]
        if not 0 < learning_rate < math.inf or not 0 <= momentum < 1:
            raise ValueError(
                f"it is damaged: a learning rate of {learning_rate}, a momentum of {momentum}."
            )
        if isinstance(self.schedule, Stateful):
            self.schedule.set_state(state["schedule"])
        self.learning_rate, self.momentum = float(learning_rate), float(momentum)

    def give_back(self) -> None:
        """Set both as they were: the next training begins with them."""
        if self.schedule is not None:
            self.optimizer.learning_rate = self.learning_rate
            if self.momentum:
                self.optimizer.momentum = self.momentum


def _is_factor(value: object) -> bool:
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, numbers) and 0 <= float(value) < math.inf


class Clip:
    """Clips the gradients of what moves, by value and then by norm.

    Parameters
    ----------
    norm, value : float or None
        The greatest norm, and the greatest size of a value; None for any.
    """

    def __init__(self, norm: float | None, value: float | None) -> None:
        for name, most in {"clip_norm": norm, "clip_value": value}.items():
            if most is not None:
                check_most(f"train: {name}", most)
        self.norm = norm
        self.value = value

    def __call__(self, gradients: Array, optimizer: Optimizer) -> None:
        """Clip the gradients in place; those of what is frozen become 0."""
        if self.norm is None and self.value is None:
            return
        for group in optimizer.groups:
            if group.rate == 0:
                gradients[group.start : group.stop] = 0
        if self.value is not None:
            clip_value(gradients, self.value)
        if self.norm is not None:
            clip_norm(gradients, self.norm)


class MeanGradient:
    r"""The mean of the gradients of several mini-batches, each counting as its samples do.

    With :math:`g_i` the gradient of a mini-batch's mean loss, and :math:`W_i` the sum of the
    weights in it, the gradient of the mean over all is :math:`\sum W_i g_i / \sum W_i`.
    """

    def __init__(self) -> None:
        self.weight = 0.0
        self._mean: Array | None = None

    def add(self, gradients: Array, cost: Loss) -> None:
        """Take in the gradients of the mini-batch that the loss saw last."""
        weight = cost.total_weight()
        self.weight += weight
        share = weight / self.weight
        if self._mean is None:
            self._mean = np.empty(gradients.shape, np.result_type(gradients, np.float32))
        if share == 1:
            self._mean[...] = gradients
        else:
            self._mean *= 1 - share
            self._mean += share * gradients.astype(self._mean.dtype, copy=False)

    def take(self, gradients: Array) -> None:
        """Write the mean into ``gradients``, and begin anew."""
        gradients[...] = self._mean
        self.weight = 0.0
