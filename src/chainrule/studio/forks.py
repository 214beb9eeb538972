"""Where values meet and part in a graph: what a trace writes down there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.layer import Array, Function
from chainrule.layers import Graph, Sequential

__all__ = ["Share", "Taken", "joined_words", "shares"]

SIGNS = {"add": " + ", "multiply": " · ", "matmul": " @ ", "concatenate": ", "}


@dataclass(frozen=True)
class Taken:
    """One of the values that a join takes, and what comes back to it from there.

    Attributes
    ----------
    name : str
        As ``"v2"``, counted as the nodes of the graph are; ``"v0"`` is its input.
    value, back : array
    """

    name: str
    value: Array = field(repr=False)
    back: Array = field(repr=False)


@dataclass(frozen=True)
class Share:
    """What comes back to a value from one of several nodes that took it.

    Attributes
    ----------
    value, node : str
        As ``"v1"``, and ``"v3"`` for the node that took it.
    back : array
    """

    value: str
    node: str
    back: Array = field(repr=False)


def joined_words(what: str, inputs: list[int]) -> str:
    """Return in signs what a join makes.

    Examples
    --------
    >>> joined_words("multiply", [2, 4]), joined_words("concatenate", [0, 1])
    ('v2 · v4', '[v0, v1]')
    """
    words = SIGNS[what].join(f"v{j}" for j in inputs)
    return f"[{words}]" if what == "concatenate" else words


def shares(
    found: Mapping[int, Mapping[str, Any]], graphs: Mapping[str, Graph]
) -> tuple[dict[int, tuple[Share, ...]], dict[int, tuple[Share, ...]]]:
    """Return where several took one value: what came back from each.

    Parameters
    ----------
    found : dict
        What was written down of each thing, by its ``id``.
    graphs : dict of str to Graph

    Returns
    -------
    arriving, leaving : dict of int to tuple of Share
        By the ``id`` of the layer or join whose output it is, which gets their sum; and by that of
        the graph whose input it is, which hands on their sum.
    """
    arriving: dict[int, tuple[Share, ...]] = {}
    leaving: dict[int, tuple[Share, ...]] = {}
    for graph in graphs.values():
        for j in range(len(graph.nodes)):
            back = tuple(
                Share(f"v{j}", f"v{i}", each)
                for i, (what, inputs, *_) in enumerate(graph.nodes, start=1)
                for k, taken in enumerate(inputs)
                if taken == j
                and (each := _back(found.get(id(graph.joins[i - 1] or what), {}), k)) is not None
            )
            if len(back) < 2:
                continue
            if j == 0:
                leaving[id(graph)] = back
            else:
                arriving[id(_last(graph.joins[j - 1] or graph.nodes[j - 1][0]))] = back
    return arriving, leaving


def _back(notes: Mapping[str, Any], k: int) -> Array | None:
    """Return what a node handed back to the ``k``-th value that it took."""
    back = notes.get("backward", (None, None))[1]
    return back[k] if isinstance(back, list) else back if isinstance(back, np.ndarray) else None


def _last(thing: Function) -> Function:
    """Return the layer that makes the output: a chain does nothing of its own."""
    while type(thing) is Sequential and thing.layers:
        thing = thing.layers[-1]
    return thing
