"""Attention, which a file has as a dozen of operators, as the one layer that it is.

A place that looks like it is only the suspicion: the layer takes the place of the steps if it
gives the same numbers as they do, on inputs drawn at random, in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import (
    Flatten,
    Graph,
    Linear,
    MultiHeadAttention,
    Rescale,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)
from chainrule.onnx.reading.net import Net, Step

__all__ = ["with_attention"]

LONGEST = 256  # steps of a sequence in the comparison
STEPS = 5  # of one whose length is not known
MOST_VALUES = 1 << 22
PARTS = (Flatten, Linear, Rescale, Reshape, Slice, Softmax, Transpose)


def with_attention(net: Net, needed: list[int]) -> None:
    """Put ``MultiHeadAttention`` in the place of the steps that compute the same."""
    takers: dict[int, list[int]] = {}
    for i in needed:
        for j in net.steps[i].inputs:
            takers.setdefault(j, []).append(i)
    for i in needed:
        if isinstance(net.steps[i].what, Softmax):
            _replace(net, takers, i)


def _replace(net: Net, takers: dict[int, list[int]], softmax: int) -> None:
    steps = net.steps
    scores = _up(net, softmax)
    if steps[scores].what != "matmul" or len(takers.get(softmax, ())) != 1:
        return
    (mixed,) = takers[softmax]
    if steps[mixed].what != "matmul" or steps[mixed].inputs[0] != softmax:
        return
    end = mixed
    while not isinstance(steps[end].what, Linear):
        if len(takers.get(end, ())) != 1 or (end != mixed and len(steps[end].inputs) != 1):
            return
        (end,) = takers[end]
    sources = [*steps[scores].inputs, steps[mixed].inputs[1]]
    maps = [_up(net, source, itself=True) for source in sources]
    inputs = {steps[i].inputs for i in maps if isinstance(steps[i].what, Linear)}
    if len(inputs) != 1 or not all(isinstance(steps[i].what, Linear) for i in maps):
        return
    ((x,),) = inputs
    inside = _between(net, x, end)
    if not all(_plain(net.steps[i]) for i in inside):
        return
    outside = [t for i in inside - {end} for t in takers.get(i, ()) if t not in inside]
    if outside or len(steps[x].sizes) != 3 or len(steps[scores].sizes) != 4:
        return
    heads, _, steps_there = steps[scores].sizes[1:]
    count = steps_there if isinstance(steps_there, int) else STEPS
    if not isinstance(heads, int) or heads > 256 or count > LONGEST:
        return
    old = _as_graph(net, x, sorted(inside))
    last = steps[end].what
    layers = [layer for layer in (steps[i].what for i in maps) if isinstance(layer, Linear)]
    made = _equal(old, layers, last, heads, count) if isinstance(last, Linear) else None
    if made is not None:
        steps[end].what, steps[end].inputs = made, (x,)


def _plain(step: Step) -> bool:
    """Return whether a step is one of those that attention is made of, and small enough to try."""
    known = isinstance(step.what, PARTS) or (isinstance(step.what, str) and step.problem is None)
    sizes = (n for n in step.sizes if isinstance(n, int))
    return known and len(step.inputs) <= 8 and math.prod(sizes) <= MOST_VALUES


def _up(net: Net, step: int, *, itself: bool = False) -> int:
    """Return the step above that is a linear layer or a join, past what moves and scales."""
    if not itself:
        (step,) = net.steps[step].inputs
    while isinstance(net.steps[step].what, Layer) and not isinstance(net.steps[step].what, Linear):
        (step,) = net.steps[step].inputs
        if step == 0:
            break
    return step


def _between(net: Net, first: int, last: int) -> set[int]:
    """Return the steps that ``last`` needs, itself among them, down to ``first``."""
    found: set[int] = set()
    todo = [last]
    while todo:
        i = todo.pop()
        if i > first and i not in found:
            found.add(i)
            todo.extend(net.steps[i].inputs)
    return found


def _as_graph(net: Net, first: int, inside: list[int]) -> Graph | None:
    numbers = {first: 0, **{i: k for k, i in enumerate(inside, start=1)}}
    nodes = []
    for i in inside:
        step = net.steps[i]
        if any(j not in numbers for j in step.inputs) or step.what is None:
            return None
        axis = [] if step.axis is None else [step.axis]
        nodes.append([step.what, [numbers[j] for j in step.inputs], *axis])
    return Graph(nodes)


def _equal(
    old: Graph | None, maps: list[Linear], last: Linear, heads: int, count: int
) -> MultiHeadAttention | None:
    """Return the attention that gives what the graph gives, if there is one."""
    width = last.n_in
    if old is None or last.n_out != width or maps[0].n_in != width or width % heads:
        return None
    x = np.random.default_rng(0).standard_normal((2, count, width))
    try:
        old = old.astype(np.float64)
        old.training = False
        wanted = old.forward(x)
    except (MemoryError, TypeError, ValueError):
        return None
    best, least = None, 1e-6 * float(np.abs(wanted).max())
    for blocks in _blocks(maps, width):
        for causal in (False, True):
            layer = _attention(blocks, last, heads, causal=causal)
            again = layer.astype(np.float64)
            again.training = False
            error = float(np.abs(again.forward(x) - wanted).max())
            if error < least or (best is None and error == 0):
                best, least = layer, error
    return best


def _blocks(maps: list[Linear], width: int) -> Iterator[list[tuple[Array, Array]]]:
    """Yield the maps to queries, keys and values, as (weights, biases), as they may lie."""
    if len({id(each) for each in maps}) == 3:
        if all(each.n_out == width for each in maps):
            yield [(each.weights, _biases(each)) for each in maps]
        return
    if maps[0] is not maps[1] or maps[0] is not maps[2] or maps[0].n_out != 3 * width:
        return
    parts = list(
        zip(np.split(maps[0].weights, 3, axis=1), np.split(_biases(maps[0]), 3), strict=True)
    )
    for order in itertools.permutations(parts):
        yield list(order)


def _biases(layer: Linear) -> Array:
    return layer.biases if layer.bias else np.zeros(layer.n_out, layer.dtype)


def _attention(
    blocks: list[tuple[Array, Array]], last: Linear, heads: int, *, causal: bool
) -> MultiHeadAttention:
    layer = MultiHeadAttention(last.n_in, heads, causal=causal)
    layer.dtype = last.dtype
    layer.weights = np.concatenate([weights for weights, _ in blocks], axis=1)
    layer.biases = np.concatenate([biases for _, biases in blocks])
    layer.output_weights = last.weights
    layer.output_biases = _biases(last)
    return layer
