"""Predict: what the net makes of a drawing, of a sample held out, or of numbers that are typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio.data import Data
from chainrule.studio.drawing import Place, as_placed_sample
from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.draw import DrawingSheet, is_drawing
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.numbers import number as number_words
from chainrule.studio.page.numbers import whole
from chainrule.studio.page.predict_answer import Bars, Teaching
from chainrule.studio.page.tab import Tab
from chainrule.studio.recipe import OWN
from chainrule.studio.results import probabilities, saliency
from chainrule.studio.shipped import RECIPE, serves, shipped

__all__ = ["show"]

MOST_FIELDS = 16  # of features that can be typed
SIDE = 160  # pixels of a picture
SHIPPED = (
    "The net that trains has learned nothing yet, so the one that comes with the studio answers. "
    "It has learned handwritten digits, and reads 97.5 % of MNIST's test images rightly."
)
UNTRAINED = "The net has learned nothing yet: what it says is chance. Train it first."
NOT_FINITE = "The net gives no finite numbers. Begin anew with a lower rate."


@dataclass(frozen=True)
class _Answer:
    """What a net says of one sample; ``scores`` is empty if it gives no class, ``slopes`` too."""

    scores: Array
    value: float
    slopes: Array
    shipped: bool


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
        w.heading("Predict", 1)
        self.lead = w.text("", classes="lead")
        self.which = w.block("pending predict-which")
        with self.which:
            self.which_words = w.text("")
            self.adopting = w.button("Take it as the net that trains", self.adopt)
        self.body = w.block("predict")
        tab.on_frame(self.show_frame)

    # -- what stands on the page ----------------------------------------------------------------

    def _lay_out(self, data: Data) -> None:
        self.data, self.raw, self.place, self.answer = data, None, None, None
        self.sample_shown = False
        shape = data.sample_shape
        self.sheet: DrawingSheet | None = None
        self.fields: list[w.Number] = []
        self.bars: Bars | None = None
        self.teaching: Teaching | None = None
        self.seen: HeatMap | None = None
        self.slopes: HeatMap | None = None
        words = self.tab.query.get("drawing", "")
        self.lead.show(_lead(data))
        self.body.clear()
        with self.body:
            with w.block("predict-sample", "section").props('aria-label="Sample"'):
                if len(shape) == 2:
                    self.sheet = DrawingSheet(self.drawn, words if is_drawing(words) else "")
                elif len(shape) == 1 and shape[0] <= MOST_FIELDS:
                    names = data.held.preparation.columns or [f"x{i}" for i in range(shape[0])]
                    self.fields = [w.Number(name, 0, self._set(i)) for i, name in enumerate(names)]
            with w.block("predict-answer", "section").props('aria-label="Answer"'):
                self.said = w.text("", classes="predict-said")
                self.said.props["role"] = "status"
                if not data.regression:
                    self.bars = Bars(data.classes)
            with w.block("predict-held"):
                most = len(data.rows_test) - 1
                self.sample = w.Number(
                    f"{'Or a' if self.sheet else 'A'} sample held out, 0 to {most}", float("nan"),
                    self.take, least=0, most=most, step="1",
                )  # fmt: skip
                self.truth = w.text("", classes="aside")
                self.walk = w.link("See it step by step", "/chain-rule")
                self.walk.set_visibility(False)
            with w.block("predict-teach"):
                self.teaching = Teaching(self.tab, data, self.bars, self._row, self._ready)
            if data.image_shape is not None:
                self._pictures(data)
        if self.sheet and words:
            return  # the sheet sends it when the browser has drawn it
        if "sample" in self.tab.query or not self.sheet:
            self._take(whole(self.tab.query.get("sample", "")))
            self._set_all(self.tab.query.get("x", ""))

    def _pictures(self, data: Data) -> None:
        high, wide = data.sample_shape[:2]
        blank = np.zeros((high, wide), np.float32)
        with w.block("predict-seen", "section").props('aria-label="What the net sees"'):
            self.unseen = w.text(
                "What the net sees of it, and what speaks for its answer, will stand here.",
                classes="aside",
            )
            self.pictures = w.block("predict-pictures")
            with self.pictures:
                self.seen = HeatMap(
                    blank, "prepared image", caption="What the net sees", scale="ink",
                    limit=float(data.held.preparation.maximum), cell=SIDE / max(high, wide),
                    save=True,
                )  # fmt: skip
                self.slopes = HeatMap(
                    blank, "saliency", caption="What speaks for it (orange) and against (blue)",
                    cell=SIDE / max(high, wide), save=True,
                )  # fmt: skip

    # -- what changes ---------------------------------------------------------------------------

    async def show_frame(self, frame: Frame) -> None:
        """Show what the net of a frame says."""
        first = self.tab.session.training.blueprint
        if frame.build != self.build:
            self.build = frame.build
            data = self.tab.session.data
            if data is not self.data:
                self._lay_out(data)
        helped = serves(frame, first)
        untrained = frame.step == 0 and frame.recipe.net != OWN and np.array_equal(
            frame.parameters, first.parameters
        )  # fmt: skip
        self.which.set_visibility(helped or untrained)
        self.which_words.show(SHIPPED if helped else UNTRAINED)
        self.adopting.set_visibility(helped)
        mine, raw, row = self.data, self.raw, self._row()
        if mine is None or row is None:
            self._show_answer(None)
            return

        def compute(model: Model, of: Data, frame: Frame) -> _Answer | None:
            return _answer(model, of, row, other=serves(frame, first)) if of is mine else None

        key = ("predict", row.tobytes())
        answer = await self.tab.compute(self.tab.views.of, key, compute)
        if raw is self.raw and self.tab.is_here():
            self._show_answer(answer)

    def _row(self) -> Array | None:
        """Return the sample as the net takes it."""
        if self.data is None or self.raw is None:
            return None
        row: Array = self.data.held.preparation.rows(self.raw[None])[0]
        return row

    def _show_answer(self, answer: _Answer | None) -> None:
        data = self.data
        if data is None:
            return
        self.answer = answer
        self.said.show(_said(answer, data, "Nothing is drawn yet." if self.sheet else ""))
        if self.bars is not None and self.teaching is not None:
            self.bars.show(np.zeros(0) if answer is None else answer.scores)
            self.teaching.show_guess(self.bars.shares)
        if self.seen is None or self.slopes is None:
            return
        self.unseen.set_visibility(self.raw is None)
        self.pictures.set_visibility(self.raw is not None)
        if self.raw is None:
            slopes = None
        else:
            shape = data.sample_shape
            found = answer is not None and len(answer.slopes) > 0
            slopes = _flat(answer.slopes.reshape(shape)) if answer is not None and found else None
            self.seen.show(_flat(self.raw) / (1 if len(shape) == 2 else shape[2]))
            self.slopes.show(np.zeros(shape[:2]) if slopes is None else slopes)
        if self.sheet is not None:
            self.sheet.show(slopes, self.place)

    # -- what is done ---------------------------------------------------------------------------

    def drawn(self, ink: Array, words: str | None) -> None:
        """Answer for a drawing."""
        if self.data is None:
            return
        found = as_placed_sample(ink, self.data.held.preparation)
        if self.teaching is not None and (found is None or self.sample_shown):
            self.teaching.start_over()
        self.sample_shown = False
        self.raw, self.place = (None, None) if found is None else found
        self._forget()
        self.sample.show(float("nan"))
        if words is not None:
            self.tab.remember(sample=None, drawing=words)
        self.tab.refresh()

    def _set(self, place: int) -> Callable[[float], None]:
        def change(value: float) -> None:
            if self.raw is None:
                return
            if not np.isfinite(value):
                self.tab.say("A feature is a finite number.")
                self.fields[place].show(float(self.raw[place]))
                return
            self.tab.say("")
            self.raw = self.raw.copy()
            self.raw[place] = value
            self._forget()
            self.sample.show(float("nan"))
            self.tab.remember(x=",".join(f"{value:.6g}" for value in self.raw))
            self.tab.refresh()

        return change

    def _set_all(self, words: str) -> None:
        """Set the features that an address has."""
        values = words.split(",")
        try:
            found = np.array([float(value) for value in values])
        except ValueError:
            return
        if len(found) == len(self.fields) and np.isfinite(found).all():
            self.raw = found
            self._forget()
            for field, value in zip(self.fields, found, strict=True):
                field.show(float(value))

    def take(self, number: float) -> None:
        """Take a sample that is held out."""
        if self.data is None or not 0 <= number < len(self.data.rows_test):
            self.tab.say("There is no such sample.")
            return
        self.tab.say("")
        if self.sheet is not None:
            self.sheet.clear_drawing()
        if self.teaching is not None:
            self.teaching.start_over()
        self._take(int(number))
        self.tab.visit(sample=int(number), drawing=None, x=None)
        self.tab.refresh()

    def _take(self, number: int) -> None:
        data = self.data
        if data is None:
            return
        number = min(number, len(data.rows_test) - 1)
        self.raw, self.place = np.array(data.held.x_test[number], np.float64), None
        self.sample_shown = True
        self._forget()
        self.sample.show(number)
        for field, value in zip(self.fields, self.raw, strict=False):
            field.show(float(value))
        label = data.labels_test[number]
        if data.regression:
            values = data.held.preparation.values(np.reshape(label, (1, 1)))
            truth = float(np.ravel(values)[0])
            true = number_words(truth)
        else:
            truth = int(label)
            true = data.classes[truth]
        if self.teaching is not None:
            self.teaching.show_truth(truth)
        self.truth.show(f"Truly: {true}.")
        self.walk.props["href"] = self.tab.link("chain-rule", split="test", sample=number)
        self.walk.set_visibility(True)

    def _forget(self) -> None:
        """Take away what was known of the sample before."""
        self.truth.show("")
        self.walk.set_visibility(False)
        if self.teaching is not None:
            self.teaching.forget()

    async def adopt(self) -> bool:
        """Let the shipped net be the one that trains; return whether it is."""
        return await self.tab.act(self.tab.session.adopt, RECIPE, shipped().parameters)

    async def _ready(self) -> bool:
        return self.answer is None or not self.answer.shipped or await self.adopt()


def _lead(data: Data) -> str:
    if len(data.sample_shape) == 2:
        what = "a digit" if data.name in ("digits", "mnist") else "an image"
        return (
            f"Draw {what}. It is centred and scaled as the data were; the net answers as you draw, "
            "and can be taught."
        )
    if data.image_shape is not None:
        return "Images of several channels cannot be drawn here: take a sample that is held out."
    if len(data.sample_shape) == 1 and data.sample_shape[0] <= MOST_FIELDS:
        return "Set the features of a sample, or take one that is held out; the net answers."
    return "A sample has too many numbers to type them: take one that is held out."


def _said(answer: _Answer | None, data: Data, nothing: str) -> str:
    if answer is None:
        return nothing
    if data.regression and np.isfinite(answer.value):
        return f"{data.held.preparation.target or 'It predicts'}: {number_words(answer.value)}"
    if data.regression or not len(answer.scores):
        return NOT_FINITE
    top = int(answer.scores.argmax())
    return f"{data.classes[top]}, {100 * answer.scores[top]:.1f} %"


def _flat(image: Array) -> Array:
    """Return an image with its channels added up."""
    flat: Array = image if image.ndim == 2 else image.sum(axis=2)
    return flat


def _answer(model: Model, data: Data, row: Array, *, other: bool) -> _Answer:
    if other:
        model = shipped().astype(model.dtype)  # a copy
    none = np.zeros(0)
    outputs = model.predict(row[None])[0]
    if not np.isfinite(outputs).all():
        return _Answer(none, float("nan"), none, other)
    pictured = data.image_shape is not None
    if data.regression:
        value = float(np.ravel(data.held.preparation.values(outputs[None]))[0])
        return _Answer(none, value, saliency(model, row, outputs, 0) if pictured else none, other)
    scores = probabilities(model.cost, outputs[None])[0]
    top = int(scores.argmax())
    return _Answer(scores, 0.0, saliency(model, row, outputs, top) if pictured else none, other)
