"""Which learning rate to begin with."""

from typing import TYPE_CHECKING

import numpy as np

from chainrule.plots.figure import BLUE, FAINT, GREY, ORANGE, clean, own_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chainrule.training.finder import LearningRates

__all__ = ["learning_rate"]


def learning_rate(found: "LearningRates", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss over the learning rate, with the suggestion.

    Parameters
    ----------
    found : LearningRates
        What ``find_learning_rate`` returned.
    ax : matplotlib axes, optional
        Where to draw.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, find_learning_rate, plots
    >>> x = np.random.default_rng(0).standard_normal((64, 3))
    >>> found = find_learning_rate(Model([Linear(3, 1)], MeanSquaredError()), (x, x[:, 0]))
    >>> plots.learning_rate(found).get_xscale()
    'log'
    """
    ax = own_axes(ax, 6.5, 4)
    ax.plot(found.rates, found.losses, color=FAINT, linewidth=0.8, label="each mini-batch")
    ax.plot(found.rates, found.smoothed, color=BLUE, label="smoothed")
    for rate, color, label in [
        (found.steepest, GREY, "steepest"),
        (found.suggestion, ORANGE, "a tenth of the least loss's"),
    ]:
        loss = np.interp(np.log(rate), np.log(found.rates), found.smoothed)
        ax.plot(rate, loss, "o", color=color, label=f"{label}: {rate:.2g}")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    # Where it diverges, single losses would flatten everything else.
    low, high = float(found.smoothed.min()), float(found.smoothed.max())
    room = 0.05 * (high - low) or 1.0
    ax.set_ylim(min(low, float(found.losses.min())) - room, high + room)
    ax.set(title="Learning rate", xlabel="learning rate", ylabel="loss")
    ax.legend(frameon=False, fontsize=8)
    clean(ax)
    return ax
