"""The training loop: forward, loss, backward, step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.distributed.workers import Workers
from chainrule.model import Model
from chainrule.optimizers import SGD, Optimizer
from chainrule.schedules import Schedule
from chainrule.state import Stateful
from chainrule.training.alone import Alone
from chainrule.training.callbacks import Callback
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.data_parallel import DataParallel, as_parallel
from chainrule.training.divergence import Divergence
from chainrule.training.epoch import Judge, Loop, steps_per_epoch
from chainrule.training.evaluation import length_of
from chainrule.training.feed import Feed, hold_out
from chainrule.training.history import History
from chainrule.training.hooks import Hooks
from chainrule.training.interrupts import Interrupts
from chainrule.training.judging import Metric, as_metrics
from chainrule.training.progress import progress_shown_here
from chainrule.training.resuming import Snapshots, settings_of
from chainrule.training.run import Run
from chainrule.training.steps import Clip, Pace

__all__ = ["Run", "train"]


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
    validation_split: float | None = None,
    metrics: Iterable[Metric] | Mapping[str, Metric] = (),
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    resume: bool = False,
    shuffle: bool = True,
    detect_anomalies: bool = False,
    profile: bool = False,
    verbose: bool = True,
    workers: Workers | DataParallel | None = None,
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
    data : iterable of mini-batches, or arrays (x, y) or (x, y, sample_weights)
        Mini-batches (x, y) or (x, y, sample_weights): ``Batches``, ``FileBatches``, a list of them,
        or anything else that gives them, as PyTorch's ``DataLoader``. Arrays are dealt into
        mini-batches of 64, anew each epoch.
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
    validation_split : float, optional
        The share of arrays or ``Batches`` to hold out for that, from 0 to 1; always the same
        samples, and of labels the same share of each class. They are not trained on.
    metrics : sequence of str or function, or dict, optional
        What else to measure on the validation data, as ``["f1", "auc"]``: see :func:`evaluate`.
    callbacks : sequence of Callback
        Told at each turn of the loop. An error in one of them comes out with its name.
    checkpoint : Checkpoint or path, optional
        Where the state of the training is saved, and how often: ``Checkpoint(folder,
        every_steps=100)``. A folder alone: after each epoch, and every five minutes.
    resume : bool
        Whether to go on from the newest checkpoint in that folder, if there is one. Built in the
        same way, on the same data, the training ends with the same bits as if it had not stopped.
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
        Whether to show the progress: on a terminal a bar and a line an epoch, in a notebook a bar,
        elsewhere a line an epoch; the profile at the end.
    workers : Workers or DataParallel, optional
        Who trains together: ``chainrule.distributed.connect()``. Each runs the same program, takes
        a mini-batch of every step, and ends with the same net. See docs/distributed.md.

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
        If the loss is no longer a finite number, or a million times what it was at first: the error
        says where that began, and what to try. With ``detect_anomalies``, if any array is not.
    OSError
        If there is a checkpoint to write and its folder cannot be written at the beginning. If it
        cannot later, a warning says so, and the training goes on.

    Notes
    -----
    Ctrl-C acts when the step that is being made is done, and a checkpoint is written; a second one
    acts at once. So does SIGTERM where there is a checkpoint.

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
    _check_counts(nb_epoch, accumulate)
    if resume and checkpoint is None:
        raise ValueError("train: resume=True needs the folder: checkpoint=FOLDER.")
    if isinstance(checkpoint, (str, os.PathLike)):
        checkpoint = Checkpoint(checkpoint)
    parallel = as_parallel(workers)
    optimizer = _with_rate(optimizer, lr)
    pace, clip = Pace(schedule, optimizer), Clip(clip_norm, clip_value)
    optimizer.bind(model)
    if validation_split is not None:
        if validation_data is not None:
            raise ValueError("train: pass validation_data or validation_split, not both.")
        data, validation_data = hold_out(data, validation_split)
    feed, wanted = Feed(data, shuffle=shuffle, share=parallel.share), as_metrics(metrics)
    if wanted and validation_data is None:
        raise ValueError("train: metrics need validation_data, or a validation_split.")
    if checkpoint is not None:
        feed.refuse_shared(model.rng)
    run = Run(
        model,
        optimizer,
        int(nb_epoch),
        steps_per_epoch=steps_per_epoch(feed, accumulate),
        workers=parallel.workers,
    )
    verbose = verbose and run.workers.first
    # What several workers print goes through their launcher, which is no terminal.
    progress = progress_shown_here() if verbose and run.workers.size == 1 else None
    more: list[Callback] = [] if progress is None else [progress]
    if profile:
        from chainrule.training.profiling import Profiler

        more.append(Profiler())  # last, so that a step has the other callbacks in it
    hooks = Hooks(run, callbacks, more)
    settings: dict[str, Any] = {}
    # Only there they are needed, and to say them takes a while.
    if checkpoint is not None or run.workers.size > 1:
        settings = settings_of(
            model, optimizer=optimizer, schedule=schedule, clip_norm=clip_norm,
            clip_value=clip_value, accumulate=accumulate, shuffle=shuffle,
            rates=repr(optimizer.rates),
        )  # fmt: skip
        if schedule is not None:  # it depends on how many there will be
            settings["number of epochs"] = run.epochs
    divergence = Divergence()
    parts: dict[str, Stateful] = {
        "model": model, "optimizer": optimizer, "pace": pace, "data": feed, "run": run,
        "callbacks": hooks, "divergence": divergence,
    }  # fmt: skip
    interrupts = Interrupts(ends=checkpoint is not None)
    team = _team(
        parallel, run, hooks, interrupts, checkpoint, feed, overlap=accumulate == 1,
        settings={**settings, "validation data": length_of(validation_data),
                  "metrics": list(wanted), "number of epochs": run.epochs, "resume": resume},
    )  # fmt: skip
    snapshots = Snapshots(checkpoint, settings, parts | team.remembers(), team)
    loop = Loop(
        run, feed, pace, clip, accumulate, hooks, snapshots, interrupts,
        Judge(validation_data, wanted, interrupts, run.workers), divergence, team,
    )  # fmt: skip
    watch = _watch(run) if detect_anomalies else contextlib.nullcontext()
    with loop.begun(resume=resume, verbose=verbose):
        while loop.goes_on():
            # Overflow is told in plain words, by the check of the loss.
            with np.errstate(over="ignore", invalid="ignore"), watch:
                loop.epoch()
            if verbose and progress is None:
                print(run.epoch_line(), flush=True)
    if verbose and run.history.profile is not None:
        print(run.history.profile)
    return run.history


def _check_counts(nb_epoch: int, accumulate: int) -> None:
    if isinstance(nb_epoch, bool) or not isinstance(nb_epoch, (int, np.integer)) or nb_epoch < 1:
        raise ValueError(f"train: nb_epoch must be a whole number of at least 1, got {nb_epoch!r}.")
    if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
        raise ValueError(f"train: accumulate must be at least 1, got {accumulate!r}.")


def _with_rate(optimizer: Optimizer | None, lr: float | None) -> Optimizer:
    if optimizer is None:
        return SGD() if lr is None else SGD(lr)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"train: optimizer must be an Optimizer, as SGD(0.1), got {optimizer!r}. L-BFGS goes "
            "its own way: LBFGS().minimize(model, x, y)."
        )
    if lr is not None:
        if lr == 0:
            raise ValueError(
                "train: lr must be greater than 0, got 0. None leaves the optimizer's."
            )
        optimizer.learning_rate = lr
    return optimizer


def _team(
    parallel: DataParallel, run: Run, hooks: Hooks, interrupts: Interrupts,
    checkpoint: Checkpoint | None, feed: Feed, *, overlap: bool, settings: dict[str, Any],
) -> Alone:  # fmt: skip
    """Return what several workers do together, or what one alone does."""
    if run.workers.size == 1:
        return Alone(run, interrupts, checkpoint)
    from chainrule.training.team import Team

    alike = {
        **settings, **feed.in_words(), **parallel.in_words(), "callbacks": hooks.names(),
        "checkpoint": checkpoint is not None,
    }  # fmt: skip
    overlap = overlap and parallel.overlap
    return Team(parallel, run, hooks, interrupts, checkpoint, alike, overlap=overlap)


def _watch(run: Run) -> contextlib.AbstractContextManager[None]:
    from chainrule.training.anomalies import Watch

    return Watch(run)
