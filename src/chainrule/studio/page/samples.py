"""Samples side by side, each with a way to the chain rule of just that sample."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from nicegui.element import Element

from chainrule.studio.data import Data
from chainrule.studio.page.encoding import as_text
from chainrule.studio.page.numbers import number
from chainrule.studio.page.tab import Tab

__all__ = ["Samples"]

MOST_VALUES = 6  # of a sample that is no image, in words
MOST_PIXELS = 96 * 96  # of an image, beyond which it is thinned


class Samples(Element, component="samples.js"):
    """Some of the samples held out: images, or their values, and what is said of them.

    Parameters
    ----------
    tab : Tab
    label : str
        What they are, for the name of a file.
    """

    def __init__(self, tab: Tab, label: str) -> None:
        super().__init__()
        self.tab = tab
        self.props.update(
            label=label, content="[]", rows=1, columns=1, most=1.0, what="Walk its chain rule"
        )

    def show(self, data: Data, chosen: Sequence[tuple[int, str, str]]) -> None:
        """Show samples held out: the number, a title, and words for each."""
        cards = []
        for sample, title, words in chosen:
            raw = data.held.x_test[sample]
            card = {
                "sample": sample, "title": title, "words": words,
                "href": self.tab.link("chain-rule", split="test", sample=sample),
            }  # fmt: skip
            image = _image(data, raw)
            if image is None:
                card["facts"] = _values(data, raw)
            else:
                card["image"] = as_text(image)
                self.props.update(rows=image.shape[0], columns=image.shape[1])
            cards.append(card)
        self.props["most"] = float(data.held.preparation.maximum)
        self.props["content"] = json.dumps(cards)


def _image(data: Data, raw: np.ndarray) -> np.ndarray | None:
    if data.image_shape is None:
        return None
    every = 1
    while raw[::every, ::every, ...].size > MOST_PIXELS * (3 if raw.ndim == 3 else 1):
        every += 1
    return raw[::every, ::every, ...]


def _values(data: Data, raw: np.ndarray) -> str:
    """Return the values of a sample, with the names of their columns if they have some."""
    values = np.ravel(raw)
    names = data.held.preparation.columns or [f"x{i}" for i in range(len(values))]
    words = [
        f"{name[:24]} {number(float(value), 'NaN')}"
        for name, value in zip(names[:MOST_VALUES], values, strict=False)
    ]
    more = len(values) - len(words)
    return ", ".join(words) + (f" and {more:,} more" if more > 0 else "")
