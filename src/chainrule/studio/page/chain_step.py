"""One stop of the walk: formula, arrays, local derivative, and the lines that did it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.layers import Graph
from chainrule.studio.edits import Place
from chainrule.studio.forks import Share
from chainrule.studio.formulas import documentation, formulas_of, remark, summary_line
from chainrule.studio.layout import arrange
from chainrule.studio.page import widgets as w
from chainrule.studio.page.chain_arrays import Shown, arrays_of, number
from chainrule.studio.page.chain_path import shape_words
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.tab import Tab
from chainrule.studio.source import helpers, source, working
from chainrule.studio.trace import LOSS, Step, Trace
from chainrule.studio.walk import FORWARD, Stop, name_of

__all__ = ["StepView", "of_the_mean"]

SIDE, WIDE, CELL = 192, 320, 24  # pixels: of a picture, of a flat one, of a cell at most
LINES = 14  # of a docstring
FORK = r"\bar v_j = \sum_{i \text{ takes } j} \bar v_i \frac{\partial v_i}{\partial v_j}"
LONG = 40  # signs of a formula that must be set smaller
MARKUP = re.compile(r"\\(frac|bar|hat|partial|cdot|sum|operatorname)\b|[{}\\,^_ ]")


class StepView:
    """Shows one stop; it is built anew only where the stop or the shapes are others."""

    def __init__(
        self,
        tab: Tab,
        pick: Callable[[Place], Any],
        choose_output: Callable[[tuple[int, ...]], Any],
        all_code: bool,
        on_code: Callable[[bool], Any],
    ) -> None:
        self.all_code, self.on_code = all_code, on_code
        self.tab, self.pick, self.choose_output = tab, pick, choose_output
        self.shown: Any = None
        self.pictures: list[tuple[HeatMap, Any, w.Text, w.Text]] = []
        self.link: w.Text | None = None
        self.box = w.block("step")

    def code_below(self) -> None:
        """Make the place where the lines of source stand."""
        self.code = w.block("step-source", "section").props('aria-label="Source"')

    def show(
        self, after: Trace, before: Trace, stop: Stop, image: tuple[int, int] | None,
        place: Place | None, output: tuple[int, ...] | None, look: str, build: int, net: str,
    ) -> None:  # fmt: skip
        """Show a stop, with the place and the output that are chosen; ``net`` is an address."""
        step, way = after.step(stop.path), stop.way
        arrays = arrays_of(after, before, stop, output)
        shapes = tuple((each.name, each.array.shape, each.place) for each in arrays)
        now = (build, step.path, way, shapes, remark(step.thing))
        if now != self.shown:
            self.shown = now
            self._build(step, way, arrays, image)
        if self.link is not None:
            self.link.props["href"] = net
        for (picture, places, caption, more), each in zip(self.pictures, arrays, strict=True):
            array = {"after": each.array, "before": each.before}.get(look)
            if array is None:
                array = each.array - each.before
            picture.show(array, places)
            caption.show(self._caption(each))
            more.show(each.words)
            chosen = each.chosen
            if place is not None and each.place == place[0]:
                chosen = place[1]
            mark = None
            if chosen is not None and _inside(chosen, array.shape):
                flat = int(np.ravel_multi_index(chosen, array.shape)) if chosen else 0
                seats = np.argwhere(places == flat)
                mark = seats[0].tolist() if len(seats) else None
            if picture.props.get("mark") != mark:
                picture.props["mark"] = mark

    def _caption(self, each: Shown) -> str:
        words = shape_words(each.array)
        if each.array is not each.before:
            moved = np.abs(each.array.astype(float) - each.before.astype(float))
            most = float(np.max(np.nan_to_num(moved), initial=0.0))
            if most > 0:
                words += f" · changed by up to {number(most)}"
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
                heading.show(name_of(Stop(step.path, way)).capitalize())
                w.text(step.name, "code", "step-name")
                self._words(step, forward)
                self.link = None
                if not step.container and not step.taken:
                    self.link = w.link("See it in The net", "/net", "step-link")
            with w.block("step-right", "section").props('aria-label="Arrays"'):
                for row in sorted({each.row for each in arrays}):
                    if row:
                        w.heading("Kept for the way back" if forward else "For its parameters",
                                  3, "step-more")  # fmt: skip
                    with w.block("step-arrays"):
                        for each in arrays:
                            if each.row == row:
                                self._picture(each, image)
                if not forward and step.grad_input is None:
                    w.text(
                        "What came in are indices. Between two tokens there is nothing, so they "
                        "have no derivative: the way back ends here.", classes="step-end",
                    )  # fmt: skip
        self.code.clear()
        with self.code:
            self._source(step, way)

    def _words(self, step: Step, forward: bool) -> None:
        kind: Any = type(step.thing)
        found = formulas_of(step.thing)
        lines = found.forward if forward else found.backward
        if lines:
            w.text(summary_line(kind), classes="aside")
            if not forward and step.path != LOSS:
                w.text("With g, the gradient that arrives:", classes="aside")
            for line in lines:
                w.maths(line, "maths-long" if len(MARKUP.sub("", line)) > LONG else "")
        else:
            words = documentation(kind).split("\n")
            if len(words) > LINES:
                words = [*words[:LINES], "…"]
            if any(words):
                w.text("\n".join(words), classes="step-docs")
            lack = "Its docstring has no formula for this way" if any(words) else "No docstring"
            w.text(f"{lack}: the lines below say what it does.", classes="aside")
        shared = () if forward else _shared(step)
        if shared:
            value, nodes = shared[0].value, [share.node for share in shared]
            w.text(
                f"{value} is taken by {', '.join(nodes[:-1])} and {nodes[-1]}. A change of it "
                "reaches the loss by each of these ways, and what it does there adds up: its "
                "gradient is the sum of theirs.",
                classes="step-remark step-fork",
            )  # fmt: skip
            w.maths(FORK)
        if step.path == LOSS and (said := of_the_mean(step, forward)):
            w.text(said, classes="step-remark")
        if said := remark(step.thing):
            w.text(said, classes="step-remark")

    def _picture(self, each: Shown, image: tuple[int, int] | None) -> None:
        image = image if each.image else None
        places = arrange(each.array.shape, image, kernels=each.kernels, planes=each.planes)

        def picked(row: int, column: int, value: float) -> Any:
            inside = 0 <= row < places.shape[0] and 0 <= column < places.shape[1]
            if not inside or places[row, column] < 0:
                return None
            flat = int(places[row, column])
            index = tuple(int(i) for i in np.unravel_index(flat, each.array.shape))
            return self.choose_output(index) if each.output else self.pick((each.place, index))

        with w.block("step-term"), w.block("step-array"):
            if each.sign:
                w.text(each.sign, "span", "step-sign")
            w.heading(each.name, 3)
            caption = w.text(self._caption(each), classes="aside step-shape")
            picture = HeatMap(
                each.array, each.name,
                scale="ink" if image and each.place and not each.gradient else "diverging",
                cell=_cell(*places.shape), save=True,
                on_pick=picked if each.place or each.output else None,
            )  # fmt: skip
            if each.place or each.output:
                picture.classes("heat-pick")
            picture.show(each.array, places)
            more = w.text(each.words, classes="aside step-more-words")
        self.pictures.append((picture, places, caption, more))

    def _toggled(self, event: Any) -> None:
        if bool(event.args) != self.all_code:
            self.all_code = bool(event.args)
            self.on_code(self.all_code)

    def _source(self, step: Step, way: str) -> None:
        shown = source(step.thing, way)
        if shown is None:
            w.text("The source of this layer is not to be had.", classes="aside")
            return
        w.SourceLines(shown, working(shown))
        more = [(name, source(step.thing, name)) for name in helpers(step.thing, way)]
        adding = source(Graph, "_sum") if way != FORWARD and _shared(step) else None
        if adding is not None:  # the graph adds up what comes back to one value
            w.SourceLines(adding, working(adding))
            more = [(name, lines) for name, lines in more if lines != adding]
        for name, lines in more:
            if lines is not None and not name.startswith("_"):
                w.SourceLines(lines, working(lines))
        hidden = [(name, lines) for name, lines in more if lines is not None and name[0] == "_"]
        if hidden:
            box = w.block("step-helpers", "details")
            box.props["open"] = self.all_code
            box.on("toggle", self._toggled, js_handler="event => emit(event.target.open)")
            with box:
                names = ", ".join(name for name, _ in hidden)
                w.text(f"What it calls besides: {names}", "summary")
                for _, lines in hidden:
                    w.SourceLines(lines, working(lines))


def _shared(step: Step) -> tuple[Share, ...]:
    """Return what comes back to one value from several, if that is so at a step."""
    return step.arriving or step.leaving


def of_the_mean(step: Step, forward: bool) -> str:
    """Return over what the loss is a mean, and what that does to its derivatives."""
    share = getattr(step.thing, "share", None)
    if isinstance(share, np.ndarray):
        way = "" if forward else ": each derivative is multiplied by its part of the weights"
        return f"L is a weighted mean{way}."
    if not isinstance(share, float) or share >= 1:
        return ""
    samples, points = len(step.input), round(1 / share)
    outputs = points // samples
    over = [f"{samples} samples"] if samples > 1 else []
    over += [f"{outputs} outputs"] if outputs > 1 else []
    way = "" if forward else f": each derivative is divided by {points:,}"
    return f"L is the mean over {' and '.join(over)}{way}."


def _cell(rows: int, columns: int) -> int:
    """Return the side of a cell in pixels; flat pictures may be wider than others."""
    return max(1, min(CELL, SIDE // max(rows, columns)), min(4, SIDE // rows, WIDE // columns))


def _inside(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(index) == len(shape) and all(i < n for i, n in zip(index, shape, strict=True))
