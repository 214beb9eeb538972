"""What was taken for what."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Array
from chainrule.plots.figure import BLUE, ORANGE, own_axes, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion", "mistakes"]


def confusion(
    matrix: Array, names: Sequence[str] | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw a confusion matrix: a row for each true class, a column for each predicted one.

    The colour is the share of the row, so that rare classes count as frequent ones do.

    Parameters
    ----------
    matrix : array of int, shape (classes, classes)
        As :func:`chainrule.metrics.confusion_matrix` returns it.
    names : sequence of str, optional
        The classes; their numbers if None.
    ax : matplotlib axes, optional
        Where to draw.
    """
    count = len(matrix)
    ax = own_axes(ax, max(4.0, 1.6 + 0.5 * count), max(3.6, 1.2 + 0.5 * count))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    names = [str(i) for i in range(count)] if names is None else list(names)
    ax.set_xticks(range(count), names)
    ax.set_yticks(range(count), names)
    if max(len(name) for name in names) > 3:
        ax.tick_params(axis="x", rotation=45)
    if count <= 20:
        for i in range(count):
            for j in range(count):
                if matrix[i, j]:
                    colour = "black" if shares[i, j] > 0.6 else "white"
                    ax.text(
                        j, i, f"{matrix[i, j]}", ha="center", va="center", color=colour, fontsize=8
                    )
    right, total = int(np.trace(matrix)), int(matrix.sum())
    ax.set(
        title=f"{right:,} of {total:,} right ({100 * right / max(total, 1):.2f} %)",
        xlabel="predicted",
        ylabel="true",
    )
    return ax


def mistakes(
    images: Array,
    targets: Array,
    probabilities: Array,
    names: Sequence[str] | None = None,
    *,
    most: int = 24,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the worst mistakes: the images whose true class got the least probability.

    Without a mistake it draws the least certain right answers, and says so.

    Parameters
    ----------
    images : array, shape (samples, height, width)
    targets : array of int, shape (samples,)
        True classes.
    probabilities : array, shape (samples, classes)
        Predicted.
    names : sequence of str, optional
        The classes; their numbers if None.
    most : int
        How many to draw.
    ax : matplotlib axes, optional
        Where to draw.
    """
    predicted = probabilities.argmax(axis=1)
    of_true = probabilities[np.arange(len(targets)), targets]
    wrong = np.flatnonzero(predicted != targets)
    chosen = wrong if len(wrong) else np.arange(len(targets))
    chosen = chosen[np.argsort(of_true[chosen], kind="stable")][:most]
    names = [str(i) for i in range(probabilities.shape[1])] if names is None else list(names)

    columns = min(8, len(chosen))
    rows = -(-len(chosen) // columns)
    ax = own_axes(ax, max(5.0, 1.15 * columns), 0.75 + 1.3 * rows)
    if len(wrong):
        title = f"The worst of {len(wrong):,} mistakes among {len(targets):,} images"
    else:
        title = f"No mistake among {len(targets):,} images: the least certain"
    ax.set_title(title + "\ntrue \N{RIGHTWARDS ARROW} predicted, and how sure", fontsize=11)
    for cell, i in zip(tiles(ax, len(chosen), columns, caption=0.2), chosen, strict=True):
        cell.imshow(images[i], cmap="gray_r")
        cell.set_xticks([])
        cell.set_yticks([])
        cell.spines[:].set_color("0.8")
        cell.set_title(
            f"{names[targets[i]]} \N{RIGHTWARDS ARROW} {names[predicted[i]]}  "
            f"{100 * probabilities[i, predicted[i]]:.0f} %",
            fontsize=8,
            color=ORANGE if predicted[i] != targets[i] else BLUE,
            pad=3,
        )
    return ax
