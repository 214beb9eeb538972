"""One open tab: what a part of the page may use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from nicegui import background_tasks, context, run

from chainrule.studio.faults import described, tame
from chainrule.studio.frame import Frame
from chainrule.studio.session import Session
from chainrule.studio.views import Views

__all__ = ["Tab"]

Show = Callable[[Frame], Any]
OPENING = 1.0  # seconds


class _Clock:
    """The processor time of the page's thread: what it encodes and sends counts too."""

    def __init__(self) -> None:
        self._last = self._opened = 0.0

    def open(self) -> None:
        """Count nothing for a moment: to open a tab takes more than many frames, but once."""
        self._opened = time.monotonic()

    def passed(self) -> float:
        """Return the seconds since it was asked last."""
        before, self._last = self._last, time.thread_time()
        return self._last - before if time.monotonic() > self._opened + OPENING else 0.0


_clock = _Clock()  # one for all tabs: they share the thread


class Tab:
    """One open tab of the page.

    Attributes
    ----------
    session : Session
        The training that all tabs share.
    views : Views
        What is computed from its frames, shared too.
    part : str
        The name of the part that is shown.
    query : dict of str to str
        The state of the part, as the address has it.
    """

    def __init__(self, session: Session, views: Views, part: str, query: dict[str, str]) -> None:
        self.session, self.views = session, views
        self.part, self.query = part, dict(query)
        self.say: Callable[[str], None] = lambda words: None  # set by the shell
        self.is_here: Callable[[], bool] = lambda: True  # whether the part still stands; the same
        self.hidden: Callable[[], bool] = lambda: False  # whether another is before it; the same
        self._client = context.client
        self._shows: list[Show] = []
        self._frame: Frame | None = None
        self._acting = asyncio.Lock()
        self._busy = False
        self._again = False
        _clock.open()

    # -- the state in the address ---------------------------------------------------------------

    def link(self, part: str, **query: object) -> str:
        """Return the address of a part in a state."""
        given = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return f"/{part}" + (f"?{urlencode(given)}" if given else "")

    def remember(self, **query: object) -> None:
        """Write a state into the address, without loading anything; None takes a word away."""
        self._write(query, "replace")

    def visit(self, **query: object) -> None:
        """Write a state into the address as one to come back to by the browser's back button."""
        self._write(query, "push")

    def is_at(self, address: str) -> bool:
        """Return whether an address is the one of the present state."""
        path, _, query = address.partition("?")
        return path == self.link(self.part) and dict(parse_qsl(query, True)) == self.query

    def _write(self, query: dict[str, object], how: str) -> None:
        for name, value in query.items():
            self.query.pop(name, None)
            if value not in (None, ""):
                self.query[name] = str(value)
        if not self.is_here():
            return
        address = self.link(self.part, **self.query)
        # By the client: what was clicked may be gone from the page by now.
        self._client.run_javascript(f"chainruleStudio.address({address!r}, {how!r})")

    # -- frames ---------------------------------------------------------------------------------

    def on_frame(self, show: Show) -> None:
        """Call a function with each new frame, and now; it may be async, and then sees the newest.

        It should change elements, not make new ones, and use ``compute`` for whatever takes time.
        """
        self._shows.append(show)

    async def tick(self) -> None:
        """Show a new frame, if there is one; the shell calls it ten times a second."""
        if not self._seen():
            return
        frame = self.session.frame
        if not self.is_here() or self._busy or (frame is self._frame and not self._again):
            return
        self._busy, self._again, self._frame = True, False, frame
        try:
            for show in self._shows:
                if not self.is_here():  # somebody has left while it was computed
                    return
                answer = show(frame)
                if isinstance(answer, Awaitable):
                    await answer
        except Exception as error:  # what one view cannot show must not stop the others for ever
            self.say(described(error))
        finally:
            self._busy = False
        self.session.charge(_clock.passed(), drawn=True)

    def _seen(self) -> bool:
        """Return whether somebody may see the tab: it is neither closed nor behind another."""
        return self._frame is None or (self._client.has_socket_connection and not self.hidden())

    def refresh(self) -> None:
        """Show the present frame once more: the state of the part has changed."""
        self._again = True
        background_tasks.create(self.tick(), name="refresh the studio")

    # -- work -----------------------------------------------------------------------------------

    async def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have something computed beside the page; its error becomes words, and the answer None.

        So it is where somebody has left the part meanwhile: there is nothing to show it on.
        """
        try:
            found = await run.io_bound(tame, function, *arguments)
        except Exception as error:  # of any kind: a user's own layer may raise what it likes
            if self.is_here():
                self.say(described(error))
            return None
        return found if self.is_here() else None

    async def act(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Have the session do something; return whether it could. An error is shown in words."""
        async with self._acting:  # in the order of the clicks
            self.say("")
            try:
                await run.io_bound(tame, function, *arguments)
            except Exception as error:  # the same
                if self.is_here():
                    self.say(described(error))
                return False
        if not self.is_here():
            return False
        await self.tick()
        return True
