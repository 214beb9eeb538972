"""The 1cycle policy."""

from chainrule.schedules.base import Schedule, above_zero, between

__all__ = ["OneCycle"]


class OneCycle(Schedule):
    """The 1cycle policy: up, down again, and far down at the end; the momentum goes the other way.

    The high learning rates in the middle keep the training out of narrow valleys, and the momentum
    is then low since the steps are long as it is. The learning rate that ``train`` is given is the
    highest: choose it with ``find_learning_rate``.

    Parameters
    ----------
    up : float
        The share of the training in which the learning rate rises.
    shape : {"linear", "cosine"}
        How it goes from one height to the next.
    three_phases : bool
        Whether it falls to where it began in as many steps as it rose, and to the end in the rest;
        else it falls to the end at once.
    start_divisor : float
        It begins at the highest rate over this.
    end_divisor : float
        It ends where it began over this.
    momentum : pair of float, or None
        The lowest and the highest momentum. None leaves the optimiser's own; so does an optimiser
        without momentum.

    Notes
    -----
    The defaults are those of Gugger, The 1cycle policy, 2018: lines, from a tenth of the highest
    rate up and down again, and at the end down to a hundredth of that tenth. fastai's later form is
    ``OneCycle(0.25, "cosine", three_phases=False, start_divisor=25, end_divisor=1e4)``.

    Source: Smith, A disciplined approach to neural network hyper-parameters, 2018.

    Examples
    --------
    >>> from chainrule.schedules import OneCycle
    >>> schedule = OneCycle()
    >>> [round(schedule(step, 101), 3) for step in (0, 22, 44, 66, 88, 94, 100)]
    [0.1, 0.545, 0.991, 0.564, 0.118, 0.055, 0.001]
    """

    def __init__(
        self,
        up: float = 0.45,
        shape: str = "linear",
        *,
        three_phases: bool = True,
        start_divisor: float = 10.0,
        end_divisor: float = 100.0,
        momentum: tuple[float, float] | None = (0.85, 0.95),
    ) -> None:
        if shape not in ("linear", "cosine"):
            raise ValueError(f'OneCycle: shape must be "linear" or "cosine", got {shape!r}.')
        if not 0 < up < (0.5 if three_phases else 1):
            half = "0.5, since it falls for as long" if three_phases else "1"
            raise ValueError(f"OneCycle: up must be above 0 and below {half}, got {up}.")
        if momentum is not None and not (len(momentum) == 2 and 0 < momentum[0] <= momentum[1] < 1):
            raise ValueError(
                "OneCycle: momentum must be the lowest and the highest, between 0 and 1, "
                f"got {momentum}."
            )
        self.up = up
        self.shape = shape
        self.three_phases = three_phases
        self.start_divisor = above_zero("OneCycle", "start_divisor", start_divisor)
        self.end_divisor = above_zero("OneCycle", "end_divisor", end_divisor)
        self.momentum = None if momentum is None else (float(momentum[0]), float(momentum[1]))

    def __call__(self, step: int, total: int | None) -> float:
        """Return the height of the cycle."""
        start = 1 / self.start_divisor
        end = start / self.end_divisor
        heights = [start, 1.0, start, end] if self.three_phases else [start, 1.0, end]
        return self._height(heights, step, self.known(total))

    def momentum_at(self, step: int, total: int | None) -> float | None:
        """Return the momentum: low where the learning rate is high."""
        if self.momentum is None:
            return None
        low, high = self.momentum
        heights = [high, low, high, high] if self.three_phases else [high, low, high]
        return self._height(heights, step, self.known(total))

    def _height(self, heights: list[float], step: int, total: int) -> float:
        """Return the height at a step: each phase goes from one of the heights to the next."""
        last = max(total - 1, 1)
        top = max(self.up * total - 1, 0.0)
        ends = [top, 2 * top, last] if self.three_phases else [top, last]
        start = 0.0
        for i, end in enumerate(ends):
            if step <= end or i == len(ends) - 1:
                done = (step - start) / (end - start) if end > start else 1.0
                return between(heights[i], heights[i + 1], min(done, 1.0), self.shape)
            start = end
        return heights[-1]
