"""Schedules that fall along a curve, and the rise before them."""

import math

from chainrule.schedules.base import Around, Schedule, above_zero, between, count, share

__all__ = ["Constant", "Cosine", "ExponentialDecay", "Polynomial", "StepDecay", "Warmup"]


class Constant(Schedule):
    """The learning rate as it is, times a factor.

    Parameters
    ----------
    factor : float
        Greater than 0.

    Examples
    --------
    >>> from chainrule.schedules import Constant
    >>> Constant()(7, None)
    1.0
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = above_zero("Constant", "factor", factor)

    def __call__(self, step: int, total: int | None) -> float:
        """Return the factor."""
        return self.factor


class StepDecay(Schedule):
    r"""A fall by a factor every so often: :math:`\gamma^{\lfloor t / n \rfloor}`.

    Parameters
    ----------
    every : int
        :math:`n`, after how many epochs.
    factor : float
        :math:`\gamma`.
    per_epoch : bool
        Whether ``every`` counts epochs; else steps.

    Examples
    --------
    >>> from chainrule.schedules import StepDecay
    >>> schedule = StepDecay(30, 0.1)
    >>> schedule(29, 90), schedule(30, 90)
    (1.0, 0.1)
    """

    def __init__(self, every: int, factor: float = 0.1, *, per_epoch: bool = True) -> None:
        self.every = count("StepDecay", "every", every)
        self.factor = above_zero("StepDecay", "factor", factor)
        self.per_epoch = per_epoch

    def __call__(self, step: int, total: int | None) -> float:
        """Return the factor to the power of the number of falls."""
        return math.pow(self.factor, step // self.every)


class ExponentialDecay(Schedule):
    r"""A fall by the same factor each time: :math:`\gamma^t`.

    Parameters
    ----------
    factor : float
        :math:`\gamma`, an epoch.
    per_epoch : bool
        Whether the factor is that of an epoch; else of a step.

    Examples
    --------
    >>> from chainrule.schedules import ExponentialDecay
    >>> ExponentialDecay(0.5)(3, 10)
    0.125
    """

    def __init__(self, factor: float, *, per_epoch: bool = True) -> None:
        self.factor = above_zero("ExponentialDecay", "factor", factor)
        self.per_epoch = per_epoch

    def __call__(self, step: int, total: int | None) -> float:
        """Return the factor to the power of the number of epochs."""
        return math.pow(self.factor, step)


class Cosine(Schedule):
    r"""A fall along half a wave of the cosine; with a period, again and again from the top.

    .. math:: \ell + \frac{1 - \ell}{2} \left( 1 + \cos \frac{\pi t}{T} \right)

    Parameters
    ----------
    period : int, optional
        :math:`T`, how many steps the first fall has; the whole training if None.
    growth : int
        How many times longer each fall is than the one before.
    lowest : float
        :math:`\ell`, where it falls to, relative to the learning rate.
    per_epoch : bool
        Whether it counts epochs; else steps.

    Notes
    -----
    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016.

    Examples
    --------
    >>> from chainrule.schedules import Cosine
    >>> [round(Cosine()(step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> [round(Cosine(2, growth=2)(step, None), 3) for step in range(6)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146]
    """

    def __init__(
        self,
        period: int | None = None,
        *,
        growth: int = 1,
        lowest: float = 0.0,
        per_epoch: bool = False,
    ) -> None:
        self.period = None if period is None else count("Cosine", "period", period)
        self.growth = count("Cosine", "growth", growth)
        self.lowest = share("Cosine", "lowest", lowest)
        self.per_epoch = per_epoch

    def __call__(self, step: int, total: int | None) -> float:
        """Return the height of the wave."""
        period = self.known(total) if self.period is None else self.period
        if self.period is not None:
            while step >= period:
                step -= period
                period *= self.growth
                if self.growth == 1:
                    step %= period
        return between(1.0, self.lowest, min(1.0, step / period), "cosine")


class Polynomial(Schedule):
    r"""A fall to 0 at the end of the training: :math:`(1 - t / T)^p`; a line for :math:`p = 1`.

    Parameters
    ----------
    power : float
        :math:`p`.
    per_epoch : bool
        Whether it counts epochs; else steps.

    Examples
    --------
    >>> from chainrule.schedules import Polynomial
    >>> [Polynomial()(step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """

    def __init__(self, power: float = 1.0, *, per_epoch: bool = False) -> None:
        self.power = above_zero("Polynomial", "power", power)
        self.per_epoch = per_epoch

    def __call__(self, step: int, total: int | None) -> float:
        """Return the power of what is left."""
        return math.pow(max(0.0, 1 - step / self.known(total)), self.power)


class Warmup(Around):
    """A rise along a line from a small learning rate, and then another schedule.

    Parameters
    ----------
    steps : int
        How many steps it rises for.
    then : Schedule, optional
        What comes after, for the rest of the training; the learning rate as it is if None.
    start : float
        Where it begins, relative to the learning rate.

    Notes
    -----
    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017.

    Examples
    --------
    >>> from chainrule.schedules import Polynomial, Warmup
    >>> schedule = Warmup(2, Polynomial(), start=0.5)
    >>> [schedule(step, 6) for step in range(6)]
    [0.5, 0.75, 1.0, 0.75, 0.5, 0.25]
    """

    def __init__(self, steps: int, then: Schedule | None = None, *, start: float = 0.01) -> None:
        self.steps = count("Warmup", "steps", steps)
        super().__init__(then)
        self.start = above_zero("Warmup", "start", start)

    def __call__(self, step: int, total: int | None) -> float:
        """Return the height of the line, or what the other schedule says of the rest."""
        if step < self.steps:
            return between(self.start, 1.0, step / self.steps, "linear")
        return 1.0 if self.then is None else self.then(*self._rest(step, total))

    def momentum_at(self, step: int, total: int | None) -> float | None:
        """Return what the other schedule says, from its beginning on."""
        if self.then is None:
            return None
        return self.then.momentum_at(*self._rest(max(step, self.steps), total))

    def _rest(self, step: int, total: int | None) -> tuple[int, int | None]:
        return step - self.steps, None if total is None else max(1, total - self.steps)
