"""Change a number by hand: what becomes of loss and gradient, and whether the gradient is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.studio.edits import Edit, Place
from chainrule.studio.numerical import Difference
from chainrule.studio.page import widgets as w
from chainrule.studio.page.chain_arrays import number
from chainrule.studio.page.tab import Tab
from chainrule.studio.trace import Trace
from chainrule.studio.walk import as_words

__all__ = ["Touch", "agreement", "gradient_at", "value_at"]

CLOSE, NOTHING = 1e-3, 1e-7  # relative to the larger number, and as it is
DIFFER = "they differ."


class Touch:
    """The place that is chosen, a field for its value, and the numerical derivative beside it."""

    def __init__(
        self, tab: Tab, change: Callable[[float], Any],
        take_back: Callable[[Place | None], Any], on_compare: Callable[[], Any],
    ) -> None:  # fmt: skip
        self.tab, self.on_compare = tab, on_compare
        self.has_told = False
        self.place: Place | None = None
        self.asked: Any = None
        self.gradient = math.nan
        self.token = False
        self.box = w.block("touch", "section").props('aria-label="Change a number by hand"')
        with self.box:
            w.heading("By hand")
            self.hint = w.text(
                "Click a cell of the input, of a weight or of its gradient, or go to it with the "
                "cursor keys and press Enter.", classes="aside",
            )  # fmt: skip
            self.row = w.block("touch-row")
            with self.row:
                self.name = w.text("", "code", "touch-name")
                self.field = w.Number("Value", 0.0, change)
                w.button("Compare with the numerical value", self.compare, classes="touch-compare")
                self.back = w.button("Take it back", lambda: take_back(self.place))
                self.all = w.button("Take all back", lambda: take_back(None))
            self.words = w.text("", classes="touch-words")
            self.words.props["role"] = "status"
            self.numbers = w.text("", classes="touch-numbers")
            self.numbers.props["role"] = "status"

    def show(
        self, before: Trace, after: Trace, place: Place | None, edits: tuple[Edit, ...],
        split: str, index: int, *, training: bool,
    ) -> None:  # fmt: skip
        """Show the place that is chosen."""
        now = (place, edits, split, index, training, after.loss)
        if now != self.asked:
            self.numbers.show("")  # they were of other numbers
        self.asked, self.place = now, place
        try:
            value = None if place is None else value_at(after, place)
        except ValueError as error:
            self.tab.say(str(error))
            value = None
        self.row.set_visibility(value is not None)
        self.hint.set_visibility(value is None)
        self.all.set_visibility(len(edits) > 1)
        if value is None or place is None:
            self.words.show("")
            return
        self.name.show(f"{place[0]}[{', '.join(map(str, place[1]))}]")
        self.field.show(value)
        self.back.set_visibility(any((e.name, e.index) == place for e in edits))
        gradient, was = gradient_at(after, place), gradient_at(before, place)
        self.gradient = gradient
        self.token = place[0] == "x" and after.steps[0].grad_input is None
        if self.token:
            was_loss = "" if not edits else f"{number(before.loss)} → "
            self.words.show(
                f"Loss {was_loss}{number(after.loss)}. It is the number of a token: another whole "
                "number is another token, and there is no derivative between them."
            )
            return
        if not edits:
            self.words.show(f"Loss {number(after.loss)}. Gradient there {number(gradient)}.")
            return
        words = (
            f"Loss {number(before.loss)} → {number(after.loss)} "
            f"({number(after.loss - before.loss, sign=True)}). "
            f"Gradient there {number(was)} → {number(gradient)}."
        )
        foretold = sum(
            gradient_at(before, (e.name, e.index)) * (e.value - value_at(before, (e.name, e.index)))
            for e in edits
        )
        self.words.show(
            f"{words} The gradients times the changes foretold {number(foretold, sign=True)}."
        )

    async def compare(self) -> None:
        """Compare the gradient with the difference quotient, and have it remembered."""
        self.on_compare()
        await self.tell()

    async def tell(self) -> None:
        """Say what the difference quotient is, and whether it agrees, if that is not said yet."""
        if self.place is None or self.asked is None or self.numbers.text:
            return
        self.has_told = True
        if self.token:
            self.numbers.show("A token has no derivative, so there is nothing to compare.")
            return
        place, edits, split, index, training, _ = asked = self.asked
        gradient = self.gradient
        found = await self.tab.compute(
            self.tab.views.numerical, place, edits, split, index, training
        )
        if found is None or asked != self.asked:
            return
        words = agreement(gradient, found)
        self.numbers.show(words)
        if words.endswith(DIFFER):
            who = await self.tab.compute(self.tab.views.culprit, edits, split, index, training)
            if who and asked == self.asked:
                self.numbers.show(f"{words} {who}")


def value_at(found: Trace, place: Place) -> float:
    """Return the number at a place.

    Raises
    ------
    ValueError
        If there is no such place.
    """
    name, index = place
    if name == "x":
        array = found.x
    else:
        path, _, own = name.rpartition(".")
        parameters = found.step(path).parameters
        if own not in parameters:
            raise ValueError(f"there is no parameter {name!r:.40}.")
        array = parameters[own]
    if len(index) != array.ndim or any(i >= n for i, n in zip(index, array.shape, strict=True)):
        raise ValueError(f"{as_words(place)}: {name} has shape {array.shape}.")
    return float(array[index])


def gradient_at(found: Trace, place: Place) -> float:
    """Return the derivative of the loss by the number at a place; NaN if it has none."""
    name, index = place
    path, _, own = name.rpartition(".")
    grad = found.steps[0].grad_input if name == "x" else found.step(path).gradients[own]
    return math.nan if grad is None else float(grad[index])


def agreement(gradient: float, found: Difference) -> str:
    """Return in words the difference quotient with its numbers, and whether it agrees.

    Examples
    --------
    >>> print(agreement(6.0, Difference(3.0, 0.5, 12.25, 6.25, 9.0)))
    (L(3 + 0.5) − L(3 − 0.5)) / (2 · 0.5) = (12.25 − 6.25) / 1 = 6. backward says 6: they agree.
    """
    quotient = found.quotient
    at, step = number(found.middle), number(found.width)
    words = (
        f"(L({at} + {step}) − L({at} − {step})) / (2 · {step}) = "  # a minus
        f"({found.above:.12g} − {found.below:.12g}) / {2 * found.width:.5g} = {number(quotient)}. "
        f"backward says {number(gradient)}: "
    )
    if not (math.isfinite(quotient) and math.isfinite(gradient)):
        return f"{words}there is no finite number to compare."
    if not found.steady:
        return f"{words}but the loss is another each time: something in the net is random."
    apart, largest = abs(quotient - gradient), max(abs(quotient), abs(gradient))
    if apart <= CLOSE * largest:
        return f"{words}they agree."
    if apart <= NOTHING:  # what float32 leaves of a sum that is 0
        close = largest > 10 * NOTHING
        return f"{words}{'they agree.' if close else 'both are nearly 0, as far as float32 goes.'}"
    if not found.kink:
        return f"{words}{DIFFER}"
    left, right = found.sides
    slack = CLOSE * max(abs(left), abs(right)) + NOTHING
    if min(left, right) - slack <= gradient <= max(left, right) + slack:
        return f"{words}the loss has a kink here, and no derivative; backward gives one side's."
    return (
        f"{words}the loss has a kink here, with the slope {number(left)} on the left and "
        f"{number(right)} on the right; backward gives neither: {DIFFER}"
    )
