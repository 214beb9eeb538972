"""Measure where a step of training spends its time, and what each layer holds.

Every method of a step that computes is measured, without the measured ones inside it. So each
moment of a step belongs to one row of the profile.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layers import Linear
from chainrule.training.callbacks import Callback
from chainrule.training.floor import BareProducts, Products, middle_half
from chainrule.training.memory import Held, held
from chainrule.training.profile import Profile, ProfileRow
from chainrule.training.stopwatch import Stopwatch, cost_of_a_call

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Profiler"]

WARM_UP = 5  # steps left out at the beginning, where there are three times as many
MOST_STEPS = 2048  # remembered; of a longer training every second, every fourth, ...
SHOWN = 0.01  # share of the step from which a container's own work has a row
FEWEST_ROUNDS = 5
FLOOR_EVERY = 32  # steps: between them run the bare matrix products, at the computer's same speed

PASSES = ("forward", "backward", "backward_parameters")


class Profiler(Callback):
    """Leaves a profile in ``run.history.profile``; the last of the callbacks.

    ``train(..., profile=True)`` adds it. One serves one training at a time.
    """

    def on_train_begin(self, run: "Run") -> None:
        """Begin to measure every method of a step."""
        model, cost = run.model, run.model.cost
        self._run = run
        self._layers = [
            named for i, layer in enumerate(model.layers) for named in layer.named_layers(str(i))
        ]
        self._methods: list[tuple[Any, str]] = [
            *((layer, name) for _, layer in self._layers for name in PASSES),
            *((cost, name) for name in ("forward", "mean", "backward")),
            (model, "loss"), (model, "backward"), (run.optimizer, "step"),
        ]  # fmt: skip
        self._steps: list[list[int]] = []  # of each: the whole, the data, then the methods
        self._count, self._every = 0, 1
        self._samples = self._most_samples = 0
        self._held: dict[int, Held] = {}
        self._floor: BareProducts | None = None
        self._disturbed = False  # by the bare products, which fill the caches
        self._temporary_bytes: int | None = None
        self._tracing = False
        self._waiting = False  # for the mini-batch
        self._watch = Stopwatch(cost_of_a_call())
        try:
            for thing, method in self._methods:
                self._watch.measure(thing, method)
            self._watch.replace(model, "loss", self._begins)
            self._watch.replace(run.optimizer, "step", self._ends)
        except BaseException:
            self._watch.leave()
            raise

    def on_epoch_begin(self, run: "Run") -> None:
        """Wait for the first mini-batch."""
        self._wait()

    def on_step_end(self, run: "Run") -> None:
        """Note the times of the step."""
        whole = time.perf_counter_ns() - self._mark
        if not self._waiting:
            if self._count % self._every == 0 and not self._disturbed:
                self._steps.append([whole, self._data, *self._watch.times])
                if len(self._steps) == MOST_STEPS:
                    self._steps, self._every = self._steps[::2], 2 * self._every
            self._count += 1
            self._disturbed = self._count % (FLOOR_EVERY * self._every) == 0
            if self._disturbed and self._floor is not None:
                self._floor.run()
        self._wait()

    def on_train_end(self, run: "Run") -> None:
        """Stop measuring, and leave the profile in the history."""
        self._watch.leave()
        if self._tracing:  # an error came in the middle of that step
            tracemalloc.stop()
        if self._steps:
            run.history.profile = self._profile(run)

    # -- the turns of a step --------------------------------------------------------------------

    def _wait(self) -> None:
        self._watch.on = False
        self._watch.restart()
        self._waiting = True
        self._mark = time.perf_counter_ns()

    def _begins(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        def begin(*arguments: Any, **options: Any) -> Any:
            if not self._waiting:  # a callback asks for a loss
                return loss(*arguments, **options)
            self._data = time.perf_counter_ns() - self._mark
            # In the second step all buffers are there: what it still takes are temporaries.
            if self._count == 1 and not tracemalloc.is_tracing():
                tracemalloc.start()
                self._tracing = True
            self._waiting, self._watch.on = False, True
            losses = loss(*arguments, **options)
            self._samples = len(losses)
            return losses

        return begin

    def _ends(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def end(*vectors: Any, **options: Any) -> Any:
            result = step(*vectors, **options)
            self._watch.on = False  # what callbacks ask of the model is not the step's
            start = time.perf_counter_ns()
            self._note_memory()
            self._mark += time.perf_counter_ns() - start
            return result

        return end

    def _note_memory(self) -> None:
        if self._tracing:
            _, self._temporary_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self._tracing = False
        if self._samples <= self._most_samples:
            return
        self._most_samples = self._samples
        self._held = held(self._run.model, self._run.optimizer)
        spent = self._by_method(self._watch.times)
        products = {
            id(layer): Products(
                layer.x.size // layer.n_in,
                layer.n_in,
                layer.n_out,
                to_input=spent[id(layer), "backward"] > 0,
            )
            for _, layer in self._layers
            # A subclass may do something else; a layer that was left out has no input.
            if type(layer) is Linear and layer.__dict__.get("x") is not None
        }
        self._floor = BareProducts(products, self._run.model.dtype) if products else None

    def _by_method(self, times: list[Any]) -> dict[tuple[int, str], Any]:
        # By id: a layer of one's own may equal another, or have no hash.
        return {(id(thing), name): t for (thing, name), t in zip(self._methods, times, strict=True)}

    # -- the figures ----------------------------------------------------------------------------

    def _profile(self, run: "Run") -> Profile:
        model, cost, optimizer = run.model, run.model.cost, run.optimizer
        steps = 1e-9 * np.array(self._steps, dtype=np.float64)
        steps = steps[WARM_UP if len(steps) >= 3 * WARM_UP else len(steps) > 1 :]
        middle = middle_half(steps, steps[:, 0])
        # A little too much may have been taken off for the measuring: no time is below 0.
        step, data, *times = np.maximum(middle.mean(axis=0), 0).tolist()
        spent = self._by_method(times)
        floors: dict[int, float] = {}
        if self._floor is not None:
            while len(self._floor.rounds) < FEWEST_ROUNDS:
                self._floor.run()
            floors = self._floor.seconds()
        rows = [
            ProfileRow("data", other=data),
            ProfileRow(
                "model",
                forward=spent[id(model), "loss"],
                backward=spent[id(model), "backward"],
            ),
        ]
        for path, layer in self._layers:
            key, container = id(layer), bool(layer.children())
            row = ProfileRow(
                path,
                type(layer).__name__ if container else repr(layer),
                forward=spent[key, "forward"],
                backward=spent[key, "backward"] + spent[key, "backward_parameters"],
                parameter_bytes=self._held[key].parameters,
                array_bytes=self._held[key].arrays,
                floor=floors.get(key),
            )
            if not container or row.time >= SHOWN * step or self._held[key].total:
                rows.append(row)
        rows += [
            ProfileRow(
                "loss",
                repr(cost),
                forward=spent[id(cost), "forward"] + spent[id(cost), "mean"],
                backward=spent[id(cost), "backward"],
                array_bytes=self._held[id(cost)].arrays,
            ),
            ProfileRow(
                "optimizer",
                repr(optimizer),
                other=spent[id(optimizer), "step"],
                array_bytes=self._held[id(optimizer)].arrays,
            ),
        ]
        rows.append(ProfileRow("rest", other=step - sum(row.time for row in rows)))
        return Profile(
            tuple(rows),
            step,
            quickest=float(middle[:, 0].min()),
            slowest=float(middle[:, 0].max()),
            steps=len(steps),
            samples=self._most_samples,
            temporary_bytes=self._temporary_bytes,
            overhead=self._watch.cost * self._watch.calls / self._count,
        )
