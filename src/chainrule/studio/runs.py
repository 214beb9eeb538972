"""The runs of this folder: what they were made from, and what they came to.

A run's folder may be anything: half-written, damaged, or made to harm. Only its settings, its
figures and its pictures are read, each up to a size; nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.cli.compare import Made, read_run
from chainrule.cli.errors import UsageError
from chainrule.studio.curves import MOST as MOST_POINTS
from chainrule.studio.frame import Points
from chainrule.studio.saving import layers_of

__all__ = ["FOLDER", "PICTURES", "Past", "Shelf", "past_runs", "picture"]

FOLDER = Path("runs")
MOST = 1000  # the newest
MOST_SETTINGS, MOST_HISTORY, MOST_PICTURE = 1 << 16, 1 << 21, 1 << 22  # bytes
FRESH = 1.0  # seconds for which what was read is believed
PICTURES = {
    "curves": "loss and accuracy, as the command drew them",
    "confusion": "what was taken for what",
    "mistakes": "the worst mistakes",
    "weights": "the weights of the first layer",
    "predicted": "predicted over true values",
    "profile": "time and memory of a step",
}  # that a run may have, as NAME.png
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Past:
    """A run that was made before.

    Attributes
    ----------
    name : str
        Of its folder, fit to be shown.
    folder : path
    made : float
        When its settings were written, in seconds since 1970.
    settings : dict
        What it was made from; empty if it cannot be read.
    figures : dict
        What it came to.
    curves : dict of str to list of (epoch, value)
        The columns of its history.
    pictures : tuple of str
        Those of ``PICTURES`` that are there.
    saved : bool
        Whether there is a model to open.
    words : str
        Why it cannot be read; empty if it can.
    layers : str
        Of a net that the studio built; empty for others.
    """

    name: str
    folder: Path
    made: float
    settings: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Points] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    saved: bool = False
    words: str = ""
    layers: str = ""

    @property
    def best(self) -> tuple[str, float] | None:
        """The name and the value of the best figure; None if there is none."""
        return next(
            ((name, float(value)) for name, value in self.figures.items() if name in BEST), None
        )


BEST = ("best_validation_accuracy", "best_validation_loss", "best_loss")


def past_runs(folder: Path = FOLDER) -> list[Past]:
    """Return the runs in a folder, the newest first; one that is damaged says so."""
    return list(Shelf(folder).look())


class Shelf:
    """The runs of a folder, each read once and then again when its files have changed.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._read: dict[str, tuple[Any, Past]] = {}
        self._runs: tuple[Past, ...] = ()
        self._looked = -FRESH

    def look(self, *, fresh: bool = False) -> tuple[Past, ...]:
        """Return the runs, the newest first: the same tuple if nothing has changed.

        Parameters
        ----------
        fresh : bool
            Whether to look even if somebody has looked just now.
        """
        with self._lock:
            if fresh or time.monotonic() - self._looked >= FRESH:
                self._scan()
                self._looked = time.monotonic()
            return self._runs

    def _scan(self) -> None:
        found = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    marks = _marks(Path(entry.path))
                    if marks is not None:
                        found.append((marks[0][0], entry.name, marks))
        except OSError:  # there is none yet
            pass
        found.sort(reverse=True)
        read = {}
        for _, name, marks in found[:MOST]:
            before = self._read.get(name)
            known = before is not None and before[0] == marks
            read[name] = before if before and known else (marks, _past(self.folder / name, marks))
        self._read = read
        runs = tuple(past for _, past in read.values())
        if len(runs) != len(self._runs) or any(
            a is not b for a, b in zip(runs, self._runs, strict=True)
        ):
            self._runs = runs


Marks = tuple[tuple[int, int], ...]  # of each file: when it was changed, and its size


def _marks(folder: Path) -> Marks | None:
    """Return by what it is seen that a run has changed; None if the folder is no run."""
    files = ("run.toml", "history.csv", "model.safetensors", *(f"{n}.png" for n in PICTURES))
    marks = []
    for file in files:
        try:
            about = (folder / file).stat()
            whole = stat.S_ISREG(about.st_mode)  # no pipe, that would be waited for
        except (OSError, ValueError):
            whole = False
        marks.append((about.st_mtime_ns, about.st_size) if whole else (0, -1))
    return tuple(marks) if marks[0][1] >= 0 else None


def _past(folder: Path, marks: Marks) -> Past:
    name, made = shown(folder.name, 1000), marks[0][0] / 1e9
    try:
        if marks[0][1] > MOST_SETTINGS or marks[1][1] > MOST_HISTORY:
            raise ValueError("its run.toml or history.csv is too large to be one of a run.")
        run = read_run(folder, count=False)
        figures, curves = run.figures(), _curves(run)
    except (UsageError, ValueError, OSError, ArithmeticError) as error:
        words = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "it")
        return Past(name, folder, made, words=shown(words))
    figures = {n: v for n, v in figures.items() if v is not None}
    there = tuple(n for n, mark in zip(PICTURES, marks[3:], strict=True) if mark[1] >= 0)
    settings = {n: v for n, v in run.settings.items() if v is not None}
    layers = _layers(folder) if settings.get("model") == f"{folder / 'net.py'}:build" else ""
    return Past(
        name, folder, made, settings, figures, curves, there, marks[2][1] >= 0, layers=layers
    )


def _layers(folder: Path) -> str:
    """Return the layers of a net that the studio built, from its file, which is only read."""
    with contextlib.suppress(OSError, ValueError):
        path = folder / "net.py"
        if stat.S_ISREG(path.stat().st_mode):  # no pipe, that would be waited for
            with path.open(encoding="utf-8") as file:
                return shown(layers_of(file.read(MOST_SETTINGS)), 1000)
    return ""


def _curves(run: Made) -> dict[str, Points]:
    """Return the columns of a history, in a bounded number of points."""
    history, found = run.history, {}
    every = -(-len(history) // MOST_POINTS) or 1
    for column in ("loss", "validation_loss", "validation_accuracy"):
        if column in history:
            points = [
                (int(row["epoch"]), float(row[column])) for row in history.rows if column in row
            ]
            found[column] = points[::-1][::every][::-1]  # with the last
    return found


def picture(past: Past, name: str) -> bytes | None:
    """Return a picture of a run, if it is one: a PNG file of a sensible size.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    path = past.folder / f"{name}.png"
    if name not in past.pictures or path.is_symlink() or path.stat().st_size > MOST_PICTURE:
        return None
    with path.open("rb") as file:
        content = file.read(MOST_PICTURE + 1)
    return content if content.startswith(PNG) and len(content) <= MOST_PICTURE else None


def shown(words: str, most: int = 200) -> str:
    r"""Return words that may hold anything, fit to be shown: what hides or turns is spelled out.

    Examples
    --------
    >>> shown("a\u202eb"), shown("c\ud800"), shown("<b>é</b>")
    ('a\\u202eb', 'c\\ud800', '<b>é</b>')
    """
    fit = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    return fit if len(fit) <= most else f"{fit[: most - 1]}…"
