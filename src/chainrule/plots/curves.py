"""How loss and accuracy went."""

import math
from typing import TYPE_CHECKING, Any

from chainrule.plots.figure import BLUE, COLORS, ORANGE, clean, own_axes, width_in_inches, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from chainrule.training import History

__all__ = ["compare", "curves"]


def curves(history: "History", *, ax: "Axes | None" = None) -> "Axes":
    """Draw loss and accuracy by epoch.

    Parameters
    ----------
    history : History
        At least one epoch.
    ax : matplotlib axes, optional
        Where to draw. With an accuracy in the history it is divided in two, side by side.

    Raises
    ------
    ValueError
        If there is no epoch.

    Examples
    --------
    >>> from chainrule import History, plots
    >>> history = History()
    >>> history.append({"epoch": 1, "loss": 0.5})
    >>> plots.curves(history).get_title()
    'Loss'
    """
    if not len(history):
        raise ValueError("curves: the history has no epoch yet.")
    both = "validation_accuracy" in history
    ax = own_axes(ax, 9 if both else 5, 3.6)
    if not both:
        _losses(ax, history)
        return ax
    ax.axis("off")
    left, right = ax.inset_axes((0, 0, 0.44, 1)), ax.inset_axes((0.56, 0, 0.44, 1))
    _losses(left, history)
    _accuracy(right, history)
    if width_in_inches(ax) < 6:  # else the titles would run into each other
        for half in (left, right):
            half.title.set_fontsize(8)
    return ax


def compare(histories: "Mapping[str, History]", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the same figure of several runs by epoch: accuracy on held-out data if all have it.

    Parameters
    ----------
    histories : dict of str to History
        By the name of the run, each with at least one epoch.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If there is no run, or one has no epoch.

    Examples
    --------
    >>> from chainrule import History, plots
    >>> histories = {"a": History(), "b": History()}
    >>> for history in histories.values():
    ...     history.append({"epoch": 1, "loss": 0.5})
    >>> plots.compare(histories).get_ylabel()
    'loss'
    """
    if not histories or not all(len(history) for history in histories.values()):
        raise ValueError("compare: needs runs, each with at least one epoch.")
    names = ("validation_accuracy", "validation_loss", "loss")
    column = next(n for n in names if all(n in history for history in histories.values()))
    ax = own_axes(ax, 7, 4)
    longest = max(histories.values(), key=len)
    for i, (name, history) in enumerate(histories.items()):
        style = ("-", "--", ":", "-.")[i // len(COLORS) % 4]
        values: Any = history["epoch"], history[column]
        color = COLORS[i % len(COLORS)]
        ax.plot(*values, color=color, linestyle=style, marker=_marker(longest), label=words(name))
    ax.set(xlabel="epoch", ylabel=column.replace("_", " "))
    ax.legend(frameon=False, fontsize=8)
    _epochs(ax, longest)
    return ax


def _losses(ax: Any, history: "History") -> None:
    epochs, marker = history["epoch"], _marker(history)
    ax.plot(epochs, history["loss"], color=BLUE, marker=marker, label="training")
    if "validation_loss" in history:
        losses = history["validation_loss"]
        ax.plot(epochs, losses, color=ORANGE, marker=marker, label="held out")
        ax.legend(frameon=False)
    ax.set(title="Loss", xlabel="epoch", ylabel="mean loss")
    _epochs(ax, history)


def _accuracy(ax: Any, history: "History") -> None:
    pairs = zip(history["epoch"], history["validation_accuracy"], strict=True)
    measured = [(epoch, 100 * v) for epoch, v in pairs if v is not None and math.isfinite(v)]
    title = "Accuracy on held-out data"
    if measured:
        epochs, values = zip(*measured, strict=True)
        ax.plot(epochs, values, color=ORANGE, marker=_marker(history))
        best = max(range(len(values)), key=values.__getitem__)
        ax.plot(epochs[best], values[best], "o", color=ORANGE, markersize=8, fillstyle="none")
        title += f": at best {values[best]:.2f} %"
    ax.set(title=title, xlabel="epoch", ylabel="% right")
    _epochs(ax, history)


def _marker(history: "History") -> str:
    return "." if len(history) <= 60 else ""  # more would run together


def _epochs(ax: Any, history: "History") -> None:
    from matplotlib.ticker import MaxNLocator

    room = max(0.2, 0.02 * len(history))  # and no epoch 0
    ax.set_xlim(history.rows[0]["epoch"] - room, history.rows[-1]["epoch"] + room)

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    clean(ax)
