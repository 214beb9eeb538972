"""One stop of the walk: formula, arrays, local derivative, and the lines that did it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.studio.edits import Place
from chainrule.studio.formulas import formulas, summary_line
from chainrule.studio.layout import arrange
from chainrule.studio.page import widgets as w
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.tab import Tab
from chainrule.studio.source import source, working
from chainrule.studio.trace import LOSS, Step, Trace
from chainrule.studio.walk import FORWARD

__all__ = ["StepView", "number", "shape_words"]

INPUT = "x"


def number(value: float, *, sign: bool = False) -> str:
    """Return a number as the page shows it: five figures.

    Examples
    --------
    >>> number(-0.1234567), number(2.0, sign=True)
    ('−0.12346', '+2')
    """
    return f"{value:{'+' if sign else ''}.5g}".replace("-", "−")


def shape_words(array: Array) -> str:
    """Return the shape of an array in words."""
    return " × ".join(map(str, array.shape)) or "one number"


@dataclass(frozen=True)
class Shown:
    """One array of a stop, and what a click on it chooses."""

    title: str
    array: Array
    before: Array
    place: str = ""  # the name of what a click changes
    output: bool = False  # whether a click chooses the output of the local derivative
    kernels: bool = False


class StepView:
    """Shows one stop; it is built anew only where the stop or the shapes are others."""

    def __init__(
        self,
        tab: Tab,
        pick: Callable[[Place], Any],
        choose_output: Callable[[tuple[int, ...]], Any],
    ) -> None:
        self.tab, self.pick, self.choose_output = tab, pick, choose_output
        self.shown: Any = None
        self.pictures: list[tuple[HeatMap, Array, w.Text]] = []
        self.box = w.block("step")

    def show(
        self, found: Trace, step: Step, was: Step, way: str, image: tuple[int, int] | None,
        place: Place | None, output: tuple[int, ...] | None, look: str, build: int,
    ) -> None:  # fmt: skip
        """Show a stop, with the place and the output that are chosen."""
        arrays = arrays_of(found, step, was, way, output)
        shapes = tuple((each.title, each.array.shape, each.place) for each in arrays)
        now = (build, step.path, way, shapes)
        if now != self.shown:
            self.shown = now
            self._build(step, way, arrays, image)
        for (picture, places, caption), each in zip(self.pictures, arrays, strict=True):
            array = {"after": each.array, "before": each.before}.get(look)
            if array is None:
                array = each.array - each.before
            picture.show(array, places)
            caption.show(self._caption(each))
            chosen = place[1] if place is not None and each.place == place[0] else None
            mark = None
            if chosen is not None and _inside(chosen, array.shape):
                flat = int(np.ravel_multi_index(chosen, array.shape)) if chosen else 0
                seats = np.argwhere(places == flat)
                mark = seats[0].tolist() if len(seats) else None
            if picture.props.get("mark") != mark:
                picture.props["mark"] = mark

    def _caption(self, each: Shown) -> str:
        words = shape_words(each.array)
        moved = np.abs(each.array.astype(float) - each.before.astype(float))
        if moved.size and np.nanmax(np.nan_to_num(moved)) > 0:
            words += f" · changed by up to {number(float(np.max(np.nan_to_num(moved))))}"
        return words

    def _build(
        self, step: Step, way: str, arrays: list[Shown], image: tuple[int, int] | None
    ) -> None:
        self.box.clear()
        self.pictures = []
        forward = way == FORWARD
        with self.box:
            with w.block("step-words", "section").props("aria-labelledby=step-heading"):
                heading = w.heading("", 2)
                heading.props["id"] = "step-heading"
                heading.show(f"{'Forward' if forward else 'Backward'} through {step.path}")
                w.text(step.name, "code", "step-name")
                w.text(summary_line(type(step.thing)), classes="aside")
                self._formulas(step, forward)
            with w.block("step-arrays", "section").props('aria-label="Arrays"'):
                for each in arrays:
                    self._picture(each, image)
            with w.block("step-source", "section").props('aria-label="Source"'):
                self._source(step, way)

    def _formulas(self, step: Step, forward: bool) -> None:
        kind: Any = type(step.thing)
        found = formulas(kind)
        lines = found.forward if forward else found.backward
        if not forward and step.path != LOSS:
            w.text("With g, the gradient that arrives:", classes="aside")
        for line in lines:
            w.maths(line)
        if not lines:
            w.text("The docstring of this layer has no formula for this way.", classes="aside")

    def _picture(self, each: Shown, image: tuple[int, int] | None) -> None:
        places = arrange(each.array.shape, image, kernels=each.kernels)
        pixels = each.place == INPUT

        def picked(row: int, column: int, value: float) -> Any:
            inside = 0 <= row < places.shape[0] and 0 <= column < places.shape[1]
            if not inside or places[row, column] < 0:
                return None
            flat = int(places[row, column])
            index = tuple(int(i) for i in np.unravel_index(flat, each.array.shape))
            return self.choose_output(index) if each.output else self.pick((each.place, index))

        with w.block("step-array"):
            w.heading(each.title, 3)
            caption = w.text(self._caption(each), classes="aside step-shape")
            picture = HeatMap(
                each.array, each.title,
                scale="ink" if pixels and image and each.array.ndim > 1 else "diverging",
                save=True, on_pick=picked if each.place or each.output else None,
            )  # fmt: skip
            if each.place or each.output:
                picture.classes("heat-pick")
            picture.show(each.array, places)
        self.pictures.append((picture, places, caption))

    def _source(self, step: Step, way: str) -> None:
        shown = source(step.thing, way)
        if shown is None:
            w.text("The source of this layer is not to be had.", classes="aside")
            return
        w.SourceLines(shown, working(shown))
        text = "\n".join(shown.lines)
        for helper in ("backward_parameters", "derivative"):
            if f"self.{helper}(" in text and (more := source(step.thing, helper)) is not None:
                w.SourceLines(more, working(more))


def arrays_of(
    found: Trace, step: Step, was: Step, way: str, output: tuple[int, ...] | None
) -> list[Shown]:
    """Return the arrays of a stop, in the order of its way."""
    if way == FORWARD:
        same = step.input.shape == found.x.shape and found.x.dtype.kind == "f"
        editable = same and np.array_equal(step.input, found.x, equal_nan=True)
        arrays = [Shown("x, in", step.input, was.input, INPUT if editable else "")]
        arrays += [
            Shown(name, value, was.parameters[name], f"{step.path}.{name}", kernels=value.ndim == 4)
            for name, value in step.parameters.items()
        ]
        if step.path == LOSS:
            arrays.append(Shown("targets", np.asarray(found.y), np.asarray(found.y)))
            arrays.append(Shown("loss of each sample", step.output, was.output))
        else:
            arrays.append(Shown("y, out", step.output, was.output))
        return arrays
    if step.path == LOSS:
        assert step.grad_input is not None  # every loss has one
        assert was.grad_input is not None
        return [
            Shown("∂L/∂x, leaving", step.grad_input, was.grad_input),
            Shown("x, that came in", step.input, was.input),
        ]
    choosing = step.grad_input is not None and not step.elementwise
    arrays = [Shown("g = ∂L/∂y, arriving", step.grad_output, was.grad_output, output=choosing)]
    if step.grad_input is not None:
        arrays += _local(step, was, output)
    arrays += [
        Shown(f"∂L/∂{name}", grad, was.gradients[name], f"{step.path}.{name}",
              kernels=grad.ndim == 4)
        for name, grad in step.gradients.items()
    ]  # fmt: skip
    if step.grad_input is not None and was.grad_input is not None:
        editable = step.path == found.steps[0].path and found.x.dtype.kind == "f"
        arrays.append(
            Shown("∂L/∂x, leaving", step.grad_input, was.grad_input, INPUT if editable else "")
        )
    return arrays


def _local(step: Step, was: Step, output: tuple[int, ...] | None) -> list[Shown]:
    """Return the local derivative: place by place, or of one output by each input."""
    if step.elementwise:
        return [Shown("∂y/∂x, place by place", step.local(), was.local())]
    if output is None or not _inside(output, step.output.shape):
        strongest = int(np.argmax(np.abs(np.nan_to_num(step.grad_output))))
        output = tuple(int(i) for i in np.unravel_index(strongest, step.grad_output.shape))
    name = f"∂y{list(output)}/∂x, local"
    return [Shown(name, step.local(output), was.local(output))]


def _inside(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(index) == len(shape) and all(i < n for i, n in zip(index, shape, strict=True))
