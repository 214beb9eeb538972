"""Which inputs an answer hangs on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.plots.figure import (
    BLUE,
    FAINT,
    ORANGE,
    at_least,
    clean,
    image_lengths,
    own_axes,
    show_image,
    tiles,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["saliency"]

BARS = 30  # features


def saliency(
    model: Model,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    image_shape: tuple[int, ...] | None = None,
    names: Sequence[str] | None = None,
    most: int = 12,
    ax: "Axes | None" = None,
) -> "Axes":
    r"""Draw how much the loss changes with each input: :math:`|\partial L / \partial x|`.

    Of images, each is drawn in grey and under an orange veil that is the denser, the more the loss
    changes with the pixel. Of vectors, a bar for each feature has the mean over the samples.

    Parameters
    ----------
    model : Model
        The net.
    x : array
        Samples as the net takes them: images (samples, height, width), with channels or without,
        or vectors (samples, features).
    y : array, optional
        The targets of the loss; the classes that the net predicts if None.
    image_shape : tuple of int, optional
        Height and width (and channels) of images that the net takes as vectors.
    names : sequence of str, optional
        Of images, the names of the classes; of vectors, those of the features.
    most : int
        How many images to draw: the first.
    ax : matplotlib axes, optional
        Where to draw. Images divide it into ``child_axes``.

    Raises
    ------
    ValueError
        If there is no sample, the shapes do not fit, the inputs are indices, or the loss has no
        classes and there is no ``y``.

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman, Deep Inside Convolutional Networks, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, Model, SoftmaxCrossEntropy, plots
    >>> net = Model([Linear(16, 3)], SoftmaxCrossEntropy())
    >>> x = np.random.default_rng(0).random((5, 16))
    >>> len(plots.saliency(net, x, image_shape=(4, 4)).child_axes)
    5
    >>> plots.saliency(net, x).get_title()
    'How much the loss changes with each feature'
    """
    at_least("saliency", "most", most)
    x = np.asarray(x)
    if x.ndim < 2 or not len(x):
        raise ValueError(f"saliency: needs samples, shape (samples, ...), got shape {x.shape}.")
    if model._net.takes_integers:
        raise ValueError("saliency: the net takes indices, and these have no gradient.")
    if y is None and not model.cost.has_classes:
        raise ValueError(f"saliency: {model.cost!r} has no classes: pass y, the targets.")
    images = x.ndim > 2 or image_shape is not None
    shape = x.shape[1:]
    if image_shape is not None:
        shape = image_lengths("saliency", image_shape, (2, 3))
    if images and (len(shape) not in (2, 3) or np.prod(shape) != np.prod(x.shape[1:])):
        raise ValueError(f"saliency: samples of shape {x.shape[1:]} are no images of {shape}.")
    if images:
        x = x[:most]
        y = None if y is None else np.asarray(y)[:most]
    targets = model.predict_classes(x) if y is None else np.asarray(y)
    # The gradient is that of the mean; of one sample it is as many times as large.
    gradient = np.abs(len(x) * model.input_gradient(x, targets)).astype(np.float64)
    if not images:
        return _bars(gradient, names, ax)
    return _images(
        x.reshape(len(x), *shape), gradient.reshape(len(x), *shape), targets, names,
        predicted=y is None, ax=ax,
    )  # fmt: skip


def _bars(gradient: Array, names: Sequence[str] | None, ax: "Axes | None") -> "Axes":
    sizes = gradient.reshape(len(gradient), -1).mean(axis=0)
    if names is not None and len(names) != len(sizes):
        raise ValueError(f"saliency: {len(names)} names for {len(sizes)} features.")
    order = np.argsort(-sizes, kind="stable")[:BARS]
    ax = own_axes(ax, 6.5, 1.0 + 0.25 * len(order))
    ax.barh(range(len(order)), sizes[order], 0.7, color=BLUE)
    labels = [f"feature {i}" if names is None else words(names[i]) for i in order]
    ax.set_yticks(range(len(order)), labels)
    ax.set_ylim(len(order) - 0.5, -0.5)  # the greatest on top
    some = "" if len(order) == len(sizes) else f", the {len(order)} greatest"
    ax.set(title=f"How much the loss changes with each feature{some}", xlabel="mean |dL/dx|")
    clean(ax)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    return ax


def _images(
    images: Array,
    gradient: Array,
    targets: Array,
    names: Sequence[str] | None,
    *,
    predicted: bool,
    ax: "Axes | None",
) -> "Axes":
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    caption = 0.14
    ax = own_axes(ax, max(4.6, 1.5 * columns), 0.4 + 1.5 * (1 + caption) * rows)
    from matplotlib.colors import to_rgb

    which = "predicted" if predicted else "true"
    ax.set_title(
        f"Where the loss changes most; above each its {which} class", fontsize=11, pad=8
    )  # fmt: skip
    for cell, image, changes, target in zip(
        tiles(ax, len(images), columns, caption), images, gradient, targets, strict=True
    ):
        size = changes if changes.ndim == 2 else changes.max(axis=-1)
        top = float(np.quantile(size, 0.995)) or float(size.max()) or 1.0
        veil = np.empty((*size.shape, 4))
        veil[..., :3] = to_rgb(ORANGE)
        veil[..., 3] = 0.85 * np.clip(size / top, 0, 1)
        cell.set_facecolor("white")
        show_image(cell, _grey(image))
        cell.images[0].set_alpha(0.6)  # so that the orange stays an orange
        cell.imshow(veil, interpolation="nearest")
        cell.set_xticks([])
        cell.set_yticks([])
        cell.spines[:].set_color(FAINT)
        cell.set_title(_name(target, names), fontsize=9, pad=3)
    return ax


def _grey(image: Array) -> Array:
    return image if image.ndim == 2 else image.mean(axis=-1)


def _name(target: Any, names: Sequence[str] | None) -> str:
    target = np.asarray(target)
    if target.ndim and target.size > 1:
        target = target.argmax()
    value = target.item()
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return words(names[value])
    return f"{value:g}"
