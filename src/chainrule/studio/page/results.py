"""Results: what is taken for what, mistakes, the plane, the loss around, a learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.studio import results, search
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.plane import PlanePicture
from chainrule.studio.page.plot import Plot
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import Judgement

__all__ = ["show"]

SHOWN = 12  # samples of a cell, and mistakes


def show(tab: Tab) -> None:
    """Build this part."""
    _Results(tab)


class _Results:
    def __init__(self, tab: Tab) -> None:
        self.tab, self.build = tab, 0
        self.cell = _cell(tab.query.get("cell", ""))
        w.heading("Results", 1, "title")
        w.text("What the net makes of the samples that were held out.", classes="lead")
        self.body = w.block()
        with w.block("results-row"):
            with w.block("column", "section").props("aria-labelledby=rate-heading"):
                w.heading("Learning rate").props("id=rate-heading")
                w.button("Search for one", self.find_rate)
                self.rates = Plot("Loss", ("smoothed",), xlabel="power of ten of the rate")
                self.said = w.text("", classes="facts").props("role=status")
                self.take = w.button("Take it", self.take_rate, classes="primary")
                self.take.set_visibility(False)
            with w.block("column", "section").props("aria-labelledby=around-heading"):
                w.heading("The loss around").props("id=around-heading")
                w.button("Look around", self.look_around)
                self.around = w.block()
                self.around_said = w.text("", classes="facts").props("role=status")
        tab.on_frame(self.show_frame)

    async def show_frame(self, frame: Frame) -> None:
        """Show what the newest frame comes to."""
        if frame.build != self.build:
            self.build, self.data = frame.build, self.tab.session.data
            self._begin(self.data)
            self.around.clear()
            for words in (self.said, self.around_said):
                words.show("")
            self.take.set_visibility(False)
        build, data = self.build, self.data

        def compute(model: Any, of: Data, frame: Frame) -> Any:
            if of.regression:
                return results.fit(model, of)
            plane = results.plane(model, of) if of.in_the_plane else None
            return results.judge(model, of, "test"), plane

        found = await self.tab.compute(self.tab.views.of, "results", compute)
        if found is None or build != self.build or data is not self.data:
            return
        if data.regression:
            if isinstance(found, results.Fit):
                self.picture.show(found.density)
                self.figures["RMSE"].show(f"{found.rmse:.4g}")
            return
        judged, plane = found
        self.judged = judged
        self.matrix.show(judged.confusion)
        self.figures["accuracy"].show(f"{100 * judged.accuracy:.2f} %")
        self.figures["wrong"].show(f"{int((judged.predicted != judged.labels).sum()):,}")
        if plane is not None and self.plane is not None:
            self.plane.show(plane)
        self._show_samples(self.mistakes, judged, judged.mistakes(SHOWN))
        self._show_cell()

    def _begin(self, data: Data) -> None:
        self.body.clear()
        with self.body:
            if data.regression:
                self.figures = w.figures({"RMSE": "–"})
                self.picture = HeatMap(
                    np.zeros((24, 24)), "predicted against true",
                    caption="down: predicted; across: true, both from least to greatest",
                    scale="cividis", cell=12, save=True,
                )  # fmt: skip
                return
            self.figures = w.figures({"accuracy": "–", "wrong": "–"})
            with w.block("results-row"):
                with w.block("column", "section"):
                    w.heading("What is taken for what")
                    many = data.outputs
                    self.matrix = HeatMap(
                        np.zeros((many, many)), "confusion matrix",
                        caption="down: true; across: predicted. Choose a cell to see its samples.",
                        scale="cividis", cell=min(30.0, 320 / many), save=True,
                        on_pick=lambda row, column, _: self.pick(row, column),
                    )  # fmt: skip
                self.plane = None
                if data.in_the_plane:
                    with w.block("column", "section"):
                        w.heading("The plane")
                        self.plane = PlanePicture(data)
            self.cell_words = w.heading("")
            self.cells = self._slots(data)
            w.heading("The worst mistakes")
            self.mistakes = self._slots(data)

    def _slots(self, data: Data) -> list[tuple[Any, HeatMap | None, w.Text]]:
        slots = []
        with w.block("results-samples"):
            for _ in range(SHOWN):
                with w.block("results-sample") as slot:
                    picture = None
                    if data.image_shape is not None and len(data.sample_shape) == 2:
                        side = 80 / max(data.sample_shape)
                        picture = HeatMap(np.zeros(data.sample_shape), "", scale="ink", cell=side)
                    slots.append((slot, picture, w.text("", classes="facts")))
                slot.set_visibility(False)
        return slots

    def _show_samples(self, slots: Any, judged: Judgement, chosen: Any) -> None:
        names, x = self.data.classes, self.data.held.x_test
        for place, (slot, picture, words) in enumerate(slots):
            slot.set_visibility(place < len(chosen))
            if place >= len(chosen):
                continue
            sample = int(chosen[place])
            true, taken = int(judged.labels[sample]), int(judged.predicted[sample])
            sure = judged.probabilities[sample, taken]
            words.show(f"{sample}: {names[true]}, taken for {names[taken]} ({100 * sure:.1f} %)")
            if picture is not None:
                picture.props["label"] = f"sample {sample}"
                picture.show(x[sample])

    def _show_cell(self) -> None:
        many = self.data.outputs
        if self.cell is None or max(self.cell) >= many:
            self.cell_words.show("")
            self._show_samples(self.cells, self.judged, ())
            return
        true, taken = self.cell
        found = self.judged.cell(true, taken)
        names = self.data.classes
        self.cell_words.show(f"{names[true]} taken for {names[taken]}: {len(found):,}")
        self._show_samples(self.cells, self.judged, found[:SHOWN])

    def pick(self, row: int, column: int) -> None:
        """Show the samples of a cell."""
        self.cell = (row, column)
        self.tab.remember(cell=f"{row}-{column}")
        self.tab.refresh()

    async def find_rate(self) -> None:
        """Search for a learning rate."""
        self.said.show("Searching…")
        build = self.build
        found = await self.tab.compute(search.rates, self.tab.session)
        if found is None or build != self.build:
            self.said.show("")
            return
        curve: Any = list(zip(np.log10(found.rates).tolist(), found.smoothed.tolist(), strict=True))
        self.rates.show({"smoothed": curve})
        self.rate = float(f"{found.suggestion:.1g}")
        self.said.show(f"The loss falls well at {self.rate:g}.")
        self.take.set_visibility(True)

    async def take_rate(self) -> None:
        """Train with what was found."""
        if await self.tab.act(self.tab.session.set_learning_rate, self.rate):
            self.said.show(f"The learning rate is {self.rate:g} now.")

    async def look_around(self) -> None:
        """Show the loss along two random directions."""
        self.around_said.show("Looking…")
        build = self.build
        found = await self.tab.compute(search.around, self.tab.session)
        self.around_said.show("")
        if found is None or build != self.build:
            return
        self.around.clear()
        with self.around:
            HeatMap(
                found.losses, "loss along two random directions",
                caption="the net is in the middle; its filters' own length to each side",
                scale="cividis", cell=16, save=True,
            )  # fmt: skip


def _cell(words: str) -> tuple[int, int] | None:
    true, _, taken = words.partition("-")
    if not (true.isdecimal() and taken.isdecimal() and len(words) < 12):
        return None
    return int(true), int(taken)
