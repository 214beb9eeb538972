"""What the first layer looks for."""

from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Array
from chainrule.plots.figure import own_axes, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["weights"]


def weights(
    weights: Array,
    image_shape: tuple[int, int] | None = None,
    *,
    most: int = 100,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the weights of a linear layer: an image for each unit, or one heat map of them all.

    Parameters
    ----------
    weights : array, shape (n_in, n_out)
        As ``Linear.weights``.
    image_shape : pair of int, optional
        Height and width of the input, if it is an image.
    most : int
        How many units to draw as images: those with the longest weights.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If ``image_shape`` does not have ``n_in`` pixels.
    """
    n_in, n_out = weights.shape
    limit = float(np.abs(weights).max()) or 1.0
    if image_shape is None:
        ax = own_axes(ax, 7, 4.5)
        drawn = ax.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        ax.set(title="Weights of the first layer", xlabel="unit", ylabel="input")
        ax.figure.colorbar(drawn, ax=ax, label="weight")
        return ax
    if n_in != image_shape[0] * image_shape[1]:
        raise ValueError(f"weights: {n_in} inputs are no image of shape {image_shape}.")
    order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:most]
    columns = min(10, len(order))
    rows = -(-len(order) // columns)
    ax = own_axes(ax, max(4.0, 0.75 * columns), 0.9 + 0.75 * rows)
    some = "" if len(order) == n_out else f", the {len(order)} strongest"
    ax.set_title(
        f"Weights of the first layer: {n_out} units{some}\n"
        "red pixels raise a unit's output, blue ones lower it",
        fontsize=11,
    )
    for cell, unit in zip(tiles(ax, len(order), columns), order, strict=True):
        # Each unit on its own scale: the pattern counts, not the size.
        own = float(np.abs(weights[:, unit]).max()) or 1.0
        image = weights[:, unit].reshape(image_shape)
        cell.imshow(image, cmap="RdBu_r", vmin=-own, vmax=own)
        cell.set_xticks([])
        cell.set_yticks([])
        cell.spines[:].set_color("0.8")
    return ax
