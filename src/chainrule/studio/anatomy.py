"""A net as it is drawn: layers within layers, arrays as little pictures, the crowd in figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import Conv2d, Linear
from chainrule.studio.trace import Step, Trace
from chainrule.studio.views import (
    MOST_CELLS,
    MOST_TEMPLATES,
    Histogram,
    findings,
    histogram,
    templates,
)

__all__ = ["Figures", "Node", "Pictures", "figures", "nodes", "pictures", "reads", "weights"]


@dataclass(frozen=True)
class Node:
    """A layer, with the layers in it in the order in which they are called.

    Attributes
    ----------
    step : Step
    count : int
        How many parameters it has, with those of the layers in it.
    inside : tuple of Node
    """

    step: Step
    count: int
    inside: tuple[Node, ...] = ()


def nodes(found: Trace) -> tuple[Node, ...]:
    """Return a net's layers as a tree, the loss last.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model, Residual, Tanh
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Residual([Linear(2, 2), Tanh()]), Linear(2, 1)], MeanSquaredError())
    >>> tree = nodes(trace(net, np.ones((1, 2), np.float32), np.ones((1, 1), np.float32)))
    >>> [(node.step.path, node.count, len(node.inside)) for node in tree]
    [('0', 6, 1), ('1', 3, 0), ('loss', 0, 0)]
    """
    here = {step.path for step in found.steps}
    below: dict[str, list[Step]] = {}
    for step in found.steps:
        above = step.path.rpartition(".")[0]
        while above and above not in here:  # a container that is only passed through
            above = above.rpartition(".")[0]
        below.setdefault(above, []).append(step)

    def node(step: Step) -> Node:
        inside = tuple(node(inner) for inner in below.get(step.path, []))
        own = step.thing.parameters if isinstance(step.thing, Layer) else {}
        count = sum(step.parameters[name].size for name in own if name in step.parameters)
        return Node(step, count + sum(inner.count for inner in inside), inside)

    return tuple(node(step) for step in below.get("", []))


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
        if isinstance(step.thing, (Linear, Conv2d)):
            return step.path
    return ""


@dataclass(frozen=True)
class Figures:
    """What many samples do in a net.

    Attributes
    ----------
    samples : int
    outputs, gradients : dict of str to Histogram
        By the layers' paths: of what they give, and of d(loss)/d(what they give).
    parameters : dict of (str, str) to Histogram
        Of the gradients of each parameter, by path and name.
    sizes : dict of str to float
        The root of the mean square of d(loss)/d(what a layer gives).
    words : list of str
        What is wrong; empty if nothing is.
    """

    samples: int
    outputs: dict[str, Histogram]
    gradients: dict[str, Histogram]
    parameters: dict[tuple[str, str], Histogram]
    sizes: dict[str, float]
    words: list[str]


def figures(found: Trace) -> Figures:
    """Return what many samples do in a net.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model
    >>> from chainrule.studio.trace import trace
    >>> net = Model([Linear(2, 1)], MeanSquaredError())
    >>> x, y = np.ones((9, 2), np.float32), np.ones((9, 1), np.float32)
    >>> figures(trace(net, x, y)).outputs["0"].counts.sum()
    np.int64(9)
    """
    leaves = found.leaves
    back = {step.path: gradient(step) for step in leaves}
    return Figures(
        len(found.x),
        {step.path: histogram(step.output) for step in leaves},
        {path: histogram(array) for path, array in back.items()},
        {
            (step.path, name): histogram(array)
            for step in leaves
            for name, array in step.gradients.items()
        },
        {path: _size(array) for path, array in back.items()},
        findings(found),
    )


def gradient(step: Step) -> Array:
    """Return d(loss)/d(output) of a layer; of the loss, that of what it was given."""
    given: Any = step.grad_output if step.grad_output.ndim else step.grad_input
    return np.zeros(0) if given is None else np.asarray(given)


def _size(array: Array) -> float:
    values = array.astype(np.float64)
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
