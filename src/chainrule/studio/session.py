"""The studio's one training, which any number of tabs watch and steer."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.cli.errors import message
from chainrule.cli.settings import Settings
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio import by_hand, nets, pilot, saving
from chainrule.studio.by_hand import Lesson, Lessons
from chainrule.studio.catalogue import Catalogue
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.own import Own, reopened
from chainrule.studio.recipe import OWN, Recipe, check_batch, check_rate
from chainrule.studio.source import learn
from chainrule.studio.training import Training
from chainrule.training import Run

__all__ = ["Session"]

DRAWING = 0.02  # seconds of a core that Chromium was measured to take to draw a frame in one tab


class Session:
    """The one training, which any number of tabs watch and steer.

    Everything here may be called from any thread. What the training is like is read from
    ``frame``, which never changes and is replaced by a new one, at most ten times a second;
    ``saved_words`` says where the run was saved last, or why it could not be.

    Parameters
    ----------
    own : Own, optional
        The net and the data that the command line named.

    Examples
    --------
    >>> session = Session()
    >>> session.set_up(Recipe(data="moons", net="linear-8,relu"))
    >>> session.step().result(timeout=30)
    >>> session.frame.step, session.frame.state
    (1, 'paused')
    >>> session.close()
    """

    def __init__(self, own: Own | None = None) -> None:
        self.named = self.own = own  # own: of the run that was opened, if one was
        self.catalogue = Catalogue(own.data if own is not None else None)
        self.looked = time.monotonic()
        self.speed = math.inf
        self._lock = threading.RLock()  # of building: one after the other
        self._showing = threading.Lock()
        self._numbers, self._builds = itertools.count(1), itertools.count(1)
        self._frame: Frame
        self._shown: Training
        self._training: Training | None = None
        self.set_up(own.recipe if own is not None else Recipe())

    # -- what is seen ---------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The training as it was seen last."""
        self.looked = time.monotonic()
        return self._frame

    @property
    def training(self) -> Training:
        """The training itself."""
        assert self._training is not None  # the constructor has made one
        return self._training

    @property
    def data(self) -> Data:
        """What it learns from."""
        return self.training.data

    def snapshot(self) -> tuple[Frame, Training]:
        """Return the newest frame, and the training that it shows."""
        with self._showing:
            return self.frame, self._shown

    def twin(self) -> Model:
        """Return a copy of the net, for one's own thread; ``frame.into(twin)`` sets its weights."""
        return self.training.twin()

    def charge(self, seconds: float, *, drawn: bool = False) -> None:
        """Note processor time that showing took: the next frame comes the later.

        Parameters
        ----------
        seconds : float
        drawn : bool
            Whether a browser draws a frame: what it takes where no core is free is added.
        """
        drawing = DRAWING if drawn and self.training.fills else 0.0
        self.training.pilot.charge(seconds + drawing)

    def draft(self, recipe: Recipe) -> tuple[Model, Data]:
        """Return the net of a recipe and its data, without training anything.

        Raises
        ------
        ValueError, OSError
            If it cannot be built.
        """
        data = self.catalogue.find(recipe.data)
        return self._built(recipe, data), data

    # -- steering -------------------------------------------------------------------------------

    def set_up(self, recipe: Recipe) -> None:
        """Build a net anew; what was trained until now is given up.

        Raises
        ------
        ValueError, OSError
            If the net cannot be built; then everything stays as it was.
        """
        with self._lock:
            model, data = self.draft(recipe)
            build = next(self._builds)
            training = Training(
                recipe, data, model, lambda frame: self._show(frame, build), lambda: self.looked
            )
            training.pilot.speed = self.speed
            before = self._training
            with self._showing:
                self._build, self._training = build, training
            self.catalogue.trained = data
            self.lessons = Lessons()
            self._folder: Path | None = None
            self._saved_step, self.saved_words = 0, ""
            if before is not None:
                before.end()
            training.begin()

    def open(self, folder: Path) -> None:
        """Go on from a run that was saved: only its arrays are read, no code of it is run.

        Raises
        ------
        ValueError, OSError, UsageError
            If it cannot be opened; then everything stays as it was.
        """
        with self._lock:
            known = [own for own in (self.own, self.named) if own is not None]
            self._take(reopened(folder, known))

    def go_back(self) -> None:
        """Take the net and the data that the command line named, after a run was opened.

        Raises
        ------
        ValueError, OSError
            If the net cannot be built any more; then everything stays as it was.
        """
        with self._lock:
            self._take(self.named)

    @property
    def unsaved(self) -> int:
        """How many steps would be lost with this training."""
        return max(0, self._frame.step - self._saved_step)

    def reset(self) -> None:
        """Begin anew with the same settings."""
        with self._lock:
            self.set_up(self._frame.recipe)

    @property
    def reset_words(self) -> str:
        """What :meth:`reset` does, in words."""
        own = self.own
        if own is not None and own.name == own.code and self._frame.recipe.net == OWN:
            return (
                f"Reset reads {Path(own.name.partition(':')[0]).name} once more, and begins anew."
            )
        return "Reset begins anew with the same net."

    def play(self) -> None:
        """Go on until told otherwise."""
        self.training.pilot.tell(pilot.PLAY)

    def pause(self) -> None:
        """Stop after the step that is being made; return when it is made."""
        self.training.pilot.tell(pilot.PAUSE)
        self.training.do(lambda run: None)

    def step(self) -> Future[None]:
        """Make one step; the future is done when it is made."""
        return self.training.pilot.tell(pilot.STEP)

    def epoch(self) -> Future[None]:
        """Go on to the end of the epoch; the future is done then."""
        return self.training.pilot.tell(pilot.EPOCH)

    def do(self, order: Callable[[Run], Any]) -> Any:
        """Have something done to the net between two steps, and return what it returns."""
        return self.training.do(order)

    def set_learning_rate(self, lr: float) -> None:
        """Change the learning rate, while it runs or not.

        Raises
        ------
        ValueError
            If it makes no sense.
        """
        check_rate(lr)
        self.do(lambda run: setattr(run.optimizer, "learning_rate", lr))

    def set_batch(self, size: int) -> None:
        """Change how many samples a mini-batch has, from the next one on.

        Raises
        ------
        ValueError
            If it makes no sense.
        """
        check_batch(size)
        self.do(lambda run: setattr(self.training.batches, "size", size))

    def set_speed(self, speed: float) -> None:
        """Change how many steps it makes in a second at most; infinite: as many as it can.

        Raises
        ------
        ValueError
            If it is not above 0.
        """
        if not speed > 0:
            raise ValueError(f"the speed must be above 0 steps a second, got {speed:g}.")
        self.speed = speed
        self.do(lambda run: setattr(self.training.pilot, "speed", speed))

    def change(self, name: str, index: tuple[int, ...], value: float) -> None:
        """Set one number of a parameter by hand.

        Parameters
        ----------
        name : str
            As ``"0.weights"``.
        index : tuple of int
            Its place in the array.
        value : float

        Raises
        ------
        ValueError
            If there is no such parameter or place, or the value is no finite number.
        """
        place = by_hand.checked_place(self.training.model, name, index, value)
        self.do(lambda run: place.__setitem__(index, value))

    def teach(self, row: Array, truth: float, rate: float) -> tuple[Array, Array]:
        """Make one step on one sample as :meth:`Lessons.teach`; return the outputs around it.

        Raises
        ------
        ValueError
            If there is no such class or number, or what comes out is not finite.
        """
        check_rate(rate)
        training = self.training
        lesson: Lesson = self.do(
            lambda run: self.lessons.teach(training.model, training.data, row, truth, rate)
        )
        return lesson.outputs, lesson.outputs_after

    def unteach(self) -> None:
        """Take back what was taught last.

        Raises
        ------
        ValueError
            If nothing was, or the net has changed since.
        """
        self.do(lambda run: self.lessons.take_back(self.training.model))

    def adopt(self, recipe: Recipe, parameters: Array) -> None:
        """Build a net anew, and give it parameters that were learned before.

        Raises
        ------
        ValueError, OSError
            If the net cannot be built.
        """
        with self._lock:
            self.set_up(recipe)
            self.do(lambda run: setattr(self.training.model, "parameters", parameters))

    def save(self) -> Path:
        """Write the run into its folder, as ``chainrule train`` does, and return the folder.

        Raises
        ------
        OSError
            If it cannot be written; ``saved_words`` says so too.
        """
        training = self.training

        def order(run: Run) -> tuple[Path, int]:
            folder = self._folder
            if folder is None or not folder.is_dir():  # somebody may have deleted it
                folder = saving.new_folder(training.data)
            self._folder = folder  # if writing fails, it is tried again there
            frame = training.picture(run, "")
            saving.save(
                folder, frame, training.data, training.model, run.history, self.own,
                self._source(training.data),
            )  # fmt: skip
            return folder, run.step

        with self._lock:
            try:
                found: tuple[Path, int] = self.do(order)
            except OSError as error:
                self.saved_words = f"The run is not saved: {message(error)}"
                raise OSError(self.saved_words) from error
            folder, self._saved_step = found
            self.saved_words = f"Saved in {folder}, at step {self._saved_step:,}."
            return folder

    def save_new(self) -> None:
        """Save the run if it has made steps since it was saved last.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with self._lock:
            if self.training.run.step != self._saved_step:
                self.save()

    def close(self, *, save: bool = False) -> Path | None:
        """End the training; save it before if asked to, and there is something new to save.

        Returns
        -------
        path or None
            Where it is; None if there is nothing of it.

        Raises
        ------
        OSError
            If it cannot be written; the training is ended all the same.
        """
        with self._lock:
            try:
                self.pause()
                step = self._frame.step
                if self._folder is not None and not self._folder.is_dir():
                    self._saved_step = 0  # what was saved is gone
                if save:
                    self.save_new()
                return self._folder if save and step else None
            finally:
                self.training.end()

    # -- inner parts ----------------------------------------------------------------------------

    def _take(self, own: Own | None) -> None:
        """Set up a run or what the command line named; if it is None, what a studio begins with."""
        before, self.own = self.own, own
        known, self.catalogue.opened = self.catalogue.opened, own.data if own is not None else None
        try:
            self.set_up(own.recipe if own is not None else Recipe())
        except BaseException:
            self.own, self.catalogue.opened = before, known
            raise

    def _show(self, frame: Frame, build: int) -> None:
        with self._showing:
            if build == self._build:  # a training that was given up shows nothing any more
                self._frame = replace(frame, number=next(self._numbers), build=build)
                self._shown = self.training

    def _source(self, data: Data) -> Settings:
        """Return where data of the command line are from; empty for others."""
        owns = (own for own in (self.own, self.named) if own is not None and own.data is data)
        return next((own.source for own in owns), Settings())

    def _built(self, recipe: Recipe, data: Data) -> Model:
        if recipe.net == OWN:
            if self.own is None:
                raise ValueError("the command line named no net: build one of layers.")
            model = self.own.build(data)
            learn(model._functions())
        else:
            model = nets.build(
                recipe.net, recipe.loss, data.sample_shape, data.outputs, seed=recipe.seed,
                image=data.image_shape is not None,
            )  # fmt: skip
        data.held.preparation.into(model)
        return model
