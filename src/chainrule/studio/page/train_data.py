"""Train: what to learn from."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from nicegui import ui

from chainrule.layer import Array
from chainrule.studio import data as sets
from chainrule.studio.anatomy import Pictures
from chainrule.studio.data import Data
from chainrule.studio.page import widgets as w
from chainrule.studio.page.column import ColumnChoice
from chainrule.studio.page.draft import Draft
from chainrule.studio.page.plane import PlanePicture
from chainrule.studio.page.sheet import Sheet
from chainrule.studio.plan import Plan

__all__ = ["DataColumn"]

THUMBS = 20  # samples in a picture
MOST_COLUMNS = 12  # of a table that are named


class DataColumn:
    """The data: which, what they are, a picture of them, and a file of one's own.

    Attributes
    ----------
    shown : Data or None
        What the picture shows.
    picture : element or None
    """

    def __init__(self, draft: Draft) -> None:
        self.draft, self.tab = draft, draft.tab
        self.shown: Data | None = None
        self.picture: Any = None
        with w.block("column", "section").props("aria-labelledby=data-heading"):
            w.heading("Data").props("id=data-heading")
            self.choice = w.Choice("Learn from", self._names(), draft.recipe.data, self.choose)
            self.facts = w.text("", classes="facts")
            self.facts.props["role"] = "status"
            self.fetching = w.button("Download MNIST", self.fetch)
            self.fetching.set_visibility(False)
            self.box = w.block("data-picture")
            with ui.element("label").classes("upload"):
                w.text("Or your own file: a .csv table, or an .npz file with x and y", "span")
                chooser = ui.element("input").props('type=file accept=".csv,.npz"')
            self.column = ColumnChoice(draft)
            chooser.on(
                "change",
                self.uploaded,
                js_handler="event => chainruleStudio.upload(event.target, emit)",
            )
        draft.shows.append(self.show)

    def _names(self) -> dict[str, str]:
        return {name: name.replace("mnist", "MNIST") for name in self.tab.session.catalogue.names()}

    def show(self, plan: Plan) -> None:
        """Show the data of a plan, or why there are none."""
        self.choice.offer(self._names())
        self.choice.show(plan.recipe.data)
        self.fetching.set_visibility(plan.absent)
        data = plan.data
        self.column.show(data)
        self.facts.show(plan.words if data is None else _facts(data))
        if data is self.shown:
            return
        self.shown = data
        self.box.clear()
        self.picture = None
        if data is not None:
            with self.box:
                self.picture = _picture(data)

    async def choose(self, name: str) -> None:
        """Learn from other data."""
        self.column.leave()
        self.facts.show(f"Reading {self._names().get(name, name)}.")
        await self.draft.change(data=name)

    async def fetch(self) -> None:
        """Download MNIST, and say how far it is."""
        self.fetching.set_visibility(False)
        work = asyncio.ensure_future(self.tab.compute(_fetched))
        while not (await asyncio.wait([work], timeout=0.3))[0] and self.tab.is_here():
            share = 100 * await asyncio.to_thread(sets.fetched)
            self.facts.show(f"Downloading MNIST: {share:.0f} % of 12 MB.")
        if not self.tab.is_here():
            return  # it is downloaded all the same
        if work.result():
            self.facts.show("Reading MNIST.")
            await self.draft.change()
        else:
            self.facts.show("MNIST could not be downloaded.")
            self.fetching.set_visibility(True)

    async def uploaded(self, event: Any) -> None:
        """Learn from a file that was sent, or say why not."""
        answer = event.args if isinstance(event.args, dict) else {}
        if answer.get("table") in self.tab.session.catalogue.tables:
            self.tab.say("")
            self.column.ask(str(answer["table"]))
        elif answer.get("name") in self.tab.session.catalogue.uploads:
            self.column.leave()
            await self.draft.change(data=str(answer["name"]))
        else:
            self.tab.say(str(answer.get("words", "The file could not be sent."))[:300])


def _fetched() -> bool:
    sets.fetch()
    return True


def _facts(data: Data) -> str:
    shape = " × ".join(map(str, data.sample_shape))
    what = "images of" if data.image_shape else "samples of"
    if data.in_the_plane:
        what, shape = "points in the plane", ""
    kinds = "a number to predict" if data.regression else f"{data.outputs} classes"
    counts = f"{len(data.rows):,} {what} {shape}".rstrip()
    return f"{counts} to learn from, {len(data.rows_test):,} held out; {kinds}."


def _picture(data: Data) -> Any:
    """Return a picture of a data set; words where there is nothing to see."""
    if data.in_the_plane and not data.regression:
        return PlanePicture(data)
    if data.image_shape is None:
        names = data.held.preparation.columns or []
        more = ", …" if len(names) > MOST_COLUMNS else ""
        columns = f": {', '.join(names[:MOST_COLUMNS])}{more}" if names else ""
        w.text(f"A sample is a row of numbers{columns}.", classes="aside")
        return None
    images, shape = _samples(data), data.sample_shape
    words = "" if len(shape) == 2 else "the mean of the channels"
    sheet = Sheet(
        f"samples of {data.name}", caption=words, unit="sample", scale="ink", side=224, save=True
    )
    sheet.show(Pictures(images, "map"), shape)
    return sheet


def _samples(data: Data) -> Array:
    """Return some images, of all classes."""
    order = np.argsort(data.labels[: 40 * THUMBS].ravel(), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, THUMBS).astype(int)]
    images: Array = data.held.x[chosen].astype(np.float32)
    return images if images.ndim == 3 else images.mean(axis=3)
