"""What takes long to compute: a learning rate, the loss around, the judgement of a large set.

Each is an errand: a thread with a twin of the net, which training and page never wait for. All tabs
see how far it is and what it found, and any of them can end it.
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.cli import recipes
from chainrule.data import Batches
from chainrule.model import Model
from chainrule.studio import results
from chainrule.studio.faults import described, tame
from chainrule.studio.frame import FAILED, RUNNING, Frame
from chainrule.studio.landscape import Landscape, landscape
from chainrule.studio.results import Fit, Judgement
from chainrule.studio.session import Session
from chainrule.studio.training import Training
from chainrule.training import find_learning_rate
from chainrule.training.finder import LearningRates

__all__ = ["DONE", "JUDGED", "STOPPED", "Errand", "Errands", "around", "judged", "rates", "samples"]

STEPS = 100
JUDGED = "judged"  # a kind of errand
SAMPLES = 128  # that the loss around is taken of
DONE, STOPPED = "done", "stopped"  # or RUNNING, or FAILED
CHEAP = 0.05  # seconds: what takes longer is not done with every frame

Note = Callable[[int, int], None]
Work = Callable[[Frame, Training, Note], Any]


class StoppedError(Exception):
    """Somebody has ended the errand."""


@dataclass(frozen=True)
class Errand:
    """What is known of an errand; it never changes.

    Attributes
    ----------
    number : int
        Tells it from those before.
    key : hashable
        With what settings it was asked for.
    frame, build, step : int
        The frame that it looks at, of which net, and how many steps that had made.
    state : str
        ``"running"``, ``"done"``, ``"failed"`` or ``"stopped"``.
    done, total : int
        How far it is; 0 of 0 before its first note.
    result : object
        What it found, when it is done.
    words : str
        What went wrong.
    seconds : float
        What it took, when it is done.
    """

    number: int
    key: Hashable
    frame: int
    build: int
    step: int
    state: str = RUNNING
    done: int = 0
    total: int = 0
    result: Any = None
    words: str = ""
    seconds: float = 0.0


class Errands:
    """Runs errands, one of a kind at a time, and keeps what each kind found last.

    Parameters
    ----------
    session : Session

    Examples
    --------
    >>> from chainrule.studio.recipe import Recipe
    >>> session = Session()
    >>> session.set_up(Recipe(data="moons", net="linear-8,relu"))
    >>> errands = Errands(session)
    >>> errands.begin("around", 5, lambda *now: around(*now, size=5, reach=1.0, seed=0))
    >>> errands.wait("around").result.losses.shape
    (5, 5)
    >>> session.close()
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._held: dict[str, Errand] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._numbers = itertools.count(1)
        self._epoch = 0  # that was judged last

    def begin(self, kind: str, key: Hashable, work: Work) -> None:
        """Begin an errand on the present net; one of that kind that runs is ended.

        If just that was asked for already, of the same frame, nothing is begun.

        Parameters
        ----------
        kind : str
        key : hashable
            With what settings.
        work : function (frame, training, note)
            Computes the result, and calls ``note(done, total)`` often.
        """
        frame, training = self.session.snapshot()
        with self._lock:
            held, asked = self._held.get(kind), (frame.number, key)
            if held and (held.frame, held.key) == asked and held.state in (RUNNING, DONE):
                return
            errand = Errand(next(self._numbers), key, frame.number, frame.build, frame.step)
            thread = threading.Thread(
                target=self._run, args=(kind, errand, work, frame, training),
                name=f"chainrule studio: {kind}", daemon=True,
            )  # fmt: skip
            self._held[kind], self._threads[kind] = errand, thread
            thread.start()

    def look(self, kind: str) -> Errand | None:
        """Return what is known of the last errand of a kind; None if it was of another net."""
        held = self._held.get(kind)
        return held if held is not None and held.build == self.session.frame.build else None

    def judge(self) -> None:
        """Have the net judged as it is now, unless that is just being done.

        If that takes long, it is done once an epoch as long as the net trains.
        """
        frame, held = self.session.frame, self.look(JUDGED)
        if held is not None and (
            held.state == RUNNING
            or (frame.state == RUNNING and held.seconds > CHEAP and frame.epoch == self._epoch)
        ):
            return
        self._epoch = frame.epoch
        self.begin(JUDGED, "", judged)

    def stop(self, kind: str) -> None:
        """End the errand of a kind, if one runs."""
        with self._lock:
            held = self._held.get(kind)
            if held is not None and held.state == RUNNING:
                self._held[kind] = replace(held, state=STOPPED)

    def wait(self, kind: str, timeout: float = 60.0) -> Errand:
        """Wait until the errand of a kind is over, and return what is known of it."""
        self._threads[kind].join(timeout)
        return self._held[kind]

    def _run(self, kind: str, errand: Errand, work: Work, frame: Frame, training: Training) -> None:
        def note(done: int, total: int) -> None:
            if not self._change(kind, errand, done=done, total=total):
                raise StoppedError
            if self.session.frame.build != errand.build:  # nobody can see it any more
                raise StoppedError

        start, begun = time.perf_counter(), time.thread_time()
        try:
            result = tame(work, frame, training, note)
        except StoppedError:
            self._change(kind, errand, state=STOPPED)
        except Exception as error:  # of any kind: a user's own layer may raise what it likes
            self._change(kind, errand, state=FAILED, words=described(error))
        else:
            seconds = time.perf_counter() - start
            if seconds <= CHEAP:
                self.session.charge(time.thread_time() - begun)
            self._change(kind, errand, state=DONE, result=result, seconds=seconds)

    def _change(self, kind: str, errand: Errand, **changes: Any) -> bool:
        """Note something of an errand, if it is still that which is waited for."""
        with self._lock:
            held = self._held[kind]
            if held.number != errand.number or held.state != RUNNING:
                return False
            self._held[kind] = replace(held, **changes)
        return True


