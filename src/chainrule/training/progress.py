"""A live line on the terminal while a net trains."""

import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Any

from chainrule.notebook import in_notebook
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Progress", "progress_shown_here"]


def progress_shown_here() -> Callback | None:
    """Return what shows the progress: in a notebook, or on a terminal where rich is installed.

    Elsewhere, as in a file or a pipe, there is None: a line an epoch is printed.
    """
    if in_notebook():
        from chainrule.training.notebook_progress import NotebookProgress

        return NotebookProgress()
    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        return Progress()
    return None


class Progress(Callback):
    """A progress bar with the running loss, the last validation, and the time left; needs rich."""

    writes = True

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._drawn = 0.0

    def on_train_begin(self, run: "Run") -> None:
        """Draw the bar."""
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        steps = run.steps_per_epoch
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            *([TimeRemainingColumn()] if steps else []),
            transient=True,  # the lines of the epochs remain, the bar goes
        )
        total = steps * run.epochs if steps else None
        self._task = self._bar.add_task(f"Epoch 1/{run.epochs}", total=total, figures="")
        self._bar.start()

    def on_step_end(self, run: "Run") -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        if now - self._drawn >= 0.1:
            self._drawn = now
            self._show(run)

    def on_epoch_end(self, run: "Run") -> None:
        """Move the bar, and print the epoch's line above it."""
        self._show(run)
        self._bar.console.print(run.epoch_line(), highlight=False)

    def on_train_end(self, run: "Run") -> None:
        """Take the bar away."""
        self._bar.stop()

    def _show(self, run: "Run") -> None:
        figures = f"loss {run.running_loss:.4f}"
        if "validation_accuracy" in run.history:
            figures += f"  validation accuracy {run.history['validation_accuracy'][-1]:.4f}"
        self._bar.update(
            self._task,
            completed=run.step,
            description=f"Epoch {run.epoch}/{run.epochs}",
            figures=figures,
        )
