"""The training loop: forward, loss, backward, step."""

import contextlib
import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data import Batches, MiniBatches
from chainrule.model import Model
from chainrule.optimizers import SGD, Optimizer
from chainrule.training.callbacks import Callback
from chainrule.training.evaluation import checked_batches, evaluate, is_pair
from chainrule.training.history import History
from chainrule.training.progress import Progress, terminal_can_show_progress

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
    epoch, step : int
        Where it is, both from 1; ``step`` counts through all epochs.
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
    running_loss: float = math.nan
    history: History = field(default_factory=History)
    stop: bool = False

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
        The learning rate; None leaves the optimiser's own.
    nb_epoch : int
        How many times to go through the data.
    data : iterable of mini-batches, or pair of arrays (x, y)
        Mini-batches (x, y) or (x, y, sample_weights), as a list of them or ``Batches``. A pair of
        arrays is dealt into mini-batches of 64, anew each epoch.
    optimizer : Optimizer, optional
        Plain ``SGD`` if None.
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
    elif lr is not None:
        optimizer.learning_rate = lr
    batches = _as_batches(data)
    run = Run(
        model,
        optimizer,
        int(nb_epoch),
        steps_per_epoch=len(batches) if isinstance(batches, Sized) else None,
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
        for callback in callbacks:
            callback.on_train_begin(run)
            ends.callback(callback.on_train_end, run)
        while run.epoch < run.epochs and not run.stop:
            run.epoch += 1
            if shuffle and run.epoch > 1 and isinstance(batches, MiniBatches):
                batches.shuffle()
            # Overflow is told in plain words, by the check of the loss.
            with np.errstate(over="ignore", invalid="ignore"), watch:
                _epoch(run, batches, validation_data, callbacks)
            if verbose and not show:
                print(run.epoch_line(), flush=True)
    if verbose and run.history.profile is not None:
        print(run.history.profile)
    return run.history


def _epoch(
    run: Run, batches: Iterable[Any], validation_data: Any, callbacks: Sequence[Callback]
) -> None:
    model, optimizer = run.model, run.optimizer
    for callback in callbacks:
        callback.on_epoch_begin(run)
    model.training = True
    total, count = 0.0, 0
    for x, y, *weights in checked_batches("train", batches, 3):
        run.step += 1
        losses = model.loss(x, y, *weights)
        total += model.cost.mean() * len(losses)
        count += len(losses)
        run.running_loss = total / count
        if not math.isfinite(total):  # before the step, which would spoil the parameters
            raise FloatingPointError(
                f"train: the loss is {total} at step {run.step} (epoch {run.epoch}). Try a lower "
                f"learning rate than {optimizer.learning_rate:g}, and look for NaN in the data."
            )
        model.backward()
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
    run.history.append(row)
    for callback in callbacks:
        callback.on_epoch_end(run)


def _as_batches(data: Any) -> Iterable[Any]:
    if is_pair(data):
        return Batches(np.asarray(data[0]), np.asarray(data[1]))
    batches: Iterable[Any] = data
    return batches
