"""The chain rule, step by step: a sample on its way through the net, and its gradient back."""

from __future__ import annotations

import contextlib

import numpy as np
from nicegui import ui

from chainrule.layer import Array
from chainrule.studio.edits import Edit, Place
from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.chain_step import StepView, number, shape_words
from chainrule.studio.page.chain_touch import Touch
from chainrule.studio.page.tab import Tab
from chainrule.studio.trace import LOSS, Trace
from chainrule.studio.walk import (
    BACKWARD,
    FORWARD,
    Stop,
    as_words,
    edits_as_words,
    read_edits,
    read_place,
    walk,
    with_edit,
)

__all__ = ["show"]

BATCH = "batch"
SPLITS = {"train": "a sample to learn from", "test": "a sample held out", BATCH: "a mini-batch"}
SHOWN = {"after": "after the changes", "before": "before them", "change": "the difference"}


def show(tab: Tab) -> None:
    """Build this part."""
    _ChainRule(tab)


class _ChainRule:
    """The part: where the walk is, and what was changed by hand."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.split, self.sample, self.at = "train", 0, Stop("", FORWARD)
        self.edits: tuple[Edit, ...] = ()
        self.place: Place | None = None
        self.output: tuple[int, ...] | None = None
        self.shown = "after"
        self.stops: tuple[Stop, ...] = ()
        self.names: tuple[str, ...] = ()
        self.build = 0
        words = self._read_address()
        w.heading("The chain rule, step by step", 1)
        w.text(
            "Walk a sample forward through the net to its loss, and the gradient back: each layer "
            "multiplies what arrives by its own derivative. Click a pixel or weight to change it.",
            classes="lead",
        )
        self._bar()
        self.path = w.block("walk", "nav").props('aria-label="The walk"')
        self.panel = w.block("step-panel")
        with self.panel:
            self.view = StepView(tab, self.pick, self.choose_output)
        self.touch = Touch(tab, self.change, self.take_back)
        tab.on_frame(self.show_frame)
        if words:
            ui.timer(0.1, lambda: tab.say(words), once=True)

    def _read_address(self) -> str:
        """Take the state from the address; return in words what is wrong with it."""
        query = self.tab.query
        try:
            self.split = query.get("split", "train")
            if self.split not in SPLITS:
                self.split = "train"
                raise ValueError(f"split must be one of {', '.join(SPLITS)}.")
            sample = query.get("sample", "0")
            if not (sample.isascii() and sample.isdigit() and len(sample) < 10):
                raise ValueError(f"sample must be a whole number, got {sample!r:.40}.")
            self.sample = int(sample)
            self.at = Stop(
                query.get("layer", ""), BACKWARD if query.get("way") == BACKWARD else FORWARD
            )
            self.edits = read_edits(query.get("edits", ""))
            self.place = read_place(query["place"]) if "place" in query else None
            self.output = read_place(f"y:{query['out']}")[1] if "out" in query else None
            self.shown = query["view"] if query.get("view") in SHOWN else "after"
        except ValueError as error:
            return str(error)
        return ""

    def _bar(self) -> None:
        with w.block("walk-bar", "section").props('aria-label="What walks"'):
            self.choice = w.Choice("Walk with", SPLITS, self.split, self.on_split)
            self.number = w.Number("Number", self.sample, self.on_sample, least=0, step="1")
            with w.block("buttons"):
                w.button("⇤", lambda: self.move(-(10**6)), title="To the beginning", keys="Home")
                w.button("← Back", lambda: self.move(-1), title="One step back", keys="ArrowLeft")
                w.button(
                    "Next →", lambda: self.move(1), title="The next step", keys="ArrowRight",
                    classes="primary",
                )  # fmt: skip
                w.button("To the loss", self.to_loss, title="To the loss", keys="L")
            self.look = w.Choice("Show", SHOWN, self.shown, self.on_shown)
        self.facts = w.text("", classes="facts walk-facts")
        self.facts.props["role"] = "status"

    # -- what is shown --------------------------------------------------------------------------

    async def show_frame(self, frame: Frame) -> None:
        """Show the walk through the net as it is now."""
        if frame.build != self.build and self.build:  # another net: its places are others
            self.edits, self.place, self.output = (), None, None
        self.build = frame.build
        before = await self.tab.compute(self._trace, ())
        if before is None:
            return
        after = before
        if self.edits:
            found = await self.tab.compute(self._trace, self.edits)
            if found is None:  # a change of an address that this net has no place for
                self.edits, self.place = (), None
            else:
                after = found
        self._show_path(after)
        self._show_facts(before, after)
        step, was = after.step(self.at.path), before.step(self.at.path)
        self.look.set_visibility(bool(self.edits))
        image = self.tab.session.data.image_shape
        self.view.show(
            after, step, was, self.at.way, image, self.place, self.output,
            self.shown if self.edits else "after", self.build,
        )  # fmt: skip
        split, index = ("train", -1) if self.split == BATCH else (self.split, self.sample)
        self.touch.show(before, after, self.place, self.edits, split, index)

    def _trace(self, edits: tuple[Edit, ...]) -> Trace:
        views = self.tab.views
        if self.split == BATCH:
            return views.batch(edits)
        return views.sample(self.split, self.sample, edits)

    def _show_path(self, found: Trace) -> None:
        stops = walk(found)
        names = tuple(found.step(stop.path).name for stop in stops)
        if (stops, names) != (self.stops, self.names):
            self.stops, self.names = stops, names
            self.links: list[w.Text] = []
            self.path.clear()
            with self.path:
                half = len(stops) // 2
                for way, part in ((FORWARD, stops[:half]), (BACKWARD, stops[half:][::-1])):
                    w.text("forward →" if way == FORWARD else "← backward", "span", "walk-way")
                    with w.block(f"walk-row walk-{way}", "ol"):
                        for stop in part:
                            with w.block("walk-stop", "li"):
                                self._stop(found, stop)
        if self.at not in stops:
            if self.at.path:
                self.tab.say(f"this net has no layer {self.at.path!r:.40}: here is the first.")
            self.at = stops[0]
        for link, stop in zip(self.links, self._in_rows(), strict=True):
            here = stop == self.at
            if here != (link.props.get("aria-current") == "step"):
                link.props.set_optional("aria-current", "step" if here else None)

    def _in_rows(self) -> tuple[Stop, ...]:
        half = len(self.stops) // 2
        return (*self.stops[:half], *self.stops[half:][::-1])

    def _stop(self, found: Trace, stop: Stop) -> None:
        step = found.step(stop.path)
        link = w.link(type(step.thing).__name__, self._address(stop))
        array = step.output if stop.way == FORWARD else step.grad_input
        shape = "indices" if array is None else shape_words(array)
        link.props["title"] = f"{step.name}: {shape} {'out' if stop.way == FORWARD else 'back'}"
        link.props["aria-label"] = f"{stop.way}, {stop.path}, {step.name}"
        link.on("click", lambda _: self.go(stop), js_handler="event => { if (!event.ctrlKey && "
                "!event.metaKey && !event.shiftKey) { event.preventDefault(); "
                "event.stopPropagation(); emit(); } }")  # fmt: skip
        self.links.append(link)

    def _address(self, stop: Stop) -> str:
        return self.tab.link(
            self.tab.part, **{**self.tab.query, "layer": stop.path, "way": stop.way}
        )

    def _show_facts(self, before: Trace, after: Trace) -> None:
        data = self.tab.session.data
        words = f"{len(after.x)} samples" if self.split == BATCH else self._label(after.y)
        loss = f"loss {number(after.loss)}"
        if self.edits:
            loss = (
                f"loss {number(before.loss)} → {number(after.loss)} "
                f"({number(after.loss - before.loss, sign=True)}) by hand"
            )
        here = self.stops.index(self.at) + 1
        self.facts.show(f"Step {here} of {len(self.stops)} · {data.name}: {words} · {loss}")

    def _label(self, y: Array) -> str:
        data = self.tab.session.data
        with contextlib.suppress(IndexError, ValueError, TypeError):
            if data.regression:
                return f"target {number(float(np.ravel(y)[0]))}"
            place = int(np.ravel(y)[0]) if y.size == 1 else int(np.argmax(y))
            return f"sample {self.sample}, labelled {data.classes[place]}"
        return f"sample {self.sample}"

    # -- what is done ---------------------------------------------------------------------------

    def _remember(self) -> None:
        self.tab.remember(
            split=self.split, sample=None if self.split == BATCH else self.sample,
            layer=self.at.path, way=self.at.way, edits=edits_as_words(self.edits),
            place=None if self.place is None else as_words(self.place),
            out=None if self.output is None else ".".join(map(str, self.output)),
            view=None if self.shown == "after" else self.shown,
        )  # fmt: skip
        for link, stop in zip(self.links, self._in_rows(), strict=True):
            link.props["href"] = self._address(stop)
        self.tab.refresh()

    def go(self, stop: Stop) -> None:
        """Go to a stop."""
        if stop != self.at:
            self.at, self.output = stop, None
            self.tab.say("")
            self._remember()

    def move(self, by: int) -> None:
        """Go on, or back."""
        if self.stops:
            here = self.stops.index(self.at) + by
            self.go(self.stops[max(0, min(len(self.stops) - 1, here))])

    def to_loss(self) -> None:
        """Go to the loss, from which the way back begins."""
        self.go(Stop(LOSS, FORWARD))

    def on_split(self, split: str) -> None:
        """Walk with another kind of sample."""
        self.split, self.place, self.output = split, None, None
        self.edits = tuple(e for e in self.edits if e.name != "x")
        self.sample = 0
        self.number.show(0)
        self.number.set_visibility(split != BATCH)
        self._remember()

    def on_sample(self, value: float) -> None:
        """Walk with another sample; what was changed of the old one's pixels is given up."""
        split = "train" if self.split == BATCH else self.split
        count = len(self.tab.session.data.part(split)[1])
        if not (value >= 0 and value == int(value) and value < count):
            self.tab.say(f"the number must be a whole number from 0 to {count - 1}.")
            self.number.show(self.sample)
            return
        self.tab.say("")
        self.sample = int(value)
        self.edits = tuple(e for e in self.edits if e.name != "x")
        self.number.show(self.sample)
        self._remember()

    def on_shown(self, shown: str) -> None:
        """Show the arrays before, after, or what became of them."""
        self.shown = shown
        self._remember()

    def pick(self, place: Place) -> None:
        """Choose a number to change."""
        self.place = place
        self._remember()

    def choose_output(self, output: tuple[int, ...]) -> None:
        """Choose the output whose derivatives are shown."""
        self.output = output
        self._remember()

    def change(self, value: float) -> None:
        """Change the chosen number by hand."""
        if self.place is None:
            return
        try:
            if not np.isfinite(value):
                raise ValueError("a number is needed, as 0.5 or -1e-3.")
            self.edits = with_edit(self.edits, Edit(*self.place, value))
            self.tab.say("")
        except ValueError as error:
            self.tab.say(str(error))
        self._remember()

    def take_back(self, place: Place | None) -> None:
        """Take back a change; None takes back all."""
        self.edits = tuple(
            e for e in self.edits if place is not None and (e.name, e.index) != place
        )
        self._remember()
