"""Where a step of training spends its time and memory."""

from typing import TYPE_CHECKING, Any

from chainrule.plots.figure import BLUE, GREY, ORANGE, at_least, clean, ink, own_axes, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chainrule.training.profile import Profile, ProfileRow

__all__ = ["profile"]

LABEL = 34  # characters


def profile(profile: "Profile", *, most: int = 30, ax: "Axes | None" = None) -> "Axes":
    """Draw time and memory of a step of training: a bar for each layer, and what is round them.

    Parameters
    ----------
    profile : Profile
        ``history.profile`` after ``train(..., profile=True)``.
    most : int
        How many parts to draw: those that take longest.
    ax : matplotlib axes, optional
        Where to draw; it is divided in two, side by side.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, plots, train
    >>> net = Model([Linear(3, 1)], MeanSquaredError())
    >>> data = np.ones((640, 3)), np.ones(640)
    >>> history = train(net, 0.1, 2, data, profile=True, verbose=False)
    >>> plots.profile(history.profile).child_axes[1].get_title()
    'Memory'
    """
    at_least("profile", "most", most)
    longest = sorted(profile.rows, key=lambda row: -row.time)[:most]
    rows = [row for row in profile.rows if row in longest]
    ax = own_axes(ax, 10, 1.4 + 0.3 * len(rows))
    ax.axis("off")
    left = ax.inset_axes((0, 0, 0.58, 1))
    right = ax.inset_axes((0.64, 0, 0.36, 1))
    _times(left, rows, profile.step)
    _memory(right, rows)
    for side in (left, right):
        side.set_ylim(len(rows) - 0.5, -0.5)  # the first part on top
        clean(side)
        side.grid(visible=False, axis="y")
        side.tick_params(axis="y", length=0)
        if side.patches:
            side.legend(  # between the title and the bars, where no bar can be
                loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=4, frameon=False, fontsize=8,
                columnspacing=1, handlelength=1.2,
            )  # fmt: skip
    left.set_yticks(range(len(rows)), [words(row.label, LABEL) for row in rows])
    right.set_yticks(range(len(rows)), [""] * len(rows))
    some = "" if len(rows) == len(profile.rows) else f", the {len(rows)} longest parts"
    left.set_title(f"A step of {profile.samples:,} samples: {_time(profile.step)}{some}", pad=24)
    right.set_title("Memory", pad=24)
    return ax


def _times(ax: Any, rows: "list[ProfileRow]", step: float) -> None:
    unit, per_second = ("ms", 1e3) if step >= 0.01 else ("µs", 1e6)
    kinds = {
        "forward": (BLUE, [row.forward for row in rows]),
        "backward": (ORANGE, [row.backward for row in rows]),
        "neither": (GREY, [row.other for row in rows]),
    }
    _stack(ax, kinds, per_second)
    floors = [(i, row.floor) for i, row in enumerate(rows) if row.floor is not None]
    if floors:
        places, seconds = zip(*floors, strict=True)
        ax.barh(
            places, [per_second * s for s in seconds], 0.7, fill=False, edgecolor=ink(),
            label="matrix products alone",
        )  # fmt: skip
    for i, row in enumerate(rows):
        end = per_second * max(row.time, row.floor or 0.0)
        figures = f"{_time(row.time)}, {100 * row.time / step:.0f} %"
        ax.annotate(figures, (end, i), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_xlabel(f"{unit} a step")
    ax.set_xlim(0, 1.3 * per_second * max(max(row.time, row.floor or 0.0) for row in rows))


def _memory(ax: Any, rows: "list[ProfileRow]") -> None:
    kinds = {
        "parameters, gradients": ("#009E73", [row.parameter_bytes for row in rows]),
        "kept, buffers": ("#CC79A7", [row.array_bytes for row in rows]),
    }
    largest = max(row.parameter_bytes + row.array_bytes for row in rows)
    unit, size = ("MiB", 2**20) if largest >= 2**20 else ("KiB", 2**10)
    _stack(ax, kinds, 1 / size)
    for i, row in enumerate(rows):
        total = row.parameter_bytes + row.array_bytes
        if total:
            ax.annotate(
                _bytes(total), (total / size, i), (4, 0), textcoords="offset points",
                va="center", fontsize=8,
            )  # fmt: skip
    ax.set_xlabel(unit)
    ax.set_xlim(0, 1.3 * max(largest, 1) / size)


def _stack(ax: Any, kinds: dict[str, tuple[str, list[Any]]], scale: float) -> None:
    """Draw bars of several kinds end to end; a kind that is nowhere is left out."""
    starts = [0.0] * len(next(iter(kinds.values()))[1])
    for label, (colour, values) in kinds.items():
        lengths = [scale * value for value in values]
        if any(lengths):
            ax.barh(range(len(starts)), lengths, 0.7, left=starts, color=colour, label=label)
        starts = [start + length for start, length in zip(starts, lengths, strict=True)]


def _time(seconds: float) -> str:
    if seconds >= 0.01:
        return f"{1e3 * seconds:,.0f} ms"
    return f"{1e3 * seconds:.2f} ms" if seconds >= 0.001 else f"{1e6 * seconds:.0f} µs"


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
