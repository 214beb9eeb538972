"""A net, its data and its optimiser, trained by ``chainrule.train`` in a thread of its own."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chainrule.cli import recipes
from chainrule.distributed.cores import threads_each
from chainrule.model import Model
from chainrule.studio import nets, pilot
from chainrule.studio.contract import BrokenContractError
from chainrule.studio.curves import Notes
from chainrule.studio.data import Data
from chainrule.studio.faults import described
from chainrule.studio.feed import LiveBatches
from chainrule.studio.frame import FAILED, FINISHED, PAUSED, RUNNING, Frame
from chainrule.studio.pilot import EndedError, Pilot
from chainrule.studio.recipe import Recipe
from chainrule.studio.trace import trace
from chainrule.training import Run, Threads, train

__all__ = ["Training"]

MOST_EPOCHS = 10_000  # of one training: the history has a row for each
LONGEST_STEP = 60.0  # seconds that an order waits for the step that is being made
# How many times as fast steps must be with more threads: page and browser need a core too, and
# where they have none, each thread of a product waits for the one that they hold up.
LEAST_GAIN = 1.2


class Training:
    """One training from its first step to its last. It begins paused, before the first.

    Parameters
    ----------
    recipe : Recipe
    data : Data
    model : Model
        Belongs to the training's thread from now on.
    show : function (frame)
        Is given what the training is like: between two steps, in the training's thread.
    watched : function () -> float
        When somebody looked last, on the clock of ``time.monotonic``.
    """

    patience = LONGEST_STEP  # of those who give orders

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        model: Model,
        show: Callable[[Frame], None],
        watched: Callable[[], float],
    ) -> None:
        self.recipe, self.data, self.model = recipe, data, model
        self.blueprint = copy.deepcopy(model)  # nobody changes it: any thread may copy it
        self.targets, self.targets_test = (
            nets.targets(model.cost, labels, data.outputs, data.width_of(model))
            for labels in (data.labels, data.labels_test)
        )
        self.batches = LiveBatches(data.rows, self.targets, recipe.batch, seed=recipe.seed)
        self.optimizer = recipes.optimizer(recipe.optimizer, recipe.lr, 0.0)
        self.run = Run(model, self.optimizer, MOST_EPOCHS)  # until train has made its own
        self.show = show
        self.notes = Notes()
        self.pilot = Pilot(self._look, watched)
        self.threads = Threads("auto", least_gain=LEAST_GAIN)
        self._direct = threading.Lock()  # of orders after the end
        self._thread = threading.Thread(target=self._train, name="chainrule studio", daemon=True)

    def twin(self) -> Model:
        """Return a copy of the net as it was at first, for the use of any thread."""
        return copy.deepcopy(self.blueprint)

    @property
    def fills(self) -> bool:
        """Whether its products keep every core busy, so that a browser takes from it."""
        return self.threads.chosen >= threads_each(1)

    def begin(self) -> None:
        """Start the thread, and wait until it stands before the first step."""
        self._thread.start()
        self.do(lambda run: None)  # answered when it stands there

    def do(self, order: Callable[[Run], Any]) -> Any:
        """Have something done between two steps, and return what it returns.

        What it changes is in the frame that is shown before this returns.
        """
        future = self.pilot.do(order)
        try:
            return future.result(timeout=self.patience)
        except EndedError:
            self._thread.join(self.patience)
        except TimeoutError:
            if future.done():  # it was the order's own
                raise
            raise TimeoutError(
                f"the step that is being made takes longer than {self.patience:g} s: what you "
                "asked for is done after it."
            ) from None
        with self._direct:
            result = order(self.run)
            self.show(self.picture(self.run, self._last.state, self._last.words))
        return result

    def end(self) -> None:
        """End it after its step; one that takes very long is not waited for."""
        with contextlib.suppress(EndedError, TimeoutError):
            self.pilot.do(lambda run: setattr(run, "stop", True)).result(timeout=self.patience)
            self._thread.join(self.patience)

    def picture(self, run: Run, state: str, words: str = "") -> Frame:
        """Return what the training is like."""
        return Frame(
            number=0,
            build=0,  # the session numbers them
            recipe=replace(self.recipe, lr=self.optimizer.learning_rate, batch=self.batches.size),
            state=state,
            words=words,
            epoch=run.epoch if run.step else 0,
            step=run.step,
            loss=run.loss,
            figures=dict(run.history.rows[-1]) if len(run.history) else {},
            seconds=self.pilot.seconds,
            speed=self.pilot.speed,
            batch=self.batches.chosen,
            parameters=self.model.parameters.copy(),
            gradients=self.model.gradients.copy(),
            state_arrays=tuple(array.copy() for _, array in self.model.named_state()),
            losses=self.notes.loss.points(),
            held_out=self.notes.held_out.points(),
            accuracies=self.notes.accuracy.points(),
        )

    def _look(self, run: Run) -> None:
        self.run = run
        self._last = self.picture(run, PAUSED if self.pilot.todo == pilot.PAUSE else RUNNING)
        self.show(self._last)

    def _train(self) -> None:
        words = ""
        try:
            train(
                self.model, None, MOST_EPOCHS, self.batches, optimizer=self.optimizer,
                validation_data=(self.data.rows_test, self.targets_test),
                metrics=self._metrics(), callbacks=[self.notes, self.pilot, self.threads],
                verbose=False,
            )  # fmt: skip
        except BaseException as error:  # a user's own layer may raise what it likes: SystemExit
            words = self._why(error)
        try:
            self._last = self.picture(self.run, FAILED if words else FINISHED, words)
            self.show(self._last)
        finally:
            self.pilot.finish()

    def _why(self, error: BaseException) -> str:
        """Return in words what went wrong; a layer that gave what no other can take is named."""
        if isinstance(error, (TypeError, ValueError, AttributeError)):  # as others then raise
            try:
                trace(self.twin(), self.data.rows[:2], self.targets[:2])
            except BrokenContractError as broken:
                return described(broken)
            except Exception:  # the error itself says more
                pass
        return described(error)

    def _metrics(self) -> dict[str, Any]:
        """Return how to judge a net whose loss knows no classes, or knows others than the data."""
        if self.data.regression or self.targets.ndim == 1:
            return {}
        return {"accuracy": lambda out, y: float((out.argmax(axis=1) == y.argmax(axis=1)).mean())}
