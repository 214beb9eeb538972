"""Predict: what the net makes of a drawing."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
from nicegui import ui

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio.data import Data
from chainrule.studio.drawing import Place, as_placed_sample
from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.encoding import as_text
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import probabilities, saliency
from chainrule.studio.shipped import RECIPE, serves, shipped

__all__ = ["show"]

INK = 112  # pixels a side of what is sent of a drawing
MOST_FIELDS = 16  # of features that can be typed
MOST_BARS = 20  # of classes that are shown


@dataclass(frozen=True)
class _Answer:
    """What a net says of one sample; ``scores`` is empty if its numbers are not finite."""

    scores: Array
    value: float
    slopes: Array
    shipped: bool


class Sheet(ui.element, component="draw.js"):
    """A sheet to draw on; ``on_drawn(ink)`` is called with the ink, 0 to 255."""

    def __init__(self, on_drawn: Any) -> None:
        super().__init__()
        self.props.update(map="", rows=1, columns=1, place=[], blank=0)

        def drawn(event: Any) -> Any:
            try:
                ink = np.frombuffer(base64.b64decode(event.args, validate=True), np.uint8)
            except (TypeError, ValueError, binascii.Error):
                return None  # no browser sends it
            return on_drawn(ink.reshape(INK, INK)) if ink.size == INK * INK else None

        self.on("drawn", drawn)

    def clear_drawing(self) -> None:
        """Take the drawing away."""
        self.props["blank"] += 1

    def show(self, slopes: Array | None, place: Place | None) -> None:
        """Lay a map over the drawing."""
        if slopes is None or place is None:
            self.props["map"] = ""
            return
        self.props.update(
            map=as_text(slopes), rows=slopes.shape[0], columns=slopes.shape[1], place=list(place)
        )


def show(tab: Tab) -> None:
    """Build this part."""
    _Predict(tab)


class _Predict:
    """The part: a sample, what the net says of it, and a step that changes its mind."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.build = 0
        self.data: Data | None = None
        self.raw: Array | None = None
        self.place: Place | None = None
        self.answer: _Answer | None = None
        self.label = "0"
        w.heading("Predict", 1)
        self.lead = w.text("", classes="lead")
        self.which = w.block("pending predict-which")
        with self.which:
            w.text(
                "The net that trains has learned nothing yet, so the one that comes with the "
                "studio answers: it has learned the embedded digits."
            )
            w.button("Take it as the net that trains", self.adopt)
        self.body = w.block("columns predict-columns")
        tab.on_frame(self.show_frame)

    # -- what stands on the page ----------------------------------------------------------------

    def _lay_out(self, data: Data) -> None:
        self.data, self.raw, self.place, self.answer = data, None, None, None
        shape = data.sample_shape
        self.sheet: Sheet | None = None
        self.fields: list[w.Number] = []
        self.lead.show(
            "Draw a digit. It is centred and scaled as the data were, and the net answers as you "
            "draw." if len(shape) == 2 else "Set the features of a sample; the net answers."
        )  # fmt: skip
        self.body.clear()
        with self.body:
            with w.block("column", "section").props('aria-label="Sample"'):
                if len(shape) == 2:
                    self.sheet = Sheet(self.drawn)
                elif len(shape) == 1 and shape[0] <= MOST_FIELDS:
                    names = data.held.preparation.columns or [f"x{i}" for i in range(shape[0])]
                    self.fields = [w.Number(name, 0, self._set(i)) for i, name in enumerate(names)]
                most = len(data.rows_test) - 1
                self.sample = w.Number(
                    f"Or a sample held out, 0 to {most}", float("nan"), self.take, least=0,
                    most=most, step="1",
                )  # fmt: skip
                self.truth = w.text("", classes="aside")
            with w.block("column", "section").props('aria-label="What the net sees"'):
                self.seen = self.slopes = None
                if len(shape) == 2:
                    blank = np.zeros(shape, np.float32)
                    self.seen = HeatMap(
                        blank, "prepared image", caption="What the net sees", scale="ink",
                        limit=float(data.held.preparation.maximum), cell=160 / max(shape),
                        save=True,
                    )  # fmt: skip
                    self.slopes = HeatMap(
                        blank,
                        "saliency",
                        caption="What speaks for it (orange) and against (blue)",
                        cell=160 / max(shape),
                        save=True,
                    )
            with w.block("column", "section").props('aria-label="Answer"'):
                self.said = w.text("", classes="predict-said")
                self.said.props["role"] = "status"
                self.bars = [] if data.regression else self._bars(data)
                if not data.regression:
                    self._teaching(data)
        if "sample" in self.tab.query or not self.sheet:
            words = self.tab.query.get("sample", "0")
            self._take(int(words) if words.isascii() and words.isdigit() else 0)

    def _bars(self, data: Data) -> list[tuple[ui.element, ui.element, w.Text]]:
        made = []
        with w.block("bars", "ol"):
            for name in data.classes[:MOST_BARS]:
                with w.block("bar", "li"):
                    w.text(name, "span", "bar-name")
                    with w.block("bar-track"):
                        before = w.block("bar-before")
                        now = w.block("bar-now")
                    made.append((now, before, w.text("–", "span", "bar-share")))
        return made

    def _teaching(self, data: Data) -> None:
        with w.block("teaching"):
            names = {str(i): name for i, name in enumerate(data.classes)}
            self.label = "0"
            self.truths = w.Choice(
                "It is", names, self.label, lambda label: setattr(self, "label", label)
            )
            w.button("Teach it", self.teach, title="Teach it: one step on this sample")
        self.taught = w.text("", classes="aside")
        self.taught.props["role"] = "status"

    # -- what changes ---------------------------------------------------------------------------

    async def show_frame(self, frame: Frame) -> None:
        """Show what the net of a frame says."""
        if frame.build != self.build:
            self.build = frame.build
            data = self.tab.session.data
            if data is not self.data:
                self._lay_out(data)
        mine, raw = self.data, self.raw
        first = self.tab.session.training.blueprint
        self.which.set_visibility(serves(frame, first))
        if mine is None or raw is None:
            self._show_answer(None)
            return
        row = mine.held.preparation.rows(raw[None])[0]

        def compute(model: Model, of: Data, frame: Frame) -> _Answer | None:
            return _answer(model, of, row, other=serves(frame, first)) if of is mine else None

        key = ("predict", row.tobytes())
        answer = await self.tab.compute(self.tab.views.of, key, compute)
        if raw is self.raw:
            self._show_answer(answer)

    def _show_answer(self, answer: _Answer | None) -> None:
        data = self.data
        if data is None:
            return
        self.answer = answer
        finite = answer is not None and (data.regression or len(answer.scores) > 0)
        if answer is None:
            self.said.show("Nothing is drawn yet." if self.sheet else "")
        elif data.regression and np.isfinite(answer.value):
            target = data.held.preparation.target or "It predicts"
            self.said.show(f"{target}: {answer.value:.6g}")
        elif not finite or data.regression:
            self.said.show("The net gives no finite numbers. Begin anew with a lower rate.")
        else:
            top = int(answer.scores.argmax())
            self.said.show(f"{data.classes[top]}, {100 * answer.scores[top]:.1f} %")
        shown = answer if finite else None
        for i, (now, _, share) in enumerate(self.bars):
            value = 0.0 if shown is None else float(shown.scores[i])
            now.style(f"width: {100 * value:.2f}%")
            share.show("–" if shown is None else f"{100 * value:.1f} %")
        if self.seen is not None and self.slopes is not None:
            shape = data.sample_shape
            blank = np.zeros(shape, np.float32)
            slopes = None if shown is None else shown.slopes.reshape(shape)
            self.seen.show(blank if self.raw is None else self.raw)
            self.slopes.show(blank if slopes is None else slopes)
            if self.sheet is not None:
                self.sheet.show(slopes, self.place)

    # -- what is done ---------------------------------------------------------------------------

    def drawn(self, ink: Array) -> None:
        """Answer for a drawing."""
        if self.data is None:
            return
        found = as_placed_sample(ink, self.data.held.preparation)
        self.raw, self.place = (None, None) if found is None else found
        self.truth.show("")
        self._forget()
        self.tab.remember(sample=None)
        self.tab.refresh()

    def _set(self, place: int) -> Any:
        def change(value: float) -> None:
            if self.raw is None or not np.isfinite(value):
                self.tab.say("A feature is a finite number.")
                return
            self.tab.say("")
            self.raw = self.raw.copy()
            self.raw[place] = value
            self.truth.show("")
            self._forget()
            self.tab.refresh()

        return change

    def take(self, number: float) -> None:
        """Take a sample that is held out."""
        if self.data is None or not 0 <= number < len(self.data.rows_test):
            self.tab.say("There is no such sample.")
            return
        self.tab.say("")
        if self.sheet is not None:
            self.sheet.clear_drawing()
        self._take(int(number))
        self.tab.remember(sample=int(number))
        self.tab.refresh()

    def _take(self, number: int) -> None:
        data = self.data
        if data is None:
            return
        number = min(number, len(data.rows_test) - 1)
        self.raw, self.place = np.array(data.held.x_test[number], np.float64), None
        self.sample.show(number)
        for field, value in zip(self.fields, self.raw, strict=False):
            field.show(float(value))
        label = data.labels_test[number]
        if data.regression:
            true = f"{float(data.held.preparation.values(np.array([[label]]))[0]):.6g}"
        else:
            true, self.label = data.classes[int(label)], str(int(label))
            self.truths.show(self.label)
        self.truth.show(f"Truly: {true}.")
        self._forget()

    def _forget(self) -> None:
        for _, before, _ in self.bars:
            before.style("width: 0%")
        if self.bars:
            self.taught.show("")

    async def adopt(self) -> None:
        """Let the shipped net be the one that trains."""
        await self.tab.act(self.tab.session.adopt, RECIPE, shipped().parameters)

    async def teach(self) -> None:
        """Make one step on the sample, and show what it said before and says after it."""
        data, raw = self.data, self.raw
        if data is None or raw is None:
            self.tab.say("There is no sample yet: draw one.")
            return
        if self.answer is not None and self.answer.shipped:
            await self.adopt()
        label, session, found = int(self.label), self.tab.session, []
        row = data.held.preparation.rows(raw[None])[0]
        if not await self.tab.act(lambda: found.append(session.teach(row, label))):
            return
        cost = session.training.blueprint.cost
        before, after = (probabilities(cost, out[None])[0] for out in found[0])
        for (_, bar, _), share in zip(self.bars, before, strict=False):
            bar.style(f"width: {100 * share:.2f}%")
        self.taught.show(
            f"One step: {data.classes[label]} was {100 * before[label]:.1f} %, "
            f"is {100 * after[label]:.1f} %. Orange: before."
        )


def _answer(model: Model, data: Data, row: Array, *, other: bool) -> _Answer:
    if other:
        model = shipped().astype(model.dtype)  # a copy
    outputs = model.predict(row[None])[0]
    if not np.isfinite(outputs).all():
        return _Answer(np.zeros(0), float("nan"), np.zeros_like(row), other)
    if data.regression:
        value = float(data.held.preparation.values(outputs[None])[0])
        return _Answer(np.zeros(0), value, np.zeros_like(row), other)
    scores = probabilities(model.cost, outputs[None])[0]
    return _Answer(scores, 0.0, saliency(model, row, outputs, int(scores.argmax())), other)
