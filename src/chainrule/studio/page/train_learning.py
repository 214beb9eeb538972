"""Train: how it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.cli.recipes import OPTIMIZERS
from chainrule.studio.frame import Frame
from chainrule.studio.nets import LOSSES
from chainrule.studio.page import widgets as w
from chainrule.studio.page.draft import Draft
from chainrule.studio.plan import Plan
from chainrule.studio.recipe import OWN, learning_rate

__all__ = ["LearningRow"]

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


class LearningRow:
    """Loss, optimiser, learning rate, mini-batch, seed and speed; and saving."""

    def __init__(self, draft: Draft) -> None:
        self.draft, self.tab = draft, draft.tab
        recipe, own = draft.recipe, draft.tab.session.own
        with w.block("learning", "section").props("aria-labelledby=learning-heading"):
            w.heading("Learning", classes="sr-only").props("id=learning-heading")
            losses = {name: words for name, (words, _) in LOSSES.items()}
            if own is not None and own.make is not None:
                losses[OWN] = "that of the net"
            self.loss = w.Choice("Loss", losses, recipe.loss, self._on("loss"))
            named = {name: OPTIMIZER_NAMES.get(name, name.capitalize()) for name in OPTIMIZERS}
            self.optimizer = w.Choice("Optimiser", named, recipe.optimizer, self.on_optimizer)
            with w.block("with-tools"):
                self.rate = w.Number("Learning rate", recipe.lr, self.on_rate, least=0)
                w.button("÷2", lambda: self.scale(0.5), title="Halve the rate")
                w.button("×2", lambda: self.scale(2.0), title="Double the rate")
            self.batch = w.Number("Mini-batch", recipe.batch, self.on_batch, least=1, step="1")
            self.seed = w.Number("Seed", recipe.seed, self.on_seed, least=0, step="1")
            self.speed = w.Choice("Speed", SPEEDS, "", self.on_speed)
            w.button("Save the run", self.save, title="Save the run in its folder")
        self.saved = w.text("", classes="saved")
        self.saved.props["role"] = "status"
        draft.shows.append(self.show)

    def show(self, plan: Plan) -> None:
        """Show how a plan would learn."""
        recipe = plan.recipe
        self.loss.show(recipe.loss)
        self.optimizer.show(recipe.optimizer)
        self.seed.show(recipe.seed)
        self.rate.show(recipe.lr)
        self.batch.show(recipe.batch)

    def show_frame(self, frame: Frame) -> None:
        """Show how fast it goes, and where it was saved."""
        self.speed.show(f"{frame.speed:g}" if math.isfinite(frame.speed) else "")
        self.saved.show(self.tab.session.saved_words)

    def _on(self, name: str) -> Callable[[str], Any]:
        async def change(value: str) -> None:
            await self.draft.change(**{name: value})

        return change

    async def on_optimizer(self, name: str) -> None:
        """Another optimiser, with a learning rate that suits it."""
        await self.draft.change(optimizer=name, lr=learning_rate(name))

    async def on_seed(self, value: float) -> None:
        """Another seed."""
        await self.draft.change(seed=_whole(value))

    async def on_rate(self, value: float) -> None:
        """Another learning rate: at once, if the net on the page is the one that is trained."""
        if self.draft.differs(self.tab.session.frame):
            await self.draft.change(lr=value)
        elif not await self.tab.act(self.tab.session.set_learning_rate, value):
            self.rate.show(self.draft.recipe.lr)

    async def scale(self, factor: float) -> None:
        """Another rate by a factor; of two quick clicks the second one counts from the first."""
        session = self.tab.session
        if self.draft.differs(session.frame):
            await self.draft.change(lr=self.draft.recipe.lr * factor)
        else:
            await self.tab.act(lambda: session.set_learning_rate(session.frame.recipe.lr * factor))

    async def on_batch(self, value: float) -> None:
        """Other mini-batches."""
        if self.draft.differs(self.tab.session.frame):
            await self.draft.change(batch=_whole(value))
        elif not await self.tab.act(self.tab.session.set_batch, _whole(value)):
            self.batch.show(self.draft.recipe.batch)

    async def on_speed(self, value: str) -> None:
        """Another speed."""
        await self.tab.act(self.tab.session.set_speed, float(value) if value else math.inf)

    async def save(self) -> None:
        """Save the run."""
        if await self.tab.act(self.tab.session.save):
            self.saved.show(self.tab.session.saved_words)


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) and value == int(value) else -1
