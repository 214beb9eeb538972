"""Where a net parts a plane of two features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array
from chainrule.losses import BinaryCrossEntropy
from chainrule.model import Model
from chainrule.plots.figure import COLORS, at_least, ink, own_axes, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["decision_boundary"]

MARKERS = "os^Dv<>P"
MOST = 2000  # points: more would cover everything


def decision_boundary(
    model: Model,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    features: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    resolution: int = 200,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw what a net says of every place in the plane of two features, and the samples in it.

    Of a net that tells classes apart, the colour of a place is the mixture of the classes' colours
    by their probabilities, and lines run where the most probable class changes. Of a net that
    predicts one number, the colour is that number.

    Parameters
    ----------
    model : Model
        The net.
    x : array, shape (samples, features)
        The samples, as the net takes them: the plane is as large as they need.
    y : array, optional
        Their true classes, as indices or one-hot rows, or their true numbers.
    features : pair of int
        Which two are the plane. Any others are held at their median: what is drawn is a cut.
    names : sequence of str, optional
        The names of all features.
    classes : sequence of str, optional
        The names of the classes.
    resolution : int
        How many places are asked along each side.
    ax : matplotlib axes, optional
        Where to draw.

    Raises
    ------
    ValueError
        If there are not two features, no sample, a value that is not finite, or the net gives more
        than one answer for a sample.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, Model, SoftmaxCrossEntropy, plots
    >>> net = Model([Linear(2, 3)], SoftmaxCrossEntropy())
    >>> x = np.random.default_rng(0).standard_normal((50, 2))
    >>> plots.decision_boundary(net, x, names=["width", "height"]).get_xlabel()
    'width'
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2 or not len(x):
        raise ValueError(
            "decision_boundary: needs samples with at least two features, shape (samples, "
            f"features), got shape {x.shape}."
        )
    at_least("decision_boundary", "resolution", resolution, 2)
    first, second = features
    count = x.shape[1]
    whole = all(isinstance(i, (int, np.integer)) for i in features)
    if not whole or not (0 <= first < count and 0 <= second < count) or first == second:
        raise ValueError(
            f"decision_boundary: features must be two different numbers from 0 to {count - 1}, "
            f"got {features}."
        )
    if not np.isfinite(x).all():
        raise ValueError("decision_boundary: x holds values that are not finite.")
    if y is not None and len(np.asarray(y)) != len(x):
        raise ValueError(
            f"decision_boundary: {len(x)} samples and {len(np.asarray(y))} targets; needs as many."
        )
    if names is not None and len(names) != count:
        raise ValueError(f"decision_boundary: {len(names)} names for {count} features.")
    sides = [_side(x[:, i], resolution) for i in features]
    places = np.tile(np.median(x, axis=0), (resolution**2, 1))
    places[:, first], places[:, second] = (grid.ravel() for grid in np.meshgrid(*sides))
    answers, has_classes = _answers(model, places)

    ax = own_axes(ax, 6.0, 5.0)
    points = x[:, features]
    if has_classes:
        labels = _labels(classes, answers.shape[-1])
        targets = _classes(y, answers.shape[-1])
        _draw_classes(ax, sides, answers.reshape(resolution, resolution, -1), labels)
        _draw_points(ax, points, targets, labels)
    else:
        _draw_values(ax, sides, answers.reshape(resolution, resolution), points, y)
    across, up = (f"feature {i}" if names is None else words(names[i]) for i in features)
    ax.set(xlabel=across, ylabel=up)
    title = "What the net says of every place"
    ax.set_title(title if count == 2 else f"{title}; other features at their median",
                 fontsize=11)  # fmt: skip
    ax.set(xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]])
    return ax


def _side(values: Array, resolution: int) -> Array:
    low, high = float(values.min()), float(values.max())
    room = 0.08 * (high - low) or 1.0
    return np.linspace(low - room, high + room, resolution)


def _answers(model: Model, places: Array) -> tuple[Array, bool]:
    """Return probabilities (places, classes) or numbers (places, 1); True if the first."""
    outputs = model.predict(places)
    several = isinstance(model.cost, BinaryCrossEntropy) or not model.cost.has_classes
    if outputs.ndim != 2 or (several and outputs.shape[1] != 1):
        raise ValueError(
            "decision_boundary: the net must give one answer for a sample, but of "
            f"{len(places):,} samples its output has shape {outputs.shape}."
        )
    if not model.cost.has_classes:
        return outputs, False
    answers = model.cost.probabilities(outputs)
    if answers.shape[1] == 1:  # yes or no
        answers = np.concatenate([1 - answers, answers], axis=1)
    return answers, True


def _labels(classes: Sequence[str] | None, count: int) -> list[str]:
    if classes is None:
        return [str(i) for i in range(count)]
    if len(classes) != count:
        raise ValueError(f"decision_boundary: {len(classes)} names for {count} classes.")
    return [words(name) for name in classes]


def _classes(y: ArrayLike | None, count: int) -> Array | None:
    if y is None:
        return None
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == count > 1:
        found: Array = y.argmax(axis=1)
        return found
    y = y.ravel()
    if not np.isin(y, np.arange(count)).all():
        raise ValueError(
            f"decision_boundary: y must be classes from 0 to {count - 1}, or one-hot rows."
        )
    return y.astype(int)


def _colours(count: int) -> Array:
    """Return a colour for each class that everybody can tell apart; beyond seven, a scale."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if count <= len(COLORS):
        return np.array([to_rgb(colour) for colour in COLORS[:count]])
    scale: Array = colormaps["viridis"](np.linspace(0, 1, count))[:, :3]
    return scale


