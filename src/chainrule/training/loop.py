"""The training loop: forward, loss, backward, step."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data import Batches, MiniBatches
from chainrule.model import Model
from chainrule.optimizers import SGD, Optimizer
from chainrule.schedules import Schedule
from chainrule.training.callbacks import Callback
from chainrule.training.evaluation import checked_batches, evaluate, is_pair
from chainrule.training.history import History
from chainrule.training.progress import Progress, terminal_can_show_progress
from chainrule.training.steps import Clip, MeanGradient, Pace

__all__ = ["Run", "train"]


@dataclass
class Run:
    """A training as it goes on: what callbacks are given.

    Attributes
    ----------
    model : Model
    optimizer : Optimizer
    epochs : int
        How many there will be.
    steps_per_epoch : int or None
        None where the data do not say.
    steps : int or None
        The same for the whole training.
    epoch, step : int
        Where it is, both from 1; ``step`` counts through all epochs.
    loss : float
        The mean loss of the last step.
    running_loss : float
        The mean loss over the epoch so far.
    history : History
    stop : bool
        Set it to end after the current step.
    """

    model: Model
    optimizer: Optimizer
    epochs: int
    steps_per_epoch: int | None = None
    epoch: int = 0
    step: int = 0
    loss: float = math.nan
    running_loss: float = math.nan
    history: History = field(default_factory=History)
    stop: bool = False

    @property
    def steps(self) -> int | None:
        """How many steps there will be in all."""
        return None if self.steps_per_epoch is None else self.steps_per_epoch * self.epochs

    def epoch_line(self) -> str:
        """Return the line that an epoch prints."""
        row = self.history.rows[-1]
        line = f"Epoch {self.epoch}/{self.epochs}: loss = {row['loss']:.4f}"
        for name, value in row.items():
            if name.startswith("validation_"):
                line += f", {name.replace('_', ' ')} = {value:.4f}"
        return line


def train(
    model: Model,
    lr: float | None,
    nb_epoch: int,
    data: Iterable[Any],
    *,
    optimizer: Optimizer | None = None,
    schedule: Schedule | Callable[[int, int | None], float] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    validation_data: Any = None,
    callbacks: Sequence[Callback] = (),
    shuffle: bool = True,
    detect_anomalies: bool = False,
    profile: bool = False,
    verbose: bool = True,
) -> History:
    """Train a model: for each mini-batch forward, loss, backward, and a step of the optimiser.

    Parameters
    ----------
    model : Model
        Its parameters are changed in place.
    lr : float or None
        The learning rate; None leaves the optimiser's own. With a schedule, the highest.
    nb_epoch : int
        How many times to go through the data.
    data : iterable of mini-batches, or pair of arrays (x, y)
        Mini-batches (x, y) or (x, y, sample_weights), as a list of them or ``Batches``. A pair of
        arrays is dealt into mini-batches of 64, anew each epoch.
    optimizer : Optimizer, optional
        Plain ``SGD`` if None.
    schedule : Schedule or function (step, total) -> factor, optional
        What the learning rate is multiplied by before each step, as ``OneCycle()``. When the
        training ends, the learning rate is again what it was.
    clip_norm, clip_value : float, optional
        The greatest length of the gradient vector, and the greatest size of a value in it.
    accumulate : int
        How many mini-batches make one step: their gradients are joined to that of all their samples
        together, in the memory of one. At the end of an epoch a step is made of what is left.
    validation_data : pair of arrays (x, y), or iterable of mini-batches, optional
        Judged after each epoch.
    callbacks : sequence of Callback
        Told at each turn of the loop.
    shuffle : bool
        Whether to deal the samples into new mini-batches from the second epoch on, where the data
        can: those of ``load_minibatches`` do. A plain list of mini-batches stays as it is.
    detect_anomalies : bool
        Whether to look at every array for NaN and infinity, and stop at the first: the error names
        the layer, the pass and the step. It costs time.
    profile : bool
        Whether to measure time and memory of each layer, forward and backward, of the loss and of
        what is round them: see ``history.profile``. Training is then slower by a tenth or two.
    verbose : bool
        Whether to print a line an epoch, and a progress bar on a terminal; the profile at the end.

    Returns
    -------
    History
        A row an epoch: ``epoch``, ``loss`` (the mean over the epoch's samples as they came), and
        with validation data ``validation_loss`` and perhaps ``validation_accuracy``. With
        ``profile`` the figures are in ``history.profile``; ``print`` shows them as a table.

    Raises
    ------
    ValueError
        If the learning rate or the number of epochs makes no sense, the data hold no mini-batch, or
        their shapes do not fit.
    FloatingPointError
        If the loss is no longer a finite number; with ``detect_anomalies``, if any array is not.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, train
    >>> x = np.random.default_rng(0).standard_normal((256, 3))
    >>> y = x @ np.array([[1.0], [2.0], [3.0]])
    >>> net = Model([Linear(3, 1)], MeanSquaredError())
    >>> history = train(net, 0.1, 20, (x, y), verbose=False)
    >>> history["loss"][-1] < 1e-3
    True
    >>> net.layers[0].weights.round(1).ravel()
    array([1., 2., 3.], dtype=float32)
    """
    if isinstance(nb_epoch, bool) or not isinstance(nb_epoch, (int, np.integer)) or nb_epoch < 1:
        raise ValueError(f"train: nb_epoch must be a whole number of at least 1, got {nb_epoch!r}.")
    if optimizer is None:
        optimizer = SGD() if lr is None else SGD(lr)
    elif not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"train: optimizer must be an Optimizer, as SGD(0.1), got {optimizer!r}. L-BFGS goes "
            "its own way: LBFGS().minimize(model, x, y)."
        )
    elif lr is not None:
        optimizer.learning_rate = lr
    if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
        raise ValueError(f"train: accumulate must be at least 1, got {accumulate!r}.")
    pace, clip = Pace(schedule, optimizer), Clip(clip_norm, clip_value)
    optimizer.bind(model)
    batches = _as_batches(data)
    steps = _Steps(pace, clip, accumulate)
    run = Run(
        model,
        optimizer,
        int(nb_epoch),
        steps_per_epoch=-(-len(batches) // accumulate) if isinstance(batches, Sized) else None,
    )
    show = verbose and terminal_can_show_progress()
    callbacks = [*callbacks, Progress()] if show else list(callbacks)
    if profile:
        from chainrule.training.profiling import Profiler

        callbacks.append(Profiler())  # last, so that a step has the other callbacks in it
    was_training = model.training
    watch: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if detect_anomalies:
        from chainrule.training.anomalies import Watch

        watch = Watch(run)
    with contextlib.ExitStack() as ends:  # all are told of the end, whatever ends it
        ends.callback(setattr, model, "training", was_training)
        ends.callback(pace.give_back)
        for callback in callbacks:
            callback.on_train_begin(run)
            ends.callback(callback.on_train_end, run)
        while run.epoch < run.epochs and not run.stop:
            run.epoch += 1
            if shuffle and run.epoch > 1 and isinstance(batches, MiniBatches):
                batches.shuffle()
            # Overflow is told in plain words, by the check of the loss.
            with np.errstate(over="ignore", invalid="ignore"), watch:
                _epoch(run, batches, steps, validation_data, callbacks)
            if verbose and not show:
                print(run.epoch_line(), flush=True)
    if verbose and run.history.profile is not None:
        print(run.history.profile)
    return run.history


@dataclass
class _Steps:
    """How the steps are made."""

    pace: Pace
    clip: Clip
    accumulate: int
    mean: MeanGradient = field(default_factory=MeanGradient)

    def parts(self, first: Any, rest: Iterator[Any]) -> Iterator[Any]:
        """Yield the mini-batches of one step, each when the one before has been used."""
        yield first
        yield from itertools.islice(rest, self.accumulate - 1)


def _epoch(
    run: Run,
    batches: Iterable[Any],
    steps: _Steps,
    validation_data: Any,
    callbacks: Sequence[Callback],
) -> None:
    model, optimizer = run.model, run.optimizer
    for callback in callbacks:
        callback.on_epoch_begin(run)
    model.training = True
    total, count = 0.0, 0
    batches = checked_batches("train", batches, 3)
    for batch in batches:
        run.step += 1
        steps.pace.set(run)
        before = total, count
        parts = [batch] if steps.accumulate == 1 else steps.parts(batch, batches)
        for x, y, *weights in parts:
            losses = model.loss(x, y, *weights)
            total += model.cost.mean() * len(losses)
            count += len(losses)
            run.running_loss = total / count
            if not math.isfinite(total):  # before the step, which would spoil the parameters
                raise FloatingPointError(
                    f"train: the loss is {total} at step {run.step} (epoch {run.epoch}). Try a "
                    f"lower learning rate than {optimizer.learning_rate:g}, and look for NaN in "
                    "the data."
                )
            model.backward()
            if steps.accumulate > 1:
                steps.mean.add(model.gradients, model.cost)
        run.loss = (total - before[0]) / (count - before[1])
        if steps.accumulate > 1:
            steps.mean.take(model.gradients)
        steps.clip(model.gradients, optimizer)
        optimizer.step(model.parameters, model.gradients)
        for callback in callbacks:
            callback.on_step_end(run)
        if run.stop:
            break
    if count == 0:
        raise ValueError(
            f"train: the data gave no mini-batch in epoch {run.epoch}. A generator can be gone "
            "through once: pass a list of mini-batches, or Batches(x, y)."
        )
    row = {"epoch": run.epoch, "loss": run.running_loss}
    if validation_data is not None:
        figures = evaluate(model, validation_data)
        row |= {f"validation_{name}": value for name, value in figures.items()}
    steps.pace.observe(row)
    run.history.append(row)
    for callback in callbacks:
        callback.on_epoch_end(run)


def _as_batches(data: Any) -> Iterable[Any]:
    if is_pair(data):
        return Batches(np.asarray(data[0]), np.asarray(data[1]))
    batches: Iterable[Any] = data
    return batches
