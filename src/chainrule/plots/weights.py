"""What a layer looks for."""

from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Conv2d, Linear
from chainrule.model import Model
from chainrule.plots.figure import FAINT, at_least, image_lengths, own_axes, tiles, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["weights"]

LETTERS = 50


def weights(
    weights: Array | Linear | Conv2d | Model,
    image_shape: tuple[int, int] | None = None,
    *,
    most: int = 100,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the weights of a layer: an image for each unit or kernel, or one heat map of them all.

    Parameters
    ----------
    weights : array, shape (n_in, n_out), or Linear, Conv2d or Model
        The weights, or the layer that has them; of a model, the first such layer. Of a convolution,
        each kernel is an image, for each channel that it looks at.
    image_shape : pair of int, optional
        Height and width of the input, if it is an image.
    most : int
        How many units to draw as images: those with the longest weights.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If the weights are no matrix, the model has no such layer, or ``image_shape`` does not have
        ``n_in`` pixels.

    Examples
    --------
    >>> from chainrule import Linear, plots
    >>> plots.weights(Linear(4, 3), (2, 2)).get_title().splitlines()[0]
    'Weights of Linear(4, 3): 3 units, each on its own scale'
    """
    at_least("weights", "most", most)
    if isinstance(weights, Model):
        parts = (part for layer in weights.layers for part in layer.walk())
        first = next((part for part in parts if isinstance(part, Linear | Conv2d)), None)
        if first is None:
            raise ValueError("weights: the model has no Linear and no Conv2d.")
        weights = first
    name, kind = "Weights", "units"
    if isinstance(weights, Linear | Conv2d):
        name = f"Weights of {words(repr(weights), LETTERS)}"
    if isinstance(weights, Conv2d):
        kernels = weights.weights
        image_shape = (kernels.shape[0], kernels.shape[1])
        weights, kind = kernels.reshape(image_shape[0] * image_shape[1], -1), "kernels"
    matrix = np.asarray(weights.weights if isinstance(weights, Linear) else weights)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"weights: needs a matrix (n_in, n_out), got shape {matrix.shape}.")
    n_in, n_out = matrix.shape
    if image_shape is None:
        return _heat_map(matrix, name, ax)
    height, width = image_lengths("weights", image_shape)
    if n_in != height * width:
        raise ValueError(f"weights: {n_in} inputs are no image of shape {image_shape}.")
    order = np.argsort(-np.linalg.norm(matrix, axis=0), kind="stable")[:most]
    columns = min(10, len(order))
    rows = -(-len(order) // columns)
    ax = own_axes(ax, max(5.0, 0.75 * columns), 0.9 + 0.75 * rows)
    some = "" if len(order) == n_out else f", the {len(order)} strongest"
    ax.set_title(
        f"{name}: {n_out} {kind}{some}, each on its own scale\n"
        f"red pixels raise a {kind[:-1]}'s output, blue ones lower it",
        fontsize=11,
    )
    for cell, unit in zip(tiles(ax, len(order), columns), order, strict=True):
        # The pattern counts, not the size.
        limit = float(np.abs(matrix[:, unit]).max()) or 1.0
        image = matrix[:, unit].reshape(height, width)
        cell.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
        cell.set_xticks([])
        cell.set_yticks([])
        cell.spines[:].set_color(FAINT)
    return ax


def _heat_map(matrix: Array, name: str, ax: "Axes | None") -> "Axes":
    ax = own_axes(ax, 7, 4.5)
    from matplotlib.ticker import MaxNLocator

    limit = float(np.abs(matrix).max()) or 1.0
    drawn = ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set(title=name, xlabel="unit", ylabel="input")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.figure.colorbar(drawn, ax=ax, label="weight")
    return ax
