"""Which arrays a stop of the walk shows, and the signs between them: the arithmetic as a row."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Add, Embedding, Linear, MultiHeadAttention, Residual
from chainrule.layers.joins import Concatenated, MatrixProduct, Product, Sum
from chainrule.studio.anatomy import Lane, Node, lanes, nodes
from chainrule.studio.forks import Share
from chainrule.studio.trace import LOSS, Step, Trace
from chainrule.studio.walk import FORWARD, Stop

__all__ = ["Shown", "arrays_of", "number"]

INPUT = "x"
MOST_KEPT = 4  # arrays of those that forward keeps
JOIN_SIGNS: dict[type, str] = {Sum: "+", Product: "·", MatrixProduct: "@"}
ATTENTION = {
    "q": "Queries, a block for each head.", "k": "Keys.", "v": "Values.",
    "p": "What each step (a row) takes from which (a column): its attention.",
}  # fmt: skip


def number(value: float, *, sign: bool = False) -> str:
    """Return a number as the page shows it: five figures.

    Examples
    --------
    >>> number(-0.1234567), number(2.0, sign=True), number(float("nan"))
    ('−0.12346', '+2', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    value += 0.0  # a zero has no sign
    return f"{value:{'+' if sign else ''}.5g}".replace("-", "−").replace("inf", "∞")


@dataclass(frozen=True)
class Shown:
    """One array of a stop, and what a click on it chooses.

    Attributes
    ----------
    name : str
    array, before : array
        After the changes by hand, and before them.
    sign : str
        What stands before it: how it follows from those to the left.
    words : str
        What is to be said of it.
    place : str
        The name of what a click changes; empty if it is not to be changed.
    output : bool
        Whether a click chooses the output of the local derivative.
    chosen : tuple of int, optional
        The place that is marked.
    row : int
        1 if it stands below the others.
    """

    name: str
    array: Array
    before: Array
    sign: str = ""
    words: str = ""
    place: str = ""
    output: bool = False
    chosen: tuple[int, ...] | None = None
    kernels: bool = False
    planes: bool = False
    image: bool = False
    gradient: bool = False
    row: int = 0


def arrays_of(
    after: Trace, before: Trace, stop: Stop, output: tuple[int, ...] | None = None
) -> list[Shown]:
    """Return the arrays of a stop, in the order of its way.

    Parameters
    ----------
    after, before : Trace
        With the changes by hand, and without them.
    stop : Stop
    output : tuple of int, optional
        The place of the output whose derivatives are shown.
    """
    step, was = after.step(stop.path), before.step(stop.path)
    if stop.way == FORWARD:
        if stop.path == LOSS:
            return _loss_forward(after, step, was) + _kept(step, was)
        if step.taken:
            return _join_forward(step, was)
        return _forward(after, before, step, was) + _kept(step, was)
    if stop.path == LOSS:
        assert step.grad_input is not None  # every loss has one
        assert was.grad_input is not None
        return [
            Shown("∂L/∂L, the beginning", step.grad_output, was.grad_output, gradient=True),
            Shown("∂L/∂x, leaving", step.grad_input, was.grad_input, "→", gradient=True),
        ]
    return _backward(after, before, step, was, output)


def _forward(found: Trace, before: Trace, step: Step, was: Step) -> list[Shown]:
    here = step.input.shape == found.x.shape and np.array_equal(step.input, found.x, equal_nan=True)
    editable = here and found.x.dtype.kind == "f"
    tokens = isinstance(step.thing, Embedding)
    arrays = [
        Shown("x, in", step.input, was.input, place=INPUT if editable else "", image=here,
              words="Tokens: whole numbers." if tokens else "")
    ]  # fmt: skip
    linear = isinstance(step.thing, Linear)
    signs = {"weights": "×", "biases": "+"} if linear else {}
    arrays += [
        Shown(name.replace("_", " "), value, was.parameters[name], signs.get(name, ""),
              place=f"{step.path}.{name}", kernels=value.ndim == 4)
        for name, value in step.parameters.items()
    ]  # fmt: skip
    ways = _ways(found, step)
    between = "+" if isinstance(step.thing, (Residual, Add)) else ","
    for i, lane in enumerate(ways):
        (now, _), (then, _) = (_of_lane(t, step.path, lane) for t in (found, before))
        arrays.append(Shown(_led(_name(lane)), now, then, between if i else "→"))
    sign = "=" if linear or (ways and between == "+") else "→"
    return [*arrays, Shown("y, out", step.output, was.output, sign)]


def _join_forward(step: Step, was: Step) -> list[Shown]:
    sign = JOIN_SIGNS.get(type(step.thing), ",")
    arrays = [
        Shown(f"{now.name}, in", now.value, then.value, sign if i else "")
        for i, (now, then) in enumerate(zip(step.taken, was.taken, strict=True))
    ]
    name = step.name.partition(" ")[0]
    return [*arrays, Shown(f"{name}, out", step.output, was.output, "→" if sign == "," else "=")]


def _join_backward(step: Step, was: Step) -> list[Shown]:
    names = [each.name for each in step.taken]
    return [
        Shown(f"∂L/∂{now.name}, by this way", now.back, then.back, "," if i else "→", gradient=True,
              words=_handed(type(step.thing), names, i))
        for i, (now, then) in enumerate(zip(step.taken, was.taken, strict=True))
    ]  # fmt: skip


def _handed(kind: type, names: list[str], i: int) -> str:
    """Return in words what a join hands back to the ``i``-th of its values."""
    if kind is Product:
        return f"g times the other factors: g · {' · '.join(names[:i] + names[i + 1 :])}."
    if kind is MatrixProduct:
        return f"{names[0]}ᵀ g." if i else f"g {names[1]}ᵀ."
    return "Its part of g." if kind is Concatenated else "g as it is: a sum hands it to each."


def _of_a_fork(now: tuple[Share, ...], then: tuple[Share, ...], first: str) -> list[Shown]:
    """Return what came back to one value from each that took it, to be added."""
    return [
        Shown(f"Back to {a.value} through {a.node}", a.back, b.back, "+" if i else first,
              gradient=True)
        for i, (a, b) in enumerate(zip(now, then, strict=True))
    ]  # fmt: skip


def _loss_forward(found: Trace, step: Step, was: Step) -> list[Shown]:
    y = np.asarray(found.y)
    return [
        Shown("x, in", step.input, was.input),
        Shown("targets", y, y, ","),
        Shown("loss of each sample", step.output, was.output, "→"),
    ]


def _kept(step: Step, was: Step) -> list[Shown]:
    """Return what forward kept for backward, but for what is shown anyway."""
    seen = [step.input, step.output, *step.parameters.values()]
    arrays: list[Shown] = []
    for name, value in step.kept.items():
        same = any(value.shape == s.shape and np.array_equal(value, s, equal_nan=value.dtype.kind
                                                              == "f") for s in seen)  # fmt: skip
        before = was.kept.get(name)
        fits = before is not None and before.shape == value.shape and value.dtype.kind in "fiub"
        if value.size > 1 and not same and fits and before is not None:
            planes = isinstance(step.thing, MultiHeadAttention)
            words = ATTENTION.get(name, "") if planes else ""
            arrays.append(Shown(f"self.{name}", value * 1.0, before * 1.0, words=words,
                                planes=planes, row=1))  # fmt: skip
    return arrays[:MOST_KEPT]


def _backward(
    found: Trace, before: Trace, step: Step, was: Step, output: tuple[int, ...] | None
) -> list[Shown]:
    ways = _ways(found, step)
    branching = bool(ways or step.taken or step.leaving)
    choosing = step.grad_input is not None and not step.elementwise and not branching
    g = Shown("g = ∂L/∂y, arriving", step.grad_output, was.grad_output, output=choosing,
              gradient=True)  # fmt: skip
    arrays = [g]
    fork: list[Shown] = []
    if step.arriving:
        fork = _of_a_fork(step.arriving, was.arriving, "")
        arrays = [replace(g, sign="=")]
    if step.taken:
        return [*fork, *arrays, *_join_backward(step, was)]
    sign = "="
    if step.leaving:
        arrays += _of_a_fork(step.leaving, was.leaving, "→")
    elif ways:
        for i, lane in enumerate(ways):
            (_, now), (_, then) = (_of_lane(t, step.path, lane) for t in (found, before))
            arrays.append(Shown(f"Back {_name(lane)}", now, then, "+" if i else "→",
                                gradient=True))  # fmt: skip
    elif step.grad_input is not None and step.elementwise:
        arrays.append(Shown("∂y/∂x, place by place", step.local(), was.local(), "×"))
    elif step.grad_input is not None:
        local, output = _row_of_jacobian(step, was, output)
        arrays = [replace(arrays[0], chosen=output), local]
        sign = "Σ ="
    if step.grad_input is not None and was.grad_input is not None:
        first = step.path == found.steps[0].path
        editable = first and found.x.dtype.kind == "f"
        arrays.append(
            Shown("∂L/∂x, leaving", step.grad_input, was.grad_input, sign, gradient=True,
                  place=INPUT if editable else "", image=first)
        )  # fmt: skip
    return fork + arrays + [
        Shown(f"∂L/∂{name.replace('_', ' ')}", grad, was.gradients[name], gradient=True,
              place=f"{step.path}.{name}", kernels=grad.ndim == 4, row=1)
        for name, grad in step.gradients.items()
    ]  # fmt: skip


def _row_of_jacobian(
    step: Step, was: Step, output: tuple[int, ...] | None
) -> tuple[Shown, tuple[int, ...]]:
    """Return the local derivative of one output by each input: of the one that g weighs most."""
    fits = output is not None and len(output) == step.output.ndim
    if output is None or not (
        fits and all(i < n for i, n in zip(output, step.output.shape, strict=True))
    ):
        strongest = int(np.argmax(np.abs(np.nan_to_num(step.grad_output))))
        output = tuple(int(i) for i in np.unravel_index(strongest, step.grad_output.shape))
    weight = number(float(step.grad_output[output]))
    count = step.output.size
    name = f"∂y{list(output)}/∂x, local"
    words = f"Times g{list(output)} = {weight} it is one of the {count:,} terms of the sum."
    if count == 1:
        words = f"Times g{list(output)} = {weight}."
    return Shown(name, step.local(output), was.local(output), "×", words), output


def _ways(found: Trace, step: Step) -> tuple[Lane, ...]:
    """Return the branches of a layer that has some."""
    if not step.container:
        return ()
    waiting: list[Node] = list(nodes(found))
    while waiting:
        node = waiting.pop()
        if node.step.path == step.path:
            ways = lanes(node)
            return ways if len(ways) > 1 else ()
        waiting += node.inside
    return ()


def _of_lane(found: Trace, path: str, lane: Lane) -> tuple[Array, Array]:
    """Return what a branch gives, and what comes back through it."""
    if not lane.path:
        step = found.step(path)
        return step.input, step.grad_output
    inner = found.step(lane.path)
    back = inner.grad_input if inner.grad_input is not None else np.zeros_like(inner.input)
    return inner.output, back


def _name(lane: Lane) -> str:
    return lane.words.partition(",")[0]


def _led(words: str) -> str:
    return words[0].upper() + words[1:]
