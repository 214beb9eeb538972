"""Train: what to learn from, the net, how it learns, and the curves."""

from __future__ import annotations

from typing import Any

from chainrule.model import Model
from chainrule.studio import results
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.draft import Draft
from chainrule.studio.page.plane import PlanePicture
from chainrule.studio.page.plot import Plot
from chainrule.studio.page.tab import Tab
from chainrule.studio.page.train_data import DataColumn
from chainrule.studio.page.train_learning import LearningRow
from chainrule.studio.page.train_net import NetColumn
from chainrule.studio.plan import Plan
from chainrule.studio.recipe import Recipe

__all__ = ["show"]

OTHER = "This is not what is being trained."


def show(tab: Tab) -> None:
    """Build this part."""
    _Train(tab)


class _Train:
    """The part: the draft of what is trained, its controls, and the curves of what trains."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.build = 0  # the net that is shown
        running = tab.session.frame.recipe
        recipe, self.fault = running, ""
        try:
            recipe = Recipe.of({**running.query(), **tab.query})
        except ValueError as error:
            self.fault = str(error)
        self.draft = Draft(tab, recipe, waits=recipe != running)
        w.heading("Train", 1, "title")
        w.text(
            "Choose what to learn from, build a net, and press play. "
            "Every tab that is open shows the same training.",
            classes="lead",
        )
        self._pending_bar()
        self.learning = LearningRow(self.draft)
        with w.block("columns train-columns"):
            self.data = DataColumn(self.draft)
            NetColumn(self.draft)
            self._curves()
        self.draft.shows.append(self.show_plan)
        tab.on_frame(self.show_frame)

    def _pending_bar(self) -> None:
        self.pending = w.block("pending", "section").props('aria-label="Not built yet"')
        with self.pending:
            self.pending_words = w.text(OTHER)
            self.build_button = w.button("Build it", self.draft.build, classes="primary")
            w.button("Keep what trains", self.draft.keep)
        self.pending.set_visibility(False)

    def _curves(self) -> None:
        with w.block("column curves", "section").props("aria-labelledby=curves-heading"):
            w.heading("Curves").props("id=curves-heading")
            self.losses = Plot(
                "Loss", ("trained on", "held out"), empty="press play", logable=True,
                log=self.tab.query.get("log") == "loss", on_log=self.on_log,
            )  # fmt: skip
            self.accuracy = Plot(
                "Accuracy",
                ("held out",),
                unit=(0.0, 1.0),
                empty="after the first epoch",
                looks=("second",),
            )

    async def show_frame(self, frame: Frame) -> None:
        """Show the curves, and what another tab has changed."""
        draft = self.draft
        if not draft.settled:
            pass  # what is being changed here comes first
        elif frame.build != self.build:  # somebody has built a net
            first, self.build = self.build == 0, frame.build
            if not draft.waits:
                await draft.follow(frame.recipe)
                self._remember()
            elif first:
                await draft.show()
            if first and self.fault:
                self.tab.say(self.fault)
        elif not draft.waits and not draft.plan.words and frame.recipe != draft.recipe:
            await draft.follow(frame.recipe)  # learning rate or batch size, here or elsewhere
            self._remember()
        if not self.tab.is_here():
            return
        self._mark_pending(frame)
        self.learning.show_frame(frame)
        self.losses.show({"trained on": frame.losses, "held out": frame.held_out})
        self.accuracy.show({"held out": frame.accuracies})
        self.accuracy.set_visibility(not self.tab.session.data.regression)
        if isinstance(self.data.picture, PlanePicture):
            await self._show_plane(self.data.picture)

    def _remember(self) -> None:
        """Let an address that names a recipe name the one that is shown."""
        recipe = self.draft.recipe.query()
        if recipe.keys() & self.tab.query.keys():
            self.tab.remember(**recipe)

    def on_log(self, log: bool) -> None:
        """Remember how the axis of the losses is."""
        self.tab.remember(log="loss" if log else None)

    def show_plan(self, plan: Plan) -> None:
        """Say whether it is what is being trained."""
        self._mark_pending(self.tab.session.frame)

    def _mark_pending(self, frame: Frame) -> None:
        differs, plan = self.draft.differs(frame), self.draft.plan
        words = plan.words
        if plan.part is not None:  # the words stand at the layer
            words = f"This cannot be built: layer {plan.part + 1} does not fit."
        self.pending.set_visibility(differs)
        self.pending_words.show(words or OTHER)
        self.build_button.set_visibility(not words)
        steps = f"{frame.step:,} step{'s' if frame.step != 1 else ''}"
        self.build_button.show(f"Build it, and give up {steps}" if frame.step else "Build it")

    async def _show_plane(self, picture: PlanePicture) -> None:
        """Show what the net says of the plane, if it learns from the data that are shown."""
        data = self.data.shown

        def compute(model: Model, of: Data, frame: Frame) -> Any:
            return results.plane(model, of) if of is data else None

        plane = await self.tab.compute(self.tab.views.of, ("plane", id(data)), compute)
        if plane is not None and picture is self.data.picture:
            picture.show(plane)
