"""Arrays as little pictures side by side."""

from __future__ import annotations

from nicegui.element import Element

from chainrule.studio.anatomy import Pictures
from chainrule.studio.page.encoding import as_text

__all__ = ["Sheet"]


class Sheet(Element, component="sheet.js"):
    """Pictures side by side, with their numbers under the pointer or the cursor keys.

    Parameters
    ----------
    label : str
        What they are, for screen readers and the name of a file.
    caption : str
        What stands above them.
    unit : str
        What one picture is: ``"unit"``, ``"kernel"``, ``"channel"``.
    scale : {"diverging", "cividis", "ink"}
    side : float
        The longer side of the whole, in pixels.
    save : bool
        Whether it can be saved as a picture.
    """

    def __init__(
        self,
        label: str,
        *,
        caption: str = "",
        unit: str = "channel",
        scale: str = "diverging",
        side: float = 132,
        save: bool = False,
    ) -> None:
        super().__init__()
        self.props.update(
            label=label, caption=caption, unit=unit, scale=scale, side=side, save=save,
            values="", count=0, high=1, wide=1, skip=1, form="vector", shape="",
        )  # fmt: skip

    def show(self, found: Pictures, shape: tuple[int, ...]) -> None:
        """Show pictures of an array of a shape."""
        count, high, wide = found.values.shape
        words = as_text(found.values)
        if words != self.props["values"]:
            self.props.update(
                values=words, count=count, high=high, wide=wide, skip=found.skip, form=found.form,
                shape=" × ".join(map(str, shape)) or "a number",
            )  # fmt: skip
