"""Results: what is taken for what, mistakes, the plane; for numbers, predicted beside true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from chainrule.model import Model
from chainrule.studio import results
from chainrule.studio.data import Data
from chainrule.studio.frame import FAILED, Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.bars import Bars
from chainrule.studio.page.confusion import MOST as MOST_CLASSES
from chainrule.studio.page.confusion import Confusion
from chainrule.studio.page.figures import Scatter
from chainrule.studio.page.numbers import number
from chainrule.studio.page.plane import PlanePicture
from chainrule.studio.page.samples import Samples
from chainrule.studio.page.searches import LossAround, RateSearch
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import Fit, Judgement
from chainrule.studio.search import DONE, JUDGED
from chainrule.studio.survey import histogram

__all__ = ["show"]

SHOWN = 12  # samples of a cell, and mistakes
PAIRS = 4  # of classes that are confused most
LOOK = 0.2  # seconds between two looks at what is computed beside the page


def show(tab: Tab) -> None:
    """Build this part."""
    _Results(tab)


class _Results:
    """The part: the judgement of the net, and what is searched for around it."""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.build = tab, 0
        self.number = 0  # of the judgement that is shown
        self.data = tab.session.data
        w.heading("Results", 1, "title")
        self.lead = w.text("", classes="lead")
        self.words = w.text("", classes="net-finding")
        self.words.set_visibility(False)
        self.body = w.block()
        self.shown: _Classes | _Numbers | None = None
        with w.block("results-row results-searches"):
            self.searches = (RateSearch(tab), LossAround(tab))
        tab.on_frame(self.show_frame)
        ui.timer(LOOK, self.look)

    async def show_frame(self, frame: Frame) -> None:
        """Build the part for another net; paint the plane."""
        if frame.build != self.build:
            self.build, self.data, self.number = frame.build, self.tab.session.data, 0
            self._begin(self.data)
        if isinstance(self.shown, _Classes) and self.shown.plane is not None:
            await self.shown.paint()

    def _begin(self, data: Data) -> None:
        many = len(data.rows_test)
        self.lead.show(f"What the net makes of the {many:,} samples of {data.name} held out.")
        self.body.clear()
        with self.body:
            kind = _Numbers if data.regression else _Classes
            self.shown = kind(self.tab, data) if many else None
            if not many:
                w.text("No samples are held out: there is nothing to judge the net by.")

    def look(self) -> None:
        """Show what was computed beside the page."""
        errands = self.tab.views.errands
        if self.shown is not None:
            errands.judge()
            held = errands.look(JUDGED)
            if held is not None and held.build == self.build and held.number != self.number:
                if held.state == DONE:
                    self.number = held.number
                    self.shown.show(held.result)
                    self._say(_warning(held.result))
                elif held.state == FAILED:
                    self._say(held.words)
        for each in self.searches:
            each.look()

    def _say(self, words: str) -> None:
        self.words.show(words)
        self.words.set_visibility(bool(words))


class _Classes:
    """The answers of a net that tells classes apart."""

    def __init__(self, tab: Tab, data: Data) -> None:
        self.tab, self.data = tab, data
        self.judged: Judgement | None = None
        self.cell = _cell(tab.query.get("cell", ""), data.outputs)
        self.figures = w.figures(
            dict.fromkeys(("right", "wrong", "accuracy"), "–"), "results-figures"
        )
        self.plane: PlanePicture | None = None
        with w.block("results-top"):
            with w.block("results-part", "section").props("aria-labelledby=confusion-heading"):
                w.heading("What is taken for what").props("id=confusion-heading")
                self.empty = w.text(_waits(data), classes="picture-empty")
                self.matrix = Confusion(data.classes, self.pick)
                self.matrix.set_visibility(False)
                if data.outputs > MOST_CLASSES:
                    w.text(
                        f"Of {data.outputs} classes, the {MOST_CLASSES} that are confused most.",
                        classes="facts",
                    )
            if data.in_the_plane:
                section = w.block("results-plane", "section")
                with section.props("aria-labelledby=plane-heading"):
                    w.heading("The plane").props("id=plane-heading")
                    self.plane = PlanePicture(data)
            with w.block("results-cell", "section").props("aria-labelledby=cell-heading"):
                self.cell_words = w.heading("Samples of a cell").props("id=cell-heading")
                self.hint = w.text("", classes="facts")
                self.pairs = w.block("results-pairs")
                with self.pairs:
                    w.text("Most often:", "span", "facts")
                    self.links = [w.link("", "/results", "pair") for _ in range(PAIRS)]
                self.cells = Samples(tab, "samples of a cell")
        with w.block("", "section").props("aria-labelledby=mistakes-heading"):
            w.heading("The worst mistakes").props("id=mistakes-heading")
            self.none = w.text("", classes="facts")
            self.mistakes = Samples(tab, "the worst mistakes")

    def show(self, judged: Judgement) -> None:
        """Show a judgement."""
        self.judged = judged
        self.empty.set_visibility(False)
        self.matrix.set_visibility(True)
        right = len(judged.labels) - judged.wrong
        self.figures["right"].show(f"{right:,}")
        self.figures["wrong"].show(f"{judged.wrong:,}")
        self.figures["accuracy"].show(f"{100 * judged.accuracy:.2f} %")
        self.mistakes.show(self.data, self._cards(judged.mistakes(SHOWN)))
        self.none.show("" if judged.wrong else "There are none.")
        self._show_cell(judged)

    def _show_cell(self, judged: Judgement) -> None:
        self.matrix.show(judged, self.cell)
        names, pairs = self.data.classes, judged.confused(PAIRS)
        self.pairs.set_visibility(bool(pairs))
        for place, its_link in enumerate(self.links):
            its_link.set_visibility(place < len(pairs))
            if place < len(pairs):
                true, taken = pairs[place]
                count = judged.confusion[true, taken]
                its_link.show(f"{names[true]} for {names[taken]} ({count:,})")
                its_link.props["href"] = self.tab.link(
                    "results", **{**self.tab.query, "cell": f"{true}-{taken}"}
                )
        if self.cell is None:
            self.hint.show("Choose a cell of the matrix, by pointer or by cursor keys and Enter.")
            self.cells.show(self.data, ())
            return
        true, taken = self.cell
        found = judged.cell(true, taken)
        self.cell_words.show(f"{names[true]} taken for {names[taken]}: {_many(len(found))}")
        many = f"The {SHOWN} that it is surest of." if len(found) > SHOWN else ""
        self.hint.show(many if len(found) else "There is no such sample.")
        self.cells.show(self.data, self._cards(found[:SHOWN]))

    def _cards(self, chosen: Any) -> list[tuple[int, str, str]]:
        judged, names, cards = self.judged, self.data.classes, []
        assert judged is not None  # it is that which is shown
        for sample in map(int, chosen):
            true, taken = int(judged.labels[sample]), int(judged.predicted[sample])
            sure = f"{100 * judged.probabilities[sample, taken]:.1f} %"
            title = names[true] if true == taken else f"{names[true]}, taken for {names[taken]}"
            cards.append((sample, title, f"sample {sample}, {sure} sure"))
        return cards

    def pick(self, true: int, predicted: int) -> None:
        """Show the samples of a cell."""
        self.cell = (true, predicted)
        self.tab.visit(cell=f"{true}-{predicted}")
        if self.judged is not None:
            self._show_cell(self.judged)

    async def paint(self) -> None:
        """Paint the plane as the net sees it now."""
        picture, data = self.plane, self.data

        def compute(model: Model, of: Data, frame: Frame) -> Any:
            return results.plane(model, of) if of is data else None

        plane = await self.tab.compute(self.tab.views.of, ("plane", id(data)), compute)
        if plane is not None and picture is not None:
            picture.show(plane)


class _Numbers:
    """The answers of a net that predicts a number."""

    def __init__(self, tab: Tab, data: Data) -> None:
        self.tab, self.data = tab, data
        target = data.held.preparation.target or "the number"
        self.figures = w.figures(
            dict.fromkeys(("RMSE", "mean error", "R²"), "–"), "results-figures"
        )
        with w.block("results-row"):
            with w.block("results-part", "section").props("aria-labelledby=fit-heading"):
                w.heading(f"Predicted over true: {target}").props("id=fit-heading")
                self.empty = w.text(_waits(data), classes="picture-empty")
                self.scatter = Scatter(self.pick)
                self.scatter.set_visibility(False)
            with w.block("results-part", "section").props("aria-labelledby=residuals-heading"):
                w.heading("What is predicted, less what is true").props("id=residuals-heading")
                w.text(
                    "How often each difference comes. Round 0 and even to both sides: the net has "
                    "learned what there is to learn.", classes="aside",
                )  # fmt: skip
                self.bars = Bars(
                    "The height is as the root of the count", "residuals", "first", save=True
                )
                self.bars.classes("results-residuals")
        with w.block("", "section").props("aria-labelledby=mistakes-heading"):
            w.heading("The worst mistakes").props("id=mistakes-heading")
            self.mistakes = Samples(tab, "the worst mistakes")

    def show(self, found: Fit) -> None:
        """Show what was predicted."""
        self.empty.set_visibility(False)
        self.scatter.set_visibility(True)
        for name, value in (("RMSE", found.rmse), ("mean error", found.mae), ("R²", found.r2)):
            self.figures[name].show(number(value))
        self.scatter.show(found)
        self.bars.show(histogram(found.residuals))
        self.mistakes.show(
            self.data,
            [
                (i, f"{number(found.predicted[i])}, truly {number(found.true[i])}", f"sample {i}")
                for i in map(int, found.worst(SHOWN))
            ],
        )

    def pick(self, sample: int) -> None:
        """Walk the chain rule of a sample."""
        ui.navigate.to(self.tab.link("chain-rule", split="test", sample=sample))


def _many(samples: int) -> str:
    return f"{samples:,} sample{'s' if samples != 1 else ''}"


def _waits(data: Data) -> str:
    return f"The net is answering for {len(data.rows_test):,} samples…"


def _warning(found: Judgement | Fit) -> str:
    """Return in words what makes a judgement worthless, if something does."""
    if not found.broken:
        return ""
    return (
        f"For {found.broken:,} samples the net gives no finite numbers: what is said of them means "
        "nothing. Begin anew with a lower learning rate."
    )


def _cell(words: str, classes: int) -> tuple[int, int] | None:
    """Return the cell that an address names, if there is such a one."""
    parts: Sequence[str] = words.split("-")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        return None
    true, predicted = map(int, parts)
    return (true, predicted) if max(true, predicted) < classes else None
