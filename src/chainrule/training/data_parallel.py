"""Training on several workers: what is asked for, and how they begin alike."""

from __future__ import annotations

import json
import sys
import zlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from chainrule.data.share import Share
from chainrule.distributed.workers import Workers
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.state import State, generator_state, set_generator_state

__all__ = ["DataParallel", "Generators", "as_parallel", "checksums", "shake_hands"]


@dataclass(frozen=True)
class DataParallel:
    """How several workers train one net: each has all of it, and a part of every step's samples.

    Their gradients are averaged, each counting as its samples do, and each makes the same step. So
    all have the same net at any time.

    Parameters
    ----------
    workers : Workers
        As ``chainrule.distributed.connect()`` returns them.
    overlap : bool
        Whether the gradients of the last layers travel while those of the first are computed.
    shard_optimizer : bool
        Whether each worker keeps only its part of what the optimiser remembers, moves that part of
        the parameters, and gets the rest from the others. That saves memory (Adam remembers two
        values a parameter) and work, and costs a message more a step.
    synchronise_norms : bool
        Whether batch normalisations take the statistics of all workers' samples, in place of those
        of their own.
    check_every : int
        After how many steps the workers compare their nets.
    streams : int, optional
        How many mini-batches make a step: as many as there are workers if None, each taking one.
        A training that goes on from a checkpoint keeps its number, whatever is said here.

    Notes
    -----
    Sources: Goyal et al., Accurate, Large Minibatch SGD, 2017; for the sharded optimiser
    Rajbhandari et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, 2020.

    Examples
    --------
    >>> from chainrule.distributed import connect
    >>> from chainrule.training import DataParallel
    >>> DataParallel(connect(), shard_optimizer=True).streams
    """

    workers: Workers
    overlap: bool = False
    shard_optimizer: bool = False
    synchronise_norms: bool = False
    check_every: int = 100
    streams: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("check_every", "streams"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise ValueError(f"DataParallel: {name} must be at least 1, got {value!r}.")

    @property
    def share(self) -> Share:
        """What this worker takes of each step."""
        return Share(self.workers.rank, self.workers.size, self.streams or self.workers.size)

    def in_words(self) -> dict[str, Any]:
        """Return what was asked for, to compare."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "workers"}


def as_parallel(workers: Workers | DataParallel | None) -> DataParallel:
    """Return what ``train`` was given in one form."""
    if isinstance(workers, DataParallel):
        return workers
    if workers is None:
        return DataParallel(Workers())
    if not isinstance(workers, Workers):
        raise TypeError(
            f"train: workers must be those of chainrule.distributed.connect(), got {workers!r}."
        )
    return DataParallel(workers)


class Generators:
    """Lets every worker draw other dropout masks, which can be drawn again.

    Worker 0 draws as a single process does. The others draw from generators that follow from that
    one and the worker's rank.

    Parameters
    ----------
    model : Model
        Its generator is what they draw from.
    workers : Workers
    """

    def __init__(self, model: Model, workers: Workers) -> None:
        self.model = model
        self.workers = workers
        self._start: State = {}

    def begin(self) -> None:
        """Part from the others."""
        rank, rng = self.workers.rank, self.model.rng
        self._start = generator_state(rng)
        if rank > 0:
            seed = zlib.crc32(_words(generator_state(rng)).encode())
            bits = type(rng.bit_generator)
            set_generator_state(rng, dict(bits([seed, rank]).state))

    def end(self) -> None:
        """Have worker 0's generator again: what comes next begins alike."""
        words = self.workers.broadcast(_words(generator_state(self.model.rng)).encode())
        set_generator_state(self.model.rng, _arrays(json.loads(words)))

    def go_back(self) -> None:
        """Have the generator again that all began with: after an error nobody is asked."""
        set_generator_state(self.model.rng, self._start)

    def get_state(self) -> State:
        """Return where the generators of all workers stand."""
        return {"generators": self.workers.gather_text(_words(generator_state(self.model.rng)))}

    def set_state(self, state: State) -> None:
        """Go on from there; a worker that was not there then begins a new one.

        Raises
        ------
        ValueError
            If the state is damaged.
        """
        words, rank = state["generators"], self.workers.rank
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("it is damaged: the generators of the workers are no list of texts.")
        if 0 < rank < len(words):
            set_generator_state(self.model.rng, _arrays(json.loads(words[rank])))
        elif rank > 0:
            self.begin()


def _words(state: State) -> str:
    return json.dumps(state, default=lambda value: np.asarray(value).tolist(), sort_keys=True)


def _arrays(state: Any) -> Any:
    """Return the state with lists made arrays again, as some generators have them."""
    if isinstance(state, dict):
        return {name: _arrays(value) for name, value in state.items()}
    return np.array(state, np.uint64) if isinstance(state, list) else state


def checksums(arrays: list[Array]) -> Array:
    """Return a number for each array that another content would change.

    Examples
    --------
    >>> import numpy as np
    >>> one, other = checksums([np.zeros(3), np.array([0.0, 0.0, -0.0])]).tolist()
    >>> one == other
    False
    """
    return np.array([zlib.crc32(np.ascontiguousarray(array).data) for array in arrays], np.int64)


def shake_hands(workers: Workers, model: Model, settings: dict[str, Any]) -> None:
    """See that all workers are about to do the same, before the first step.

    Raises
    ------
    ValueError
        If one differs from worker 0; the message says in what, and all raise the same.
    """
    layers = settings.get("layers", [])
    names = [name for name, _ in model.named_parameters()]
    own = {
        "version of chainrule": sys.modules["chainrule"].__version__,
        "version of numpy": np.__version__,
        **settings,
        "layers": len(layers),
        **{f"layer {i}": layer for i, layer in enumerate(layers)},
        **{
            f"first {name} (checksum)": int(value)
            for name, value in zip(
                names, checksums([a for _, a in model.named_parameters()]), strict=True
            )
        },
        "generator (checksum; it is its seed's)": zlib.crc32(
            _words(generator_state(model.rng)).encode()
        ),
    }
    told = [json.loads(words) for words in workers.gather_text(json.dumps(own, default=str))]
    for rank, theirs in enumerate(told):
        for name in {**told[0], **theirs}:
            first, other = told[0].get(name), theirs.get(name)
            if first != other:
                raise ValueError(
                    f"train: worker {rank} is about to do something else than worker 0: its {name} "
                    f"is {other!r:.200}, and worker 0's is {first!r:.200}. Run the same program, "
                    "with the same versions, seeds and data, on all of them."
                )
