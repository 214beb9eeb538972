"""The report as a picture: analytic, numerical, and their difference, side by side."""

import base64
import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layer import Array
from chainrule.notebook import escape, page, table

if TYPE_CHECKING:
    from chainrule.gradcheck.report import Finding, GradientReport

__all__ = ["figure", "html"]

LARGEST = 64  # rows and columns shown; more would be no pixels of their own


def figure(report: "GradientReport") -> Any:
    """Return a matplotlib figure with a row for each array whose gradients are known.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    ValueError
        If no array's gradients are known.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = [f for f in report.findings if _comparable(f)]
    if not drawn:
        raise ValueError("there is no array of which both gradients are known.")
    made = Figure(figsize=(9, 2.3 * len(drawn) + 0.4), dpi=110, layout="constrained")
    axes = made.subplots(len(drawn), 3, squeeze=False)
    for row, finding in zip(axes, drawn, strict=True):
        analytic, numerical = _matrix(finding.analytic_array), _matrix(finding.numerical_array)
        both = np.concatenate([analytic.ravel(), numerical.ravel()])
        limit = float(np.abs(both[np.isfinite(both)]).max(initial=0)) or 1.0
        panels = {
            "analytic": analytic,
            "numerical": numerical,
            f"difference (at most {finding.max_error:.0e} of the value)": analytic - numerical,
        }
        for ax, (title, values) in zip(row, panels.items(), strict=True):
            ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
            ax.set_title(title, fontsize=9)
            ax.tick_params(labelsize=7)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        row[0].set_ylabel(f"{finding.name}\n{finding.verdict}", fontsize=9)
    return made


def html(report: "GradientReport") -> str:
    """Return the report for a notebook: verdicts, words, and the picture where it can be drawn."""
    verdict = "ok" if report.ok else "FAILED"
    pieces = [f"<b>{escape(report.subject)}: {verdict}</b>"]
    if report.error:
        return page(*pieces, f"<pre>{escape(report.error)}</pre>")
    if not report.findings:
        return page(f"<pre>{escape(report.text())}</pre>")
    head, *rows = report.rows()
    pieces.append(table(head, rows, words=(0, len(head) - 1)))
    pieces += [
        f"<div><b>{escape(finding.name)}</b>: {escape(words)}</div>"
        for finding in report.findings
        for words in finding.words
    ]
    with contextlib.suppress(ModuleNotFoundError, ValueError):
        buffer = io.BytesIO()
        figure(report).savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        label = escape(f"analytic and numerical gradients of {report.subject}")
        pieces.append(f'<img alt="{label}" src="data:image/png;base64,{data}">')
    return page(*pieces)


def _comparable(finding: "Finding") -> bool:
    a, n = finding.analytic_array, finding.numerical_array
    return a is not None and n is not None and a.shape == n.shape and a.size > 0


def _matrix(values: Array | None) -> Array:
    values = np.asarray(values, dtype=np.float64)
    rows = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(1, -1)
    return rows[:LARGEST, :LARGEST]
