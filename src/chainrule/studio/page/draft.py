"""What stands on a page to be trained: changed by its controls, and built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chainrule.studio import nets
from chainrule.studio.frame import Frame
from chainrule.studio.nets import Part
from chainrule.studio.page.tab import Tab
from chainrule.studio.plan import Plan, plan
from chainrule.studio.recipe import OWN, Recipe

__all__ = ["Draft"]

PLAIN = "linear-32,relu"  # in place of a net of one's own, on other data
RATE_OF_NUMBERS = 0.01  # at most, as where the command line names such data: errors are squared


class Draft:
    """The recipe on a page, and what it comes to.

    Parameters
    ----------
    tab : Tab
    recipe : Recipe
    waits : bool
        Whether it is built only when it is said so, as what an address brings is.

    Attributes
    ----------
    plan : Plan
        The recipe, looked at.
    shows : list of function (plan)
        Show it, in the controls.
    """

    def __init__(self, tab: Tab, recipe: Recipe, *, waits: bool) -> None:
        self.tab, self.recipe, self.waits = tab, recipe, waits
        self.plan = Plan(recipe)
        self.shows: list[Callable[[Plan], None]] = []
        self._works = 0  # changes that are not done yet

    @property
    def parts(self) -> list[Part]:
        """The layers of the net; none if it is the one of the command line."""
        return [] if self.recipe.net == OWN else list(nets.parts(self.recipe.net))

    @property
    def settled(self) -> bool:
        """Whether no change of it is under way."""
        return self._works == 0

    def differs(self, frame: Frame) -> bool:
        """Whether it is not what is being trained, and stays so until somebody says otherwise."""
        return self.recipe != frame.recipe and (self.waits or bool(self.plan.words))

    async def show(self) -> bool:
        """Look at the recipe beside the page, and show it; return whether it can be built."""
        recipe = self.recipe
        found = await self.tab.compute(plan, self.tab.session, recipe)
        if found is None or recipe is not self.recipe:  # something newer is on its way
            return False
        self.plan = found
        for show in self.shows:
            show(found)
        return not found.words

    async def follow(self, recipe: Recipe) -> None:
        """Take what is being trained."""
        self.recipe, self.waits = recipe, False
        await self.show()

    async def change(self, **words: Any) -> None:
        """Change it; build it at once if nothing has been trained yet."""
        data = self.tab.session.catalogue.known(words.get("data", ""))
        if data is not None and data.regression and self.recipe.loss not in nets.OF_NUMBERS:
            words.setdefault("loss", nets.OF_NUMBERS[0])
            words.setdefault("lr", min(self.recipe.lr, RATE_OF_NUMBERS))
        if self.recipe.net == OWN and "net" not in words and "data" in words:
            words["net"] = PLAIN
            words.setdefault("loss", Recipe().loss)
        elif self.recipe.loss == OWN and words.get("net", OWN) != OWN:
            words.setdefault("loss", Recipe().loss)
        try:
            self.recipe = replace(self.recipe, **words)
        except ValueError as error:
            self.tab.say(str(error))
            await self.show()
            return
        self.tab.say("")
        frame = self.tab.session.frame
        other = self.recipe != frame.recipe
        self.waits = other and (self.waits or frame.step > 0)
        self._works += 1
        try:
            if await self.show() and other and not self.waits:
                await self.build()
        finally:
            self._works -= 1
        self.tab.remember(**self.recipe.query())
        self.tab.refresh()

    async def build(self) -> None:
        """Train what is on the page, from its first step on."""
        recipe = self.recipe
        self._works += 1
        try:
            built = await self.tab.act(self.tab.session.set_up, recipe)
        finally:
            self._works -= 1
        if built and recipe is self.recipe:  # else it was changed meanwhile
            self.waits = False
            self.tab.remember(**recipe.query())
            self.tab.refresh()
        await self.show()

    async def keep(self) -> None:
        """Give it up, for what is being trained."""
        await self.follow(self.tab.session.frame.recipe)
        self.tab.remember(**self.recipe.query())
        self.tab.refresh()
