"""What all pictures share."""

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layer import Array
from chainrule.notebook import in_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "COLORS",
    "FAINT",
    "GREY",
    "ORANGE",
    "at_least",
    "clean",
    "image_lengths",
    "ink",
    "own_axes",
    "pictures_need",
    "show_image",
    "tiles",
    "width_in_inches",
    "words",
]

# Told apart by everyone, also in grey print (from the palette of Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5F6B7A"
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#808080")
# Of grids and frames: on white and on black it is a light and a dark grey.
FAINT = (0.5, 0.5, 0.5, 0.3)


def own_axes(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return ``ax``, or the axes of a new figure of so many inches.

    In a notebook it is a figure of pyplot, since that is what a notebook shows under the cell.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    axes: Axes
    with pictures_need("matplotlib"):
        if in_notebook():
            from matplotlib import pyplot

            axes = pyplot.figure(figsize=(width, height), dpi=100, layout="constrained").subplots()
            return axes
        from matplotlib.figure import Figure

    axes = Figure(figsize=(width, height), dpi=150, layout="constrained").subplots()
    return axes


@contextmanager
def pictures_need(package: str) -> "Iterator[None]":
    """Import a package inside: if it is not there, the error names the command that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"Pictures need {package}: pip install 'chainrule[plots]'.", name=package
        ) from None


def ink() -> Any:
    """Return the colour of text as matplotlib is set: black, on a dark style white."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def at_least(owner: str, name: str, value: Any, least: int = 1) -> None:
    """Refuse a number of things to draw that makes no sense.

    Raises
    ------
    ValueError
        If it is no whole number, or less than ``least``.
    """
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(
            f"{owner}: {name} must be a whole number, at least {least}, got {value!r}."
        )


def image_lengths(owner: str, given: Any, axes: tuple[int, ...] = (2,)) -> tuple[int, ...]:
    """Return the shape of an image: so many whole numbers, at least 1.

    Raises
    ------
    ValueError
        If it is nothing of the kind.
    """
    lengths = tuple(given) if np.iterable(given) else ()
    whole = all(isinstance(n, (int, np.integer)) and n >= 1 for n in lengths)
    if not whole or len(lengths) not in axes:
        forms = {2: "(height, width)", 3: "(height, width, channels)"}
        raise ValueError(
            f"{owner}: image_shape must be {' or '.join(forms[n] for n in axes)}, got {given!r}."
        )
    return lengths


def clean(ax: Any) -> None:
    """Take away the frame on the right and on top, and draw a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def words(text: object, most: int | None = None) -> str:
    """Return a text as matplotlib shows it, cut off after ``most`` letters: a $ is no formula.

    Examples
    --------
    >>> words("Linear(784, 100)", 9)
    'Linear(7…'
    """
    text = str(text)
    if most is not None and len(text) > most:
        text = f"{text[: most - 1]}…"
    return text.replace("$", r"\$")


def width_in_inches(ax: Any) -> float:
    """Return how wide axes are, as far as that is known before they are drawn."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def tiles(ax: Any, count: int, columns: int, caption: float = 0.0) -> list[Any]:
    """Divide the axes into so many small ones, row by row; ``caption`` leaves room above each."""
    ax.axis("off")
    rows = math.ceil(count / columns)
    gap = 0.08
    width, height = 1 / columns, 1 / rows
    return [
        ax.inset_axes(
            (
                (i % columns + gap / 2) * width,
                1 - (i // columns + 1) * height,
                (1 - gap) * width,
                (1 - gap - caption) * height,
            )
        )
        for i in range(count)
    ]


def show_image(ax: Any, image: Array, low: float | None = None, high: float | None = None) -> None:
    """Draw one image: grey where it has one channel, in colour where it has three.

    ``low`` and ``high`` are black and white of a colour image, if it is no image of bytes.
    """
    if image.ndim == 3 and image.shape[-1] == 3:
        if image.dtype != np.uint8:
            low = float(image.min()) if low is None else low
            high = float(image.max()) if high is None else high
            image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
        ax.imshow(image, interpolation="nearest")
        return
    if image.ndim == 3:
        image = image.mean(axis=-1)
    ax.imshow(image, cmap="gray_r", interpolation="nearest")
