"""The mini-batches of a training, and where in them it stands."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import itertools
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data import Batches, MiniBatches, train_validation_split
from chainrule.data.share import Share, shared, steps_of
from chainrule.state import State, Stateful
from chainrule.training.evaluation import checked_batches, is_arrays

__all__ = ["Feed", "as_batches", "hold_out"]


class Feed:
    """Goes through the data epoch after epoch, and counts what was used.

    Parameters
    ----------
    data : iterable of mini-batches, or arrays (x, y) or (x, y, weights)
        As ``train`` takes them.
    shuffle : bool
        Whether to deal ``MiniBatches`` anew from the second epoch on.
    share : Share
        What this worker takes of each step, if there are several.

    Attributes
    ----------
    used : int
        How many mini-batches of the epoch have been used.
    """

    def __init__(self, data: Any, *, shuffle: bool, share: Share = Share()) -> None:  # noqa: B008  # it is frozen
        self.batches: Iterable[Any] = data
        if is_arrays(data):
            self.batches = as_batches(data)
        self.shuffle = shuffle
        self.share = share
        self.used = 0
        # Asked once: it takes as long as the step of a small net.
        self._stateful = self.batches if isinstance(self.batches, Stateful) else None
        self._begun = False
        self._start: State | None = None  # of the data, before the epoch began

    @property
    def length(self) -> int | None:
        """How many mini-batches an epoch has; None if the data do not say."""
        if not isinstance(self.batches, Sized):
            return None
        try:
            return len(self.batches)
        except TypeError:  # a DataLoader has a length only if its data set has one
            return None

    @property
    def steps(self) -> int | None:
        """How many times an epoch asks for a mini-batch; None if the data do not say."""
        return self.length if self.share.whole else steps_of(self.batches, self.share.streams)

    def in_words(self) -> dict[str, Any]:
        """Return which data they are, as far as can be told: several workers need the same."""
        data = self.batches
        return {
            "data": type(data).__name__,
            "number of mini-batches": self.length,
            "number of samples": len(data.x) if hasattr(data, "x") else None,
            "batch size": getattr(data, "batch_size", None),
            "order of the data (checksum; it is its seed's)": zlib.crc32(
                repr(self._state_of_data()).encode()
            ),
        }

    def refuse_shared(self, rng: np.random.Generator) -> None:
        """Refuse data that draw from the model's generator: it cannot be in two places.

        Raises
        ------
        ValueError
            If they do.
        """
        if rng in (getattr(self.batches, "rng", None), getattr(self.batches, "_rng", None)):
            raise ValueError(
                "train: the data and the model draw from one generator, and a checkpoint could "
                "bring back only one of them. Give each a seed of its own."
            )

    def begin_epoch(self, number: int) -> None:
        """Deal the samples of an epoch, counted from 1."""
        self._begun, self._start = True, self._state_of_data()
        if self.shuffle and number > 1 and isinstance(self.batches, MiniBatches):
            self.batches.shuffle()

    def epoch(self, number: int) -> Iterator[tuple[Any, ...] | None]:
        """Yield the mini-batches of an epoch, from the one that is next.

        One of several workers gets None where it has no sample of a step.
        """
        if not self._begun:  # it was begun in another process
            self.begin_epoch(number)
        batches = self.batches
        if not self.share.whole:
            yield from self._share_of_epoch()
            return
        if self.used:
            if hasattr(batches, "batches_from"):
                batches = batches.batches_from(self.used)
            else:
                batches = itertools.islice(batches, self.used, None)
        for batch in checked_batches("train", batches, 3):
            self.used += 1
            yield batch

    def _share_of_epoch(self) -> Iterator[tuple[Any, ...] | None]:
        for part in shared(self.batches, self.used, self.share):
            self.used += 1
            yield None if part is None else next(checked_batches("train", [part], 3))

    def end_epoch(self) -> None:
        """Stand before the next epoch."""
        self.used = 0
        self._begun, self._start = False, None

    def get_state(self) -> State:
        """Return where it stands: what the data remembered when the epoch began, and how far."""
        start = self._start if self._begun else self._state_of_data()
        state = {"used": self.used, "start": start, "length": self.length}
        # A single process does not say it, and writes what it always wrote.
        return state if self.share.whole else {**state, "streams": self.share.streams}

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If the data have another length than then.
        """
        if state["length"] != self.length:
            raise ValueError(
                f"its data had {state['length']} mini-batches, and these have {self.length}. Pass "
                "the same data, in the same mini-batches."
            )
        streams = state.get("streams", 1)
        if type(streams) is not int or streams < 1:
            raise ValueError(f"it is damaged: a step of {streams!r:.40} mini-batches.")
        self.share = replace(self.share, streams=streams)
        if self._stateful is not None:
            if state["start"] is None:
                raise ValueError("its data were of another kind. Pass the same data.")
            self._stateful.set_state(state["start"])
        elif not isinstance(self.batches, Sequence):
            warnings.warn(
                f"train: {type(self.batches).__name__} cannot say in which order it was: the "
                "training goes on with the order that it gives now. Batches(x, y) can.",
                RuntimeWarning,
                stacklevel=3,
            )
        self.used, self._begun = state["used"], False

    def _state_of_data(self) -> State | None:
        return None if self._stateful is None else self._stateful.get_state()


def as_batches(arrays: tuple[Any, ...]) -> Batches:
    """Return arrays (x, y) or (x, y, weights) dealt into mini-batches of 64."""
    x, y, *weights = arrays
    return Batches(x, y, sample_weights=weights[0] if weights else None)


def hold_out(data: Any, fraction: float) -> tuple[Batches, tuple[Any, Any]]:
    """Return mini-batches to train on, and arrays (x, y) to judge by, apart from each other.

    Of labels the same share of each class is held out.

    Raises
    ------
    TypeError
        If the data are neither arrays nor ``Batches``.
    ValueError
        If there would be no sample in one of the two.
    """
    batches = as_batches(data) if is_arrays(data) else data
    if not isinstance(batches, Batches):
        raise TypeError(
            "train: validation_split can part arrays (x, y) and Batches, not "
            f"{type(data).__name__}. Pass validation_data."
        )
    samples = np.arange(len(batches.x))
    classes = batches.y.dtype.kind in "iub" and batches.y.ndim == 1
    stratify = classes and bool(np.unique(batches.y, return_counts=True)[1].min() > 1)
    targets = batches.y if stratify else samples
    kept, _, held, _ = train_validation_split(samples, targets, fraction, stratify=stratify)
    return batches.part(kept), (batches.x[held], batches.y[held])
