"""The runs of this folder: what they were made from, and what they came to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.cli.compare import Made, read_run
from chainrule.cli.errors import UsageError

__all__ = ["Past", "past_runs"]

FOLDER = Path("runs")
MOST = 200  # the newest


@dataclass(frozen=True)
class Past:
    """A run that was made before.

    Attributes
    ----------
    name : str
        Of its folder.
    made : float
        When its settings were written, in seconds since 1970.
    run : Made or None
        What is known of it; None if it cannot be read.
    words : str
        Why it cannot be read; empty if it can.
    """

    name: str
    made: float
    run: Made | None
    words: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made from."""
        return {} if self.run is None else self.run.settings

    @property
    def figures(self) -> dict[str, Any]:
        """What it came to."""
        return {} if self.run is None else self.run.figures()


def past_runs(folder: Path = FOLDER) -> list[Past]:
    """Return the runs in a folder, the newest first; one that is damaged says so."""
    found = []
    for path in folder.glob("*/run.toml"):
        with contextlib.suppress(OSError):  # it has just been removed
            found.append((path.stat().st_mtime, path.parent))
    found.sort(reverse=True)
    return [_read(path, made) for made, path in found[:MOST]]


def _read(path: Path, made: float) -> Past:
    try:
        return Past(path.name, made, read_run(path))
    except (UsageError, ValueError, OSError) as error:
        return Past(path.name, made, None, str(error))
