"""How near predicted numbers are to the true ones."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.plots.figure import BLUE, ORANGE, clean, own_axes, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["predicted"]


def predicted(
    targets: ArrayLike, values: ArrayLike, name: str | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Draw predicted over true values: on the line they are equal.

    Parameters
    ----------
    targets, values : array, shape (samples,)
        True and predicted ones.
    name : str, optional
        What they are.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If there is no value, or the two differ in length.

    Examples
    --------
    >>> from chainrule import plots
    >>> plots.predicted([1.0, 2.0], [1.5, 2.0], "price").get_xlabel()
    'true price'
    """
    # In float64: whole numbers without a sign would wrap around where they are subtracted.
    true, guessed = (np.asarray(each, np.float64).ravel() for each in (targets, values))
    if true.shape != guessed.shape or not len(true):
        raise ValueError(
            f"predicted: {len(true)} true values and {len(guessed)} predicted ones; needs as many "
            "of each, and at least one."
        )
    ax = own_axes(ax, 4.8, 4.6)
    ends = [min(true.min(), guessed.min()), max(true.max(), guessed.max())]
    ax.plot(ends, ends, color=ORANGE, linewidth=1, label="equal")
    ax.plot(true, guessed, ".", color=BLUE, markersize=5, alpha=min(1.0, 60 / len(true) + 0.15))
    ax.locator_params(nbins=5)  # long numbers would run together
    name = words(name or "value")
    deviation = float(np.sqrt(((guessed - true) ** 2).mean()))
    ax.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=f"RMSE {deviation:.4g}")
    ax.legend(frameon=False)
    clean(ax)
    return ax
