"""Timing: each side in a process of its own, all taking turns, round after round.

A side's idle threads go on turning for a while (those of OpenMP for a fifth of a second), and must
not disturb its neighbours; so a side's process is stopped while another has its turn. A side is
refused if what it computes differs from what chainrule computes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.tasks import Task

# Every library that has a say in the number of threads.
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
REFERENCE = "chainrule"
FLOOR = "matrix products alone"  # it computes no loss
SHORTEST = 0.05  # seconds that a block takes at least


@dataclass
class Result:
    """What one task gave with one number of threads; times in seconds a step."""

    task: str
    threads: int
    times: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def median(self, side: str) -> float:
        return float(np.median(self.times[side]))

    def spread(self, side: str) -> tuple[float, float]:
        low, high = np.percentile(self.times[side], [25, 75])
        return float(low), float(high)

    def speed(self, side: str, ours: str = REFERENCE) -> float:
        """Return how many times as fast as a side ours is."""
        return self.median(side) / self.median(ours)


def agree(ours: Any, theirs: Any, tolerance: float = 2e-3) -> bool:
    """Whether two sides computed the same: their losses, or their probabilities."""
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    if a.shape != b.shape or not np.isfinite(b).all():
        return False
    return bool(np.abs(a - b).max() <= tolerance * max(1e-3, np.abs(a).max()))


def compare(task: Task, threads: int, rounds: int, *, only: set[str] | None = None) -> Result:
    """Run a task: build the sides, check that they agree, and time them in turns."""
    result = Result(task.name, threads)
    names = [side for side in task.sides if only is None or side in only]
    workers: dict[str, Worker] = {}
    try:
        values = {}
        for side in names:
            workers[side] = Worker(side, task, threads)
            try:
                values[side] = workers[side].answer()
            except SideError as error:
                result.left_out[side] = str(error)
        if REFERENCE not in values:
            raise SideError(f"{REFERENCE}: {result.left_out[REFERENCE]}")
        for side, value in values.items():
            if side == FLOOR:
                continue
            if not agree(values[REFERENCE], value):
                result.left_out[side] = (
                    f"it computes something else: {np.ravel(value)[:2]} where chainrule has "
                    f"{np.ravel(values[REFERENCE])[:2]}"
                )
        sides = [side for side in values if side not in result.left_out]
        result.times = {side: [] for side in sides}
        for round_ in range(rounds):
            turn = round_ % max(1, len(sides))
            for side in sides[turn:] + sides[:turn]:  # nobody always comes first
                try:
                    workers[side].ask()
                    result.times[side].append(workers[side].answer())
                except (SideError, OSError) as error:
                    result.left_out[side] = str(error)
            sides = [side for side in sides if side not in result.left_out]
        result.times = {side: result.times[side] for side in sides}
    finally:
        for worker in workers.values():
            worker.end()
    return result


class SideError(Exception):
    """A side cannot take part."""


class Worker:
    """A process that builds one side, and runs a block of it when asked."""

    def __init__(self, side: str, task: Task, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
        self.process = context.Process(target=work, args=(side, task, threads, theirs), daemon=True)
        self.process.start()
        theirs.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def ask(self) -> None:
        self._signal("SIGCONT")
        self.pipe.send("run")

    def answer(self) -> Any:
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            raise SideError("its process ended") from None
        self._signal("SIGSTOP")
        if kind == "error":
            raise SideError(value)
        return value

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # Windows has neither
        if number is not None and self.process.is_alive():
            os.kill(self.process.pid or 0, number)

    def end(self) -> None:
        self.pipe.close()
        self._signal("SIGCONT")
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def work(side: str, task: Task, threads: int, pipe: Connection) -> None:
    """In a process of its own: build the side, tell what it computes, then run when asked."""
    if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as there are cores to see
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    # Having freed a large array once, the C library keeps what a side frees, as in a program that
    # has loaded its data; else PyTorch would take the memory of its gradients anew at every step.
    np.ones(30 << 20, np.uint8).sum()
    try:
        from benchmarks.sides import SIDES

        block, value = SIDES[side](task, threads)
        pipe.send(("value", value))
        repeats = _repeats(block)
        while True:
            pipe.recv()
            block()  # the caches are this side's again, and the others' threads asleep
            start = time.perf_counter()
            steps = sum(block() for _ in range(repeats))
            pipe.send(("value", (time.perf_counter() - start) / steps))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except ImportError as error:
        pipe.send(("error", f"{error.name or error} is not installed"))
    except BaseException:
        pipe.send(("error", traceback.format_exc().strip().splitlines()[-1]))


def _repeats(block: Any) -> int:
    start = time.perf_counter()
    block()
    return max(1, int(SHORTEST / (time.perf_counter() - start)))
