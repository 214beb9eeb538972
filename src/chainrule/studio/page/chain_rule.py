"""The chain rule, step by step: a sample on its way through the net, and its gradient back."""

from __future__ import annotations

import contextlib
import time

import numpy as np
from nicegui import ui

from chainrule.studio.edits import Edit, Place
from chainrule.studio.formulas import has_modes
from chainrule.studio.frame import RUNNING, Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.chain_arrays import number
from chainrule.studio.page.chain_path import GO, PathView
from chainrule.studio.page.chain_step import StepView
from chainrule.studio.page.chain_touch import Touch
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import answer
from chainrule.studio.trace import LOSS, Trace
from chainrule.studio.walk import (
    BACKWARD,
    FORWARD,
    Stop,
    as_words,
    edits_as_words,
    name_of,
    read_edits,
    read_place,
    spoilt,
    with_edit,
)

__all__ = ["show"]

BATCH = "batch"
SPLITS = {"train": "a sample to learn from", "test": "a sample held out", BATCH: "a mini-batch"}
SHOWN = {"after": "after the changes", "before": "before them", "change": "the difference"}
PREDICTING, TRAINING = "predict", "train"
BETWEEN = 0.3  # seconds between two pictures of a training that runs
MODES = {PREDICTING: "as in predicting", TRAINING: "as in training"}


def show(tab: Tab) -> None:
    """Build this part."""
    _ChainRule(tab)


