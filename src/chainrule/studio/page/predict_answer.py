"""Predict: what the net says, as bars, and what one step on the sample does to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.studio.data import Data
from chainrule.studio.page import widgets as w
from chainrule.studio.page.tab import Tab
from chainrule.studio.results import probabilities

__all__ = ["Bars", "Teaching"]

MOST_BARS = 20  # of classes; of more, the likeliest are shown
RATES = {
    "0.0003": "tiny: 0.0003",
    "0.001": "small: 0.001",
    "0.003": "gentle: 0.003",
    "0.01": "firm: 0.01",
    "0.03": "large: 0.03",
    "0.1": "huge: 0.1",
}
FIRST_RATE = "0.003"


class Bars:
    """A bar for each class: what is said now, and below it what was said before a step."""

    def __init__(self, classes: list[str]) -> None:
        self.classes = classes
        self.shares: Array = np.zeros(0)
        self.before: Array = np.zeros(0)
        self.made: list[tuple[w.Text, Any, Any, w.Text]] = []
        box = w.block("bars", "ol")
        with box:
            for name in classes[:MOST_BARS]:
                with w.block("bar", "li"):
                    title = w.text(name, "span", "bar-name")
                    with w.block("bar-track"):
                        before, now = w.block("bar-before"), w.block("bar-now")
                    self.made.append((title, now, before, w.text("–", "span", "bar-share")))
        w.saving("the answer", box)
        left = len(classes) - MOST_BARS
        if left > 0:
            w.text(f"The {MOST_BARS} likeliest of {len(classes)} classes.", classes="aside")

    def show(self, shares: Array) -> None:
        """Show probabilities; none are shown as a dash."""
        self.shares = shares
        self._draw()

    def show_before(self, shares: Array) -> None:
        """Show what was said before a step; none take it away."""
        self.before = shares
        self._draw()

    def _draw(self) -> None:
        order = range(len(self.made))
        if len(self.classes) > MOST_BARS and len(self.shares):
            order = np.argsort(-self.shares, kind="stable")[:MOST_BARS].tolist()
        for i, (title, now, before, share) in zip(order, self.made, strict=True):
            title.show(self.classes[i])
            value = 100 * float(self.shares[i]) if len(self.shares) else 0.0
            now.style(f"width: {value:.2f}%; height: {11 if len(self.before) else 16}px")
            share.show(f"{value:.1f} %" if len(self.shares) else "–")
            before.style(f"width: {100 * float(self.before[i]) if len(self.before) else 0:.2f}%")


class Teaching:
    """The true answer, the length of a step, and the step.

    Parameters
    ----------
    tab : Tab
    data : Data
    bars : Bars or None
        None where a number is predicted.
    row : function () -> array or None
        Returns the sample, as the net takes it.
    ready : async function () -> bool
        Makes the net that answers the one that can be taught, and says whether it is.
    """

    def __init__(
        self, tab: Tab, data: Data, bars: Bars | None, row: Callable[[], Any],
        ready: Callable[[], Any],
    ) -> None:  # fmt: skip
        self.tab, self.data, self.bars, self.row, self.ready = tab, data, bars, row, ready
        self.rate = tab.query["rate"] if tab.query.get("rate") in RATES else FIRST_RATE
        given = _true(tab.query.get("as", ""), data)
        self.said = given is not None  # by a person, not guessed
        self.truth = (math.nan if data.regression else 0) if given is None else given
        with w.block("teaching"):
            self.truths = self._ask()
            w.Choice("Step", RATES, self.rate, self.choose_rate)
            w.button("Teach it", self.teach, title="Teach it: one step on this sample")
            self.back = w.button("Take back", self.unteach, title="Take the last step back")
        self.back.set_visibility(False)
        self.words = w.text("", classes="aside")
        self.words.props["role"] = "status"

    def _ask(self) -> w.Choice | w.Number:
        if self.bars is None:
            target = self.data.held.preparation.target or "It"
            return w.Number(f"{target} truly is", self.truth, self.choose)
        names = {str(i): name for i, name in enumerate(self.data.classes)}
        return w.Choice("It is", names, str(self.truth), lambda label: self.choose(int(label)))

    def _show(self, truth: float) -> None:
        self.truth = truth
        if isinstance(self.truths, w.Number):
            self.truths.show(truth)
        else:
            self.truths.show(str(truth))

    def choose(self, truth: float) -> None:
        """Say what it truly is: a class, or a number."""
        if not math.isfinite(truth):
            self.tab.say("The true number is a finite one.")
            self._show(self.truth)
            return
        self.tab.say("")
        self.truth, self.said = truth, True
        self.tab.remember(**{"as": repr(truth)})

    def start_over(self) -> None:
        """Another sample: what was said of the one before does not hold for it."""
        self.said = False
        self.tab.remember(**{"as": None})

    def choose_rate(self, rate: str) -> None:
        """Choose the length of a step."""
        self.rate = rate
        self.tab.remember(rate=None if rate == FIRST_RATE else rate)

    def show_truth(self, truth: float) -> None:
        """Show the true answer of a sample that is known, unless an address says another."""
        if not self.said:
            self.said = True
            self._show(truth)

    def show_guess(self, shares: Array) -> None:
        """Show which class the net says, until a person says what it is."""
        if not self.said and len(shares) and not self.words.text:
            self._show(int(shares.argmax()))

    def forget(self) -> None:
        """Take away what was said of another sample."""
        if self.bars is not None:
            self.bars.show_before(np.zeros(0))
        self.words.show("")
        self.back.set_visibility(False)

    async def teach(self) -> None:
        """Make one step on the sample, and show what it said before and says after it."""
        row = self.row()
        if row is None:
            self.tab.say("There is no sample yet: draw one, or take one that is held out.")
            return
        if math.isnan(self.truth):
            self.tab.say("Say first what the number truly is.")
            return
        if not await self.ready():
            return
        truth, rate, session, found = self.truth, float(self.rate), self.tab.session, []
        if not await self.tab.act(lambda: found.append(session.teach(row, truth, rate))):
            return
        self.words.show(f"One step of {rate:g}: {self._changed(truth, *found[0])}")
        self.back.set_visibility(True)
        self.tab.refresh()

    def _changed(self, truth: float, before: Array, after: Array) -> str:
        """Return in words what a step did to the outputs, and show it."""
        if self.bars is None:
            was, now = self.data.held.preparation.values(np.stack([before, after])).tolist()
            return f"it said {was:.6g}, and says {now:.6g}; truly {truth:.6g}."
        cost, label = self.tab.session.training.blueprint.cost, int(truth)
        was, now = (probabilities(cost, out[None])[0] for out in (before, after))
        self.bars.show_before(was)
        return (
            f"{self.data.classes[label]} was {100 * was[label]:.1f} %, "
            f"is {100 * now[label]:.1f} %. Orange: before."
        )

    async def unteach(self) -> None:
        """Take the last step back."""
        if await self.tab.act(self.tab.session.unteach):
            self.forget()
            self.words.show("The step is taken back.")
            self.back.set_visibility(bool(self.tab.session.lessons))
            self.tab.refresh()


def _true(words: str, data: Data) -> float | None:
    """Return the class or the number that an address names; None if it names none."""
    if not data.regression:
        known = words.isascii() and words.isdigit() and len(words) < 6
        return int(words) if known and int(words) < data.outputs else None
    try:
        value = float(words)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
