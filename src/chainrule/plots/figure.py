"""What all pictures share."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "GREY", "ORANGE", "clean", "own_axes", "tiles"]

# Told apart by everyone, also in grey print (from the palette of Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5F6B7A"


def own_axes(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return ``ax``, or the axes of a new figure of so many inches.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures need matplotlib: pip install 'chainrule[plots]'."
        ) from error
    axes: Axes = Figure(figsize=(width, height), dpi=150, layout="constrained").subplots()
    return axes


def clean(ax: Any) -> None:
    """Take away the frame on the right and on top, and draw a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


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
