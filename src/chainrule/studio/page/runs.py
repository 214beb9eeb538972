"""Runs: those of this folder, side by side; one can be opened."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from nicegui import ui

from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.plot import LOOKS, Plot
from chainrule.studio.page.run_table import RunTable, best_words, setting
from chainrule.studio.page.tab import Tab
from chainrule.studio.runs import PICTURES, Past, picture
from chainrule.studio.saving import runs_here

__all__ = ["show"]

MOST_CHOSEN = len(LOOKS)
LOOK = 1.0  # seconds between two looks into the folder
COLUMNS = {
    "validation_loss": "Loss, held out",
    "validation_accuracy": "Accuracy, held out",
    "loss": "Loss, trained on",
}
FIGURES = {"epochs": "epochs", "best_epoch": "the best was epoch"}
SETTINGS = {
    "data": "data", "target": "target", "model": "net", "hidden": "hidden layers",
    "dropout": "dropout", "optimizer": "optimiser", "lr": "learning rate", "schedule": "schedule",
    "batch_size": "mini-batch", "weight_decay": "weight decay", "clip_norm": "clipped to",
    "accumulate": "accumulated", "patience": "patience", "seed": "seed",
}  # fmt: skip


def show(tab: Tab) -> None:
    """Build this part."""
    _Runs(tab)


class _Runs:
    """The part: the table, what is asked before a run is opened, and the chosen ones."""

    def __init__(self, tab: Tab) -> None:
        self.tab, query = tab, tab.query
        self.runs: tuple[Past, ...] | None = None
        names = [name for name in query.get("runs", "").split("/") if name]
        self.chosen = list(dict.fromkeys(names))[:MOST_CHOSEN]
        self.picture = query["picture"] if query.get("picture") in PICTURES else ""
        self.logs = {name for name in query.get("log", "").split(",") if name in COLUMNS}
        self.wish: Callable[[], Any] | None = None
        w.heading("Runs", 1, "title")
        w.text(
            "What was trained in this folder, by the studio or by chainrule train. Mark up to "
            f"{MOST_CHOSEN} to see them side by side; open one to go on from it.", classes="lead",
        )  # fmt: skip
        self._questions()
        self.words = w.text("Reading…", classes="facts").props("role=status")
        self.table = RunTable(
            query.get("words", ""), query.get("sort", ""), query.get("all") == "yes",
            self.choose, self.open, self.on_state,
        )  # fmt: skip
        self.beside = w.block("runs-beside")
        tab.on_frame(self.show_frame)
        ui.timer(LOOK, self.read, immediate=True)

    def _questions(self) -> None:
        self.back = w.block("pending", "section").props('aria-label="The way back"')
        with self.back:
            self.back_words = w.text("")
            w.button("Go back to it", self.go_back)
        self.back.set_visibility(False)
        self.asking = w.block("runs-ask").props('role=alertdialog aria-label="Not saved yet"')
        with self.asking:
            self.question = w.text("")
            with w.block("buttons"):
                w.button("Save it first", self.save_first, classes="primary")
                w.button("Give it up", self.give_up)
                w.button("Cancel", self.cancel)
        self.asking.set_visibility(False)

    def show_frame(self, frame: Frame) -> None:
        """Show the way back, when there is one."""
        session = self.tab.session
        named = session.named
        away = named is not None and session.own is not named
        self.back.set_visibility(away)
        if named is not None and away:
            self.back_words.show(f"The command line named {named.name}; a run is open instead.")

    # -- what is read ---------------------------------------------------------------------------

    async def read(self) -> None:
        """Read the folder, and show what has changed in it."""
        first = self.runs is None
        runs = await self.tab.compute(lambda: self.tab.views.shelf.look(fresh=first))
        if runs is None or runs is self.runs:
            return
        before = {past.name: past for past in self.runs or ()}
        self.runs = runs
        if first or bool(before) != bool(runs):
            self.words.show("" if runs else _none())
            self.table.set_visibility(bool(runs))
        self.table.show(runs, self.chosen)
        if first or any(past is not before.get(past.name) for past in self._drawn()):
            await self.draw()

    def _drawn(self) -> list[Past]:
        """Return the chosen runs that are there."""
        found = {past.name: past for past in self.runs or () if not past.words}
        return [found[name] for name in self.chosen if name in found]

    # -- side by side ---------------------------------------------------------------------------

    async def choose(self, name: str) -> None:
        """Take a run to those side by side, or away from them."""
        if name in self.chosen:
            self.chosen.remove(name)
        elif self._past(name) is not None:
            self.chosen = [*self.chosen, name][-MOST_CHOSEN:]
        self.tab.visit(runs="/".join(self.chosen))
        self.table.show(self.runs or (), self.chosen)
        await self.draw()

    def on_state(self, words: str, order: str, every: bool) -> None:
        """Remember how the table is filtered and sorted, and whether all of it is shown."""
        self.tab.remember(
            words=words, sort=None if order == "-made" else order, all="yes" if every else None
        )

    def _on_log(self, column: str) -> Callable[[bool], None]:
        def change(log: bool) -> None:
            self.logs = self.logs | {column} if log else self.logs - {column}
            self.tab.remember(log=",".join(sorted(self.logs)))

        return change

    async def draw(self) -> None:
        """Show the chosen runs side by side."""
        drawn = self._drawn()
        self.beside.clear()
        if not drawn:
            return
        with self.beside:
            w.heading("Side by side" if len(drawn) > 1 else drawn[0].name)
            self._curves(drawn)
            self._table(drawn)
            there = {
                n: words for n, words in PICTURES.items() if any(n in r.pictures for r in drawn)
            }
            if there:
                options = {"": "none", **there}
                shown = self.picture if self.picture in there else ""
                with w.block("runs-tools"):
                    w.Choice("Pictures of the run" + "s" * (len(drawn) > 1), options, shown,
                             self.on_picture)  # fmt: skip
            pictures = w.block("runs-pictures")
        if self.picture in there:
            await self._pictures(pictures, drawn)

    def _curves(self, drawn: list[Past]) -> None:
        with w.block("runs-curves"):
            for column, title in COLUMNS.items():
                curves = {r.name: r.curves[column] for r in drawn if r.curves.get(column)}
                if curves:
                    unit = (0.0, 1.0) if column.endswith("accuracy") else None
                    # Each run looks the same in all: one without the curve keeps its place.
                    Plot(
                        title, tuple(r.name for r in drawn), xlabel="epoch", unit=unit,
                        logable=unit is None, empty="no number in any epoch",
                        log=column in self.logs, on_log=self._on_log(column),
                    ).show(curves)  # fmt: skip
        if not any(r.curves for r in drawn):
            w.text("No epoch of it has ended yet: there are no curves.", classes="facts")

    def _table(self, drawn: list[Past]) -> None:
        settings = {label: [setting(r, name) for r in drawn] for name, label in SETTINGS.items()}
        figures = {
            label: [f"{r.figures[name]:,}" if name in r.figures else "" for r in drawn]
            for name, label in FIGURES.items()
        }
        differ = {label for label, values in settings.items() if len(set(values)) > 1}
        settings = dict(sorted(settings.items(), key=lambda pair: pair[0] not in differ))
        rows = {"best, held out": [best_words(r) for r in drawn], **figures, **settings}
        region = w.block("beside-scroll").props('tabindex=0 role=region aria-label="Side by side"')
        with region, w.block("beside", "table"):
            with w.block("", "thead"), w.block("", "tr"):
                w.text("", "td")
                for run in drawn:
                    w.text(run.name, "th").props("scope=col")
            with w.block("", "tbody"):
                for label, values in rows.items():
                    if not any(values):
                        continue
                    with w.block("differs" if label in differ else "", "tr"):
                        w.text(label, "th").props("scope=row")
                        for value in values:
                            w.text(value or "–", "td")
        if differ:
            w.text("≠ marks the settings that differ.", classes="facts")

    async def on_picture(self, name: str) -> None:
        """Show other pictures of the chosen runs."""
        self.picture = name
        self.tab.visit(picture=name)
        await self.draw()

    async def _pictures(self, block: Any, drawn: list[Past]) -> None:
        for run in drawn:
            if self.picture not in run.pictures:
                continue
            content = await self.tab.compute(picture, run, self.picture)
            with block, w.block():
                w.text(run.name, classes="facts")
                if content is None:
                    w.text(f"{self.picture}.png is no picture that can be shown.", classes="facts")
                    continue
                image = ui.element("img")
                image.props["alt"] = f"{PICTURES[self.picture]}, of {run.name}"
                image.props["src"] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
                w.saving(f"{PICTURES[self.picture]} of {run.name}", image, "saveImage")

    # -- opening --------------------------------------------------------------------------------

    def _past(self, name: str) -> Past | None:
        return next((p for p in self.runs or () if p.name == name and not p.words), None)

    async def open(self, name: str) -> None:
        """Go on from a run; ask first if steps would be lost."""
        past = self._past(name)
        if past is None or not past.saved:
            return

        async def go() -> None:
            if await self.tab.act(self.tab.session.open, past.folder):
                self.words.show(f"{name} is open: every part shows it now.")

        await self._ask(go, f"Opening {name}")

    async def go_back(self) -> None:
        """Take what the command line named again; ask first if steps would be lost."""
        named = self.tab.session.named

        async def go() -> None:
            if named is not None and await self.tab.act(self.tab.session.go_back):
                self.words.show(f"{named.name} is back, as the command line named it.")

        await self._ask(go, "Going back")

    async def _ask(self, go: Callable[[], Any], what: str) -> None:
        steps = self.tab.session.unsaved
        if not steps:
            self.cancel()
            await go()
            return
        many = f"{steps:,} steps that are" if steps != 1 else "1 step that is"
        self.wish = go
        self.question.show(
            f"The net that trains now has made {many} not saved. {what} gives them up."
        )
        self.asking.set_visibility(True)
        ui.run_javascript("document.querySelector('.runs-ask button').focus()")

    async def save_first(self) -> None:
        """Save what trains, then do what was wished."""
        if await self.tab.act(self.tab.session.save):
            await self.give_up()

    async def give_up(self) -> None:
        """Do what was wished."""
        wish = self.wish
        self.cancel()
        if wish is not None:
            await wish()

    def cancel(self) -> None:
        """Leave everything as it is."""
        self.wish = None
        self.asking.set_visibility(False)


def _none() -> str:
    return (
        f"There are no runs in {runs_here()} yet. Train a net and press “Save the run” in "
        "Train, or type: chainrule train digits. They will stand here by themselves."
    )
