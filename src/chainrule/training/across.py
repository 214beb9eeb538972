"""Batch normalisation over the samples of all workers."""

from __future__ import annotations

import numpy as np

from chainrule.distributed.workers import Workers
from chainrule.layer import Array
from chainrule.layers.batch_normalization import BatchNorm
from chainrule.losses import Loss
from chainrule.model import Model

__all__ = ["Across", "set_across"]


class Across:
    r"""Sums over the mini-batches of all workers.

    A derivative that comes to worker r is that of the mean over its own samples, whose weights
    have the sum :math:`W_r`. What it needs of the others is in the same unit:
    :math:`\sum_q W_q s_q / W_r`.

    Parameters
    ----------
    workers : Workers
    cost : Loss
        It knows the weights.
    """

    stands_in = True  # copies of a layer leave it out

    def __init__(self, workers: Workers, cost: Loss) -> None:
        self.workers = workers
        self.cost = cost

    def values(self, vector: Array) -> Array:
        """Return the sum of all workers' vectors."""
        whole = vector.astype(np.float64)
        self.workers.sum(whole)
        return whole

    def gradients(self, vector: Array) -> Array:
        """Return it for derivatives, each of them counting as its worker's loss does."""
        weight = self.cost.total_weight()
        whole = vector * np.float64(weight)
        self.workers.sum(whole)
        return (whole / weight).astype(vector.dtype)


def set_across(model: Model, across: Across | None) -> bool:
    """Give batch normalisations the statistics of all, or their own; return if there are any."""
    layers = [part for outer in model.layers for part in outer.walk()]
    norms = [layer for layer in layers if isinstance(layer, BatchNorm)]
    for norm in norms:
        norm.across = across
    return bool(norms)
