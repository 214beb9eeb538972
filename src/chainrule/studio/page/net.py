"""The net: its layers from left to right, what they have learned, and what is wrong in them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Add, Conv2d, Linear, Residual
from chainrule.studio import anatomy
from chainrule.studio.anatomy import Node
from chainrule.studio.data import Data
from chainrule.studio.frame import RUNNING, Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.bars import Bars
from chainrule.studio.page.numbers import number, whole
from chainrule.studio.page.sheet import Sheet
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import answer
from chainrule.studio.survey import ENOUGH, Figures
from chainrule.studio.trace import LOSS, Step, Trace

__all__ = ["show"]

SPLITS = {"train": "to learn from", "test": "held out"}
CELLS_OF_A_CARD = 1024  # numbers of a heat map in a card: 5 kB a layer and frame
BETWEEN = 0.3  # seconds between two pictures of a training that runs
SHEET, FOOT = 132, 28  # pixels: the highest picture in a card, and the words below it
PAUSE = 1.0  # seconds between two looks at many samples while it trains


def show(tab: Tab) -> None:
    """Build this part."""
    _Net(tab)


@dataclass
class _Card:
    """What changes in the card of a layer."""

    choose: w.Text
    sheet: Sheet
    outputs: Bars
    gradients: Bars
    size: w.Text
    warning: w.Text


class _Net:
    """The part: cards of all layers, and more of the one that is chosen."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        query = tab.query
        self.split = query.get("split", "train") if query.get("split") in SPLITS else "train"
        self.index = whole(query.get("sample", ""))
        self.layer = query.get("layer", "")
        self.drawn: tuple[Any, ...] = ()  # the net whose cards are shown
        self.detailed: tuple[Any, ...] = ()  # the layer that is shown in full
        self.cards: dict[str, _Card] = {}
        self.links: list[tuple[w.Text, str]] = []
        self.figures: Figures | None = None
        self.looked, self.looked_at, self.shown = 0.0, -1, 0.0
        self.fill: list[Callable[[Trace, Figures | None], None]] = []
        w.heading("The net", 1)
        w.text(
            "A sample goes through the layers from left to right. Blue is below zero, orange "
            "above. Choose a layer to see what it has learned.",
            classes="lead",
        )
        self._sample_row()
        self.words = w.block("net-findings", "section").props('aria-label="What is wrong"')
        self.said: Any = None
        self.flow = w.block("net-flow").props(
            'role="region" tabindex="0" data-keys aria-label="Layers from left to right"'
        )
        w.saving("the net", self.flow)
        self.detail = w.block("net-detail", "section").props('aria-label="The chosen layer"')
        tab.on_frame(self.show_frame)

    def _sample_row(self) -> None:
        with w.block("net-sample", "section").props('aria-label="Sample"'):
            self.picture = Sheet("sample", scale="ink", side=84, save=True)
            self.splits = w.Choice("Samples", SPLITS, self.split, self.on_split)
            self.number = w.Number("Sample", self.index, self.on_index, least=0, step="1")
            with w.block("buttons"):
                w.button("←", lambda: self.go(self.index - 1), title="The sample before")
                w.button("→", lambda: self.go(self.index + 1), title="The next sample")
            self.facts = w.text("", classes="facts")

    # -- what changes ---------------------------------------------------------------------------

    async def show_frame(self, frame: Frame) -> None:
        """Show the net as it is now: the sample at once, what many do when it is known."""
        now = time.monotonic()
        if frame.state == RUNNING and frame.build == self.looked_at and now < self.shown + BETWEEN:
            return  # the next frame will do
        self.shown = now
        data = self.tab.session.data
        last = len(data.part(self.split)[1]) - 1
        if self.index > last:
            self.tab.say(f"{data.name} has the samples 0 to {last:,} here: this is the last one.")
            self.index = last
            self.number.show(last)
        found: Trace | None = await self.tab.compute(self.tab.views.sample, self.split, self.index)
        if found is None:
            self.facts.show("Nothing can be shown of this net: the words above say why.")
            return
        if frame.build != self.looked_at:
            self.figures = None
        self._draw(found, frame)
        self._show_sample(found, data)
        self._show_all(found, data)
        if self.figures is None or frame.state != RUNNING or time.monotonic() > self.looked + PAUSE:
            figures = await self.tab.compute(self.tab.views.figures)
            if figures is None:
                return
            self.figures, self.looked, self.looked_at = figures, time.monotonic(), frame.build
            if {step.path for step in found.leaves} != set(figures.outputs):
                self.figures = None  # another net was built between the two
                self.tab.refresh()
                return
            self._show_words(figures)
            self._show_all(found, data)

    def _show_all(self, found: Trace, data: Data) -> None:
        for step in found.leaves:
            self._show_card(step, self.figures)
        self._show_detail(found, data)

    def _show_sample(self, found: Trace, data: Data) -> None:
        raw, _, labels = data.part(self.split)
        if self.index >= len(raw):
            return
        sample = np.asarray(raw[self.index])
        is_number = sample.dtype.kind in "fiub"
        self.picture.set_visibility(is_number)
        if is_number:
            self.picture.props["scale"] = "diverging" if data.image_shape is None else "ink"
            self.picture.show(anatomy.pictures(sample), sample.shape)
        truth = labels[self.index]
        if data.regression:
            values = data.held.preparation.values
            words = f"True value {number(float(np.ravel(values(np.reshape(truth, 1)))[0]), 'NaN')}"
            if found.outputs.size == 1:
                words += f", the net says {number(float(values(found.outputs).item()), 'NaN')}"
        else:
            words = f"Label {data.classes[int(truth)]}"
            said = answer(self.tab.session.training.blueprint.cost, found.outputs, data.classes)
            if said is not None:
                words += f", the net says {said}"
        self.facts.show(f"{words}. Loss {number(found.loss, 'NaN')}.")

    def _show_words(self, figures: Figures) -> None:
        words = tuple(figures.words)
        if (words, figures.samples) == self.said:
            return
        self.said = (words, figures.samples)
        self.words.clear()
        with self.words:
            if not words:
                w.text(
                    f"Among {figures.samples:,} samples: no dead units, no vanishing and no "
                    "exploding gradients, no NaN.",
                    classes="facts",
                )
            for sentence in words:
                w.text(sentence, classes="net-finding")
            if words and figures.samples < ENOUGH:
                w.text(f"This rests on {figures.samples:,} samples.", classes="facts")

    def _draw(self, found: Trace, frame: Frame) -> None:
        """Draw the cards, if the net is another one."""
        shape = (frame.build, *(step.path for step in found.steps))
        if shape == self.drawn:
            return
        self.drawn, self.cards, self.links = shape, {}, []
        leaves = [step.path for step in found.leaves]
        if self.layer not in leaves:
            self.layer = anatomy.reads(found) or leaves[0]
        self.flow.clear()
        self.flow.style(f"--sheet: {_height(found)}px")
        with self.flow:
            self._row(anatomy.nodes(found))
        self.mark()

    def _row(self, nodes: tuple[Node, ...]) -> None:
        with w.block("net-row", "ol"):
            for node in nodes:
                with w.block("net-group" if node.inside else "net-card", "li"):
                    if node.inside:
                        self._group(node)
                    else:
                        self._card(node)

    def _group(self, node: Node) -> None:
        step = node.step
        with w.block("net-group-head"):
            w.text(type(step.thing).__name__, "span", "layer-code")
            w.text(_after(step, node.count), "span", "layer-shape")
            self._step_link("step by step", step.path)
        ways = anatomy.lanes(node)
        for lane in ways:
            with w.block("net-lane" if len(ways) > 1 else ""):
                if lane.words:
                    w.text(lane.words, classes="net-way")
                if lane.nodes:
                    self._row(lane.nodes)
        if len(ways) > 1:
            summed = isinstance(step.thing, (Residual, Add))
            w.text("their sum" if summed else "side by side", classes="net-joined")

    def _card(self, node: Node) -> None:
        step = node.step
        path, name = step.path, f"layer {step.path}" if step.path != LOSS else "the loss"
        last = path.rpartition(".")[2]
        role = [last] if not last.isdecimal() and "." in path else []
        if role or node.note:
            w.text(", ".join([*role, *([node.note] if node.note else [])]), "span", "net-role")
        choose = w.button(_short(step), lambda: self.choose(path), classes="net-choose")
        choose.props["title"] = step.name
        w.text(_after(step, node.count), "span", "layer-shape")
        sheet = Sheet(f"output of {name}")
        outputs = Bars("activations", f"activations of {name}", "first")
        gradients = Bars("gradients", f"gradients at {name}", "second")
        size = w.text("", "span", "net-size")
        warning = w.text("", "span", "net-warning")
        self._step_link("step by step", path)
        self.cards[path] = _Card(choose, sheet, outputs, gradients, size, warning)

    def _step_link(self, words: str, path: str) -> None:
        link = w.link(words, self._address(path), "net-step")
        link.props["aria-label"] = f"{words}: layer {path}"
        self.links.append((link, path))

    def _address(self, path: str) -> str:
        return self.tab.link("chain-rule", layer=path, split=self.split, sample=self.index)

    def _show_card(self, step: Step, figures: Figures | None) -> None:
        card = self.cards.get(step.path)
        if card is None:
            return
        output = step.output[0]
        card.sheet.show(anatomy.pictures(output, CELLS_OF_A_CARD), output.shape)
        if figures is None:
            return
        card.outputs.show(figures.outputs[step.path])
        card.gradients.show(figures.gradients[step.path])
        card.size.show(f"gradient about {figures.sizes[step.path]:.2g}")
        card.warning.show("⚠ see above" if step.path in figures.concerned else "")

    def mark(self) -> None:
        """Mark the layer that is chosen, and keep the links right."""
        for path, card in self.cards.items():
            card.choose.props["aria-pressed"] = "true" if path == self.layer else "false"
        for link, path in self.links:
            link.props["href"] = self._address(path)

    # -- the chosen layer -----------------------------------------------------------------------

    def _show_detail(self, found: Trace, data: Data) -> None:
        what = (self.drawn, self.layer)
        if what != self.detailed:
            self.detailed, self.fill = what, []
            self.links = [pair for pair in self.links if not pair[0].is_deleted]
            self.detail.clear()
            with self.detail:
                self._detail(found.step(self.layer), found, data)
            self.mark()
        for fill in self.fill:
            fill(found, self.figures)

    def _detail(self, step: Step, found: Trace, data: Data) -> None:
        path = step.path
        of = "the loss" if path == LOSS else f"layer {path}"
        w.heading("The loss" if path == LOSS else f"Layer {path}")
        w.text(step.name, "code", "layer-code")
        self._step_link("Its arithmetic, step by step", path)
        with w.block("net-columns"):
            with w.block("net-column"):
                sheet = Sheet(
                    f"what {of} gives", caption="What it gives for this sample",
                    side=240, save=True,
                )  # fmt: skip
                bars = Bars(
                    "Activations of many samples", f"all activations of {of}", "first", save=True
                )
                back = Bars("Gradients at them", f"all gradients at {of}", "second", save=True)

                def fill(found: Trace, figures: Figures | None) -> None:
                    output = found.step(path).output[0]
                    sheet.show(anatomy.pictures(output), output.shape)
                    if figures is not None:
                        bars.show(figures.outputs[path])
                        back.show(figures.gradients[path])

                self.fill.append(fill)
            image = data.image_shape if path == anatomy.reads(found) else None
            for name in step.parameters:
                self._parameter(step, name, image)
        if not step.parameters:
            w.text("It has nothing to learn.", classes="facts")

    def _parameter(self, step: Step, name: str, image: tuple[int, int] | None) -> None:
        path, array = step.path, step.parameters[name]
        kernels = isinstance(step.thing, Conv2d) and array.ndim == 4
        of_image = isinstance(step.thing, Linear) and image is not None and array.ndim == 2
        unit = "kernel" if kernels else "unit"
        words = name.replace("_", " ").capitalize()
        if kernels:
            words += ", a picture for each kernel"
            if array.shape[2] > 1:
                words += " (its first channel)"
        elif of_image:
            words += ", what each unit looks for"
        left = anatomy.weights(step, array, image).left
        with w.block("net-column"):
            values = Sheet(f"{name} of layer {path}", caption=words, unit=unit, side=300, save=True)
            if left:
                w.text(f"{left:,} more are not shown.", classes="facts")
            slopes = Sheet(
                f"gradient of {name} of layer {path}", caption="Their gradients for this sample",
                unit=unit, side=300, save=True,
            )  # fmt: skip
            bars = Bars(
                "Their gradients for many samples", f"gradients of {name} of layer {path}",
                "second", save=True,
            )  # fmt: skip

        def fill(found: Trace, figures: Figures | None) -> None:
            step = found.step(path)
            self._show_weights(values, step, step.parameters[name], image)
            self._show_weights(slopes, step, step.gradients[name], image)
            if figures is not None:
                bars.show(figures.parameters[path, name])

        self.fill.append(fill)

    @staticmethod
    def _show_weights(
        sheet: Sheet, step: Step, array: Array, image: tuple[int, int] | None
    ) -> None:
        sheet.show(anatomy.weights(step, array, image), array.shape)

    # -- what is done ---------------------------------------------------------------------------

    def choose(self, path: str) -> None:
        """Show more of a layer."""
        self.layer, self.shown = path, 0.0
        self.tab.visit(layer=path)
        self.mark()
        self.tab.refresh()

    def on_split(self, split: str) -> None:
        """Show a sample of the others."""
        self.split = split
        self.go(0)

    def on_index(self, value: float) -> None:
        """Show another sample."""
        if math.isfinite(value) and value == int(value):
            self.go(int(value))
        else:
            self.tab.say("A sample has a whole number, from 0 on.")
            self.number.show(self.index)

    def go(self, index: int) -> None:
        """Show another sample, the nearest that there is."""
        last = len(self.tab.session.data.part(self.split)[1]) - 1
        self.tab.say("" if 0 <= index <= last else f"The samples are 0 to {last:,}.")
        self.index, self.shown = max(0, min(index, last)), 0.0
        self.number.show(self.index)
        self.tab.visit(split=self.split, sample=self.index)
        self.mark()
        self.tab.refresh()


def _height(found: Trace) -> int:
    """Return how much of a card its picture takes, so that what is below stands in line."""
    rows = max(math.ceil(math.sqrt(step.output[0].size)) for step in found.leaves)
    flat = all(step.output.ndim < 3 for step in found.leaves)
    return FOOT + (min(SHEET, 16 * rows) if flat else SHEET)


def _short(step: Step) -> str:
    words = step.name.partition("(")[0]
    return words if len(step.name) > 22 else step.name


def _after(step: Step, count: int) -> str:
    shape = " × ".join(map(str, step.output.shape[1:])) or "a number"
    return f"→ {shape}" + (f" · {count:,} parameters" if count else "")
