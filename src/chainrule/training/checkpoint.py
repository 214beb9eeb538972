"""Checkpoints: the whole state of a training in a folder, to go on from after any stop."""

import contextlib
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from chainrule.state import State
from chainrule.training.checkpoint_file import read_state, stale_parts, write_state

__all__ = ["Checkpoint"]


class Checkpoint:
    """Where and how often the state of a training is saved.

    It is saved after each epoch, when the training is stopped by Ctrl-C or SIGTERM, before an error
    in a callback comes out, and in between as often as is said here. A file that is being written
    never replaces a whole one before it is whole itself.

    Parameters
    ----------
    folder : path
        Made if it is not there. The files in it are ``checkpoint-STEP.safetensors``.
    every_steps : int, optional
        Also save after so many steps.
    every_seconds : float, optional
        Also save when so much time has gone by since the last time.
    keep : int
        How many of the last ones are kept.

    Notes
    -----
    A file holds numbers and text, no code, and a hash of its content.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from chainrule import Checkpoint, Linear, MeanSquaredError, Model, train
    >>> def train_for(epochs, folder, resume):
    ...     x = np.random.default_rng(0).standard_normal((256, 3))
    ...     net = Model([Linear(3, 1)], MeanSquaredError())
    ...     train(net, 0.1, epochs, (x, x[:, :1]), checkpoint=folder, resume=resume, verbose=False)
    ...     return net.parameters
    >>> with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
    ...     undisturbed = train_for(4, one, resume=False)
    ...     halfway = train_for(2, other, resume=False)
    ...     resumed = train_for(4, other, resume=True)
    >>> bool((resumed == undisturbed).all()), bool((resumed == halfway).all())
    (True, False)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_steps: int | None = None,
        every_seconds: float | None = 300.0,
        keep: int = 2,
    ) -> None:
        for name, value in {"every_steps": every_steps, "keep": keep}.items():
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise ValueError(f"Checkpoint: {name} must be at least 1, got {value!r}.")
        if every_seconds is not None and not every_seconds > 0:
            raise ValueError(f"Checkpoint: every_seconds must be above 0, got {every_seconds!r}.")
        self.folder = Path(folder)
        self.every_steps = every_steps
        self.every_seconds = every_seconds
        self.keep = keep
        self._saved_at = time.monotonic()

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.folder)!r})"

    def files(self) -> list[Path]:
        """Return the checkpoints in the folder, the newest first."""
        found = self.folder.glob("checkpoint-*.safetensors")
        return sorted((path for path in found if _step(path) >= 0), key=_step, reverse=True)

    def begin(self, *, resume: bool) -> None:
        """Make the folder, and prove that it can be written, before an hour is spent on training.

        Raises
        ------
        FileExistsError
            If it holds checkpoints of another training, and this one does not go on from them.
        OSError
            If it cannot be made or written.
        """
        if self.files() and not resume:
            raise FileExistsError(
                f"{self.folder} holds checkpoints already. Go on from them: train(..., "
                "resume=True); or name another folder."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            import tempfile  # with all that it brings: late

            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise OSError(
                f"cannot write checkpoints into {self.folder}: {error.strerror}. Name another "
                "folder."
            ) from error
        for part in stale_parts(self.folder):
            with contextlib.suppress(OSError):
                part.unlink()
        self._saved_at = time.monotonic()

    def newest(self) -> tuple[State, Path] | None:
        """Return the newest state and its file; None if there is none.

        One that is damaged is passed over, with a warning: from the one before it the training goes
        the same way again.

        Raises
        ------
        ValueError
            If there are files, and all of them are damaged or of another version.
        """
        refused = []
        for path in self.files():
            try:
                state = read_state(path), path
            except (OSError, ValueError) as error:
                refused.append(str(error))
                continue
            for why in refused:
                warnings.warn(f"{why} Going on from {path.name}.", RuntimeWarning, stacklevel=3)
            return state
        if refused:
            raise ValueError(" ".join(refused) + " Remove the file to begin anew.")
        return None

    def due(self, step: int) -> bool:
        """Whether it is time to save after this step."""
        if self.every_steps is not None and step % self.every_steps == 0:
            return True
        limit = math.inf if self.every_seconds is None else self.every_seconds
        return time.monotonic() - self._saved_at >= limit

    def save(self, step: int, state: Callable[[], State]) -> Path:
        """Write the state after a step, and remove what is older than the last few.

        Raises
        ------
        OSError
            If it cannot be written; the checkpoints that were there still are.
        """
        self._saved_at = time.monotonic()  # also when it fails: not to try at every step
        path = self.folder / f"checkpoint-{step:09d}.safetensors"
        self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
        write_state(path, state())
        # What is of a later step is of a training that was gone back from, perhaps damaged.
        for old in [path for path in self.files() if _step(path) <= step][self.keep :]:
            with contextlib.suppress(OSError):
                old.unlink()
        return path

    def try_to_save(self, step: int, state: Callable[[], State]) -> None:
        """Save; where it cannot be written, warn: the training can go on, and try again later."""
        try:
            self.save(step, state)
        except OSError as error:
            left = self.files()
            rest = f"The last one is {left[0].name}." if left else "There is none yet."
            warnings.warn(
                f"{self.folder}: the checkpoint after step {step} could not be written: "
                f"{error.strerror or error}. {rest} The training goes on.",
                RuntimeWarning,
                stacklevel=3,
            )


def _step(path: Path) -> int:
    words = path.name.removeprefix("checkpoint-").removesuffix(".safetensors")
    return int(words) if words.isdecimal() else -1
