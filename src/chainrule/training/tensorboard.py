"""Figures for TensorBoard."""

import contextlib
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["TensorBoard"]

SECONDS = 30.0  # what is drawn lags behind by no more, unless a step takes longer


class TensorBoard(Callback):
    """Write event files: ``tensorboard --logdir FOLDER`` shows them, also while the net trains.

    ``step/loss`` and ``step/learning_rate``, and each column of the history as ``epoch/NAME``, are
    drawn over the steps. A training that goes on from a checkpoint writes a file of its own, which
    takes the place of what the one before wrote after that checkpoint.

    Where the disk is full, a warning says so, the training goes on, and what could not be written
    is written later into another file.

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
    OSError
        If the folder cannot be made when the training begins.

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
        self._file: Any = None
        self._waiting: list[tuple[str, float, int]] = []  # to be written: name, figure, step
        self._written_at = 0.0

    def on_train_begin(self, run: "Run") -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._waiting, self._written_at = [], time.monotonic()

    def on_step_end(self, run: "Run") -> None:
        """Note the figures of the step."""
        if run.step % self.every_steps == 0:
            rate = run.optimizer.learning_rate
            self._waiting += [
                ("step/loss", run.loss, run.step), ("step/learning_rate", rate, run.step),
            ]  # fmt: skip
        if time.monotonic() - self._written_at >= SECONDS:
            self._write()

    def on_epoch_end(self, run: "Run") -> None:
        """Write the epoch's row, and what waits."""
        self._waiting += [
            (f"epoch/{name}", value, run.step)
            for name, value in run.history.rows[-1].items()
            if name != "epoch"
        ]
        self._write()

    def on_train_end(self, run: "Run") -> None:
        """Write what waits, and close the file."""
        self._write()
        self._close()

    def _write(self) -> None:
        """Write what waits; what cannot be written waits for the next time."""
        self._written_at = time.monotonic()
        if not self._waiting:
            return
        if not self.folder.is_dir():  # somebody has removed it, and the file with it
            self._close()
        try:
            if self._file is None:
                self._file = self._open(self._waiting[0][2])
            for name, value, step in self._waiting:
                summary = self._library.summary.scalar(name, value)
                self._file.write(self._event(step, summary=summary))
            self._file.flush()
        except OSError as error:
            # It may have stopped within a figure: another file takes its place from there on.
            self._close()
            warnings.warn(
                f"{self.folder}: the figures for TensorBoard could not be written: "
                f"{error.strerror or error}. The training goes on.",
                RuntimeWarning,
                stacklevel=3,
            )
        else:
            self._waiting = []

    def _open(self, step: int) -> Any:
        """Return a new file, which takes the place of what others have from this step on.

        The library's writer that does this itself writes by a thread: where the disk is full, the
        thread ends, and the training would wait for it for ever.
        """
        import socket

        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.record_writer import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads them by name: by the second, and within one by the step.
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{step:09d}"
        file = RecordWriter(str(self.folder / name))
        for content in ({"file_version": "brain.Event:2"},
                        {"session_log": SessionLog(status=SessionLog.START)}):  # fmt: skip
            file.write(self._event(step, **content))
        return file

    def _event(self, step: int, **content: Any) -> bytes:
        from tensorboardX.proto.event_pb2 import Event

        event: bytes = Event(wall_time=time.time(), step=step, **content).SerializeToString()
        return event

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
