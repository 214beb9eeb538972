"""``chainrule compare``: several runs side by side."""

import contextlib
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.cli.errors import UsageError
from chainrule.cli.settings import read_settings
from chainrule.figures import greater_is_better
from chainrule.loading import load
from chainrule.training import History

__all__ = ["Made", "compare_command", "read_run"]


@dataclass
class Made:
    """What is known of a run: its settings, its history, the size of its net."""

    name: str
    data: str
    settings: dict[str, Any]
    history: History
    parameters: int | None

    def figures(self) -> dict[str, Any]:
        """Return what it came to."""
        if not len(self.history):
            return {"epochs": 0}
        column = (
            "validation_accuracy" if "validation_accuracy" in self.history else "validation_loss"
        )
        values = [v for v in self.history[column] if v is not None]
        best = max(values) if greater_is_better(column) else min(values)
        return {
            "epochs": len(self.history),
            "best_epoch": self.history["epoch"][self.history[column].index(best)],
            f"best_{column}": best,
            f"last_{column}": self.history[column][-1],
            "parameters": self.parameters,
        }


def compare_command(folders: Sequence[Path], *, as_json: bool, out: Path | None) -> int:
    """Print what differs between runs and what they came to; draw their curves."""
    if len(folders) < 2:
        raise UsageError("compare: name at least two runs: chainrule compare RUN RUN…")
    runs = [read_run(folder) for folder in folders]
    differing = [
        name for name in runs[0].settings if len({str(run.settings.get(name)) for run in runs}) > 1
    ]
    rows = [
        {"run": run.name, **{n: run.settings[n] for n in differing}, **run.figures()}
        for run in runs
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows)
        if len({run.data for run in runs}) > 1:
            print("The runs were made on different data: their figures say little of each other.")
        for run in runs:
            if not len(run.history):
                print(f"{run.name} was stopped before its first epoch ended.")
    drawn = [run for run in runs if len(run.history)]
    if out is not None and drawn:
        from chainrule import plots

        axes = plots.compare({run.name: run.history for run in drawn})
        axes.figure.savefig(out)  # type: ignore[union-attr]  # the stubs allow a SubFigure
        if not as_json:
            print(f"Their curves are drawn in {out}.")
    return 0


def read_run(folder: Path) -> Made:
    """Read what a run's folder says of it.

    Raises
    ------
    UsageError
        If it is no run.
    ValueError
        If its history is damaged.
    """
    if not (folder / "run.toml").is_file():
        raise UsageError(f"{folder} is no run: there is no run.toml in it.")
    settings, hashes = read_settings(folder)
    history = History()
    path = folder / "history.csv"
    if path.exists():
        try:
            for row in csv.DictReader(path.read_text().splitlines()):
                figures = {name: float(value) for name, value in row.items() if value}
                history.append({**figures, "epoch": int(figures["epoch"])})
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged: {error}. Train the run again.") from error
    model = folder / "model.safetensors"
    parameters = None
    if model.exists():
        with contextlib.suppress(ValueError):  # layers of the user's own are not known here
            parameters = load(model).parameters.size
    return Made(
        str(folder), hashes.get("data", str(settings.data)), asdict(settings), history, parameters
    )


def _print(rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [[_shown(row.get(name)) for name in columns] for row in rows]
    heads = [name.replace("_", " ") for name in columns]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(*heads)
        for line in table:
            drawn.add_row(*line)
        Console().print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(heads, *table, strict=True)]
    for line in [heads, *table]:
        words = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        print("  ".join(words).rstrip())


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
