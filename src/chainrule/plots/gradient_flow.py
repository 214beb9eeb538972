"""How large the gradients of each layer were, as the training went on."""

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.plots.figure import clean, own_axes, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chainrule.training import MonitorGradients

__all__ = ["gradient_flow"]

NAMED = 16  # lines in the legend; of more, some are named
LETTERS = 30


def gradient_flow(monitor: "MonitorGradients", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the size of each layer's gradients over the steps: a line for each layer.

    The colour goes with the depth: from the first layer, dark, to the last, light. Where gradients
    vanish on their way back, the dark lines lie orders of magnitude under the light ones.

    Parameters
    ----------
    monitor : MonitorGradients
        After a training that had it among its callbacks.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If it has noted nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, MonitorGradients, plots, train
    >>> net, monitor = Model([Linear(3, 1)], MeanSquaredError()), MonitorGradients()
    >>> data = np.ones((4, 3)), np.ones((4, 1))
    >>> history = train(net, 0.1, 5, data, callbacks=[monitor], verbose=False)
    >>> plots.gradient_flow(monitor).get_yscale()
    'log'
    """
    if not monitor.steps or not monitor.layers:
        raise ValueError(
            "gradient_flow: the monitor has noted nothing. Train first: "
            "train(..., callbacks=[monitor])."
        )
    sizes = np.array(monitor.sizes, dtype=np.float64)
    sizes[~(sizes > 0) | ~np.isfinite(sizes)] = np.nan  # a logarithmic axis has no 0
    ax = own_axes(ax, 8, 4)
    colours = _colours(len(monitor.layers))
    named = _named(len(monitor.layers))
    marker = "." if len(monitor.steps) == 1 else ""
    for i, (layer, colour) in enumerate(zip(monitor.layers, colours, strict=True)):
        ax.plot(
            monitor.steps, sizes[:, i], color=colour, linewidth=1.3, marker=marker,
            label=words(layer, LETTERS) if i in named else None,
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set(title="Size of the gradients", xlabel="step", ylabel="root of the mean square")
    clean(ax)
    # The last layer on top, as its line mostly is.
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        fontsize=8, borderaxespad=0,
    )  # fmt: skip
    return ax


def _colours(count: int) -> Any:
    """Return a colour for each layer; the ends of the scale would be lost on black or on white."""
    from matplotlib import colormaps

    return colormaps["plasma"](np.linspace(0.25, 0.85, count))


def _named(count: int) -> set[int]:
    if count <= NAMED:
        return set(range(count))
    return set(np.linspace(0, count - 1, NAMED // 2).round().astype(int).tolist())
