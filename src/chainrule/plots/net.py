"""The net as a graph."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chainrule.model import Model
from chainrule.plots.figure import BLUE, FAINT, GREY, ORANGE, at_least, ink, own_axes, pictures_need
from chainrule.plots.graph import layers_graph, segments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["net"]

SIZE = 8.5  # of the letters, in points
EDGES = {"input": GREY, "layer": BLUE, "join": ORANGE, "more": GREY}


def net(
    model: Model,
    input_shape: int | Sequence[int] | None = None,
    *,
    most: int = 40,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a net as a graph: a box for each layer, with its output shape and parameters.

    Branches, residual paths and the nodes of a ``Graph`` are drawn as such, in a frame for each
    container; ``+``, ``×``, ``matrix product`` and ``concatenate`` are where they meet. Boxes with
    a blue edge have parameters. Long nets go on in the next column.

    Parameters
    ----------
    model : Model
        The net.
    input_shape : int or sequence of int, optional
        The shape of one sample. If None it is that of the last input; before the first input it is
        known of a net that begins with ``Linear``. Without it there are no shapes.
    most : int
        How many layers to draw: of a longer chain the middle is one box.
    ax : matplotlib axes, optional
        Where to draw; the drawing is made as small as it has to be.

    Raises
    ------
    ValueError
        If the shape does not fit, or ``most`` is less than 4.
    ModuleNotFoundError
        If matplotlib or networkx is not installed.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model, ReLU, Residual, plots
    >>> model = Model([Linear(4, 8), Residual([Linear(8, 8), ReLU()])], MeanSquaredError())
    >>> plots.net(model).get_title()
    '112 parameters'
    """
    at_least("net", "most", most, 4)
    outline = model.outline(input_shape)
    with pictures_need("matplotlib"):
        from matplotlib.patches import FancyBboxPatch
    graph = layers_graph(outline, most, _inches)
    wide, high = graph.graph["width"], graph.graph["height"]
    margin = 0.2
    room = wide + 2 * margin, high + 2 * margin
    scale = 1.0 if ax is None else _scale(ax, *room)
    ax = _axes_of(*room) if ax is None else ax
    ax.set(
        xlim=(-margin, wide + margin), ylim=(-high - margin, margin), aspect="equal",
        title=f"{model.parameters.size:,} parameters",
    )  # fmt: skip
    ax.title.set_fontsize(10)
    ax.axis("off")
    for heading, left, top, width, height in graph.graph["frames"]:
        ax.add_patch(
            FancyBboxPatch(
                (left, top - height),
                width,
                height,
                "round,pad=0,rounding_size=0.08",
                facecolor=(*FAINT[:3], 0.08),
                edgecolor=FAINT,
                linewidth=scale,
                zorder=0,
            )
        )
        ax.text(
            left + 0.08, top - 0.05, heading, fontsize=SIZE * scale, va="top", color=ink(),
            alpha=0.75,
        )  # fmt: skip
    _edges(ax, graph, scale)
    for _, node in graph.nodes(data=True):
        _node(ax, node, scale)
    return ax


def _axes_of(wide: float, high: float) -> "Axes":
    """Return axes of a new figure that are exactly so large, with room for a title above."""
    width, height = max(wide, 2.4), high + 0.35
    ax = own_axes(None, width, height)
    ax.figure.set_layout_engine("none")  # type: ignore[union-attr]  # the stubs allow a SubFigure
    ax.set_position((0, 0, 1, high / height))
    return ax


def _node(ax: Any, node: dict[str, Any], scale: float) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    x, y, width, height = (node[name] for name in ("x", "y", "width", "height"))
    colour = GREY if node["kind"] == "layer" and not node["size"] else EDGES[node["kind"]]
    rounding = height / 2 if node["kind"] == "join" else 0.06
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            f"round,pad=0,rounding_size={rounding}",
            facecolor=(*to_rgb(colour), 0.1),
            edgecolor=colour,
            linewidth=1.2 * scale,
            zorder=2,
            linestyle="--" if node["kind"] == "more" else "-",
        )
    )
    options = {"ha": "center", "va": "center_baseline", "color": ink(), "zorder": 4}
    two = bool(node["words"])
    ax.text(x, y + 0.085 * two, node["label"], fontsize=SIZE * scale, **options)
    if two:
        ax.text(x, y - 0.095, node["words"], fontsize=0.9 * SIZE * scale, alpha=0.75, **options)


def _edges(ax: Any, graph: Any, scale: float) -> None:
    """Draw every edge by networkx, piece by piece; the last has the arrow's head."""
    import networkx as nx

    drawn = nx.DiGraph()
    places: dict[Any, Any] = {}
    for edge in graph.edges:
        pieces = segments(graph, edge)
        for i, (a, b) in enumerate(pieces):
            start, end = (edge, i, "from"), (edge, i, "to")
            places |= {start: a, end: b}
            drawn.add_edge(start, end, last=i == len(pieces) - 1)
    for last in (False, True):
        chosen = [(a, b) for a, b, is_last in drawn.edges(data="last") if is_last == last]
        if chosen:
            nx.draw_networkx_edges(
                drawn, places, chosen, ax=ax, node_size=0, width=1.1 * scale, edge_color=GREY,
                arrows=True, arrowstyle="-|>" if last else "-", arrowsize=8 * scale,
                min_source_margin=0, min_target_margin=0, hide_ticks=False,
            )  # fmt: skip


def _scale(ax: Any, wide: float, high: float) -> float:
    """Return how much smaller than its own size the drawing is in axes that it was given."""
    box = ax.get_window_extent()
    dpi = ax.figure.dpi
    return float(min(1.0, box.width / dpi / wide, box.height / dpi / high))


@lru_cache(maxsize=1024)
def _inches(text: str) -> float:
    """Return how wide a text is."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=SIZE).get_extents().width) * 1.05 / 72 if text else 0.0
