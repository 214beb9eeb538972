"""What was taken for what."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array
from chainrule.metrics import labels
from chainrule.plots.figure import BLUE, FAINT, ORANGE, at_least, own_axes, show_image, tiles, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion", "mistakes"]

WITH_NUMBERS = 20  # classes; with more, the numbers would run into each other
NAMED = 30


def confusion(
    matrix: ArrayLike, names: Sequence[str] | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Draw a confusion matrix: a row for each true class, a column for each predicted one.

    The colour is the share of the row, so that rare classes count as frequent ones do, with small
    shares spread out: the mistakes are what one looks for.

    Parameters
    ----------
    matrix : array of int, shape (classes, classes)
        As :func:`chainrule.metrics.confusion_matrix` returns it.
    names : sequence of str, optional
        The classes; their numbers if None.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If the matrix is not square, or the names are not as many.

    Examples
    --------
    >>> from chainrule import plots
    >>> plots.confusion([[3, 1], [0, 4]]).get_title()
    'Confusion matrix: 7 of 8 right (87.50 %)'
    """
    matrix = np.asarray(matrix)
    if matrix.dtype.kind not in "biuf" or not np.isfinite(matrix).all():
        raise ValueError("confusion: needs a matrix of numbers, all finite.")
    count = len(matrix)
    names = _names("confusion", names, count)
    if matrix.shape != (count, count) or not count:
        raise ValueError(f"confusion: needs a square matrix, got shape {matrix.shape}.")
    side = min(0.48 * count, 10)
    ax = own_axes(ax, max(4.8, 1.1 + side), max(3.4, 1.0 + side))
    from matplotlib.colors import PowerNorm

    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    norm = PowerNorm(0.4, vmin=0, vmax=1)
    ax.imshow(shares, cmap="cividis", norm=norm)
    shown = range(0, count, -(-count // NAMED))
    ax.set_xticks(shown, [names[i] for i in shown])
    ax.set_yticks(shown, [names[i] for i in shown])
    if max(len(name) for name in names) > 3:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    if count <= WITH_NUMBERS:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            colour = "black" if norm(shares[i, j]) > 0.55 else "white"
            ax.text(j, i, f"{matrix[i, j]}", ha="center", va="center", color=colour, fontsize=9)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    share = 100 * right / max(total, 1)
    ax.set_title(f"Confusion matrix: {right:,} of {total:,} right ({share:.2f} %)", fontsize=11)
    ax.set(xlabel="predicted", ylabel="true")
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
    images : array, shape (samples, height, width), or with channels as a fourth axis
        As they look, not standardised: grey, or three channels of colour.
    targets : array of int, shape (samples,), or one-hot rows
        True classes.
    probabilities : array, shape (samples, classes)
        Predicted.
    names : sequence of str, optional
        The classes; their numbers if None.
    most : int
        How many to draw.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If there is no image, the arrays differ in length, or a target is no class.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import plots
    >>> answers = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> plots.mistakes(np.zeros((2, 8, 8)), np.array([0, 1]), answers).get_title().splitlines()[0]
    '1 mistake among 2 images'
    """
    at_least("mistakes", "most", most)
    images, targets, probabilities = map(np.asarray, (images, targets, probabilities))
    if probabilities.ndim == 2 and probabilities.shape[1] == 1:  # of a yes or no
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    if not len(images) == len(targets) == len(probabilities) or not len(images):
        raise ValueError(
            f"mistakes: {len(images)} images, {len(targets)} targets and {len(probabilities)} "
            "predictions; needs as many of each, and at least one."
        )
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3)):
        raise ValueError(
            "mistakes: the images must have shape (samples, height, width) or (samples, height, "
            f"width, 1 or 3), got {images.shape}."
        )
    names = _names("mistakes", names, probabilities.shape[1])
    low, high = float(images.min()), float(images.max())
    targets = labels(targets)
    if targets.ndim != 1 or not 0 <= targets.min() <= targets.max() < probabilities.shape[1]:
        raise ValueError(
            f"mistakes: the targets must be classes from 0 to {probabilities.shape[1] - 1}, one "
            "for each image."
        )
    predicted = probabilities.argmax(axis=1)
    of_true = probabilities[np.arange(len(targets)), targets]
    wrong = np.flatnonzero(predicted != targets)
    chosen = wrong if len(wrong) else np.arange(len(targets))
    chosen = chosen[np.argsort(of_true[chosen], kind="stable")][:most]

    # Long names take a line of their own above each image.
    gap, caption = ("\n", 0.26) if max(map(len, names)) > 3 else ("  ", 0.14)
    columns = min(8, len(chosen))
    rows = -(-len(chosen) // columns)
    ax = own_axes(ax, max(5.0, 1.2 * columns), 0.6 + 1.2 * (1 + caption) * rows)
    ax.set_title(
        f"{_found(len(wrong), len(chosen), len(targets))}\n"
        "true \N{RIGHTWARDS ARROW} predicted, and how sure the net was",
        fontsize=11,
    )
    for cell, i in zip(tiles(ax, len(chosen), columns, caption), chosen, strict=True):
        show_image(cell, images[i], low, high)
        cell.set_xticks([])
        cell.set_yticks([])
        cell.spines[:].set_color(FAINT)
        cell.set_title(
            f"{names[targets[i]]} \N{RIGHTWARDS ARROW} {names[predicted[i]]}{gap}"
            f"{100 * probabilities[i, predicted[i]]:.0f} %",
            fontsize=9 if caption < 0.2 else 8,
            color=ORANGE if predicted[i] != targets[i] else BLUE,
            pad=3,
        )
    return ax


def _found(wrong: int, shown: int, total: int) -> str:
    among = f"among {total:,} image{'s' * (total > 1)}"
    if not wrong:
        return f"No mistake {among}: the least certain answers"
    counted = f"{wrong:,} mistake{'s' * (wrong > 1)} {among}"
    return counted if shown == wrong else f"{counted}: the {shown} worst"


def _names(function: str, names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [str(i) for i in range(count)]
    if len(names) != count:
        raise ValueError(f"{function}: {len(names)} names for {count} classes.")
    return [words(name) for name in names]
