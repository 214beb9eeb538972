"""The mini-batches of a training, and where in them it stands."""

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from chainrule.data import Batches, MiniBatches
from chainrule.state import State, Stateful
from chainrule.training.evaluation import checked_batches, is_pair

__all__ = ["Feed"]


class Feed:
    """Goes through the data epoch after epoch, and counts what was used.

    Parameters
    ----------
    data : iterable of mini-batches, or pair of arrays
        As ``train`` takes them.
    shuffle : bool
        Whether to deal ``MiniBatches`` anew from the second epoch on.

    Attributes
    ----------
    used : int
        How many mini-batches of the epoch have been used.
    """

    def __init__(self, data: Any, *, shuffle: bool) -> None:
        self.batches: Iterable[Any] = data
        if is_pair(data):
            self.batches = Batches(np.asarray(data[0]), np.asarray(data[1]))
        self.shuffle = shuffle
        self.used = 0
        self._begun = False
        self._start: State | None = None  # of the data, before the epoch began

    @property
    def length(self) -> int | None:
        """How many mini-batches an epoch has; None if the data do not say."""
        return len(self.batches) if isinstance(self.batches, Sized) else None

    def begin_epoch(self, number: int) -> None:
        """Deal the samples of an epoch, counted from 1."""
        self._begun, self._start = True, self._state_of_data()
        if self.shuffle and number > 1 and isinstance(self.batches, MiniBatches):
            self.batches.shuffle()

    def epoch(self, number: int) -> Iterator[tuple[Any, ...]]:
        """Yield the mini-batches of an epoch, from the one that is next."""
        if not self._begun:  # it was begun in another process
            self.begin_epoch(number)
        batches = self.batches
        if self.used:
            if hasattr(batches, "batches_from"):
                batches = batches.batches_from(self.used)
            else:
                batches = itertools.islice(batches, self.used, None)
        for batch in checked_batches("train", batches, 3):
            self.used += 1
            yield batch

    def end_epoch(self) -> None:
        """Stand before the next epoch."""
        self.used = 0
        self._begun, self._start = False, None

    def get_state(self) -> State:
        """Return where it stands: what the data remembered when the epoch began, and how far."""
        start = self._start if self._begun else self._state_of_data()
        return {"used": self.used, "start": start, "length": self.length}

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
        if isinstance(self.batches, Stateful):
            if state["start"] is None:
                raise ValueError("its data were of another kind. Pass the same data.")
            self.batches.set_state(state["start"])
        elif not isinstance(self.batches, Sequence):
            warnings.warn(
                f"train: {type(self.batches).__name__} cannot say in which order it was: the "
                "training goes on with the order that it gives now. Batches(x, y) can.",
                RuntimeWarning,
                stacklevel=3,
            )
        self.used, self._begun = state["used"], False

    def _state_of_data(self) -> State | None:
        return self.batches.get_state() if isinstance(self.batches, Stateful) else None
