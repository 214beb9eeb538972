"""One mini-batch on its way forward and back, each array kept: what the chain rule did.

The net itself computes; here is only written down what each layer was given and what it gave.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.layer import Array, Function, Layer
from chainrule.layers import Graph
from chainrule.layers.joins import Join
from chainrule.model import Model
from chainrule.studio.contract import checked
from chainrule.studio.edits import Edit, Undone, edited
from chainrule.studio.forks import Share, Taken, joined_words, shares
from chainrule.studio.formulas import ELEMENTWISE
from chainrule.training.standin import StandIn

__all__ = ["LOSS", "Step", "Trace", "trace"]

LOSS = "loss"  # the path of the loss


@dataclass(frozen=True)
class Step:
    """What one layer, or the loss, was given and gave, on both ways.

    Attributes
    ----------
    path : str
        Its place in the net, as ``"2.inner.0"``; ``"loss"`` for the loss.
    name : str
        The constructor call that builds it.
    thing : Layer or Loss
        A copy as it was after its ``backward``, with what its ``forward`` kept.
    depth : int
        How many containers it is inside.
    input, output : array
        Of ``forward``. Of the loss: the net's output, and one loss a sample.
    kept : dict of str to array
        What ``forward`` kept for ``backward``.
    grad_output, grad_input : array
        d(loss)/d(output) and d(loss)/d(input). Of the loss the first is 1: the loss by itself. The
        second is None where the input is indices.
    parameters, gradients : dict of str to array
        By the parameters' names, as ``"weights"``.
    taken : tuple of Taken
        Of a join in a graph: all that it takes; ``input`` and ``grad_input`` are of the first.
    arriving, leaving : tuple of Share
        Where several take its output, in a graph: what came back from each, ``grad_output`` in
        all; and of a graph whose input several take, ``grad_input`` in all.
    """

    path: str
    name: str
    thing: Function = field(repr=False)
    depth: int
    container: bool
    input: Array = field(repr=False)
    output: Array = field(repr=False)
    kept: dict[str, Array] = field(repr=False)
    grad_output: Array = field(repr=False)
    grad_input: Array | None = field(repr=False)
    parameters: dict[str, Array] = field(repr=False)
    gradients: dict[str, Array] = field(repr=False)
    taken: tuple[Taken, ...] = ()
    arriving: tuple[Share, ...] = ()
    leaving: tuple[Share, ...] = ()

    @property
    def elementwise(self) -> bool:
        """Whether each output depends on the input at its own place alone."""
        return isinstance(self.thing, ELEMENTWISE)

    def local(self, output: tuple[int, ...] | None = None) -> Array:
        """Return the local derivative, in the shape of the input.

        Parameters
        ----------
        output : tuple of int, optional
            The place of an output: its derivative by each input. None, for layers that work place
            by place: the derivative of each output by its own input.

        Raises
        ------
        ValueError
            If a place is needed and not given, or there is no such place.
        """
        grad = np.zeros_like(self.output)
        if output is None:
            if not self.elementwise:
                raise ValueError(f"{self.name}: say of which output, at a place in {grad.shape}.")
            grad[...] = 1
        else:
            inside = len(output) == grad.ndim and all(
                0 <= i < n for i, n in zip(output, grad.shape, strict=True)
            )
            if not inside:
                raise ValueError(f"{self.name}: the output has shape {grad.shape}: no {output}.")
            grad[output] = 1
        if self.path == LOSS:
            raise ValueError("the loss's local derivative is its grad_input.")
        thing = _with_kept(self.thing)
        return np.array(thing.backward(grad))  # type: ignore[attr-defined]  # a Layer has it


@dataclass(frozen=True)
class Trace:
    """A mini-batch on its way through a net and back.

    Attributes
    ----------
    x, y : array
        Inputs and targets.
    losses : array, shape (samples,)
    loss : float
        Their mean: the scalar that the gradients are of.
    outputs : array
    steps : tuple of Step
        In the order in which ``forward`` was called, containers before what is in them; the loss
        last. The way back goes through them from the end.
    """

    x: Array = field(repr=False)
    y: Array = field(repr=False)
    losses: Array
    loss: float
    outputs: Array = field(repr=False)
    steps: tuple[Step, ...]

    def step(self, path: str) -> Step:
        """Return the step of a path.

        Raises
        ------
        ValueError
            If there is none.
        """
        for step in self.steps:
            if step.path == path:
                return step
        raise ValueError(f"there is no layer {path!r:.40}.")

    @property
    def leaves(self) -> tuple[Step, ...]:
        """The layers that are no containers, and the loss: what computes."""
        return tuple(step for step in self.steps if not step.container and not step.taken)


def trace(
    model: Model,
    x: Array,
    y: Array,
    edits: tuple[Edit, ...] = (),
    *,
    batch_statistics: bool = False,
    dropping: bool = False,
) -> Trace:
    """Send a mini-batch forward and back, and write down every array.

    Parameters, gradients and running statistics are afterwards as they were.

    Parameters
    ----------
    model : Model
        A twin of one's own: no other thread may use it meanwhile.
    x, y : array
        Inputs and targets.
    edits : tuple of Edit
        What is changed by hand before.
    batch_statistics : bool
        Whether BatchNorm uses the mean and deviation of this mini-batch, as in training, or its
        running ones, as it must for a single sample.
    dropping : bool
        Whether Dropout drops: always the same numbers, so that a trace can be compared with others.

    Raises
    ------
    ValueError
        If the shapes do not fit, or an edit names no place; if a layer of one's own gives what no
        other can take (BrokenContractError).

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, ReLU
    >>> net = Model([Linear(2, 3), ReLU(), Linear(3, 1)], MeanSquaredError())
    >>> found = trace(net, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32))
    >>> [step.name for step in found.steps]
    ['Linear(2, 3)', 'ReLU()', 'Linear(3, 1)', 'MeanSquaredError()']
    >>> found.step("2").gradients["weights"].shape
    (3, 1)
    """
    with Undone(model, batch_statistics, dropping):
        x = edited(model, np.array(x), edits)
        notes = _Notes(model)
        try:
            losses = model.loss(x, y)
            model._net.backward(model.cost.backward())
            steps = notes.steps()
        finally:
            notes.leave()
        loss = model.cost.mean()
    return Trace(x, np.array(y), losses, loss, np.array(steps[-1].input), steps)


class _Notes:
    """Writes down what each layer of a model is given and gives."""

    def __init__(self, model: Model) -> None:
        self.cost = model.cost
        self.found: dict[int, dict[str, Any]] = {}
        self.order: list[tuple[str, Function, int]] = []
        self.guests: list[StandIn] = []
        self.graphs: dict[str, Graph] = {}
        for i, outer in enumerate(model.layers):
            for path, layer in outer.named_layers(str(i)):
                self.order.append((path, layer, path.count(".")))
                if isinstance(layer, Graph):
                    self.graphs[path] = layer
        self.order.append((LOSS, model.cost, 0))
        for path, thing, _ in self.order:
            for way in ("forward", "backward"):
                self.guests.append(StandIn(thing, way, self._around(thing, path, way)))
        for path, graph in self.graphs.items():
            for i, join in enumerate(graph.joins, start=1):
                if join is not None:
                    self.order.append((f"{path}.{i}", join, path.count(".") + 1))
                    for way in ("forward", "backward"):
                        self.guests.append(StandIn(join, way, self._around_join(join, way)))

    def leave(self) -> None:
        """Look no more."""
        while self.guests:
            self.guests.pop().leave()

    def steps(self) -> tuple[Step, ...]:
        """Return what was written down, in the order of the way forward."""
        reached = [row for row in self.order if {"forward", "backward"} <= set(self._of(row[1]))]
        reached.sort(key=lambda row: int(self._of(row[1])["turn"]))
        self.arriving, self.leaving = shares(self.found, self.graphs)
        return tuple(
            self._join(path, thing, depth)
            if isinstance(thing, Join)
            else self._step(path, thing, depth)
            for path, thing, depth in reached
        )

    def _of(self, thing: Function) -> dict[str, Any]:
        return self.found.setdefault(id(thing), {})

    def _around(
        self, thing: Function, path: str, way: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*arguments: Any, **options: Any) -> Any:
                notes = self._of(thing)
                if way == "forward":
                    notes["turn"] = len(self.found)
                given = np.array(arguments[0]) if arguments else None
                result = original(*arguments, **options)
                checked(thing, path, way, notes.get("forward", (given,))[0], result)
                notes[way] = (given, np.array(result))
                if way == "backward":  # now, before its buffers serve another layer
                    notes["kept"] = _kept(thing)
                    notes["copy"] = _copy_with_kept(thing)
                return result

            return noted

        return around

    def _around_join(
        self, join: Join, way: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*arguments: Any) -> Any:
                notes = self._of(join)
                notes.setdefault("turn", len(self.found))
                result = original(*arguments)
                if way == "forward":
                    notes[way] = ([np.array(value) for value in arguments[0]], np.array(result))
                else:
                    notes[way] = (np.array(arguments[0]), [np.array(back) for back in result])
                return result

            return noted

        return around

    def _join(self, path: str, join: Join, depth: int) -> Step:
        values, y = self._of(join)["forward"]
        grad, backs = self._of(join)["backward"]
        above, _, number = path.rpartition(".")
        what, inputs, *_ = self.graphs[above].nodes[int(number) - 1]
        return Step(
            path=path, name=f"v{number} = {joined_words(what, inputs)}",
            thing=_copy_with_kept(join), depth=depth, container=False,
            input=values[0], output=y, kept={}, grad_output=grad, grad_input=backs[0],
            parameters={}, gradients={},
            taken=tuple(
                Taken(f"v{j}", value, back)
                for j, value, back in zip(inputs, values, backs, strict=True)
            ),
            arriving=self.arriving.get(id(join), ()),
        )  # fmt: skip

    def _step(self, path: str, thing: Function, depth: int) -> Step:
        notes = self._of(thing)
        x, y = notes["forward"]
        grad, grad_x = notes["backward"]
        own = thing.parameter_shapes() if isinstance(thing, Layer) else {}
        names: Mapping[str, str] = thing.parameters if isinstance(thing, Layer) else {}
        return Step(
            path=path,
            name=repr(thing),
            thing=notes["copy"],
            depth=depth,
            container=isinstance(thing, Layer) and bool(thing.children()),
            input=x,
            output=y,
            kept=notes["kept"],
            grad_output=np.ones(()) if grad is None else grad,
            grad_input=None if path != LOSS and _are_indices(thing, x) else grad_x,
            parameters={name: np.array(getattr(thing, name)) for name in own},
            gradients={name: np.array(getattr(thing, names[name])) for name in own},
            arriving=self.arriving.get(id(thing), ()),
            leaving=self.leaving.get(id(thing), ()),
        )


def _are_indices(thing: Function, x: Array) -> bool:
    """Whether what a layer is given are indices, which have no derivative."""
    return x.dtype.kind != "f" or (
        isinstance(thing, Layer) and thing.takes_integers and bool((x == np.floor(x)).all())
    )


def _kept(thing: Function) -> dict[str, Array]:
    found = {}
    for name in thing._kept_names:
        value = thing.__dict__.get(name)
        if isinstance(value, np.ndarray):
            found[name] = value.copy()
        elif isinstance(value, (float, int)) and not isinstance(value, bool):
            found[name] = np.array(value)
    return found


def _copy_with_kept(thing: Function) -> Function:
    """Return a copy that can go back once more: copies leave out what a forward kept."""
    twin = copy.deepcopy(thing)
    for mine, other in zip(thing.walk(), twin.walk(), strict=True):
        for name in mine._kept_names:
            if name in mine.__dict__:
                other.__dict__[name] = copy.deepcopy(mine.__dict__[name])
    return twin


def _with_kept(thing: Function) -> Function:
    return _copy_with_kept(thing)
