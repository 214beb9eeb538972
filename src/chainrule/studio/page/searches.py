"""Results: a learning rate that is searched for, and the loss around the net."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chainrule.studio import search
from chainrule.studio.frame import FAILED, RUNNING
from chainrule.studio.page import widgets as w
from chainrule.studio.page.figures import Around
from chainrule.studio.page.numbers import whole
from chainrule.studio.page.plot import Plot
from chainrule.studio.page.tab import Tab
from chainrule.studio.search import DONE, SAMPLES, STEPS, STOPPED, Errand
from chainrule.training.finder import LearningRates

__all__ = ["LossAround", "RateSearch"]

FROM = {"first": "the weights at first", "now": "those of now"}
PLACES = {"11": "11 × 11", "15": "15 × 15", "21": "21 × 21", "31": "31 × 31"}
REACHES = {"0.1": "a tenth", "0.5": "half", "1": "once", "2": "twice"}
FIRST_PLACES, FIRST_REACH = "15", "1"
LEAST_FALL = 0.05  # of the loss, below which a search says little
MOST_SEED = 1 << 31
DOUBLE = 0.5  # seconds between the clicks of a double click, at most


class _Search:
    """What both have: a button that begins or ends it, and how far it is."""

    kind, words, title = "", "", ""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.errands = tab, tab.views.errands
        self.number = 0  # of the errand whose result is shown
        self.running: bool | None = None
        self.pressed = 0.0

    def tools(self) -> None:
        """Build the button and the words beside it."""
        with w.block("search-state"):
            self.bar = w.block("search-bar", "progress")
            self.bar.props.update({"max": "1", "value": "0", "aria-label": self.title})
            self.said = w.text("", classes="facts")
            self.said.props["role"] = "status"

    def open(self, word: str, key: object) -> None:
        """Begin what the address asks for, if just that is not known yet, and nothing runs."""
        held = self.errands.look(self.kind)
        if word in self.tab.query and (
            held is None or (held.state != RUNNING and held.key != key)
        ):  # fmt: skip
            self.begin()

    async def press(self) -> None:
        """Begin it; or end it, if it runs."""
        held = self.errands.look(self.kind)
        if held is not None and held.state == RUNNING:
            if time.monotonic() - self.pressed > DOUBLE:  # a double click does not stop it
                self.errands.stop(self.kind)
        else:
            self.pressed = time.monotonic()
            self.tab.say("")
            self.tab.remember(**self.state())
            await self.tab.compute(self.begin)
        self.look()

    def look(self) -> None:
        """Show how far it is, or what it found."""
        held = self.errands.look(self.kind)
        running = held is not None and held.state == RUNNING
        if running != self.running:
            self.running = running
            self.button.show("Stop" if running else self.words)
            self.button.props["aria-label"] = f"Stop: {self.title}" if running else self.title
            self.bar.set_visibility(running)
        if held is None:
            if self.number:
                self.number = 0
                self.forget()
            self.said.show("")
        elif held.state == DONE:
            if held.number != self.number:
                self.number = held.number
                self.show(held)
            self.said.show(self.told(held) + self.since(held))
        elif held.state == FAILED:
            self.said.show(f"It could not be done: {held.words}")
        elif held.state == STOPPED:
            self.said.show("It was stopped.")
        else:
            self.said.show(f"{held.done:,} of {held.total:,}" if held.total else "It begins…")
            share = held.done / held.total if held.total else 0
            self.bar.props["value"] = f"{share:.3f}"

    def since(self, held: Errand) -> str:
        """Return in words how old it is."""
        steps = self.tab.session.frame.step - held.step
        return f" The net has made {_many(steps)} since." if steps > 0 else ""

    button: w.Text

    def state(self) -> dict[str, object]:
        """Return what the address says of it."""
        raise NotImplementedError

    def begin(self) -> None:
        """Begin it with the present settings."""
        raise NotImplementedError

    def show(self, held: Errand) -> None:
        """Show what was found."""
        raise NotImplementedError

    def told(self, held: Errand) -> str:
        """Return in words what was found."""
        raise NotImplementedError

    def forget(self) -> None:
        """Take away what was found for another net."""
        raise NotImplementedError


class RateSearch(_Search):
    """A training of a copy in which the learning rate grows, and the rate that follows from it."""

    kind, words, title = "rates", "Search", "Search a learning rate"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.start = tab.query["from"] if tab.query.get("from") in FROM else "first"
        self.rate, self.taken = 0.0, ""
        with w.block("results-part", "section").props("aria-labelledby=rate-heading"):
            w.heading("A learning rate").props("id=rate-heading")
            w.text(
                f"A copy learns for up to {STEPS} steps while its rate grows from 10⁻⁷ to 10. A "
                "tenth of the rate with the least loss is a good one to begin with.",
                classes="aside",
            )
            with w.block("search-tools"):
                w.Choice("Begin with", FROM, self.start, self.on_start)
                self.button = w.button(self.words, self.press, title=self.title)
                self.take = w.button("Take it", self.take_rate, classes="primary")
            self.take.set_visibility(False)
            self.tools()
            self.empty = w.text(
                "The loss over the rate will stand here: press Search.", classes="picture-empty"
            )
            self.plot = Plot("Loss, smoothed", ("loss",), xlabel="learning rate", power=True)
            self.plot.set_visibility(False)
        self.open("rate", self.start)

    def on_start(self, value: str) -> None:
        """Begin with other weights the next time."""
        self.start = value
        self.tab.remember(**{"from": value if value != "first" else None})

    def state(self) -> dict[str, object]:
        """Return what the address says of it."""
        return {"rate": "searched", "from": self.start if self.start != "first" else None}

    def begin(self) -> None:
        """Begin the search."""
        present = self.start == "now"
        self.errands.begin(self.kind, self.start, partial(search.rates, present=present))

    def show(self, held: Errand) -> None:
        """Show the curve, and the suggestion in it."""
        found: LearningRates = held.result
        powers = np.log10(found.rates).tolist()
        self.rate = float(f"{found.suggestion:.2g}")
        self.taken = ""
        self.empty.set_visibility(False)
        self.plot.set_visibility(True)
        self.plot.show(
            {"loss": list(zip(powers, found.smoothed.tolist(), strict=True))},
            float(np.log10(found.suggestion)) if _falls(found) else None,
        )
        self.take.show(f"Take {self.rate:g}")
        self.take.set_visibility(_falls(found))

    def told(self, held: Errand) -> str:
        """Return in words what was found."""
        found: LearningRates = held.result
        if self.taken:
            return self.taken
        if not _falls(found):
            return "The loss hardly falls at any rate: these weights have learned already."
        end = "" if found.diverged else " Even the highest did no harm."
        return f"{self.rate:g} is a good rate; the loss falls fastest at {found.steepest:.2g}.{end}"

    def since(self, held: Errand) -> str:
        """Return in words how old it is, if it began with the weights of then."""
        return super().since(held) if held.key == "now" else ""

    def forget(self) -> None:
        """Take away what was found for another net."""
        self.empty.set_visibility(True)
        self.plot.set_visibility(False)
        self.take.set_visibility(False)

    async def take_rate(self) -> None:
        """Train with what was found."""
        if await self.tab.act(self.tab.session.set_learning_rate, self.rate):
            self.taken = f"The learning rate is {self.rate:g} now."
            self.look()


class LossAround(_Search):
    """The loss along two random directions."""

    kind, words, title = "around", "Look around", "Look around the net"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        query = tab.query
        places = query.get("around", query.get("places", ""))
        self.places = places if places in PLACES else FIRST_PLACES
        self.reach = query["reach"] if query.get("reach") in REACHES else FIRST_REACH
        self.seed = whole(query.get("seed", ""))
        with w.block("results-part", "section").props("aria-labelledby=around-heading"):
            w.heading("The loss around").props("id=around-heading")
            w.text(
                f"The loss of {SAMPLES} samples to learn from, along two random directions. Each "
                "filter's direction is as long as the filter (Li et al., 2018), so nets compare.",
                classes="aside",
            )
            with w.block("search-tools"):
                w.Choice("Places", PLACES, self.places, self.on("places"))
                w.Choice("Reach", REACHES, self.reach, self.on("reach"))
                self.field = w.Number(
                    "Directions", self.seed, self.on_seed, least=0, most=MOST_SEED - 1, step="1"
                )
                self.button = w.button(self.words, self.press, title=self.title)
            self.tools()
            self.empty = w.text(
                "The hills and valleys around the net will stand here: press Look around.",
                classes="picture-empty",
            )
            self.picture = Around()
            self.picture.set_visibility(False)
        self.open("around", self.key())

    def on(self, name: str) -> Callable[[str], Any]:
        """Return what changes a setting of the next look."""

        def change(value: str) -> None:
            setattr(self, name, value)
            if "around" in self.tab.query:
                self.tab.remember(**self.state())
            else:  # nobody has looked yet
                self.tab.remember(
                    places=self.places if self.places != FIRST_PLACES else None,
                    reach=self.reach if self.reach != FIRST_REACH else None,
                    seed=self.seed or None,
                )

        return change

    def on_seed(self, value: float) -> None:
        """Draw other directions the next time."""
        if 0 <= value < MOST_SEED and value == int(value):
            self.tab.say("")
            self.on("seed")(int(value))  # type: ignore[arg-type]  # as it is kept
        else:
            self.tab.say(f"The number of the directions is whole, from 0 to {MOST_SEED - 1}.")
            self.field.show(self.seed)

    def state(self) -> dict[str, object]:
        """Return what the address says of it."""
        return {
            "around": self.places, "reach": self.reach, "seed": self.seed or None, "places": None
        }  # fmt: skip

    def key(self) -> tuple[int, float, int]:
        """Return the present settings, by which what is found is known."""
        return int(self.places), float(self.reach), self.seed

    def begin(self) -> None:
        """Begin to look."""
        size, reach, seed = self.key()
        work = partial(search.around, size=size, reach=reach, seed=seed)
        self.errands.begin(self.kind, self.key(), work)

    def show(self, held: Errand) -> None:
        """Show the picture."""
        self.empty.set_visibility(False)
        self.picture.set_visibility(True)
        self.picture.show(held.result)

    def told(self, held: Errand) -> str:
        """Return in words what was found."""
        losses = held.result.losses
        middle = losses[len(losses) // 2, len(losses) // 2]
        if not np.isfinite(middle):
            return "The loss of the net is no finite number: begin anew with a lower rate."
        words = f"In the middle, the net after {_many(held.step)}: loss {middle:.4g}."
        if held.key != self.key():  # somebody chooses others, or has looked in another tab
            size, reach = len(losses), held.result.reach
            words += f" It is another look: {size} × {size} places, reach {reach:g}."
        return words

    def forget(self) -> None:
        """Take away what was found for another net."""
        self.empty.set_visibility(True)
        self.picture.set_visibility(False)


def _many(steps: int) -> str:
    return f"{steps:,} step{'s' if steps != 1 else ''}"


def _falls(found: LearningRates) -> bool:
    """Whether the loss falls enough with some rate that its place says something."""
    return bool(found.smoothed.min() <= (1 - LEAST_FALL) * found.smoothed[0])
