"""What the workers of a training do together: at each step, and between the epochs."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from chainrule.layer import Array
from chainrule.state import Stateful
from chainrule.training.across import Across, set_across
from chainrule.training.alone import Alone
from chainrule.training.callbacks import Callback
from chainrule.training.data_parallel import DataParallel, Generators, checksums, shake_hands
from chainrule.training.overlap import Overlap
from chainrule.training.sharded import Sharded
from chainrule.training.steps import MeanGradient

if TYPE_CHECKING:
    from chainrule.training.checkpoint import Checkpoint
    from chainrule.training.hooks import Hooks
    from chainrule.training.interrupts import Interrupts
    from chainrule.training.run import Run

__all__ = ["Team"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HEAD = 8  # of a message: ended, weight, loss, samples, idle samples, save, and the signals
BLOCK = 1 << 18  # gradients that are scaled at a time: they stay in the cache until they travel


class Team(Alone):
    r"""Averages gradients over the workers, and lets all decide alike.

    With :math:`g_r` the gradient of worker r's mean loss, and :math:`W_r` the sum of the weights of
    its samples, each gets :math:`\sum_r \frac{W_r}{\sum W} g_r`: the gradient of the mean over all.

    Parameters
    ----------
    parallel : DataParallel
    run : Run
    hooks : Hooks
    interrupts : Interrupts
    checkpoint : Checkpoint or None
    settings : dict
        What all must have alike.
    overlap : bool
        Whether gradients travel while others are computed.
    """

    def __init__(
        self, parallel: DataParallel, run: Run, hooks: Hooks, interrupts: Interrupts,
        checkpoint: Checkpoint | None, settings: dict[str, Any], *, overlap: bool,
    ) -> None:  # fmt: skip
        super().__init__(run, interrupts, checkpoint)
        self.agreed = False
        self.check_every = parallel.check_every
        self.settings = settings
        self.generators = Generators(run.model, parallel.workers)
        self._saves = False  # whether all save after this step
        # Only a callback of a step can want to stop there; those that write are not asked.
        self._asks = any(_has_step(c) for c in hooks.callbacks if not c.writes)
        self._state = [array for _, array in run.model.named_state()]
        self._signal: int | None = None
        self._before = 0.0, 0  # the run's sum of losses, and of how many, before the step
        self._met = False
        self._idle = 0  # samples of it in mini-batches of this worker of which none has a weight
        self._share = 0.0  # this worker's weight in the mean
        self._synchronise = parallel.synchronise_norms
        self._needs_samples = False  # whether each must have some of every mini-batch
        self._overlaps = overlap
        self._overlap: Overlap | None = None
        self._sharded: Sharded | None = None
        self._shards = parallel.shard_optimizer

    # -- the training ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Begin alike, or say in what one differs."""
        with self._told():
            settings = {**self.settings, "callbacks of a step": self._asks}
            shake_hands(self.workers, self.run.model, settings)
        self.generators.begin()
        if self._synchronise:
            across = Across(self.workers, self.run.model.cost)
            self._needs_samples = set_across(self.run.model, across)
        if self._shards:
            self._sharded = Sharded(self.run.optimizer, self.workers, self.run.model)
        if self._overlaps:
            self._overlap = Overlap(self, self.run.model)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._overlap is not None:
            self._overlap.leave()
        if self._sharded is not None:
            self._sharded.leave(whole=error is None)
        if self._synchronise:
            set_across(self.run.model, None)
        with self._told():
            if error is not None:
                self.generators.go_back()
                raise error
            self.compare()
            self.generators.end()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.workers.failed(error)
            raise

    def remembers(self) -> dict[str, Stateful]:
        """Return what a checkpoint has besides: where the generators of all workers stand."""
        return {"workers": self.generators}

    # -- a step ---------------------------------------------------------------------------------

    def begin_step(self) -> None:
        """Note where the run stands before a step."""
        self._before, self._met = (self.run.total, self.run.count), False
        self._idle = 0

    def with_samples(self, parts: Iterable[Any]) -> Iterator[Any]:
        """Yield the mini-batches of a step in which this worker has a sample that counts."""
        for part in parts:
            # Of samples without a weight there is no mean; those of other workers may have some.
            if part is not None and (len(part) < 3 or np.any(np.asarray(part[2]) != 0)):
                yield part
                continue
            self._idle += 0 if part is None else len(part[0])
            if self._needs_samples:
                raise ValueError(
                    f"train: worker {self.workers.rank} has no sample in a mini-batch of step "
                    f"{self.run.step}, and batch normalisations over all workers need one of each. "
                    "Leave out what is left at the end: Batches(..., drop_last=True)."
                )

    def average(self, mean: MeanGradient | None) -> None:
        """Put the mean gradient of all workers into the model, and the mean loss into the run."""
        model = self.run.model
        if not self._met:
            self.meet(None if mean is None else mean.weight)
        if self._overlap is not None:
            self._overlap.finish()
            return
        if mean is not None and mean.weight:
            mean.take(model.gradients)
        self.scale(model.gradients)
        self.workers.sum(model.gradients)

    def meet(self, weight: float | None = None) -> None:
        """Tell each other the weights, losses, running statistics, and what is wanted.

        Parameters
        ----------
        weight : float, optional
            The sum of the weights of this worker's samples; None asks the loss.
        """
        run, (total, count) = self.run, self._before
        own = run.count - count
        loss = (run.total - total) / own if own else 0.0
        if weight is None:
            weight = run.model.cost.total_weight() if own else 0.0
        due = self.workers.first and self.checkpoint is not None and self.checkpoint.due(run.step)
        told = self._message([0, weight, weight * loss, own, self._idle, due, *self._signals()])
        for array, values in self._states(told):
            np.multiply(array, own, out=values)
        self.workers.sum(told)
        self._check_ended(told, run.step - 1)
        _, whole, losses, samples, idle, saves, *signals = told[:HEAD].tolist()
        if not samples:
            raise ValueError(f"train: no worker has a sample in step {run.step}.")
        self._share, self._met, self._saves = weight / whole, True, saves > 0
        run.total = total + losses / whole * (samples + idle)
        run.count = count + round(samples + idle)
        self._hear(signals)
        for array, values in self._states(told):
            np.divide(values, samples, out=array, casting="same_kind")

    def scale(self, gradients: Array) -> None:
        """Let a stretch of the gradients count as this worker's samples do."""
        if self._share == 0:
            gradients[...] = 0  # what is there is of another step
            return
        for start in range(0, gradients.size, BLOCK):
            gradients[start : start + BLOCK] *= self._share

    def settle(self) -> None:
        """Stop where one wants to, and let a signal that one got act in all."""
        if self._asks:
            self.run.stop = self._sum([float(self.run.stop)])[0] > 0
        self._act()
        if self.run.step % self.check_every == 0:
            self.compare()

    def agree(self) -> None:
        """Do so where no step is being made."""
        stop, *signals = self._sum([float(self.run.stop), *self._signals()])
        self.run.stop = stop > 0
        self._hear(signals)
        self._act()

    def end_steps(self) -> None:
        """See that all have come to the end of an epoch."""
        told = self._message([1])
        self.workers.sum(told)
        self._check_ended(told, self.run.step)

    def due(self) -> bool:
        """Whether it is time for a checkpoint after this step: as worker 0 has said."""
        return self._saves

    def compare(self) -> None:
        """See that all workers have the same net.

        Raises
        ------
        RuntimeError
            If not; the message names the worker and the layer, and all raise the same.
        """
        model = self.run.model
        named = [*model.named_parameters(), *model.named_state()]
        told = self.workers.gather(checksums([array for _, array in named]))
        for (name, _), *values in zip(named, *(a.tolist() for a in told), strict=True):
            if len(set(values)) == 1:
                continue
            usual = Counter(values).most_common(1)[0][0]
            odd = [rank for rank, value in enumerate(values) if value != usual]
            if len(values) == 2:  # nobody knows which is right
                who = "workers 0 and 1 differ"
            elif len(odd) == 1:
                who = f"worker {odd[0]} differs from the others"
            else:
                who = f"workers {', '.join(map(str, odd))} differ from the others"
            place = name.partition(".")[0]
            raise RuntimeError(
                f"train: {who} in {name} of layer {place}, {model.layers[int(place)]!r}, at step "
                f"{self.run.step}. All make the same steps, so a layer or a callback changes it by "
                "chance, or a memory is faulty. Go on from the last checkpoint."
            )

    # -- inner parts ----------------------------------------------------------------------------

    def _message(self, head: list[float]) -> Array:
        """Return a vector that begins so, with room for the running statistics."""
        message = np.zeros(HEAD + sum(array.size for array in self._state))
        message[: len(head)] = head
        return message

    def _states(self, message: Array) -> Iterator[tuple[Array, Array]]:
        """Yield each running statistic, and where in the message it is."""
        start = HEAD
        for array in self._state:
            yield array, message[start : start + array.size].reshape(array.shape)
            start += array.size

    def _sum(self, values: list[float]) -> list[float]:
        vector = np.array(values, np.float64)
        self.workers.sum(vector)
        told: list[float] = vector.tolist()
        return told

    def _check_ended(self, told: Array, step: int) -> None:
        ended = round(float(told[0]))
        if 0 < ended < self.workers.size:
            raise ValueError(
                f"train: in epoch {self.run.epoch} the data of {ended} of {self.workers.size} "
                f"workers ended after step {step}, and those of the others did not. "
                "Give all of them the same data."
            )

    def _signals(self) -> list[float]:
        return [float(self.interrupts.pending == number) for number in SIGNALS]

    def _hear(self, signals: list[float]) -> None:
        got = [number for number, count in zip(SIGNALS, signals, strict=True) if count]
        self._signal = got[0] if got else None

    def _act(self) -> None:
        if self._signal is not None:
            self.interrupts.pending, self._signal = int(self._signal), None
            self.agreed = True
            self.interrupts.check()


def _has_step(callback: Callback) -> bool:
    return getattr(callback.on_step_end, "__func__", None) is not Callback.on_step_end
