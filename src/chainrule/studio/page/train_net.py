"""Train: the net, as a list of layers that can be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chainrule.studio import nets
from chainrule.studio.kinds import KINDS
from chainrule.studio.nets import Part, Row
from chainrule.studio.page import widgets as w
from chainrule.studio.page.draft import PLAIN, Draft
from chainrule.studio.plan import Plan
from chainrule.studio.recipe import OWN

__all__ = ["NetColumn"]

FIRST = "linear"  # kind of layer to add
READY_MADE = {
    "linear": ("no hidden layer", ""),
    "one": ("one hidden layer", PLAIN),
    "two": ("two hidden layers", "linear-32,relu,linear-16,relu"),
    "deep": ("deep, with normalisation", "linear-32,batchnorm,relu,linear-32,batchnorm,relu,"
             "linear-32,batchnorm,relu"),
    "convolution": ("convolutions", "conv2d-8-3,relu,maxpool2d-2,conv2d-16-3,relu,maxpool2d-2,"
                    "linear-32,relu"),
}  # fmt: skip


class NetColumn:
    """The layers with their shapes, each with what can be done to it."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.shown: tuple[str, ...] | None = None
        self.texts: list[tuple[w.Text, w.Text, w.Text]] = []
        kind = draft.tab.query.get("more", "")
        self.kind = kind if kind in KINDS else FIRST
        with w.block("column column-wide", "section").props("aria-labelledby=net-heading"):
            w.heading("Net").props("id=net-heading")
            self.stack = w.block("stack", "ol")
            with w.block("adding"):
                kinds = {name: kind.label for name, kind in KINDS.items()}
                w.Choice("Add a layer", kinds, self.kind, self.choose)
                w.button("Add", self.add, title="Add the layer")
                ready = {
                    "": "choose one…",
                    **{name: words for name, (words, _) in READY_MADE.items()},
                }
                own = draft.tab.session.own
                if own is not None and own.make is not None:
                    ready[OWN] = f"the one of {own.name}"
                self.ready = w.Choice("Or take a whole net", ready, "", self.take)
                self.what = w.text("", classes="aside")
        self._tell()
        draft.shows.append(self.show)

    def show(self, plan: Plan) -> None:
        """List the layers of a plan."""
        self.ready.show("")
        names = tuple(row.code.partition("(")[0] for row in plan.rows)
        if names != self.shown:  # else only numbers differ: the fields keep the focus
            self.shown, self.texts = names, []
            parts = [] if plan.recipe.net == OWN else list(nets.parts(plan.recipe.net))
            self.stack.clear()
            with self.stack:
                for row in plan.rows:
                    part = None if row.part is None else parts[row.part]
                    with w.block("layer" if part else "layer layer-given", "li"):
                        self._show_row(row, part, len(parts))
        for row, (code, shape, fault) in zip(plan.rows, self.texts, strict=True):
            code.show(row.code)
            shape.show(_after(row))
            broken = plan.part is not None and row.part == plan.part
            words = plan.words.partition(": ")[2] if broken else ""
            fault.show(words[:1].upper() + words[1:])

    def _show_row(self, row: Row, part: Part | None, count: int) -> None:
        with w.block("layer-words"):
            code = w.text(row.code, "code", "layer-code")
            shape, fault = w.text("", "span", "layer-shape"), w.text("", "span", "layer-fault")
            self.texts.append((code, shape, fault))
        place = row.part
        if part is None or place is None:
            return
        kind = KINDS[part.kind]
        with w.block("layer-tools"):
            for i, (number, value) in enumerate(zip(kind.numbers, part.numbers, strict=True)):
                w.Number(
                    number.label, value, self._set_number(place, i), least=number.least,
                    most=number.most, step="1" if number.whole else "any",
                )  # fmt: skip
            if place > 0:
                w.button("↑", self._doing(place, _up), title=f"Move {kind.label} up")
            if place < count - 1:
                w.button("↓", self._doing(place, _down), title=f"Move {kind.label} down")
            w.button("×", self._doing(place, _removed), title=f"Remove {kind.label}")

    def choose(self, kind: str) -> None:
        """Choose a kind of layer to add, and say what it does."""
        self.kind = kind
        self._tell()
        self.draft.tab.remember(more=None if kind == FIRST else kind)

    def _tell(self) -> None:
        kind = self.kind
        self.what.show(f"{KINDS[kind].label}: {KINDS[kind].what}.")

    async def add(self) -> None:
        """Add a layer after the others."""
        part = Part(self.kind, tuple(number.first for number in KINDS[self.kind].numbers))
        await self.draft.change(net=nets.text((*self.draft.parts, part)))

    async def take(self, name: str) -> None:
        """Take a net that is ready made."""
        own = self.draft.tab.session.own
        if name in READY_MADE:
            await self.draft.change(net=READY_MADE[name][1])
        elif name == OWN and own is not None:
            await self.draft.change(net=OWN, loss=OWN, data=own.data.name)

    def _doing(self, place: int, change: Callable[[list[Part], int], None]) -> Callable[[], Any]:
        kinds = [part.kind for part in self.draft.parts]

        async def do() -> None:
            parts = self.draft.parts
            if [part.kind for part in parts] != kinds:  # the second click of a double one
                return
            change(parts, place)
            await self.draft.change(net=nets.text(tuple(parts)))

        return do

    def _set_number(self, place: int, which: int) -> Callable[[float], Any]:
        async def change(value: float) -> None:
            parts = self.draft.parts
            if place >= len(parts) or which >= len(parts[place].numbers):
                return
            numbers = list(parts[place].numbers)
            numbers[which] = value
            parts[place] = replace(parts[place], numbers=tuple(numbers))
            await self.draft.change(net=nets.text(tuple(parts)))

        return change


def _up(parts: list[Part], place: int) -> None:
    parts.insert(place - 1, parts.pop(place))


def _down(parts: list[Part], place: int) -> None:
    parts.insert(place + 1, parts.pop(place))


def _removed(parts: list[Part], place: int) -> None:
    del parts[place]


def _after(row: Row) -> str:
    if not row.shape:
        return ""
    many = f" · {row.parameters:,} parameters" if row.parameters else ""
    return f"→ {' × '.join(map(str, row.shape))}{many}"
