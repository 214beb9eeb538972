"""Controls of the browser's own, so that keyboard, touch and screen readers work as everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from chainrule.studio.formulas import to_mathml
from chainrule.studio.source import Source

__all__ = [
    "Choice",
    "Number",
    "SourceLines",
    "Text",
    "block",
    "button",
    "figures",
    "heading",
    "link",
    "maths",
    "saving",
    "text",
]

Answer = Callable[[Any], Any]


class Text(TextElement):
    """An element that holds text alone."""

    def __init__(self, tag: str, words: str, classes: str = "") -> None:
        super().__init__(tag=tag, text=words)
        self.classes(classes)

    def show(self, words: str) -> None:
        """Show other words; the same cost nothing."""
        if words != self.text:
            self.text = words


def text(words: str, tag: str = "p", classes: str = "") -> Text:
    """Return a text; a paragraph if nothing else is said."""
    return Text(tag, words, classes)


def heading(words: str, level: int = 2, classes: str = "") -> Text:
    """Return a heading."""
    return Text(f"h{level}", words, classes)


def block(classes: str = "", tag: str = "div") -> ui.element:
    """Return an element to put others into."""
    return ui.element(tag).classes(classes)


def link(words: str, address: str, classes: str = "") -> Text:
    """Return a link to a part of the page in a state."""
    made = Text("a", words, classes)
    made.props["href"] = address
    return made


def button(
    words: str,
    on_click: Callable[[], Any],
    *,
    title: str = "",
    classes: str = "",
    keys: str = "",
) -> Text:
    """Return a button.

    Parameters
    ----------
    words : str
        What it says.
    on_click : function
    title : str
        What it does, where the words alone do not say it.
    keys : str
        The key that does the same, as ``"Space"``.
    """
    made = Text("button", words, f"button {classes}")
    made.props["type"] = "button"
    if title:
        made.props["title"] = f"{title} ({keys})" if keys else title
        made.props["aria-label"] = title
    if keys:
        made.props["aria-keyshortcuts"] = keys
    made.on("click", lambda _: on_click(), js_handler="() => emit()")
    return made


def saving(label: str, of: ui.element, how: str = "saveBlock") -> ui.element:
    """Return the two buttons that save an element of the page as a picture.

    Parameters
    ----------
    label : str
        What it is, for screen readers and the name of the file.
    of : element
    how : {"saveBlock", "saveImage"}
        Whether it is drawn, or is a picture itself.
    """
    name = re.sub(r"[^\w]+", "-", label)
    with block("heat-save save-block") as box:
        for kind in ("png", "svg"):
            made = Text("button", kind.upper())
            made.props.update({"type": "button", "aria-label": f"Save {label} as {kind.upper()}"})
            of_page = f"document.getElementById({of.html_id!r})"
            made.on(
                "click", js_handler=f"() => chainruleStudio.{how}({of_page}, {name!r}, {kind!r})"
            )
    return box


def _heard(element: ui.element, event: GenericEventArguments) -> Any:
    """Return what was chosen; note that it was heard, for until then it stays as it is there."""
    arguments = event.args
    if not isinstance(arguments, list) or len(arguments) != 2:  # no page of ours sends it
        return None
    value, number = arguments
    element.props["heard"] = number if isinstance(number, int) else 0
    return value


class Choice(ui.element, component="choice.js"):
    """A list to choose one of.

    Parameters
    ----------
    label : str
    options : dict of str to str
        Values, and what is shown for them.
    value : str
    on_change : function (value)
    """

    def __init__(
        self, label: str, options: Mapping[str, str], value: str, on_change: Answer
    ) -> None:
        super().__init__()
        self._options: dict[str, str] = {}
        self.props.update(label=label, chosen=value, heard=0)
        self.offer(options)
        self.on("choose", lambda event: self._chosen(_heard(self, event), on_change))

    def offer(self, options: Mapping[str, str]) -> None:
        """Offer other values."""
        if dict(options) != self._options:
            self._options = dict(options)
            self.props["options"] = [list(pair) for pair in options.items()]

    def show(self, value: str) -> None:
        """Show a value as chosen."""
        if self.props["chosen"] != value:
            self.props["chosen"] = value

    def _chosen(self, value: Any, on_change: Answer) -> Any:
        if not isinstance(value, str) or value not in self._options:  # no browser sends it
            return None
        self.props["chosen"] = value
        return on_change(value)


class Number(ui.element, component="number.js"):
    """A number to type.

    Parameters
    ----------
    label : str
    value : float
    on_change : function (value)
        Is called when Enter is pressed or the field is left; with NaN if that is no number.
    least, most : float
    step : str
        By how much the arrows change it; ``"any"`` lets any number be typed.
    """

    def __init__(
        self,
        label: str,
        value: float,
        on_change: Answer,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        step: str = "any",
    ) -> None:
        super().__init__()
        self.props.update(label=label, step=step, value="", heard=0)
        if math.isfinite(least):
            self.props["least"] = f"{least:g}"
        if math.isfinite(most):
            self.props["most"] = f"{most:g}"

        def changed(event: GenericEventArguments) -> Any:
            words = _heard(self, event)
            try:
                number = float(words)
            except (TypeError, ValueError):
                number = math.nan
            self.props["value"] = str(words)
            return on_change(number)

        self.on("choose", changed)
        self.show(value)

    def show(self, value: float) -> None:
        """Show a value; NaN shows none."""
        words = "" if math.isnan(value) else f"{value:.6g}"
        if self.props["value"] != words:
            self.props["value"] = words


def figures(pairs: Mapping[str, str], classes: str = "") -> dict[str, Text]:
    """Return figures with their names, as a list; the texts can be shown anew."""
    found = {}
    with block(f"figures {classes}", "dl"):
        for name, words in pairs.items():
            with block("figure"):
                Text("dt", name)
                found[name] = Text("dd", words)
    return found


def maths(latex: str, classes: str = "") -> ui.html:
    """Return a formula, as the browser draws it from MathML."""
    return ui.html(to_mathml(latex), sanitize=False).classes(f"maths {classes}")


class SourceLines(ui.element, component="source.js"):
    """The lines of a method with their numbers, some of them marked."""

    def __init__(self, source: Source, marked: Sequence[int] = ()) -> None:
        super().__init__()
        indents = [len(line) - len(line.lstrip()) for line in source.lines if line.strip()]
        indent = min(indents, default=0)
        self.props.update(
            title=f"{source.file}, line {source.first}",
            first=source.first,
            lines=[line[indent:] for line in source.lines],
            marked=list(marked),
        )
