"""Measure where a step of training spends its time, and what each layer holds.

Every method of a step that computes is measured, without the measured ones inside it. So each
moment of a step belongs to one row of the profile.
"""

import time
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Linear
from chainrule.training.callbacks import Callback
from chainrule.training.memory import Held, held
from chainrule.training.profile import Profile, ProfileRow
from chainrule.training.stopwatch import Stopwatch, cost_of_a_call

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Profiler"]

WARM_UP = 5  # steps left out at the beginning, where there are three times as many
MOST_STEPS = 2048  # remembered; of a longer training every second, every fourth, ...
SHOWN = 0.01  # share of the step from which a container's own work has a row
FLOOR_SECONDS = 0.5  # to measure the bare matrix products in, about


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
        self._methods = [
            *((layer, name) for _, layer in self._layers for name in _PASSES),
            *((cost, name) for name in ("forward", "mean", "backward")),
            (model, "loss"), (model, "backward"), (run.optimizer, "step"),
        ]  # fmt: skip
        self._steps: list[list[int]] = []  # of each: the whole, the data, then the methods
        self._count, self._every = 0, 1
        self._samples = self._most_samples = 0
        self._held: dict[int, Held] = {}
        self._products: dict[int, tuple[int, int, int]] = {}
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
            if self._count % self._every == 0:
                self._steps.append([whole, self._data, *self._watch.times])
                if len(self._steps) == MOST_STEPS:
                    self._steps, self._every = self._steps[::2], 2 * self._every
            self._count += 1
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
        def begin(*arguments: Any) -> Any:
            if not self._waiting:  # a callback asks for a loss
                return loss(*arguments)
            self._data = time.perf_counter_ns() - self._mark
            # In the second step all buffers are there: what it still takes are temporaries.
            if self._count == 1 and not tracemalloc.is_tracing():
                tracemalloc.start()
                self._tracing = True
            self._waiting, self._watch.on = False, True
            losses = loss(*arguments)
            self._samples = len(losses)
            return losses

        return begin

    def _ends(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def end(*vectors: Any) -> Any:
            result = step(*vectors)
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
        for _, layer in self._layers:
            # A subclass may do something else; a layer that was left out has no input.
            if type(layer) is Linear and layer.__dict__.get("x") is not None:
                self._products[id(layer)] = (layer.x.size // layer.n_in, layer.n_in, layer.n_out)

    # -- the figures ----------------------------------------------------------------------------

    def _profile(self, run: "Run") -> Profile:
        model, cost, optimizer = run.model, run.model.cost, run.optimizer
        steps = 1e-9 * np.array(self._steps, dtype=np.float64)
        steps = steps[WARM_UP if len(steps) >= 3 * WARM_UP else len(steps) > 1 :]
        middle = _middle_half(steps, steps[:, 0])
        # A little too much may have been taken off for the measuring: no time is below 0.
        step, data, *times = np.maximum(middle.mean(axis=0), 0).tolist()
        spent = {
            (id(thing), name): t for (thing, name), t in zip(self._methods, times, strict=True)
        }
        asked = {key for key, seconds in spent.items() if seconds}
        floors = _floors(
            {key: (*shape, (key, "backward") in asked) for key, shape in self._products.items()},
            model.dtype,
        )
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


_PASSES = ("forward", "backward", "backward_parameters")


def _middle_half(rows: Array, totals: Array) -> Array:
    """Return the rows of the middle half by their totals; of fewer than four, all."""
    quarter = len(rows) // 4
    return rows[np.argsort(totals, kind="stable")[quarter : len(rows) - quarter]]


def _floors(
    shapes: dict[int, tuple[int, int, int, bool]], dtype: np.dtype[Any]
) -> dict[int, float]:
    """Return the seconds that the bare matrix products of each linear layer take.

    The shapes are (rows, n_in, n_out, whether the gradient of the input is asked for). The products
    go forward and backward through all layers, as in a step, again and again.
    """
    if not shapes:
        return {}
    arrays = []
    for rows, n_in, n_out, _ in shapes.values():
        sizes = ((rows, n_in), (n_in, n_out), (rows, n_out))
        arrays.append([np.ones(size, dtype) for size in (*sizes, *sizes)])
    asked = [shape[-1] for shape in shapes.values()]
    rounds: list[list[int]] = []
    clock = time.perf_counter_ns
    end = clock() + 1e9 * FLOOR_SECONDS
    while len(rounds) < 5 or (len(rounds) < 200 and clock() < end):
        took = [0] * len(arrays)
        for i, (x, w, _, _, _, y) in enumerate(arrays):
            start = clock()
            np.matmul(x, w, out=y)
            took[i] += clock() - start
        for i in reversed(range(len(arrays))):
            x, w, g, grad_x, grad_w, _ = arrays[i]
            start = clock()
            product = np.multiply if len(x) == 1 else np.matmul  # as Linear
            product(x.T, g, out=grad_w)
            if asked[i]:
                np.matmul(g, w.T, out=grad_x)
            took[i] += clock() - start
        rounds.append(took)
    times = 1e-9 * np.array(rounds, dtype=np.float64)
    means = _middle_half(times, times.sum(axis=1)).mean(axis=0)
    return dict(zip(shapes, means.tolist(), strict=True))
