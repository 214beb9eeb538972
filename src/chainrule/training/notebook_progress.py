"""How far the training is, under the cell of a notebook: one line that changes in place."""

import math
import time
from typing import TYPE_CHECKING, Any

from chainrule.notebook import escape
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["NotebookProgress"]

EVERY = 0.2  # seconds: a browser draws no more often with profit


class NotebookProgress(Callback):
    """A bar, the epoch's figures and the time left; at the end the last epoch's line stays.

    Many epochs leave no more behind than one: the history has them all.
    """

    def __init__(self) -> None:
        self._display: Any = None

    def on_train_begin(self, run: "Run") -> None:
        """Show the bar."""
        from IPython import display

        ipython: Any = display  # its functions have no types
        self._began = self._drawn = time.monotonic()
        self._first = run.step  # of a training that is resumed, not 0
        self._last = ""
        self._display = ipython.display(self._shown(run), raw=True, display_id=True)

    def on_step_end(self, run: "Run") -> None:
        """Move the bar, at most five times a second."""
        if time.monotonic() - self._drawn >= EVERY:
            self._show(run)

    def on_epoch_end(self, run: "Run") -> None:
        """Take the epoch's figures."""
        self._last = run.epoch_line()
        if time.monotonic() - self._drawn >= EVERY:
            self._show(run)

    def on_train_end(self, run: "Run") -> None:
        """Leave the last epoch's line, and how long it took."""
        words = self._last or f"Epoch {run.epoch}/{run.epochs}: ended in it, after step {run.step}"
        words += f" ({_time(time.monotonic() - self._began)})"
        self._display.update({"text/plain": words, "text/html": escape(words)}, raw=True)

    def _show(self, run: "Run") -> None:
        self._drawn = time.monotonic()
        self._display.update(self._shown(run), raw=True)

    def _shown(self, run: "Run") -> dict[str, str]:
        words = f"Epoch {max(run.epoch, 1)}/{run.epochs}"
        if run.count:
            words += f": loss {run.running_loss:.4f}"
        made, total = run.step - self._first, run.steps
        spent = time.monotonic() - self._began
        times = _time(spent)
        if total and made:
            times += f", {_time(spent * (total - run.step) / made)} left"
        share = run.step / total if total else max(run.epoch - 1, 0) / run.epochs
        lines = [f"{words} ({times})", *([self._last] if self._last else [])]
        bar = f'<progress value="{min(share, 1.0):.4f}" max="1"></progress> '
        return {
            "text/plain": "\n".join(lines),
            "text/html": bar + "<br>".join(escape(line) for line in lines),
        }


def _time(seconds: float) -> str:
    minutes, seconds = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{math.floor(seconds):02d}"
    return f"{minutes}:{math.floor(seconds):02d}" if minutes else f"{seconds:.1f} s"
