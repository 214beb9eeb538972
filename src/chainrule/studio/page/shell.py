"""The frame of the page: its name, its parts, and the controls of the training, on every part."""

# No "from __future__ import annotations": NiceGUI reads them.

import contextlib
import math
import weakref
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from nicegui import Client, PageArguments, context, ui
from nicegui import app as server
from starlette.requests import Request

from chainrule.studio.frame import FAILED, FINISHED, RUNNING, Frame
from chainrule.studio.page import widgets as w
from chainrule.studio.page.numbers import number
from chainrule.studio.page.tab import Tab
from chainrule.studio.session import Session
from chainrule.studio.views import Views

__all__ = ["PARTS", "install", "is_full"]

# The parts, and what they are called. Each has a module here, with a function show(tab).
PARTS = {
    "train": "Train",
    "net": "The net",
    "chain-rule": "The chain rule",
    "predict": "Predict",
    "results": "Results",
    "runs": "Runs",
}
PAUSE_OF_A_TAB = 0.1  # seconds between two looks at the training
MOST_TABS = 300
UNCONNECTED = 40  # tabs that were asked for and have not answered
STATIC = Path(__file__).parent / "static"
STATES = {RUNNING: "running", FAILED: "stopped by an error", FINISHED: "finished"}

_shown: weakref.WeakSet[Client] = weakref.WeakSet()  # pages that a browser has connected to


def install(app: FastAPI, session: Session) -> tuple[str, ...]:
    """Put the page into a server, and return its paths."""
    views = Views(session)
    server.add_static_files("/studio", STATIC)

    def root(request: Request) -> None:
        _page(session, views)

    ui.run_with(
        app, root=root, title="chainrule studio", dark=False, language="en-US", tailwind=False,
        favicon=STATIC / "icon.svg", reconnect_timeout=10.0, message_history_length=50,
        binding_refresh_interval=None, show_welcome_message=False,
    )  # fmt: skip
    return ("/", *(f"/{name}" for name in PARTS))


def is_full() -> bool:
    """Whether no more tabs can be served.

    Pages that were asked for and never shown, as by many quick reloads, are let go of; those that
    were shown may come back, and NiceGUI lets go of them after a while.
    """
    waiting = [c for c in Client.instances.values() if c not in _shown]
    for client in waiting[: max(0, len(waiting) - UNCONNECTED)]:
        client.delete()
    return len(Client.instances) >= MOST_TABS


def _page(session: Session, views: Views) -> None:
    ui.add_head_html(
        '<meta name="color-scheme" content="light dark">'
        '<script src="/studio/studio.js"></script><script src="/studio/picture.js"></script>'
        '<link rel="stylesheet" href="/studio/studio.css">'
    )
    tabs: list[Tab] = []
    hidden: list[bool] = [False]
    ui.on("hidden", lambda event: hidden.__setitem__(0, bool(event.args)))
    # Asked with each connection: what was said while there was none is lost.
    context.client.on_connect(_ask_whether_hidden)
    with w.block("studio"):
        w.link("Skip to the content", "#content", "skip")
        links = _header()
        controls = _Controls()
        with w.block("content").props("id=content tabindex=-1"):
            notice = w.text("", classes="notice")
            notice.props["role"] = "alert"

            def show(name: str) -> Callable[[PageArguments], None]:
                def build(arguments: PageArguments) -> None:
                    tab = Tab(session, views, name, dict(arguments.query_parameters))
                    tabs[:] = [tab]
                    tab.say, tab.hidden = notice.show, lambda: hidden[0]
                    notice.show("")
                    controls.belong_to(tab)
                    for other, its_link in links.items():
                        its_link.props.set_optional(
                            "aria-current", "page" if other == name else None
                        )
                    ui.page_title(f"{PARTS[name]} · chainrule studio")
                    module: Any = import_module(f"chainrule.studio.page.{name.replace('-', '_')}")
                    part = w.block(f"part part-{name}")
                    tab.is_here = lambda: not part.is_deleted
                    with part:
                        module.show(tab)
                    tab.refresh()

                return build

            pages = ui.sub_pages({"/": show("train"), **{f"/{name}": show(name) for name in PARTS}})

    def follow(address: str) -> None:
        # What a part has written into the address since it was built, the pages do not know.
        if tabs and not tabs[0].is_at(address):
            pages.refresh()

    ui.context.client.sub_pages_router.on_path_changed(follow)

    async def tick() -> None:
        if tabs:
            await tabs[0].tick()

    ui.timer(PAUSE_OF_A_TAB, tick)