class _ChainRule:
    """The part: where the walk is, and what was changed by hand."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.split, self.sample, self.at = "train", 0, Stop("", FORWARD)
        self.edits: tuple[Edit, ...] = ()
        self.sound: tuple[Edit, ...] = ()  # the last changes that the net took
        self.place: Place | None = None
        self.output: tuple[int, ...] | None = None
        self.shown, self.mode = "after", ""
        self.compared = self.tab.query.get("compare") == "yes"
        self.build = 0
        self.last_state: object = None
        self.last_shown = 0.0
        words = self._read_address()
        w.heading("The chain rule, step by step", 1)
        w.text(
            "Walk a sample forward through the net to its loss, and the gradient back: each layer "
            "multiplies what arrives by its own derivative. Click a pixel or a weight to change "
            "it. Blue is below zero, orange above.",
            classes="lead",
        )
        self._bar()
        self.path = PathView(self.go, self._address)
        self.facts = w.text("", classes="facts walk-facts")
        self.facts.props["role"] = "status"
        self._broken()
        self.view = StepView(
            tab, self.pick, self.choose_output, tab.query.get("code") == "all", self.on_code
        )
        self.touch = Touch(tab, self.change, self.take_back, self.on_compare)
        self.view.code_below()
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
            self.mode = query["mode"] if query.get("mode") in MODES else ""
            self.shown = query["view"] if query.get("view") in SHOWN else "after"
            self.edits = read_edits(query.get("edits", ""))
            self.place = read_place(query["place"]) if "place" in query else None
            self.output = read_place(f"y:{query['out']}")[1] if "out" in query else None
        except ValueError as error:
            return str(error)
        return ""

    def _bar(self) -> None:
        with w.block("walk-bar", "section").props('aria-label="What walks"'):
            self.choice = w.Choice("Walk with", SPLITS, self.split, self.on_split)
            self.number = w.Number("Number", self.sample, self.on_sample, least=0, step="1")
            self.number.set_visibility(self.split != BATCH)
            self.modes = w.Choice("Layers behave", MODES, self._mode(), self.on_mode)
            self.modes.set_visibility(False)
            with w.block("buttons"):
                w.button("⇤", lambda: self.move(-(10**6)), title="To the beginning", keys="Home")
                w.button("← Back", lambda: self.move(-1), title="One step back", keys="ArrowLeft")
                w.button(
                    "Next →", lambda: self.move(1), title="The next step", keys="ArrowRight",
                    classes="primary",
                )  # fmt: skip
                w.button("To the loss", self.to_loss, title="To the loss", keys="L")
            self.look = w.Choice("Show", SHOWN, self.shown, self.on_shown)
            self.look.set_visibility(False)

    def _broken(self) -> None:
        self.broken = w.block("walk-broken").props("role=status")
        self.broken.set_visibility(False)
        with self.broken:
            self.broken_words = w.text("", "span")
            self.broken_link = w.link("Go there", "")
        self.broken_at = Stop("", FORWARD)
        self.broken_link.on("click", lambda _: self.go(self.broken_at), js_handler=GO)

    # -- what is shown --------------------------------------------------------------------------

    async def show_frame(self, frame: Frame) -> None:
        """Show the walk through the net as it is now."""
        state, now = self._state(), time.monotonic()
        same = state == self.last_state and frame.build == self.build
        if frame.state == RUNNING and same and now < self.last_shown + BETWEEN:
            return  # the next frame will do
        self.last_state, self.last_shown = state, now
        if frame.build != self.build and self.build:  # another net: its places are others
            self.edits, self.place, self.output = (), None, None
        self.build = frame.build
        self._keep_in_range()
        before = await self.tab.compute(self._trace, ())
        if before is None:
            self.facts.show("Nothing can be shown of this net: the words above say why.")
            return
        after, edits = before, self.edits
        if edits:
            found = await self.tab.compute(self._trace, edits)
            if found is None:  # a change that this net has no place for, or does not take
                edits = self._give_up(edits)
                found = await self.tab.compute(self._trace, edits) if edits else before
            after = found or before
        self.sound = edits
        data = self.tab.session.data
        running = frame.state == RUNNING
        self.path.show(after, self.build, data.image_shape, running=running)
        self._stand()
        self.path.mark(self.at)
        self._show_facts(before, after)
        self._show_broken(after)
        self.look.set_visibility(bool(edits))
        self.modes.set_visibility(has_modes(step.thing for step in after.steps))
        self.view.show(
            after, before, self.at, data.image_shape, self.place, self.output,
            self.shown if edits else "after", self.build, self._address_in_the_net(),
        )  # fmt: skip
        split, index = ("train", -1) if self.split == BATCH else (self.split, self.sample)
        self.touch.show(
            before, after, self.place, edits, split, index, training=self._mode() == TRAINING
        )
        if self.compared and (frame.state != RUNNING or not self.touch.has_told):
            await self.touch.tell()

    def _give_up(self, tried: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """Go back to the last changes that were sound; what came since ``tried`` stays wished."""
        sound = self.sound if self.sound != tried else ()
        later = self.edits is not tried
        kept = tuple(e for e in self.edits if e not in tried or e in sound) if later else sound
        self.edits = kept
        return sound

    def _trace(self, edits: tuple[Edit, ...]) -> Trace:
        views, training = self.tab.views, self._mode() == TRAINING
        if self.split == BATCH:
            return views.batch(edits, training=training)
        return views.sample(self.split, self.sample, edits, training=training)

    def _state(self) -> tuple[object, ...]:
        return (self.split, self.sample, self.at, self.edits, self.place, self.output, self.shown,
                self.mode)  # fmt: skip

    def _mode(self) -> str:
        return self.mode or (TRAINING if self.split == BATCH else PREDICTING)

    def _keep_in_range(self) -> None:
        data = self.tab.session.data
        last = len(data.part("train" if self.split == BATCH else self.split)[1]) - 1
        if self.sample > last:
            self.tab.say(f"{data.name} has the samples 0 to {last:,} here: this is the last one.")
            self.sample = last
            self.number.show(last)

    def _stand(self) -> None:
        """Stand at a stop that there is."""
        stops = self.path.stops
        if self.at in stops:
            return
        above = f"{self.at.path}."
        inside = [s for s in stops if s.path.startswith(above) and s.way == self.at.way]
        if self.at.path and inside:  # a chain does nothing of its own: its first layer stands there
            self.at = inside[0]
            return
        if self.at.path:
            self.tab.say(f"this net has no layer {self.at.path!r:.40}: here is the first.")
        self.at = stops[0]

    def _address(self, stop: Stop) -> str:
        return self.tab.link(
            self.tab.part, **{**self.tab.query, "layer": stop.path, "way": stop.way}
        )

    def _address_in_the_net(self) -> str:
        sample = {} if self.split == BATCH else {"split": self.split, "sample": self.sample}
        return self.tab.link("net", layer=self.at.path, **sample)

    def _show_broken(self, found: Trace) -> None:
        first = spoilt(found)
        self.broken.set_visibility(first is not None)
        if first is None:
            return
        self.broken_at, why = first
        self.broken_link.props["href"] = self._address(self.broken_at)
        self.broken_link.set_visibility(self.broken_at != self.at)
        number = self.path.stops.index(self.broken_at) + 1
        cure = (
            "Take the changes back." if self.edits else
            "Such a net learns nothing more: Reset, and begin anew with a lower learning rate."
        )  # fmt: skip
        self.broken_words.show(
            f"No finite numbers (NaN or ∞): they begin at step {number}, "
            f"{name_of(self.broken_at)}: {why}. All that follows from it is spoilt. {cure}"
        )

    def _show_facts(self, before: Trace, after: Trace) -> None:
        data = self.tab.session.data
        count = len(after.x)
        words = f"{count} sample{'s' if count > 1 else ''} of the last mini-batch"
        if self.split != BATCH:
            words = self._label(after)
        loss = f"loss {number(after.loss)}"
        if self.edits:
            loss = (
                f"loss {number(before.loss)} → {number(after.loss)} "
                f"({number(after.loss - before.loss, sign=True)}) by hand"
            )
        here = self.path.stops.index(self.at) + 1
        where = f"Step {here} of {len(self.path.stops)}, {name_of(self.at)}"
        self.facts.show(f"{where} · {data.name}: {words} · {loss}")

    def _label(self, found: Trace) -> str:
        data = self.tab.session.data
        out, y = found.outputs, found.y
        with contextlib.suppress(IndexError, ValueError, TypeError):
            if data.regression:
                return (
                    f"sample {self.sample}, target {number(float(np.ravel(y)[0]))}, the net says "
                    f"{number(float(np.ravel(out)[0]))}"
                )
            place = int(np.ravel(y)[0]) if y.size == 1 else int(np.argmax(y))
            words = f"sample {self.sample}, labelled {data.classes[place]}"
            said = answer(self.tab.session.training.blueprint.cost, out, data.classes)
            if said is not None:
                words += f", the net says {said}"
            return words
        return f"sample {self.sample}"

    # -- what is done ---------------------------------------------------------------------------

    def _remember(self) -> None:
        self.compared = False  # it was of another place, or of other numbers
        self.tab.visit(
            compare=None,
            split=self.split, sample=None if self.split == BATCH else self.sample,
            layer=self.at.path, way=self.at.way, mode=self.mode or None,
            edits=edits_as_words(self.edits),
            place=None if self.place is None else as_words(self.place),
            out=None if self.output is None else ".".join(map(str, self.output)),
            view=None if self.shown == "after" else self.shown,
        )  # fmt: skip
        self.path.renew_addresses()
        self.tab.refresh()

    def go(self, stop: Stop) -> None:
        """Go to a stop."""
        if stop != self.at:
            self.at, self.output = stop, None
            self.tab.say("")
            self._remember()

    def move(self, by: int) -> None:
        """Go on, or back."""
        stops = self.path.stops
        if self.at in stops:
            self.go(stops[max(0, min(len(stops) - 1, stops.index(self.at) + by))])

    def to_loss(self) -> None:
        """Go to the loss, from which the way back begins."""
        self.go(Stop(LOSS, FORWARD))

    def on_split(self, split: str) -> None:
        """Walk with another kind of sample."""
        self.split, self.place, self.output = split, None, None
        self.edits = tuple(e for e in self.edits if e.name != "x")
        self.sample, self.mode = 0, ""
        self.number.show(0)
        self.number.set_visibility(split != BATCH)
        self.modes.show(self._mode())
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

    def on_mode(self, mode: str) -> None:
        """Let layers behave as in training, or as in predicting."""
        self.mode = mode
        self._remember()

    def on_shown(self, shown: str) -> None:
        """Show the arrays before, after, or what became of them."""
        self.shown = shown
        self._remember()

    def pick(self, place: Place) -> None:
        """Choose a number to change."""
        self.place = place
        self._remember()

    def on_compare(self) -> None:
        """Remember that the gradient was compared."""
        self.compared = True
        self.tab.visit(compare="yes")

    def on_code(self, shown: bool) -> None:
        """Remember whether all lines are shown, those too that are called besides."""
        self.tab.remember(code="all" if shown else None)

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
