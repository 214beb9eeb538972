"""Runs: those of this folder, side by side; one can be opened."""

from __future__ import annotations

from datetime import datetime

from chainrule.studio.page import widgets as w
from chainrule.studio.page.plot import Plot
from chainrule.studio.page.tab import Tab
from chainrule.studio.runs import FOLDER, Past, past_runs

__all__ = ["show"]

COLUMNS = ("data", "optimizer", "lr", "batch_size", "epochs", "accuracy or loss", "made")
MOST_CURVES = 3


def show(tab: Tab) -> None:
    """Build this part."""
    _Runs(tab)


class _Runs:
    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.chosen = [n for n in tab.query.get("runs", "").split(",") if n][:MOST_CURVES]
        w.heading("Runs", 1, "title")
        w.text("What was trained in this folder. Choose up to three to see their curves together.",
               classes="lead")  # fmt: skip
        self.words = w.text("Reading…", classes="facts").props("role=status")
        self.table, self.curves = w.block("runs-table"), w.block()
        self.past: list[Past] | None = None
        tab.on_frame(lambda frame: self.read() if self.past is None else None)

    async def read(self) -> None:
        """Read the folder."""
        self.past = await self.tab.compute(past_runs) or []
        many = len(self.past)
        self.words.show(
            f"{many} run{'s' if many != 1 else ''}." if many else
            "There are none yet: train a net and choose “Save the run”, or chainrule train."
        )  # fmt: skip
        self.draw()

    def draw(self) -> None:
        """Show table and curves."""
        past = self.past or []
        self.table.clear()
        self.curves.clear()
        if not past:
            return
        with self.table, w.block("", "table"):
            with w.block("", "tr"):
                for name in ("run", *COLUMNS, "curves", "open"):
                    w.text(name.replace("_", " "), "th")
            for run in past:
                self._row(run)
        drawn = [run for run in past if run.name in self.chosen and run.run is not None]
        with self.curves:
            for column in ("validation_loss", "validation_accuracy"):
                curves = {
                    run.name: [
                        (int(e), float(v))
                        for e, v in zip(run.run.history["epoch"], run.run.history[column],
                                        strict=True)
                        if e is not None and v is not None
                    ]
                    for run in drawn
                    if run.run is not None and column in run.run.history
                }  # fmt: skip
                if curves:
                    name = column.replace("_", " ")
                    Plot(name, tuple(curves), xlabel="epoch").show(curves)

    def _row(self, run: Past) -> None:
        figures = run.figures
        best = figures.get("best_validation_accuracy", figures.get("best_validation_loss"))
        with w.block("", "tr"):
            w.text(run.name, "td")
            for name in ("data", "optimizer", "lr", "batch_size"):
                w.text(str(run.settings.get(name, "–")), "td")
            w.text(str(figures.get("epochs", "–")), "td")
            w.text(run.words or ("–" if best is None else f"{best:.4f}"), "td")
            w.text(f"{datetime.fromtimestamp(run.made):%d %b %H:%M}", "td")
            with w.block("", "td"):
                on = run.name in self.chosen
                w.button("hide" if on else "show", lambda: self.choose(run.name),
                         title=f"{'Hide' if on else 'Show'} the curves of {run.name}")  # fmt: skip
            with w.block("", "td"):
                w.button("open", lambda: self.open(run.name), title=f"Open {run.name}")

    def choose(self, name: str) -> None:
        """Show or hide the curves of a run."""
        if name in self.chosen:
            self.chosen.remove(name)
        else:
            self.chosen = [*self.chosen, name][-MOST_CURVES:]
        self.tab.remember(runs=",".join(self.chosen))
        self.draw()

    async def open(self, name: str) -> None:
        """Go on from a run."""
        if await self.tab.act(self.tab.session.open, FOLDER / name):
            self.words.show(f"{name} is open: it is what every part shows now.")
