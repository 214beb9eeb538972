"""What was measured, epoch by epoch."""

import os
from typing import TYPE_CHECKING

from chainrule.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chainrule.training.profile import Profile

__all__ = ["History"]


class History:
    """One row of figures an epoch.

    ``history["loss"]`` is the column of that name, with None where an epoch did not measure it.

    Attributes
    ----------
    rows : list of dict
        The rows: ``epoch`` from 1, ``loss``, and whatever else was measured.
    profile : Profile or None
        Time and memory of a step, layer by layer, after ``train(..., profile=True)``.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 1, "loss": 0.5})
    >>> history.append({"epoch": 2, "loss": 0.25, "validation_accuracy": 0.9})
    >>> history["loss"], history["validation_accuracy"]
    ([0.5, 0.25], [None, 0.9])
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.profile: Profile | None = None

    def append(self, row: dict[str, float]) -> None:
        """Add a row."""
        self.rows.append(row)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> list[float | None]:
        if name not in self.columns:
            raise KeyError(f"no column {name!r}; there are: {', '.join(self.columns) or 'none'}.")
        return [row.get(name) for row in self.rows]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __repr__(self) -> str:
        return f"History({len(self)} epochs: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        from chainrule.training.history_html import html

        return html(self.rows, self.columns)

    def plot(self, *, ax: "Axes | None" = None) -> "Axes":
        """Draw loss and accuracy by epoch: see :func:`chainrule.plots.curves`."""
        from chainrule import plots

        return plots.curves(self, ax=ax)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order in which they first came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a CSV file, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        import csv
        import io

        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(path, text.getvalue().encode())
