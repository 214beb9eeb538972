"""A net as it is drawn: layers within layers, ways beside each other, arrays as pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import (
    Add,
    Bidirectional,
    Concatenate,
    Conv2d,
    Flatten,
    Graph,
    Linear,
    Reshape,
    Residual,
    Sequential,
    TransformerBlock,
)
from chainrule.studio.forks import joined_words
from chainrule.studio.trace import Step, Trace
from chainrule.studio.views import MOST_CELLS, MOST_TEMPLATES, templates

__all__ = ["Lane", "Node", "Pictures", "lanes", "nodes", "pictures", "reads", "weights"]


@dataclass(frozen=True)
class Node:
    """A layer, with the layers in it in the order in which they are called.

    Attributes
    ----------
    step : Step
    count : int
        How many parameters it has, with those of the layers in it.
    inside : tuple of Node
        What is in a ``Sequential`` stands in its place: it does nothing of its own.
    note : str
        What happens to its output, or which values it takes, where that is not the next one's.
    """

    step: Step
    count: int
    inside: tuple[Node, ...] = ()
    note: str = ""

    @property
    def named(self) -> bool:
        """Whether the note is a name for its output, as in a graph."""
        return self.note.startswith("v")


@dataclass(frozen=True)
class Lane:
    """One of the ways through a layer that has others inside.

    Attributes
    ----------
    path : str
        Of what is on it; empty where it is not one layer, or there is none.
    words : str
        What it is; empty if it is the only one.
    nodes : tuple of Node
        Empty where the input goes past everything, as it is.
    """

    path: str
    words: str
    nodes: tuple[Node, ...]


def nodes(found: Trace, *, joins: bool = False) -> tuple[Node, ...]:
    """Return a net's layers as a tree, the loss last; with the joins of graphs if that is said.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model, Residual, Tanh
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Residual([Linear(2, 2), Tanh()]), Linear(2, 1)], MeanSquaredError())
    >>> tree = nodes(trace(net, np.ones((1, 2), np.float32), np.ones((1, 1), np.float32)))
    >>> [(node.step.path, node.count, len(node.inside)) for node in tree]
    [('0', 6, 2), ('1', 3, 0), ('loss', 0, 0)]
    """
    shown = {
        step.path: step
        for step in found.steps
        if type(step.thing) is not Sequential and (joins or not step.taken)
    }
    below: dict[str, list[Step]] = {}
    for step in shown.values():
        above = step.path.rpartition(".")[0]
        while above and above not in shown:  # a container that is only passed through
            above = above.rpartition(".")[0]
        below.setdefault(above, []).append(step)

    def node(step: Step, above: Step | None) -> Node:
        inside = tuple(node(inner, step) for inner in below.get(step.path, []))
        own = step.thing.parameters if isinstance(step.thing, Layer) else {}
        count = sum(step.parameters[name].size for name in own if name in step.parameters)
        count += sum(inner.count for inner in inside)
        return Node(step, count, inside, "" if above is None else _note(step, above))

    return tuple(node(step, None) for step in below.get("", []))


def _note(step: Step, above: Step) -> str:
    """Return which values of a graph a layer takes; or what is added after a part of a block."""
    within = step.path[len(above.path) + 1 :]
    if isinstance(above.thing, Graph):
        first, _, rest = within.partition(".")
        if rest:
            return ""
        if step.taken:
            return step.name
        taken = above.thing.nodes[int(first) - 1][1][0]
        return f"v{first} = {type(step.thing).__name__}(v{taken})"
    if isinstance(above.thing, TransformerBlock):
        dropping = above.thing.dropout > 0
        if within == ("drop_1" if dropping else "attention"):
            return "+ x = u"
        if within == ("drop_2" if dropping else "net.2"):
            return "+ u = y"
    return ""


def lanes(node: Node) -> tuple[Lane, ...]:
    """Return the ways through a layer that has others inside.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model, Residual
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Residual([Linear(2, 2)])], MeanSquaredError())
    >>> (node, loss) = nodes(trace(net, np.ones((1, 2)), np.ones((1, 2))))
    >>> [(lane.words, len(lane.nodes)) for lane in lanes(node)]
    [('past the layers, as it is', 0), ('through the layers', 1)]
    """
    thing, path = node.step.thing, node.step.path

    def of(name: str) -> tuple[Node, ...]:
        own = f"{path}.{name}"
        return tuple(
            n for n in node.inside if n.step.path == own or n.step.path.startswith(f"{own}.")
        )

    if isinstance(thing, Residual):
        past = (
            "past the layers, as it is" if thing.shortcut is None else
            "past the layers, by the shortcut"
        )  # fmt: skip
        return (
            Lane(f"{path}.shortcut" if thing.shortcut else "", past, of("shortcut")),
            Lane(f"{path}.inner", "through the layers", of("inner")),
        )
    if isinstance(thing, (Add, Concatenate)):
        return tuple(
            Lane(f"{path}.{name}", f"branch {int(name) + 1}", of(name)) for name in thing.children()
        )
    if isinstance(thing, Bidirectional):
        return (
            Lane(f"{path}.layer", "from the first step on", of("layer")),
            Lane(f"{path}.twin", "from the last step back", of("twin")),
        )
    words = ""
    if isinstance(thing, Graph):
        shown = {inner.step.path for inner in node.inside}
        words = "v0 is the input" + "".join(
            f", v{i} = {joined_words(what, inputs)}"
            for i, (what, inputs, *_) in enumerate(thing.nodes, start=1)
            if isinstance(what, str) and f"{path}.{i}" not in shown
        )
    return (Lane("", words, node.inside),)


@dataclass(frozen=True)
class Pictures:
    """An array as pictures side by side: channels, kernels, templates, or one square a unit.

    Attributes
    ----------
    values : array, shape (pictures, height, width)
    form : {"map", "matrix", "vector"}
        What the places in it mean: (row, column) of a picture; of the array; or a unit alone.
    skip : int
        Every how many rows and columns there is one.
    left : int
        How many pictures are not shown.
    """

    values: Array = field(repr=False)
    form: str
    skip: int = 1
    left: int = 0


def pictures(array: Array, most: int = MOST_CELLS) -> Pictures:
    """Return the output of a layer for one sample as pictures of at most so many numbers in all.

    Examples
    --------
    >>> pictures(np.zeros((8, 8, 3))).values.shape, pictures(np.zeros(10)).values.shape
    ((3, 8, 8), (10, 1, 1))
    """
    if array.ndim < 2:
        flat = array.reshape(-1, 1, 1)
        return Pictures(flat[:most], "vector", 1, max(0, len(flat) - most))
    if array.ndim == 2:
        return _thinned(array[None], "matrix", most)
    stack = array.reshape(-1, *array.shape[-2:]) if array.ndim > 3 else array
    return _thinned(np.moveaxis(stack, -1, 0), "map", most)


def weights(step: Step, array: Array, image_shape: tuple[int, int] | None) -> Pictures:
    """Return the weights of a layer, or their gradients, as pictures.

    Parameters
    ----------
    step : Step
        Of the layer.
    array : array
        One of its parameters, or a gradient of that.
    image_shape : (height, width), optional
        If the layer reads an image: then what each unit looks for is an image too.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Linear(64, 3)], MeanSquaredError())
    >>> x, y = np.ones((1, 64), np.float32), np.ones((1, 3), np.float32)
    >>> step = trace(net, x, y).steps[0]
    >>> weights(step, step.parameters["weights"], (8, 8)).values.shape
    (3, 8, 8)
    """
    if isinstance(step.thing, (Linear, Conv2d)) and array.shape == step.thing.weights.shape:
        images = templates(step.thing, image_shape, of=array)
        if images:
            return _thinned(np.stack(images), "map", MOST_CELLS * 2, array.shape[-1] - len(images))
    return pictures(array)


def _thinned(stack: Array, form: str, most: int, left: int = 0) -> Pictures:
    shown = stack[:MOST_TEMPLATES]
    skip = 1
    while shown[:, ::skip, ::skip].size > most:
        skip += 1
    return Pictures(shown[:, ::skip, ::skip], form, skip, left + len(stack) - len(shown))


def reads(found: Trace) -> str:
    """Return the path of the layer that reads the samples themselves; empty if none does."""
    for step in found.leaves:
        if isinstance(step.thing, (Linear, Conv2d)) and step.input.size == found.x.size:
            same = np.array_equal(np.ravel(step.input), np.ravel(found.x), equal_nan=True)
            return step.path if same else ""
        if not isinstance(step.thing, (Reshape, Flatten)):
            return ""
    return ""
