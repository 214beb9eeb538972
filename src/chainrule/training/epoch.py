"""An epoch: for each mini-batch forward, loss, backward, step."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.distributed.workers import Workers
from chainrule.layer import Layer
from chainrule.model import Model
from chainrule.training.alone import Alone
from chainrule.training.divergence import Divergence, explain_parameters
from chainrule.training.evaluation import evaluate
from chainrule.training.feed import Feed
from chainrule.training.hooks import Hooks, call
from chainrule.training.interrupts import Interrupts
from chainrule.training.judging import Metric
from chainrule.training.resuming import Snapshots
from chainrule.training.run import BETWEEN, JUDGING, STEPS, Run
from chainrule.training.steps import Clip, MeanGradient, Pace

__all__ = ["Judge", "Loop", "steps_per_epoch"]


@dataclass
class Judge:
    """What is measured on the validation data after an epoch."""

    data: Any
    metrics: dict[str, Metric]
    interrupts: Interrupts
    workers: Workers

    def __call__(self, model: Model) -> dict[str, float]:
        """Return the figures by the names of their columns."""
        if self.data is None:
            return {}
        # Of several workers none may leave the others: there signals wait for the next step.
        alone = self.workers.size == 1
        with self.interrupts.at_once() if alone else contextlib.nullcontext():
            figures = evaluate(model, self.data, metrics=self.metrics, workers=self.workers)
        return {f"validation_{name}": value for name, value in figures.items()}


@dataclass
class Loop:
    """The loop of a training, and the parts that it goes through."""

    run: Run
    feed: Feed
    pace: Pace
    clip: Clip
    accumulate: int
    hooks: Hooks
    snapshots: Snapshots
    interrupts: Interrupts
    judge: Judge
    divergence: Divergence
    team: Alone  # what several workers do together
    mean: MeanGradient = field(default_factory=MeanGradient)
    layers: list[Layer] = field(init=False)
    frozen: list[bool] | None = None  # which of them were, when the optimiser was bound

    def __post_init__(self) -> None:
        self.layers = [layer for outer in self.run.model.layers for layer in outer.walk()]

    @contextlib.contextmanager
    def begun(self, *, resume: bool, verbose: bool) -> Iterator[None]:
        """Tell the callbacks of the beginning, and all of them of the end, whatever ends it."""
        run, hooks, checkpoint = self.run, self.hooks, self.snapshots.checkpoint
        with contextlib.ExitStack() as ends:
            ends.callback(setattr, run.model, "training", run.model.training)
            ends.callback(self.pace.give_back)
            ends.enter_context(self.team)  # first, so that other workers hear of any error
            if checkpoint is not None:
                run.workers.of_first(functools.partial(checkpoint.begin, resume=resume))
            ends.enter_context(self.interrupts)
            for callback in filter(hooks.tells, hooks.callbacks):
                call(callback, "on_train_begin", run)
                ends.callback(call, callback, "on_train_end", run)
            self.snapshots.prove()
            if resume:
                self.snapshots.resume(verbose=verbose)
                run.steps_per_epoch = steps_per_epoch(self.feed, self.accumulate)
            for callback in filter(hooks.tells, hooks.more):
                call(callback, "on_train_begin", run)
                ends.callback(call, callback, "on_train_end", run)
            ends.enter_context(self.snapshots.saved_if_it_fails(run))
            yield

    def goes_on(self) -> bool:
        """Whether there is more to do."""
        run = self.run
        if run.phase == BETWEEN:
            self.hooks.finish()
            self.team.agree()
            return run.epoch < run.epochs and not run.stop
        return True

    def epoch(self) -> None:
        """Go through the data once, or through what is left of it; then judge, and tell."""
        run, hooks = self.run, self.hooks
        if run.phase == BETWEEN:
            run.epoch += 1
            run.total, run.count, run.phase = 0.0, 0, STEPS
            self.feed.begin_epoch(run.epoch)
            hooks.tell("on_epoch_begin")
        if run.phase == STEPS:
            hooks.finish()
            self.team.agree()
            self.steps()
            if not np.isfinite(run.model.parameters).all():  # the last step's gradients were not
                run.sound = False
                raise FloatingPointError(explain_parameters(run.model, run))
            run.phase = JUDGING
            self.feed.end_epoch()
        row = {"epoch": run.epoch, "loss": run.running_loss}
        row |= self.judge(run.model)
        self.pace.observe(row)
        run.history.append(row)
        run.phase = BETWEEN
        hooks.tell("on_epoch_end")
        self.save()

    def steps(self) -> None:
        """Make the steps of an epoch, or those that are left."""
        run, divergence = self.run, self.divergence
        model, optimizer = run.model, run.optimizer
        model.training = True
        batches = self.feed.epoch(run.epoch)
        if run.stop:
            return
        saving = self.snapshots.checkpoint is not None
        for batch in batches:
            if self.hooks.all:  # a callback may have frozen a layer, or let it learn again
                before, self.frozen = self.frozen, [layer.frozen for layer in self.layers]
                if self.frozen != before:
                    optimizer.bind(model)
            run.sound = False
            run.step += 1
            self.pace.set(run)
            total, count = run.total, run.count
            self.team.begin_step()
            for x, y, *weights in self.parts_of_a_step(batch, batches):
                losses = model.loss(x, y, *weights)
                loss = model.cost.mean()
                # Of NaN this is true as well; and it comes before the step spoils the parameters.
                if not -math.inf < loss <= divergence.highest:
                    raise FloatingPointError(divergence.explain(model, x, y, weights, run))
                run.total += loss * len(losses)
                run.count += len(losses)
                if divergence.first is None:
                    divergence.begin(loss)
                model.backward()
                if self.accumulate > 1:
                    self.mean.add(model.gradients, model.cost)
            self.team.average(self.mean if self.accumulate > 1 else None)
            self.clip(model.gradients, optimizer)
            optimizer.step(model.parameters, model.gradients)
            run.loss = (run.total - total) / (run.count - count)
            run.sound = True
            self.hooks.tell("on_step_end")
            self.team.settle()
            if saving:
                self.save(between=True)
            if run.stop:
                break
        else:
            self.team.end_steps()
        if run.count == 0:
            raise ValueError(
                f"train: the data gave no mini-batch in epoch {run.epoch}. A generator can be "
                "gone through once: pass a list of mini-batches, or Batches(x, y)."
            )

    def parts_of_a_step(self, first: Any, rest: Iterator[Any]) -> Iterable[Any]:
        """Return the mini-batches of one step, each made when the one before has been used."""
        parts: Iterable[Any] = (first,)
        if self.accumulate > 1:
            parts = itertools.chain(
                parts, itertools.islice(rest, min(self.accumulate, sys.maxsize) - 1)
            )
        return self.team.with_samples(parts)

    def save(self, *, between: bool = False) -> None:
        """Write a checkpoint; between the steps of an epoch only when it is time."""
        checkpoint = self.snapshots.checkpoint
        if checkpoint is None or (between and not self.team.due()):
            return
        state = self.snapshots.take()  # of several workers all bring what they have
        if self.run.workers.first:
            checkpoint.try_to_save(self.run.step, lambda: state)


def steps_per_epoch(feed: Feed, accumulate: int) -> int | None:
    """Return how many steps an epoch has; None where the data do not say."""
    return None if feed.steps is None else -(-feed.steps // accumulate)
