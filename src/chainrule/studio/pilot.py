"""The callback that lets a training be steered: play, pause, one step, one epoch, and looked at."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from chainrule.studio.faults import tame
from chainrule.training import Callback

if TYPE_CHECKING:
    from chainrule.training import Run

__all__ = ["EPOCH", "PAUSE", "PLAY", "STEP", "EndedError", "Pilot"]

PLAY, PAUSE, STEP, EPOCH = "play", "pause", "step", "epoch"  # what it is to do

MOST_OFTEN = 0.1  # seconds between two looks at a training that runs
# Of a training's time, that showing it may take: in processor time of this process. The browser's,
# and waits for Python's lock, come on top (benchmarks/studio.py).
SHARE = 0.015
UNWATCHED = 1.0  # seconds between two looks when nobody watches
LEAST_OFTEN = 10.0  # seconds between two looks, whatever they take: it would seem to stand still


class EndedError(RuntimeError):
    """The training has ended: it takes no orders any more."""


class Pilot(Callback):
    """Stands between two steps: takes pictures, carries out orders, and waits when told to.

    It begins paused, before the first step.

    Parameters
    ----------
    look : function (run)
        Takes a picture of the training. It is called between two steps, in the training's thread.
    watched : function () -> float
        When somebody looked last, on the clock of ``time.monotonic``.

    Attributes
    ----------
    todo : str
        What it does: ``"play"``, ``"pause"``, ``"step"`` or ``"epoch"``.
    speed : float
        How many steps it makes in a second at most.
    seconds : float
        What a step takes, without looks and waits: a running mean.
    """

    def __init__(self, look: Callable[["Run"], None], watched: Callable[[], float]) -> None:
        self.look, self.watched = look, watched
        self.todo = PAUSE
        self.speed = math.inf
        self.seconds = math.nan
        self._changed = threading.Condition()
        self._ended = False
        self._orders: list[tuple[Callable[[Run], Any], Future[Any]]] = []
        self._goals: dict[str, list[Future[None]]] = {STEP: [], EPOCH: []}  # that were asked for
        self._due = 0.0
        self._spent = 0.0  # on looking, since the last look
        self._mark = 0.0

    # -- called from any thread -----------------------------------------------------------------

    def tell(self, todo: str) -> "Future[None]":
        """Say what it is to do from now on; the future is done when a step or an epoch is."""
        goal: Future[None] = Future()
        with self._changed:
            self.todo = todo
            if self._ended or todo in (PLAY, PAUSE):
                goal.set_result(None)
            else:
                self._goals[todo].append(goal)
            self._changed.notify_all()
        return goal

    def do(self, order: Callable[["Run"], Any]) -> "Future[Any]":
        """Have something done between two steps; the future has what it returned."""
        future: Future[Any] = Future()
        with self._changed:
            if self._ended:
                future.set_exception(EndedError())
            else:
                self._orders.append((order, future))
                self._changed.notify_all()
        return future

    def charge(self, seconds: float) -> None:
        """Note time that was spent on showing: the next look comes the later."""
        self._spent += seconds

    # -- called by the training -----------------------------------------------------------------

    def on_epoch_begin(self, run: "Run") -> None:
        """Wait before the first step."""
        self._between(run)

    def on_step_end(self, run: "Run") -> None:
        """Measure the step; look if it is time, and wait if it is told to."""
        now = time.perf_counter()
        step = now - self._mark
        self.seconds = step if self.seconds != self.seconds else 0.9 * self.seconds + 0.1 * step
        if (
            self.todo == PLAY and now < self._due and self.speed == math.inf
            and not self._orders and not self._goals[STEP]
        ):  # fmt: skip
            self._mark = now  # nothing is due: small nets make thousands of steps a second
            return
        self._made(STEP, run)
        self._between(run)

    def on_epoch_end(self, run: "Run") -> None:
        """Wait at the end of an epoch, if one was asked for."""
        if self._made(EPOCH, run):
            self._between(run)

    def finish(self) -> None:
        """Answer what has not been answered: the training is over, and its last picture shown."""
        with self._changed:
            self._ended = True
            orders, self._orders = self._orders, []
        self._reach(STEP, EPOCH)
        for _, future in orders:
            future.set_exception(EndedError())

    def _made(self, what: str, run: "Run") -> bool:
        """Pause if just this was to be done; return whether it was.

        If somebody has said otherwise meanwhile, those that wait for it hear that it is made.
        """
        with self._changed:
            wanted = self.todo == what
            if wanted:
                self.todo = PAUSE
        if not wanted and self._goals[what]:
            self._look(run)
            with self._changed:
                self._reach(what)
        return wanted

    def _between(self, run: "Run") -> None:
        if self.todo == PAUSE or self._orders:
            self._wait(run)
        elif time.perf_counter() >= self._due:
            self._look(run)
        while self.todo in (PLAY, EPOCH) and not run.stop:
            with self._changed:
                left = self._mark + 1 / self.speed - time.perf_counter()
                if left > 0 and not self._orders and self.todo in (PLAY, EPOCH):
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
            if self._orders or self.todo == PAUSE:
                self._wait(run)
            elif left <= 0:
                break
        self._mark = time.perf_counter()

    def _wait(self, run: "Run") -> None:
        """Carry out orders, show the training, and wait for as long as it is paused."""
        while True:
            with self._changed:
                orders, self._orders = self._orders, []
            answers = [(future, *_carried_out(order, run)) for order, future in orders]
            self._look(run)
            for future, result, error in answers:  # those who asked find the picture that shows it
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
            with self._changed:
                if self._orders:
                    continue
                if self.todo != PAUSE or run.stop:
                    return
                self._reach(STEP, EPOCH)
                self._changed.wait()
                self._spent = 0.0  # looking at what stands still takes nothing from a training

    def _look(self, run: "Run") -> None:
        start = time.perf_counter()
        self.look(run)
        now = time.perf_counter()
        # However long it takes to look and to show: of the whole it stays a small share.
        spent, self._spent = self._spent + now - start, 0.0
        idle = time.monotonic() - self.watched() > 2 * UNWATCHED
        self._due = now + max(UNWATCHED if idle else MOST_OFTEN, min(spent / SHARE, LEAST_OFTEN))

    def _reach(self, *what: str) -> None:
        """Tell those that wait for a step or an epoch that it is made."""
        for one in what:
            goals, self._goals[one] = self._goals[one], []
            for goal in goals:
                goal.set_result(None)


def _carried_out(order: Callable[["Run"], Any], run: "Run") -> tuple[Any, Exception | None]:
    try:
        return tame(order, run), None
    except Exception as error:  # it is told to the one who asked
        return None, error
