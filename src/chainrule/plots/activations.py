"""What comes out of each layer."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.outline import trace
from chainrule.plots.figure import BLUE, FAINT, ORANGE, at_least, clean, own_axes, tiles, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations"]

VALUES = 200_000  # of a layer, of which the quantiles are taken
LETTERS = 34


def activations(
    model: Model,
    x: ArrayLike,
    layer: str | int | None = None,
    *,
    most: int = 30,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw what comes out of the layers in prediction: how it is spread, or one layer's outputs.

    Without ``layer`` there is a line for each layer, from the 1st to the 99th hundredth of its
    outputs, thick from the 25th to the 75th, with a dot at the median. Beside it stands how many
    are exactly 0: behind a ReLU, units that are always 0 learn nothing any more.

    With ``layer`` it is that layer's outputs themselves: of a convolution the maps of the first
    sample, of a sequence its steps, else a row for each sample.

    Parameters
    ----------
    model : Model
        The net.
    x : array, shape (samples, ...)
        Its inputs.
    layer : str or int, optional
        The place of a layer, as ``3`` or ``"3.inner.0"``.
    most : int
        How many layers, maps or samples to draw; of more layers, so many at even distances.
    ax : matplotlib axes, optional
        Where to draw. Maps divide it into ``child_axes``.

    Raises
    ------
    ValueError
        If there is no sample, or ``x`` does not fit.
    KeyError
        If there is no such layer.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, ReLU, plots
    >>> net = Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError())
    >>> x = np.random.default_rng(0).standard_normal((100, 4))
    >>> [label.get_text() for label in plots.activations(net, x).get_yticklabels()]
    ['0: Linear(4, 8)', '1: ReLU()', '2: Linear(8, 1)']
    >>> plots.activations(net, x, 1).get_title()
    'Outputs of 1: ReLU(), the first 30 samples'
    """
    at_least("activations", "most", most)
    given = model._as_input(x)
    if not len(given):
        raise ValueError(f"activations: needs at least one sample, got shape {given.shape}.")
    inner = {
        path: part
        for i, outer in enumerate(model.layers)
        for path, part in outer.named_layers(str(i))
    }
    if layer is not None:
        path = str(layer)
        if path not in inner:
            raise KeyError(f"activations: no layer {path!r}; there are: {', '.join(inner)}.")
        found: dict[str, Array] = {}
        trace(model._net, given[:most], lambda p, y: found.update({p: y}))
        return _outputs(found[path], f"{path}: {inner[path]!r}", most, ax)
    leaves = [path for path, part in inner.items() if not part.children()]
    title = "Outputs of the layers"
    if len(leaves) > most:
        places = np.linspace(0, len(leaves) - 1, most).round().astype(int)
        title = f"Outputs of {most} of the {len(leaves)} layers"
        leaves = [leaves[i] for i in places]
    figures: dict[str, tuple[Array, float]] = {}
    wanted = set(leaves)

    def see(path: str, y: Array) -> None:
        if path in wanted:
            figures[path] = _spread(y)

    trace(model._net, given, see)
    rows = [(f"{path}: {inner[path]!r}", *figures[path]) for path in leaves if path in figures]
    return _lines(rows, title, ax)


def _spread(y: Array) -> tuple[Array, float]:
    """Return the quantiles of an output, and which share of it is 0."""
    values = y.ravel()
    values = values[:: -(-values.size // VALUES)].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return np.full(5, np.nan), 0.0
    quantiles: Array = np.quantile(values, [0.01, 0.25, 0.5, 0.75, 0.99])
    return quantiles, float((values == 0).mean())


def _lines(rows: list[tuple[str, Array, float]], title: str, ax: "Axes | None") -> "Axes":
    ax = own_axes(ax, 7.5, 1.1 + 0.28 * len(rows))
    for i, (_, quantiles, zeros) in enumerate(rows):
        low, lower, median, upper, high = quantiles
        ax.plot([low, high], [i, i], color=BLUE, linewidth=1.2)
        ax.plot([lower, upper], [i, i], color=BLUE, linewidth=5, solid_capstyle="butt")
        ax.plot([median], [i], "o", color=ORANGE, markersize=4)
        note = f"{100 * zeros:.0f} % zero" if zeros >= 0.005 else ""
        note = note if np.isfinite(median) else "no finite number"
        ax.annotate(
            note, (1, i), (5, 0), xycoords=("axes fraction", "data"), fontsize=8,
            textcoords="offset points", va="center",
        )  # fmt: skip
    ax.set_yticks(range(len(rows)), [words(text, LETTERS) for text, *_ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)  # the first layer on top
    ax.axvline(0, color=FAINT, linewidth=1)
    ax.set(title=title, xlabel="1 %, 25 %, median, 75 %, 99 %")
    clean(ax)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    return ax


def _outputs(y: Array, name: str, most: int, ax: "Axes | None") -> "Axes":
    name = words(name, LETTERS)
    finite = y[np.isfinite(y)]
    limit = float(np.abs(finite).max(initial=0)) or 1.0
    signed = bool((finite < 0).any())
    colours: dict[str, Any] = {
        "cmap": "RdBu_r" if signed else "cividis",
        "vmin": -limit if signed else 0,
        "vmax": limit,
    }
    if y.ndim == 4:
        maps = y[0]
        count = min(most, maps.shape[-1])
        some = "" if count == maps.shape[-1] else f", the first {count} of {maps.shape[-1]} maps"
        columns = min(8, count)
        ax = own_axes(ax, max(4.0, 1.2 * columns), 0.5 + 1.2 * -(-count // columns))
        ax.set_title(f"Outputs of {name}{some}", fontsize=11)
        for i, cell in enumerate(tiles(ax, count, columns)):
            cell.imshow(maps[..., i], **colours)
            cell.set_xticks([])
            cell.set_yticks([])
            cell.spines[:].set_color(FAINT)
        return ax
    sequence = y.ndim == 3
    rows = y[0] if sequence else y.reshape(len(y), -1)
    what = "of the first sample" if sequence else f"the first {len(rows)} samples"
    ax = own_axes(ax, 7, 4)
    drawn = ax.imshow(rows, aspect="auto", interpolation="nearest", **colours)
    ax.set_title(f"Outputs of {name}, {what}", fontsize=11)
    ax.set(xlabel="unit", ylabel="step" if sequence else "sample")
    ax.locator_params(integer=True, min_n_ticks=1)
    ax.figure.colorbar(drawn, ax=ax)
    return ax
