"""Train: what to learn from, the net, how it learns, and the curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from nicegui import ui

from chainrule.cli.recipes import OPTIMIZERS
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio import nets, results
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.nets import KINDS, LOSSES, Part, Row
from chainrule.studio.page import widgets as w
from chainrule.studio.page.heat import HeatMap
from chainrule.studio.page.plane import PlanePicture
from chainrule.studio.page.plot import Plot
from chainrule.studio.page.tab import Tab
from chainrule.studio.recipe import OWN, Recipe, learning_rate

__all__ = ["show"]

READY_MADE = {
    "linear": ("no hidden layer", ""),
    "one": ("one hidden layer", "linear-32,relu"),
    "two": ("two hidden layers", "linear-32,relu,linear-16,relu"),
    "deep": ("deep, with normalisation", "linear-32,batchnorm,relu,linear-32,batchnorm,relu,"
             "linear-32,batchnorm,relu"),
    "convolution": ("convolutions", "conv2d-8-3,relu,maxpool2d-2,conv2d-16-3,relu,maxpool2d-2,"
                    "linear-32,relu"),
}  # fmt: skip
THUMBS = (3, 6)  # rows and columns of samples
SPEEDS = {
    "": "as fast as it can",
    "100": "100 steps a second",
    "10": "10 steps a second",
    "1": "1 step a second",
}
OPTIMIZER_NAMES = {
    "sgd": "SGD",
    "momentum": "SGD, momentum 0.9",
    "nesterov": "SGD, Nesterov",
    "rmsprop": "RMSprop",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
}


def show(tab: Tab) -> None:
    """Build this part."""
    _Train(tab)


class _Train:
    """The part: a draft of what is trained, which is built at once or when it is said so."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.build = 0  # the net that is shown
        running = tab.session.frame.recipe
        self.draft = running
        with_words = ""
        try:
            self.draft = Recipe.of({**running.query(), **tab.query})
        except ValueError as error:
            with_words = str(error)
        w.heading("Train", 1, "title")
        w.text(
            "Choose what to learn from, build a net, and press play. "
            "Every tab that is open shows the same training.",
            classes="lead",
        )
        self._pending_bar()
        self._learning_row()
        with w.block("columns train-columns"):
            self._data_column()
            self._net_column()
            self._curves()
        self.show_draft()
        tab.on_frame(self.show_frame)
        if with_words:
            ui.timer(0.1, lambda: tab.say(with_words), once=True)

    # -- what stands on the page ----------------------------------------------------------------

    def _pending_bar(self) -> None:
        self.pending = w.block("pending", "section").props('aria-label="Not built yet"')
        with self.pending:
            w.text("This is not what is being trained.")
            self.build_button = w.button("Build it", self.build_draft, classes="primary")
            w.button("Keep what trains", self.keep)
        self.pending.set_visibility(False)

    def _data_column(self) -> None:
        session = self.tab.session
        with w.block("column", "section").props("aria-labelledby=data-heading"):
            w.heading("Data").props("id=data-heading")
            names = {name: name.replace("mnist", "MNIST") for name in session.named_data()}
            self.data = w.Choice("Learn from", names, self.draft.data, self.on("data"))
            self.facts = w.text("", classes="facts")
            self.picture = w.block("data-picture")
            with ui.element("label").classes("upload"):
                w.text("Open a file of your own (.npz with x and y)", "span")
                chooser = ui.element("input").props('type=file accept=".npz"')
            chooser.on(
                "change",
                self.uploaded,
                js_handler="event => chainruleStudio.upload(event.target, emit)",
            )

    def _net_column(self) -> None:
        with w.block("column column-wide", "section").props("aria-labelledby=net-heading"):
            w.heading("Net").props("id=net-heading")
            self.stack = w.block("stack", "ol")
            with w.block("adding"):
                kinds = {name: kind.label for name, kind in KINDS.items()}
                self.kind = "linear"
                w.Choice("A layer more", kinds, self.kind, lambda kind: setattr(self, "kind", kind))
                w.button("Add", self.add, title="Add the layer")
                ready = {"": "…", **{name: words for name, (words, _) in READY_MADE.items()}}
                own = self.tab.session.own
                if own is not None and own.make is not None:
                    ready[OWN] = f"the one of {own.name}"
                self.ready = w.Choice("Or take one", ready, "", self.take)

    def _learning_row(self) -> None:
        recipe = self.draft
        with w.block("learning", "section").props("aria-labelledby=learning-heading"):
            w.heading("Learning", classes="sr-only").props("id=learning-heading")
            losses = {name: words for name, (words, _) in LOSSES.items()}
            if self.tab.session.own is not None and self.tab.session.own.make is not None:
                losses[OWN] = "that of the net"
            self.loss = w.Choice("Loss", losses, recipe.loss, self.on("loss"))
            named = {name: OPTIMIZER_NAMES.get(name, name.capitalize()) for name in OPTIMIZERS}
            self.optimizer = w.Choice("Optimiser", named, recipe.optimizer, self.on_optimizer)
            with w.block("with-tools"):
                self.rate = w.Number("Learning rate", recipe.lr, self.on_rate, least=0)
                w.button("÷2", lambda: self.on_rate(self.draft.lr / 2), title="Halve the rate")
                w.button("×2", lambda: self.on_rate(self.draft.lr * 2), title="Double the rate")
            self.batch = w.Number("Mini-batch", recipe.batch, self.on_batch, least=1, step="1")
            self.seed = w.Number("Seed", recipe.seed, self.on_seed, least=0, step="1")
            self.speed = w.Choice("Speed", SPEEDS, "", self.on_speed)
            w.button("Save the run", self.save, title="Save the run in its folder")
        self.saved = w.text("", classes="saved")
        self.saved.props["role"] = "status"

    def _curves(self) -> None:
        with w.block("column curves", "section").props("aria-labelledby=curves-heading"):
            w.heading("Curves").props("id=curves-heading")
            self.losses = Plot("Loss", ("trained on", "held out"), empty="press play", logable=True)
            self.accuracy = Plot(
                "Accuracy", ("held out",), unit=(0.0, 1.0), empty="after the first epoch"
            )

    # -- what changes ---------------------------------------------------------------------------

    def show_frame(self, frame: Frame) -> Any:
        """Show the curves, and what another tab has changed."""
        if frame.build != self.build:  # somebody has built a net
            follows = self._agrees(frame) if self.build == 0 else not self.pending.visible
            self.build = frame.build
            if follows:
                self.draft = frame.recipe
                if self.tab.query:
                    self.tab.remember(**self.draft.query())
            self.show_draft()
        elif not self.pending.visible and frame.recipe != self.draft:
            self.draft = frame.recipe  # learning rate or batch size, in another tab
            self.show_draft()
        self._mark_pending(frame)
        self.speed.show(f"{frame.speed:g}" if math.isfinite(frame.speed) else "")
        self.losses.show({"trained on": frame.losses, "held out": frame.held_out})
        self.accuracy.show({"held out": frame.accuracies})
        if isinstance(self.shown_picture, PlanePicture):
            return self.show_plane()
        return None

    def _agrees(self, frame: Frame) -> bool:
        """Whether the address says nothing else than what is trained."""
        return not any(
            name in self.tab.query and self.tab.query[name] != value
            for name, value in frame.recipe.query().items()
        )

    def show_draft(self) -> None:
        """Show the draft in every control."""
        recipe = self.draft
        names = {name: name.replace("mnist", "MNIST") for name in self.tab.session.named_data()}
        self.data.offer(names)
        self.data.show(recipe.data)
        self.loss.show(recipe.loss)
        self.optimizer.show(recipe.optimizer)
        self.seed.show(recipe.seed)
        self.rate.show(recipe.lr)
        self.batch.show(recipe.batch)
        self.ready.show("")
        self._show_data()
        self._show_stack()

    shown_data: Data | None = None
    shown_picture: Any = None
    shown_net: tuple[str, ...] = ()
    row_texts: list[tuple[w.Text, w.Text]]

    def _show_data(self) -> None:
        try:
            data = self.tab.session.find(self.draft)
        except (ValueError, OSError) as error:
            self.facts.show(str(error))
            return
        if data is self.shown_data:
            return
        self.shown_data = data
        shape = " × ".join(map(str, data.sample_shape))
        what = (
            "images of"
            if data.image_shape
            else "points in the plane,"
            if data.in_the_plane
            else "samples of"
        )
        size = "" if data.in_the_plane else f" {shape}"
        kinds = "a number to predict" if data.regression else f"{data.outputs} classes"
        self.facts.show(
            f"{len(data.rows):,} {what}{size} to learn from, {len(data.rows_test):,} held out; "
            f"{kinds}."
        )
        self.picture.clear()
        with self.picture:
            self.shown_picture = _picture(data)

    def _show_stack(self) -> None:
        """List the layers of the draft."""
        rows = self._rows()
        kinds = tuple(row.code.partition("(")[0] for row in rows)
        if kinds == self.shown_net:  # only numbers differ: the fields keep the focus
            for row, (code, shape) in zip(rows, self.row_texts, strict=True):
                code.show(row.code)
                shape.show(_after(row))
            return
        self.shown_net, self.row_texts = kinds, []
        parts = () if self.draft.net == OWN else nets.parts(self.draft.net)
        self.stack.clear()
        with self.stack:
            for row in rows:
                part = None if row.part is None else parts[row.part]
                with w.block("layer" if part else "layer layer-given", "li"):
                    self._show_row(row, part, len(parts))

    def _show_row(self, row: Row, part: Part | None, count: int) -> None:
        with w.block("layer-words"):
            code = w.text(row.code, "code", "layer-code")
            shape = w.text(_after(row), "span", "layer-shape")
        self.row_texts.append((code, shape))
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
                w.button("↑", lambda: self.move(place, -1), title=f"Move {kind.label} up")
            if place < count - 1:
                w.button("↓", lambda: self.move(place, 1), title=f"Move {kind.label} down")
            w.button("×", lambda: self.remove(place), title=f"Remove {kind.label}")

    def _rows(self) -> list[Row]:
        """Return the layers of the draft, as far as it can be built."""
        session, recipe = self.tab.session, self.draft
        try:
            model, data = session.draft(recipe)
        except (ValueError, OSError) as error:
            self.tab.say(str(error))
            return [
                Row(f"{KINDS[part.kind].label}()", (), 0, i)
                for i, part in enumerate(nets.parts(recipe.net) if recipe.net != OWN else ())
            ]
        parts = () if recipe.net == OWN else nets.parts(recipe.net)
        return nets.outline(model, data.rows.shape[1], parts)

    async def show_plane(self) -> None:
        """Show what the net says of the plane, if its data are in it."""
        picture, data = self.shown_picture, self.shown_data

        def compute(model: Model, of: Data, frame: Frame) -> Any:
            return results.plane(model, of) if of is data else None

        plane = await self.tab.compute(self.tab.views.of, ("plane", id(data)), compute)
        if plane is not None and picture is self.shown_picture:
            picture.show(plane)

    # -- what is done ---------------------------------------------------------------------------

    def on(self, name: str) -> Callable[[str], Any]:
        """Return what changes a word of the draft."""

        async def change(value: str) -> None:
            await self.change(**{name: value})

        return change

    async def on_optimizer(self, name: str) -> None:
        """Another optimiser, with a learning rate that suits it."""
        await self.change(optimizer=name, lr=learning_rate(name))

    async def on_seed(self, value: float) -> None:
        """Another seed."""
        await self.change(seed=_whole(value))

    async def on_rate(self, value: float) -> None:
        """Another learning rate: at once, if the net on the page is the one that is trained."""
        if self.pending.visible:
            await self.change(lr=value)
        elif not await self.tab.act(self.tab.session.set_learning_rate, value):
            self.rate.show(self.draft.lr)

    async def on_batch(self, value: float) -> None:
        """Other mini-batches."""
        if self.pending.visible:
            await self.change(batch=_whole(value))
        elif not await self.tab.act(self.tab.session.set_batch, _whole(value)):
            self.batch.show(self.draft.batch)

    async def on_speed(self, value: str) -> None:
        """Another speed."""
        await self.tab.act(self.tab.session.set_speed, float(value) if value else math.inf)

    async def change(self, **words: Any) -> None:
        """Change the draft; build it at once if nothing has been trained yet."""
        if self.draft.net == OWN and "net" not in words and "data" in words:
            words["net"] = READY_MADE["one"][1]
            words.setdefault("loss", Recipe().loss)
        elif self.draft.loss == OWN and "net" in words:
            words.setdefault("loss", Recipe().loss)
        try:
            draft = replace(self.draft, **words)
        except ValueError as error:
            self.tab.say(str(error))
            self.show_draft()
            return
        self.tab.say("")
        self.draft = draft
        frame = self.tab.session.frame
        if frame.step == 0 and not self.pending.visible:
            await self.build_draft()
        else:
            self.show_draft()
            self._mark_pending(frame)
            self.tab.remember(**draft.query())

    async def build_draft(self) -> None:
        """Train what is on the page, from its first step on."""
        if await self.tab.act(self.tab.session.set_up, self.draft):
            self.pending.set_visibility(False)
            self.tab.remember(**self.draft.query())
        self.show_draft()

    def keep(self) -> None:
        """Give up the draft."""
        self.draft = self.tab.session.frame.recipe
        self.tab.remember(**self.draft.query())
        self.show_draft()
        self._mark_pending(self.tab.session.frame)

    def _mark_pending(self, frame: Frame) -> None:
        """Say so if the page shows another net than the one that is trained."""
        draft = replace(self.draft, lr=frame.recipe.lr, batch=frame.recipe.batch)
        pending = draft != frame.recipe
        if pending != self.pending.visible:
            self.pending.set_visibility(pending)
        steps = f"{frame.step:,} step{'s' if frame.step != 1 else ''}"
        self.build_button.show(f"Build it, and give up {steps}" if frame.step else "Build it")

    def _parts(self) -> list[Part]:
        return [] if self.draft.net == OWN else list(nets.parts(self.draft.net))

    async def add(self) -> None:
        """Add a layer after the others."""
        kind = KINDS[self.kind]
        part = Part(self.kind, tuple(number.first for number in kind.numbers))
        await self.change(net=nets.text((*self._parts(), part)))

    async def take(self, name: str) -> None:
        """Take a net that is ready made."""
        if name in READY_MADE:
            await self.change(net=READY_MADE[name][1])
        elif name == OWN and self.tab.session.own is not None:
            await self.change(net=OWN, loss=OWN, data=self.tab.session.own.data.name)

    async def remove(self, place: int) -> None:
        """Remove a layer."""
        parts = self._parts()
        del parts[place]
        await self.change(net=nets.text(tuple(parts)))

    async def move(self, place: int, by: int) -> None:
        """Move a layer up or down."""
        parts = self._parts()
        parts.insert(place + by, parts.pop(place))
        await self.change(net=nets.text(tuple(parts)))

    def _set_number(self, place: int, which: int) -> Callable[[float], Any]:
        async def change(value: float) -> None:
            parts = self._parts()
            numbers = list(parts[place].numbers)
            numbers[which] = value
            parts[place] = replace(parts[place], numbers=tuple(numbers))
            await self.change(net=nets.text(tuple(parts)))

        return change

    async def uploaded(self, event: Any) -> None:
        """Learn from a file that was sent, or say why not."""
        answer = event.args if isinstance(event.args, dict) else {}
        if "name" in answer:
            self.show_draft()
            await self.change(data=str(answer["name"]))
        else:
            self.tab.say(str(answer.get("words", "The file could not be sent."))[:300])

    async def save(self) -> None:
        """Save the run."""
        folder = await self.tab.compute(self.tab.session.save)
        if folder is not None:
            self.saved.show(f"Saved in {folder}.")


def _picture(data: Data) -> Any:
    """Return a picture of a data set; None if there is nothing to see."""
    if data.in_the_plane and not data.regression:
        return PlanePicture(data)
    if len(data.sample_shape) == 2:
        return HeatMap(
            _sheet(data), f"samples of {data.name}", scale="ink", cell=224 / _sheet(data).shape[1]
        )
    return None


def _sheet(data: Data) -> Array:
    """Return samples side by side in one array."""
    rows, columns = THUMBS
    order = np.argsort(data.labels[: 40 * rows * columns], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, rows * columns).astype(int)]
    images = np.pad(data.held.x[chosen].astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    height, width = images.shape[1:]
    whole: Array = (
        images.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, -1)
    )
    return whole


def _after(row: Row) -> str:
    shape = " × ".join(map(str, row.shape)) or "–"
    many = f" · {row.parameters:,} parameters" if row.parameters else ""
    return f"→ {shape}{many}"


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) and value == int(value) else -1
