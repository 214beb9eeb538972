"""The learning rate of many workers."""

from chainrule.schedules.base import Around, Schedule, count

__all__ = ["LinearScaling"]


class LinearScaling(Around):
    r"""A learning rate as many times as high as a step has more samples, after a slow rise.

    .. math:: f(t) = \left(1 + (k - 1) \min\left(1, \frac{t}{s}\right)\right) h(t)

    with another schedule :math:`h`. The gradient of :math:`k` mini-batches is a mean: a step of it
    goes as far as one of theirs, where the :math:`k` steps of a single worker would have gone
    further. The rule holds while the weights change little in :math:`k` steps, which they do not at
    first; so it sets in slowly. With very many workers it fails: the paper found it good up to
    mini-batches of 8,192 images.

    Parameters
    ----------
    workers : int
        :math:`k`: how many mini-batches make a step.
    warmup : int
        :math:`s`: how many steps it rises for; five epochs in the paper.
    then : Schedule, optional
        :math:`h`, a schedule that counts steps; 1 if None.

    Notes
    -----
    Source: Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017.

    Examples
    --------
    >>> from chainrule.schedules import LinearScaling
    >>> schedule = LinearScaling(4, warmup=3)
    >>> [schedule(step, 6) for step in range(6)]
    [1.0, 2.0, 3.0, 4.0, 4.0, 4.0]
    """

    def __init__(self, workers: int, warmup: int, then: Schedule | None = None) -> None:
        self.workers = count("LinearScaling", "workers", workers)
        self.warmup = count("LinearScaling", "warmup", warmup)
        super().__init__(then)

    def __call__(self, step: int, total: int | None) -> float:
        """Return the product of the rise and the other schedule."""
        rise = 1 + (self.workers - 1) * min(1.0, step / self.warmup)
        return rise if self.then is None else rise * self.then(step, total)

    def momentum_at(self, step: int, total: int | None) -> float | None:
        """Return what the other schedule says."""
        return None if self.then is None else self.then.momentum_at(step, total)
