"""The state of a whole training: taken for a checkpoint, and set again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule.model import Model
from chainrule.state import State, Stateful, check_state
from chainrule.training.alone import Alone
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.checkpoint_file import check_fits, pack_state, unpack_state
from chainrule.training.run import Run

__all__ = ["Snapshots", "settings_of"]


class Snapshots:
    """Takes the state of all parts of a training, and brings it back.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        Where it is kept; None: nowhere.
    settings : dict
        What the training was built with, in words: of another one nothing is taken.
    parts : dict of Stateful
        What remembers something.
    team : Alone or Team
        Of several workers the first reads and writes, and the others get it from there.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        settings: dict[str, Any],
        parts: dict[str, Stateful],
        team: Alone,
    ) -> None:
        self.team = team
        self.workers = team.workers
        self.checkpoint = checkpoint
        self.settings = settings
        self.parts = parts

    def take(self) -> State:
        """Return the state of all."""
        parts = {name: part.get_state() for name, part in self.parts.items()}
        return {"settings": self.settings, **parts}

    def prove(self) -> None:
        """Prove that the state can be written, before an hour is spent on training.

        Raises
        ------
        TypeError
            If something in it has no place in a file.
        """
        if self.checkpoint is not None:
            check_fits(self.take())

    def resume(self, *, verbose: bool) -> None:
        """Go on from the newest checkpoint, if there is one; ``verbose``: say so.

        Raises
        ------
        ValueError
            If it is of another training, or damaged. Everything is then as it was.
        """
        found = self._newest()
        if found is None:
            if verbose:
                print("No checkpoint yet: beginning at the first step.", flush=True)
            return
        state, path = found
        before = self.take()
        try:
            # What a single process wrote says nothing of several.
            state = {"workers": {"generators": []}, **state}
            state["data"] = {"streams": 1, **state["data"]}
            self._compare(state["settings"])
            for name in ("optimizer", "pace", "data", "run"):
                check_state(state[name], before[name], name)
            self._set(state)
        except Exception as error:  # a callback of the user's can say anything
            with contextlib.suppress(Exception):
                self._set(before)
            if not isinstance(error, (KeyError, TypeError, ValueError, IndexError, AttributeError)):
                raise
            why = str(error) if isinstance(error, ValueError) else f"it is damaged ({error!r})."
            raise ValueError(f"train: cannot go on from {path}: {why}") from error
        if verbose:
            print(f"Going on from {path}.", flush=True)
            streams = state["data"]["streams"]
            if streams != self.workers.size:
                print(
                    f"It was begun by {streams} worker{'s' * (streams > 1)}: a step still takes "
                    f"{streams} mini-batch{'es' * (streams > 1)}, which {self.workers.size} now "
                    "part. The result is equal to rounding.",
                    flush=True,
                )

    def _newest(self) -> tuple[State, Path] | None:
        """Return the newest state and its file, in all workers."""
        if self.checkpoint is None:
            return None
        if self.workers.size == 1:
            return self.checkpoint.newest()
        checkpoint = self.checkpoint

        def packed() -> bytes:
            found = checkpoint.newest()
            return b"" if found is None else pack_state({"state": found[0], "path": str(found[1])})

        content = self.workers.of_first(packed)
        found = unpack_state(content) if content else None
        return None if found is None else (found["state"], Path(found["path"]))

    def _set(self, state: State) -> None:
        for name, part in self.parts.items():
            part.set_state(state[name])

    def _compare(self, then: dict[str, Any]) -> None:
        for name in {**then, **self.settings}:
            old, new = then.get(name), self.settings.get(name)
            if isinstance(old, list) and isinstance(new, list) and old != new:  # the layers
                self._compare_layers(old, new)
            if old != new:
                raise ValueError(
                    f"its {name} was {old}, and is {new} now. Resume with what it was begun with, "
                    "or begin anew in another folder."
                )

    @staticmethod
    def _compare_layers(then: list[str], now: list[str]) -> None:
        for i, (old, new) in enumerate(zip(then, now, strict=False)):
            if old != new:
                raise ValueError(
                    f"it is of another net: its layer {i} is {old}, and here it is {new}. Build "
                    "the same net, or begin anew in another folder."
                )
        raise ValueError(
            f"it is of another net: of {len(then)} layers, and here are {len(now)}. Build the same "
            "net, or begin anew in another folder."
        )

    @contextlib.contextmanager
    def saved_if_it_fails(self, run: Run) -> Iterator[None]:
        """Save before an error or a signal comes out, if the last step is whole."""
        try:
            yield
        except BaseException as error:
            # Of several workers all must bring their part.
            together = self.team.agreed
            if self.checkpoint is not None and run.sound and run.step > 0 and together:
                state = self.take()
                try:
                    path = self._written(run.step, state)
                except OSError as failure:
                    error.add_note(f"The checkpoint could not be written: {failure}.")
                else:
                    error.add_note(
                        f"The training is saved up to step {run.step} in {path}. To go on: "
                        "resume=True."
                    )
                self.workers.broadcast(b"")  # nobody ends before it is written
            raise

    def _written(self, step: int, state: State) -> Path:
        if self.checkpoint is None or not self.workers.first:
            return Path("the folder of worker 0")
        return self.checkpoint.save(step, lambda: state)


def settings_of(model: Model, **others: Any) -> dict[str, Any]:
    """Return in words what a training was built with."""
    return {
        "layers": [_in_words(layer) for layer in model.layers],
        "loss": _in_words(model.cost),
        "float type": model.dtype.name,
        **{name: _in_words(value) for name, value in others.items()},
    }


def _in_words(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = getattr(value, "__qualname__", None)  # a function
    # An address, of a function or another thing in it, is not the same in another process.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) if name is None else name
