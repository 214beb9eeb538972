"""A history as a notebook shows it: a table with the best row marked, and small curves."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.figures import greater_is_better
from chainrule.notebook import escape, page, table

__all__ = ["best_row", "html"]

FIRST, LAST = 3, 6  # rows shown of a long history
POINTS = 240  # of a curve: more would be no pixels of their own
WIDTH, HEIGHT = 300, 64
COLORS = {"loss": "#0072B2", "validation_loss": "#D55E00"}  # as in the pictures


def html(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the rows as HTML, short for any number of epochs."""
    if not rows:
        return page("<p>No epoch yet.</p>")
    monitor, best = best_row(rows, columns)
    shown = list(range(len(rows)))
    if len(rows) > FIRST + LAST + 2:
        keep = {*shown[:FIRST], *shown[-LAST:], *(() if best is None else (best,))}
        shown = sorted(keep)
    lines: list[list[str]] = []
    marked = None
    for before, i in zip([-1, *shown], shown, strict=False):
        if i > before + 1:
            lines.append(["⋯"] * len(columns))
        if i == best:
            marked = len(lines)
        lines.append([_text(rows[i].get(name)) for name in columns])
    words = f"{len(rows):,} epoch{'s' * (len(rows) > 1)}"
    if best is not None:
        words += f"; marked: the best {_words(monitor)}"
    return page(
        table([_words(name) for name in columns], lines, words=(), best=marked),
        _curves(rows, columns),
        f'<div class="quiet">{escape(words)}</div>',
    )


def best_row(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[str, int | None]:
    """Return by which column an epoch is the best, and which it is; None if none was measured.

    Examples
    --------
    >>> best_row([{"loss": 2.0}, {"loss": 1.0}, {"loss": float("nan")}], ["loss"])
    ('loss', 1)
    """
    wanted = ("validation_accuracy", "validation_loss", "loss")
    name = next((name for name in wanted if name in columns), "")
    values = {i: row[name] for i, row in enumerate(rows) if _finite(row.get(name))}
    if not values:
        return name, None
    return name, (max if greater_is_better(name) else min)(values, key=values.__getitem__)


def _curves(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the losses as small curves; nothing of fewer than two epochs."""
    names = [name for name in COLORS if name in columns]
    values = [row[name] for name in names for row in rows if _finite(row.get(name))]
    if len(rows) < 2 or not values:
        return ""
    low, high = min(values), max(values)
    step = -(-len(rows) // POINTS)
    pieces = []
    for name in names:
        words, pen = [], "M"
        for i in range(0, len(rows), step):
            value = rows[i].get(name)
            if not _finite(value):
                pen = "M"  # the line has a gap
                continue
            x = 4 + (WIDTH - 8) * i / (len(rows) - 1)
            y = 4 + (HEIGHT - 8) * ((high - value) / (high - low) if high > low else 0.5)
            words.append(f"{pen}{x:.1f} {y:.1f}{'h0' if pen == 'M' else ''}")  # h0: a dot
            pen = "L"
        pieces.append(
            f'<path d="{" ".join(words)}" fill="none" stroke="{COLORS[name]}" stroke-width="1.8" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
    legend = ", ".join(
        f'<span style="color:{COLORS[name]}">&#9644;</span> {_words(name)}' for name in names
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="loss by epoch">{"".join(pieces)}</svg>'
        f'<div class="quiet">{legend}: {_text(high)} to {_text(low)}</div>'
    )


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
