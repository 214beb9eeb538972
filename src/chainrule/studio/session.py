"""The studio's one training, which any number of tabs watch and steer."""

from __future__ import annotations

import copy
import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.model import Model
from chainrule.studio import data as sets
from chainrule.studio import nets, pilot, saving
from chainrule.studio.data import Data
from chainrule.studio.frame import Frame
from chainrule.studio.own import Own
from chainrule.studio.recipe import OWN, Recipe, check_batch, check_rate
from chainrule.studio.training import Training
from chainrule.training import Run

__all__ = ["Session"]

MOST_UPLOADS = 8


class Session:
    """The one training, which any number of tabs watch and steer.

    Everything here may be called from any thread. What the training is like is read from
    ``frame``, which never changes and is replaced by a new one, at most ten times a second.

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
        self.own = own
        self.uploads: dict[str, Data] = {}
        self.looked = time.monotonic()
        self._lock = threading.RLock()  # of building: one after the other
        self._showing = threading.Lock()
        self._numbers, self._builds = itertools.count(1), itertools.count(1)
        self._frame: Frame
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
        """Return a frame, and the training that it shows."""
        with self._showing:
            return self.frame, self.training

    def twin(self) -> Model:
        """Return a copy of the net, for one's own thread; ``frame.into(twin)`` sets its weights."""
        return copy.deepcopy(self.training.blueprint)

    def charge(self, seconds: float) -> None:
        """Note time that was spent on showing: the next frame comes the later."""
        self.training.pilot.charge(seconds)

    def named_data(self) -> list[str]:
        """Return the data that can be chosen."""
        own = [self.own.data.name] if self.own is not None else []
        return list(dict.fromkeys([*own, *sets.names(), *self.uploads]))

    # -- steering -------------------------------------------------------------------------------

    def set_up(self, recipe: Recipe) -> None:
        """Build a net anew; what was trained until now is given up.

        Raises
        ------
        ValueError, OSError
            If the net cannot be built; then everything stays as it was.
        """
        with self._lock:
            data = self._find(recipe)
            model = self._built(recipe, data)
            build = next(self._builds)
            training = Training(
                recipe, data, model, lambda frame: self._show(frame, build), lambda: self.looked
            )
            before = self._training
            with self._showing:
                self._build, self._training = build, training
            self._saved: tuple[Path, int] | None = None  # the folder, and the step saved last
            if before is not None:
                before.end()
            training.begin()

    def reset(self) -> None:
        """Begin anew with the same settings."""
        self.set_up(self._frame.recipe)

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
        place = checked_place(self.training.model, name, index, value)
        self.do(lambda run: place.__setitem__(index, value))

    def add_upload(self, name: str, content: bytes) -> Data:
        """Take in an .npz file that a user has sent, and return its data.

        Raises
        ------
        ValueError
            As :func:`chainrule.studio.data.read_upload`; or if there are many already.
        """
        read = sets.read_upload(name, content)
        if read.name in sets.names() or (self.own is not None and read.name == self.own.data.name):
            read = replace(read, name=f"{read.name}-own")
        if len(self.uploads) >= MOST_UPLOADS and read.name not in self.uploads:
            raise ValueError(
                f"there are {MOST_UPLOADS} files already. Start the studio again to make room."
            )
        self.uploads[read.name] = read
        return read

    def save(self) -> Path:
        """Write the run into its folder, as ``chainrule train`` does, and return the folder.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        training = self.training

        def order(run: Run) -> Path:
            folder = None if self._saved is None else self._saved[0]
            frame = training.picture(run, "")
            made = saving.save(folder, frame, training.data, training.model, run.history, self.own)
            self._saved = (made, run.step)
            return made

        with self._lock:
            path: Path = self.do(order)
        return path

    def close(self, *, save: bool = False) -> Path | None:
        """End the training; save it before if asked to, and there is something new to save."""
        with self._lock:
            self.pause()
            step, saved = self._frame.step, None
            if save and step and (self._saved is None or self._saved[1] != step):
                saved = self.save()
            self.training.end()
            return saved

    # -- inner parts ----------------------------------------------------------------------------

    def _show(self, frame: Frame, build: int) -> None:
        with self._showing:
            if build == self._build:  # a training that was given up shows nothing any more
                self._frame = replace(frame, number=next(self._numbers), build=build)

    def _find(self, recipe: Recipe) -> Data:
        if self.own is not None and recipe.data == self.own.data.name:
            return self.own.data
        return self.uploads.get(recipe.data) or sets.load(recipe.data)

    def _built(self, recipe: Recipe, data: Data) -> Model:
        if recipe.net == OWN:
            if self.own is None:
                raise ValueError("the command line named no net: build one of layers.")
            model = self.own.build(data)
        else:
            model = nets.build(
                recipe.net, recipe.loss, data.sample_shape, data.outputs, seed=recipe.seed,
                image=data.image_shape is not None,
            )  # fmt: skip
        data.held.preparation.into(model)
        return model


def checked_place(model: Model, name: str, index: tuple[int, ...], value: float) -> Any:
    """Return the parameter of a name, if it has such a place and the value is a number.

    Raises
    ------
    ValueError
        If not.
    """
    arrays = dict(model.named_parameters())
    if name not in arrays:
        raise ValueError(f"there is no parameter {name!r:.40}; there are {', '.join(arrays)}.")
    shape = arrays[name].shape
    if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(f"{name} has shape {shape}: there is no place {index}.")
    if not math.isfinite(value):
        raise ValueError(f"a parameter is a finite number, got {value}.")
    return arrays[name]
