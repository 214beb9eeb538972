"""How many threads the matrix products of a training use."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from chainrule.state import State
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Threads"]

TRIAL = 8  # steps with one count before the next has its turn; the first of them is not timed
ROUNDS = 3
AGAIN = 5_000  # steps until the counts are tried anew: the machine may be busier by then

# The counts are those of the process: trainings in several of its threads share them.
_lock = threading.Lock()
_at_work: list["Threads"] = []
_original: dict[str, int] = {}  # by library, before the first of them began


class Threads(Callback):
    """Set the number of threads of the matrix products while training.

    On a machine with free cores more threads help from small products on; on a busy one they wait
    for each other, and a step can take twice as long. ``"auto"`` does not guess: it times real
    steps with 1, 2, 4, … threads, goes on with the fastest, and tries again now and then.

    A product's last bits depend on the number of threads. So a run with ``"auto"`` cannot be
    repeated to the bit; one with a number can.

    Parameters
    ----------
    count : int or "auto"
        How many threads. The number as it was comes back when the training ends.
    least_gain : float
        With ``"auto"``, more threads are used if steps become more than this many times as fast:
        above 1 leaves the cores to other work unless they help much.

    Attributes
    ----------
    chosen : int
        The number that is being used.

    Raises
    ------
    ImportError
        If threadpoolctl is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, Threads, train
    >>> net = Model([Linear(3, 1)], MeanSquaredError())
    >>> data = np.ones((8, 3)), np.ones((8, 1))
    >>> history = train(net, 0.1, 2, data, callbacks=[Threads(1)], verbose=False)
    """

    def __init__(self, count: int | Literal["auto"] = "auto", *, least_gain: float = 1.0) -> None:
        whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
        if count != "auto" and (not whole or count < 1):
            raise ValueError(f'Threads: count must be 1 or more, or "auto", got {count!r}.')
        if not least_gain >= 1:
            raise ValueError(f"Threads: least_gain must be 1 or more, got {least_gain!r}.")
        try:
            import threadpoolctl
        except ImportError as error:
            raise ImportError(
                "Threads needs threadpoolctl: pip install 'chainrule[threads]'"
            ) from error
        self.count = count if count == "auto" else int(count)
        self.least_gain = least_gain
        self.chosen = 0
        self._libraries = threadpoolctl.ThreadpoolController().select(user_api="blas")
        self._before: list[int] = []
        self._trials: Iterator[int] = iter(())

    def on_train_begin(self, run: "Run") -> None:
        """Remember the number of threads, and set the wanted one."""
        self._before = [library.num_threads for library in self._libraries.lib_controllers]
        with _lock:
            if not _at_work:
                _original.clear()
            _at_work.append(self)
            for library, count in zip(self._libraries.lib_controllers, self._before, strict=True):
                _original.setdefault(library.filepath, count)
        if self.count != "auto":
            self._use(self.count)
        elif self._before:
            most = max(_original[library.filepath] for library in self._libraries.lib_controllers)
            self._trials = self._tried(most)
            self._use(next(self._trials, most))

    def get_state(self) -> State:
        """Return the number that is being used."""
        return {"chosen": self.chosen}

    def set_state(self, state: State) -> None:
        """Go on with that number: another one would change the products' last bits."""
        chosen = state["chosen"]
        if not isinstance(chosen, int) or chosen < 0:
            raise ValueError(f"Threads: the state must have a number of threads, got {chosen!r}.")
        if chosen and self.count == "auto":
            self._trials = iter(())
            self._use(chosen)

    def on_step_end(self, run: "Run") -> None:
        """Go on to the number that is to be used for the next step."""
        count = next(self._trials, self.chosen)
        if count != self.chosen:
            self._use(count)

    def on_train_end(self, run: "Run") -> None:
        """Set the number of threads as it was."""
        with _lock:
            _at_work.remove(self)
            for library, count in zip(self._libraries.lib_controllers, self._before, strict=True):
                # The last of several gives back the original: it may have begun with what another
                # had set.
                library.set_num_threads(count if _at_work else _original[library.filepath])

    def _use(self, count: int) -> None:
        self.chosen = count
        for library in self._libraries.lib_controllers:
            library.set_num_threads(count)

    def _tried(self, most: int) -> Iterator[int]:
        """Yield the count for each step: all in turn, then the one that is worth its threads."""
        counts = [*(2**i for i in range(most.bit_length()) if 2**i < most), most]
        while len(counts) > 1:
            times: dict[int, list[float]] = {count: [] for count in counts}
            for count in counts * ROUNDS:
                yield count
                clock = [time.perf_counter()]  # after the first step with this count
                for _ in range(TRIAL - 1):
                    yield count
                    clock.append(time.perf_counter())
                times[count] += [end - start for start, end in pairwise(clock)]
            best = counts[0]
            for count in counts[1:]:
                if np.median(times[best]) > self.least_gain * np.median(times[count]):
                    best = count
            for _ in range(AGAIN):
                yield best
