"""Figures for TensorBoard."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write event files: ``tensorboard --logdir FOLDER`` shows them, also while the net trains.

    ``step/loss`` and ``step/learning_rate``, and each column of the history as ``epoch/NAME``, are
    drawn over the steps. A training that goes on from a checkpoint writes a file of its own, which
    takes the place of what the one before wrote after that checkpoint.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    every_steps : int
        How often the figures of a step are written.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.

    Examples
    --------
    >>> from chainrule import TensorBoard
    >>> TensorBoard("runs/tensorboard", every_steps=0)
    Traceback (most recent call last):
    ...
    ValueError: TensorBoard: every_steps must be at least 1, got 0.
    """

    writes = True

    def __init__(self, folder: str | os.PathLike[str], *, every_steps: int = 10) -> None:
        if isinstance(every_steps, bool) or not isinstance(every_steps, int) or every_steps < 1:
            raise ValueError(f"TensorBoard: every_steps must be at least 1, got {every_steps!r}.")
        try:
            import tensorboardX
        except ImportError as error:
            raise ImportError(
                "TensorBoard needs tensorboardX: pip install 'chainrule[tensorboard]'"
            ) from error
        self.folder = Path(folder)
        self.every_steps = every_steps
        self._library = tensorboardX
        self._writer: Any = None

    def on_step_end(self, run: "Run") -> None:
        """Write the figures of the step."""
        if run.step % self.every_steps == 0:
            writer = self._open(run)
            writer.add_scalar("step/loss", run.loss, run.step)
            writer.add_scalar("step/learning_rate", run.optimizer.learning_rate, run.step)

    def on_epoch_end(self, run: "Run") -> None:
        """Write the epoch's row."""
        writer = self._open(run)
        for name, value in run.history.rows[-1].items():
            if name != "epoch":
                writer.add_scalar(f"epoch/{name}", value, run.step)
        writer.flush()

    def on_train_end(self, run: "Run") -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, run: "Run") -> Any:
        """Return the writer; a new file takes the place of what was written from here on."""
        if self._writer is None:
            # The library names files by the second: two in one second would be one.
            self._writer = self._library.SummaryWriter(
                str(self.folder), purge_step=run.step, filename_suffix=f".{run.step:09d}"
            )
        return self._writer