def judged(frame: Frame, training: Training, note: Note) -> Judgement | Fit:
    """Let the net answer for the samples held out."""
    model, data = _twin(frame, training), training.data
    return results.fit(model, data) if data.regression else results.judge(model, data, "test")


def rates(frame: Frame, training: Training, note: Note, *, present: bool) -> LearningRates:
    """Search for a learning rate.

    Parameters
    ----------
    frame, training, note
        As an errand has them.
    present : bool
        Whether to begin with the present weights, or with those of the first step.
    """
    model = _twin(frame, training) if present else training.twin()
    batches = Batches(
        training.data.rows, training.targets, frame.recipe.batch, seed=frame.recipe.seed
    )
    optimizer = recipes.optimizer(frame.recipe.optimizer, frame.recipe.lr, 0.0)
    counted = _Counted(batches, note)
    return find_learning_rate(model, counted, optimizer=optimizer, steps=STEPS)


def around(
    frame: Frame, training: Training, note: Note, *, size: int, reach: float, seed: int
) -> Landscape:
    """Return the loss of some samples around the present weights."""
    chosen = samples(training)
    return landscape(
        _twin(frame, training), training.data.rows[chosen], training.targets[chosen],
        size=size, reach=reach, seed=seed, note=note,
    )  # fmt: skip


def samples(training: Training) -> Any:
    """Return which samples the loss around is taken of: some of those to learn from."""
    return np.random.default_rng(0).permutation(len(training.data.rows))[:SAMPLES]


class _Counted:
    """Mini-batches that tell how many of them were taken."""

    def __init__(self, batches: Any, note: Note) -> None:
        self.batches, self.note, self.taken = batches, note, 0

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            self.note(min(self.taken, STEPS), STEPS)
            self.taken += 1
            yield batch

    def __len__(self) -> int:
        return len(self.batches)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Counted:
        return _Counted(copy.deepcopy(self.batches, memo), self.note)


def _twin(frame: Frame, training: Training) -> Model:
    model = training.twin()
    frame.into(model)
    return model