def _ask_whether_hidden(client: Client) -> None:
    _shown.add(client)
    client.run_javascript("chainruleStudio.tellHidden()")


def _header() -> dict[str, w.Text]:
    links = {}
    with w.block("header", "header"):
        with w.block("brand", "a").props('href=/train aria-label="chainrule studio"'):
            w.text("chainrule", "span", "brand-name")
            w.text("studio", "span", "brand-what")
        with w.block("parts", "nav").props('aria-label="Parts"'):
            for name, words in PARTS.items():
                links[name] = w.link(words, f"/{name}")
        theme = w.text("◐", "button", "theme")
        theme.props.update(
            {"type": "button", "aria-label": "Light or dark", "title": "Light or dark"}
        )
        theme.on("click", js_handler="() => chainruleStudio.theme()")
    return links


class _Controls:
    """Play, pause, step, epoch, reset; and where the training is."""

    def __init__(self) -> None:
        self.tab: Tab | None = None
        with w.block("controls", "section").props('aria-label="Training"'):
            with w.block("buttons"):
                self.play = w.button("▶", self._play, title="Play", keys="Space", classes="play")
                w.button("Step", self._do("step"), title="One step", keys="S")
                w.button("Epoch", self._do("epoch"), title="One epoch", keys="E")
                w.button("Reset", self._do("reset"), title="Begin anew", keys="R")
            self.figures = w.figures(
                dict.fromkeys(
                    ("state", "epoch", "step", "loss", "held-out loss", "accuracy", "a step takes"),
                    "–",
                ),
                "readings",
            )
        self.error = w.text("", classes="failure")
        self.error.props["role"] = "alert"

    def belong_to(self, tab: Tab) -> None:
        """Steer the training of a tab, and show it."""
        self.tab = tab
        tab.on_frame(self.show)

    def show(self, frame: Frame) -> None:
        """Show where the training is."""
        running = frame.state == RUNNING
        if self.tab is not None and (slot := self.figures["accuracy"].parent_slot) is not None:
            slot.parent.set_visibility(not self.tab.session.data.regression)
        self.play.show("❚❚" if running else "▶")
        self.play.props["aria-label"] = "Pause" if running else "Play"
        state = STATES.get(frame.state, "paused" if frame.step else "ready")
        figures = frame.figures
        for name, words in {
            "state": state,
            "epoch": f"{frame.epoch:,}",
            "step": f"{frame.step:,}",
            "loss": number(frame.loss),
            "held-out loss": number(figures.get("validation_loss", math.nan)),
            "accuracy": percent(figures.get("validation_accuracy", math.nan)),
            "a step takes": seconds(frame.seconds),
        }.items():
            self.figures[name].show(words)
        words = ""
        if frame.state == FAILED and self.tab is not None:
            words = f"{frame.words} {self.tab.session.reset_words}"
        self.error.show(words)

    async def _play(self) -> None:
        if self.tab is not None:
            session = self.tab.session
            running = session.frame.state == RUNNING
            await self.tab.act(session.pause if running else session.play)

    def _do(self, what: str) -> Callable[[], Any]:
        async def do() -> None:
            if self.tab is not None:
                await self.tab.act(_waited(getattr(self.tab.session, what)))

        return do


def _waited(function: Callable[[], Any]) -> Callable[[], None]:
    """Return a function that waits a moment for what another one promises, so that it is seen."""

    def call() -> None:
        promise = function()
        if promise is not None:
            with contextlib.suppress(TimeoutError):
                promise.result(timeout=2.0)

    return call


def percent(share: float) -> str:
    """Return a share as the page shows it.

    Examples
    --------
    >>> percent(0.98765)
    '98.8 %'
    """
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def seconds(value: float) -> str:
    """Return a time as the page shows it.

    Examples
    --------
    >>> seconds(0.00023), seconds(0.5), seconds(12.0)
    ('230 µs', '500 ms', '12 s')
    """
    if math.isnan(value):
        return "–"
    if value < 1e-3:
        return f"{1e6 * value:.0f} µs"
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