def _draw_classes(ax: Any, sides: list[Array], answers: Array, labels: list[str]) -> None:
    from matplotlib.colors import to_rgb

    colours = _colours(len(labels))
    ground = np.array(to_rgb(ax.get_facecolor()))
    image = 0.55 * ground + 0.45 * np.clip(answers, 0, 1) @ colours  # paler than the points
    extent = (*sides[0][[0, -1]], *sides[1][[0, -1]])
    ax.imshow(np.clip(image, 0, 1), extent=extent, origin="lower", aspect="auto",
              interpolation="bilinear", zorder=0)  # fmt: skip
    if len(labels) < 2:
        return
    for i in range(len(labels) if len(labels) > 2 else 1):
        ahead = answers[..., i] - np.delete(answers, i, axis=-1).max(axis=-1)
        if ahead.min() < 0 < ahead.max():
            ax.contour(*sides, ahead, levels=[0], colors=[ink()], linewidths=1, zorder=1)


def _draw_points(ax: Any, points: Array, targets: Array | None, labels: list[str]) -> None:
    step = -(-len(points) // MOST)
    size = 26 if len(points) <= 300 else 16
    style: dict[str, Any] = {"s": size, "edgecolors": ax.get_facecolor(), "linewidths": 0.5}
    if targets is None:
        ax.scatter(*points[::step].T, color=ink(), **style, zorder=2)
        return
    points, targets = points[::step], targets[::step]
    for i, (name, colour) in enumerate(zip(labels, _colours(len(labels)), strict=True)):
        marker = MARKERS[i % len(MARKERS)]
        mine = points[targets == i]
        ax.scatter(*mine.T, color=colour, marker=marker, label=name, zorder=2, **style)
    if len(labels) <= 12:
        ax.legend(title="true class", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _draw_values(
    ax: Any, sides: list[Array], values: Array, points: Array, y: ArrayLike | None
) -> None:
    from matplotlib.colors import Normalize

    truth = None if y is None else np.asarray(y, dtype=np.float64).ravel()
    seen = values if truth is None else np.concatenate([values.ravel(), truth])
    seen = seen[np.isfinite(seen)]
    norm = Normalize(seen.min(initial=np.inf), seen.max(initial=-np.inf)) if seen.size else None
    extent = (*sides[0][[0, -1]], *sides[1][[0, -1]])
    drawn = ax.imshow(values, extent=extent, origin="lower", aspect="auto", cmap="cividis",
                      norm=norm, interpolation="bilinear")  # fmt: skip
    step = -(-len(points) // MOST)
    style: dict[str, Any] = {"s": 26, "edgecolors": "white", "linewidths": 0.8}
    if truth is None:
        style["color"] = "black"
    else:
        style |= {"c": truth[::step], "cmap": "cividis", "norm": norm}
    ax.scatter(*points[::step].T, **style)
    ax.figure.colorbar(drawn, ax=ax, label="predicted; the points: true" if y is not None else
                       "predicted")  # fmt: skip
