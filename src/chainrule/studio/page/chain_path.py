"""The walk as a picture: what each layer gives, what comes back, and where one stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nicegui import context, ui

from chainrule.layer import Array
from chainrule.studio.anatomy import Node, lanes, nodes
from chainrule.studio.page import widgets as w
from chainrule.studio.page.thumb import Thumb
from chainrule.studio.trace import Step, Trace
from chainrule.studio.walk import BACKWARD, FORWARD, Stop, walk

__all__ = ["PathView", "array_of", "shape_of", "shape_words"]

MOST_THUMBS = 160  # stops that have a picture: of a longer walk the first ones
PAUSE = 0.5  # seconds between two sets of pictures while a training runs
ARROWS = {FORWARD: "{} →", BACKWARD: "← {}"}
GO = (
    "event => { if (!event.ctrlKey && !event.metaKey && !event.shiftKey) "
    "{ event.preventDefault(); event.stopPropagation(); emit(); } }"
)


def shape_words(array: Array) -> str:
    """Return the shape of an array in words."""
    return " × ".join(map(str, array.shape)) or "one number"


@dataclass
class _Link:
    stop: Stop
    element: ui.element
    thumb: Thumb | None


class PathView:
    """The stops of the walk, branches beside each other, numbered in the order of the walk."""

    def __init__(self, go: Callable[[Stop], Any], address: Callable[[Stop], str]) -> None:
        self.go, self.address = go, address
        self.stops: tuple[Stop, ...] = ()
        self.at: Stop | None = None
        self.links: list[_Link] = []
        self.drawn: Any = None
        self.painted = 0.0
        self.client = context.client
        self.box = w.block("walk", "nav").props('aria-label="The walk" tabindex="-1"')
        w.saving("the walk", self.box)

    def show(
        self, found: Trace, build: int, image: tuple[int, int] | None, *, running: bool
    ) -> None:
        """Show the walk through a net."""
        names = tuple(step.name for step in found.steps)
        now = (build, walk(found), names)
        if now != self.drawn:
            self.drawn, self.stops, self.links, self.at = now, now[1], [], None
            self.box.clear()
            with self.box:
                self._row(nodes(found, joins=True), "walk-line")
            self.painted = 0.0
        if running and time.monotonic() < self.painted + PAUSE:
            return
        self.painted = time.monotonic()
        for link in self.links:
            if link.thumb is not None:
                array = array_of(found.step(link.stop.path), link.stop.way)
                if array is not None:
                    link.thumb.show(array, image if array.shape == found.x.shape else None)

    def mark(self, at: Stop) -> None:
        """Mark where one stands, and bring it into view."""
        if at == self.at:
            return
        self.at = at
        for link in self.links:
            here = link.stop == at
            if here != (link.element.props.get("aria-current") == "step"):
                link.element.props.set_optional("aria-current", "step" if here else None)
        self.client.run_javascript(f"chainruleStudio.reveal({_key(at)!r})")

    def renew_addresses(self) -> None:
        """Write the present state into the links."""
        for link in self.links:
            link.element.props["href"] = self.address(link.stop)

    def _row(self, row: tuple[Node, ...], classes: str = "") -> None:
        with w.block(f"walk-row {classes}", "ol"):
            for node in row:
                if node.inside:
                    with w.block("walk-group", "li"):
                        self._group(node)
                with w.block("walk-layer", "li"):
                    self._layer(node)
                if node.note and not node.named:
                    w.text(node.note, "li", "walk-note")

    def _group(self, node: Node) -> None:
        ways = lanes(node)
        for lane in ways:
            with w.block("walk-lane"):
                if lane.words:
                    w.text(lane.words, "span", "walk-words")
                if lane.nodes:
                    self._row(lane.nodes)
                else:
                    w.block("walk-past").props('aria-hidden="true"')

    def _layer(self, node: Node) -> None:
        step = node.step
        words = node.note if node.named else type(step.thing).__name__
        name = w.text(words, "span", "walk-name")
        name.props["title"] = step.name
        for way in (FORWARD, BACKWARD):
            self._link(step, Stop(step.path, way))

    def _link(self, step: Step, stop: Stop) -> None:
        number = self.stops.index(stop) + 1
        array = array_of(step, stop.way)
        shape = shape_of(step, stop.way)
        link = w.block(f"walk-go walk-{stop.way}", "a")
        link.props.update({
            "href": self.address(stop), "data-stop": _key(stop),
            "title": f"{step.name}: {shape} {'out' if stop.way == FORWARD else 'back'}",
            "aria-label": f"{stop.way}, {stop.path}, {step.name}, step {number}",
        })  # fmt: skip
        link.on("click", lambda _: self.go(stop), js_handler=GO)
        with link:
            thumb = Thumb() if array is not None and number <= MOST_THUMBS else None
            w.text(ARROWS[stop.way].format(number), "span", "walk-number")
        self.links.append(_Link(stop, link, thumb))


def array_of(step: Step, way: str) -> Array | None:
    """Return what a stop gives; of a join on the way back what it hands to each of its values."""
    if way == FORWARD:
        return step.output
    backs = [taken.back for taken in step.taken]
    if len({back.shape[:-1] for back in backs}) == 1:
        return np.concatenate(backs, axis=-1)
    return step.grad_input


def shape_of(step: Step, way: str) -> str:
    """Return its shape in words; of a join on the way back one for each of its values."""
    if way == BACKWARD and step.taken:
        return " and ".join(shape_words(taken.back) for taken in step.taken)
    array = array_of(step, way)
    return "none: indices have no derivative" if array is None else shape_words(array)


def _key(stop: Stop) -> str:
    return f"{stop.way} {stop.path}"
