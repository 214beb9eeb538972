"""A schedule that looks at how the training goes."""

import math
from collections.abc import Mapping

from chainrule.figures import greater_is_better
from chainrule.schedules.base import Schedule, above_zero, count, share
from chainrule.state import State, check_state

__all__ = ["Plateau"]


class Plateau(Schedule):
    """A fall by a factor whenever an epoch's figure has not improved for a while.

    It remembers what it saw, and forgets it when another training begins: one serves one training
    at a time.

    Parameters
    ----------
    factor : float
        What the learning rate is multiplied by at a fall.
    patience : int
        How many epochs without improvement are put up with.
    monitor : str
        The column of the history to judge by; of an accuracy greater is better, of anything else
        smaller.
    threshold : float
        An improvement is one by more than this share of the best value.
    cooldown : int
        How many epochs after a fall are not counted.
    lowest : float
        It falls no lower, relative to the learning rate.

    Attributes
    ----------
    scale : float
        What it multiplies by now.
    best : float or None
        The best figure so far.
    bad_epochs, cooling : int
        Epochs without improvement, and those still not to be counted.

    Examples
    --------
    >>> from chainrule.schedules import Plateau
    >>> schedule = Plateau(0.1, patience=1, monitor="loss")
    >>> for loss in (1.0, 0.5, 0.5, 0.5):
    ...     schedule.observe({"loss": loss})
    >>> schedule(4, None)
    0.1
    """

    def __init__(
        self,
        factor: float = 0.1,
        *,
        patience: int = 10,
        monitor: str = "validation_loss",
        threshold: float = 1e-4,
        cooldown: int = 0,
        lowest: float = 1e-6,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"Plateau: factor must be between 0 and 1, got {factor}.")
        self.factor = factor
        self.patience = count("Plateau", "patience", patience, least=0)
        self.monitor = monitor
        self.threshold = share("Plateau", "threshold", threshold)
        self.cooldown = count("Plateau", "cooldown", cooldown, least=0)
        self.lowest = above_zero("Plateau", "lowest", lowest)
        self.reset()

    def reset(self) -> None:
        """Forget what it saw."""
        self.scale = 1.0
        self.best: float | None = None
        self.bad_epochs = 0
        self.cooling = 0

    def __call__(self, step: int, total: int | None) -> float:
        """Return the factor of all falls so far."""
        return self.scale

    def observe(self, figures: Mapping[str, float]) -> None:
        """Count an epoch, and fall if there have been enough without improvement."""
        if self.monitor not in figures:
            raise ValueError(
                f"{self!r}: an epoch has no {self.monitor!r}, only {', '.join(figures)}. Pass "
                'validation_data, or write monitor="loss".'
            )
        value = figures[self.monitor]
        if self._better(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooling > 0:
            self.cooling, self.bad_epochs = self.cooling - 1, 0
        if self.bad_epochs > self.patience:
            self.scale = max(self.scale * self.factor, self.lowest)
            self.bad_epochs, self.cooling = 0, self.cooldown

    def get_state(self) -> State:
        """Return what it saw."""
        return {name: getattr(self, name) for name in ("scale", "best", "bad_epochs", "cooling")}

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        check_state(state, {**self.get_state(), "best": None}, "Plateau")
        best = state["best"]
        if not 0 < state["scale"] <= 1 or not (best is None or type(best) in (int, float)):
            raise ValueError(f"it is damaged: Plateau had the scale {state['scale']}, best {best}.")
        for name in ("scale", "best", "bad_epochs", "cooling"):
            setattr(self, name, state[name])

    def _better(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        if greater_is_better(self.monitor):
            return value > self.best * (1 + self.threshold)
        return value < self.best * (1 - self.threshold)
