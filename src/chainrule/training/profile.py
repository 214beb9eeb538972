"""Where a step of training spends its time, and what each layer holds: the figures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.storage import write_atomically

__all__ = ["Profile", "ProfileRow"]


@dataclass(frozen=True)
class ProfileRow:
    """One part of a step: a layer, or what is round the layers.

    Attributes
    ----------
    name : str
        A layer's place in the net, as ``"2"`` or ``"1.inner.0"``; else ``"data"`` (waiting for the
        mini-batch), ``"model"`` (its own work: turning inputs into floats, handing arrays on),
        ``"loss"``, ``"optimizer"`` or ``"rest"`` (the loop, callbacks, and the measuring itself).
    what : str
        The layer, loss or optimiser as code.
    forward, backward, other : float
        Seconds in a step: in the two passes, and in what belongs to neither. A container's are
        those that it spends itself, outside of its layers.
    parameter_bytes : int
        Its parameters and their gradients.
    array_bytes : int
        What it keeps for backward, and its buffers; an optimiser's averages.
    floor : float or None
        Of a ``Linear``: seconds of its bare matrix products in a step.
    """

    name: str
    what: str = ""
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    parameter_bytes: int = 0
    array_bytes: int = 0
    floor: float | None = None

    @property
    def time(self) -> float:
        """Seconds in a step, all together."""
        return self.forward + self.backward + self.other

    @property
    def label(self) -> str:
        """How tables and pictures call it."""
        return f"{self.name}: {self.what}" if self.what else self.name


@dataclass(frozen=True, repr=False)
class Profile:
    """Time and memory of a step of training, part by part.

    The times of the rows add up to ``step``: they are means over the same steps, the middle half by
    their total. So a moment when the computer did something else does not count.

    Attributes
    ----------
    rows : tuple of ProfileRow
        In the order of a step.
    step : float
        Seconds of a step.
    quickest, slowest : float
        Seconds of the quickest and the slowest step in the middle half.
    steps : int
        How many steps were measured, without the first few.
    samples : int
        In the largest mini-batch, the one that the bytes are of.
    temporary_bytes : int or None
        The most that a step takes at one time on top of what the rows hold, and gives back; of
        the second step. None if there was none, or if the program uses tracemalloc itself.
    overhead : float
        Seconds that the measuring itself adds to a step, at least; they are in the row ``rest``.
    """

    rows: tuple[ProfileRow, ...]
    step: float
    quickest: float
    slowest: float
    steps: int
    samples: int
    temporary_bytes: int | None
    overhead: float

    def __getitem__(self, name: str) -> ProfileRow:
        for row in self.rows:
            if row.name == name:
                return row
        there = ", ".join(row.name for row in self.rows)
        raise KeyError(f"no row {name!r} in the profile; there are: {there}.")

    @property
    def bytes(self) -> int:
        """What all parts hold together."""
        return sum(row.parameter_bytes + row.array_bytes for row in self.rows)

    def __repr__(self) -> str:
        return str(self)  # the table, where a notebook or a prompt echoes it

    def __str__(self) -> str:
        unit, per_second = ("ms", 1e3) if self.step >= 0.1 else ("µs", 1e6)

        def time(seconds: float | None) -> str:
            return f"{per_second * seconds:,.1f}" if seconds else ""

        def kibibytes(count: int) -> str:
            return f"{count / 1024:,.1f}" if count else ""

        def cells(label: str, row: ProfileRow) -> list[str]:
            return [
                label, time(row.forward), time(row.backward), time(row.time),
                f"{100 * row.time / self.step:.1f} %", time(row.floor),
                kibibytes(row.parameter_bytes), kibibytes(row.array_bytes),
            ]  # fmt: skip

        total = self._total()
        table = [
            ["", "forward", "backward", "together", "share", "products", "parameters", "arrays"],
            ["", unit, unit, unit, "", unit, "KiB", "KiB"],
            *(cells(_short(row.label), row) for row in self.rows),
            cells("a step", total),
        ]
        if total.floor is None:  # no Linear, no column
            table = [[*line[:5], *line[6:]] for line in table]
        lines = _aligned(table)
        rule = "-" * len(lines[0])
        lines = [*lines[:2], rule, *lines[2:-1], rule, lines[-1], ""]
        lines.append(
            f"Mini-batches of {self.samples:,}. Times: means over the middle half of "
            f"{self.steps:,} steps: {time(self.quickest)} to {time(self.slowest)} {unit}."
        )
        lines.append(
            "Parameters: with their gradients. Arrays: kept for backward, buffers, averages."
        )
        if self.temporary_bytes is not None:
            lines.append(f"Temporary arrays in a step: {kibibytes(self.temporary_bytes)} KiB.")
        if total.floor:
            lines.append(
                f"Products: the bare matrix products of the Linear layers. The step takes "
                f"{self.step / total.floor:.2f} times as long."
            )
        lines.append(
            f"Rest: the loop, callbacks, and the measuring itself, at least "
            f"{time(self.overhead)} {unit} of it."
        )
        return "\n".join(lines)

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a CSV file, times in microseconds of a step, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([
            "name", "layer", "forward_us", "backward_us", "other_us", "products_us",
            "parameter_bytes", "array_bytes",
        ])  # fmt: skip
        for row in self.rows:
            times = (row.forward, row.backward, row.other, row.floor)
            writer.writerow([
                row.name, row.what, *("" if t is None else f"{1e6 * t:.3f}" for t in times),
                row.parameter_bytes, row.array_bytes,
            ])  # fmt: skip
        write_atomically(path, text.getvalue().encode())

    def _total(self) -> ProfileRow:
        floors = [row.floor for row in self.rows if row.floor is not None]
        return ProfileRow(
            "", "",
            sum(row.forward for row in self.rows),
            sum(row.backward for row in self.rows),
            sum(row.other for row in self.rows),
            sum(row.parameter_bytes for row in self.rows),
            sum(row.array_bytes for row in self.rows),
            sum(floors) if floors else None,
        )  # fmt: skip


def _short(label: str, most: int = 40) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with the first column to the left, the others to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, wide[1:], strict=True)]
        lines.append("  ".join([f"{first:<{wide[0]}}", *cells]))
    return lines
