"""One worker of a side of benchmarks.distributed: SIDE NET WORKERS THREADS PART STEPS.

Worker 0 prints seconds a step, samples a step, seconds that the workers talk, and the last loss.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.distributed import Pending, Workers, connect
from chainrule.training import DataParallel

RATE = 0.01
FIRST = 5  # steps that are not timed
BATCH = {"mlp": 64, "lenet": 64, "wide": 256}
DIFFERENT = 4  # mini-batches for each worker


def build(net: str) -> tuple[cr.Model, tuple[int, ...]]:
    if net == "lenet":
        layers: list[cr.Layer] = [
            cr.Conv2d(1, 16, 5), cr.ReLU(), cr.MaxPool2d(2),
            cr.Conv2d(16, 32, 5), cr.ReLU(), cr.MaxPool2d(2),
            cr.Flatten(), cr.Linear(512, 128), cr.ReLU(), cr.Linear(128, 10),
        ]  # fmt: skip
        return cr.Model(layers, cr.SoftmaxCrossEntropy(), seed=0), (28, 28, 1)
    sizes = {"mlp": (784, 100, 10), "wide": (1024, 2048, 2048, 10)}[net]
    layers = [layer for pair in pairwise(sizes) for layer in (cr.Linear(*pair), cr.ReLU())][:-1]
    return cr.Model(layers, cr.SoftmaxCrossEntropy(), seed=0), sizes[:1]


def batches(net: str, shape: tuple[int, ...], workers: int, part: int) -> list[Any]:
    """Return mini-batches, ``workers`` to a step; with ``part`` 2 each is half of one."""
    rng, count = np.random.default_rng(0), BATCH[net]
    whole = [
        (rng.standard_normal((count, *shape), dtype=np.float32), rng.integers(0, 10, count))
        for _ in range(DIFFERENT * workers // part)
    ]
    size = count // part
    return [
        (x[i * size : (i + 1) * size], y[i * size : (i + 1) * size])
        for x, y in whole
        for i in range(part)
    ]


class Timed(Workers):
    """Workers that know how long they have talked."""

    def __init__(self, workers: Workers) -> None:
        self.inner, self.rank, self.size, self.seconds = workers, workers.rank, workers.size, 0.0

    def sum(self, vector: Any) -> None:
        start = time.perf_counter()
        self.inner.sum(vector)
        self.seconds += time.perf_counter() - start

    def start_sum(self, vector: Any) -> Pending:
        start, pending = time.perf_counter(), self.inner.start_sum(vector)
        self.seconds += time.perf_counter() - start
        return Timing(self, pending)

    def fill(self, vector: Any, bounds: list[int]) -> None:
        start = time.perf_counter()
        self.inner.fill(vector, bounds)
        self.seconds += time.perf_counter() - start

    def gather(self, array: Any) -> list[Any]:
        return self.inner.gather(array)

    def broadcast(self, content: bytes) -> bytes:
        return self.inner.broadcast(content)


class Timing(Pending):
    """Seconds in which a sum keeps the worker from other work."""

    def __init__(self, workers: Timed, pending: Pending) -> None:
        self.workers, self.pending = workers, pending

    def poke(self) -> None:
        self._timed(self.pending.poke)

    def wait(self) -> None:
        self._timed(self.pending.wait)

    def _timed(self, do: Any) -> None:
        start = time.perf_counter()
        do()
        self.workers.seconds += time.perf_counter() - start


class Clock(cr.Callback):
    """Notes the time after each step; it writes, so no other worker is asked."""

    writes = True

    def __init__(self) -> None:
        self.times: list[float] = []
        self.talked: list[float] = []
        self.loss = 0.0

    def on_step_end(self, run: cr.Run) -> None:
        self.times.append(time.perf_counter())
        self.talked.append(run.workers.seconds)
        if run.step == FIRST:
            self.loss = run.loss


def chainrule(net: str, part: int, steps: int, side: str) -> Any:
    with connect(timeout=300) as inner:
        return inner.first, trained(inner, net, part, steps, side)


def trained(inner: Workers, net: str, part: int, steps: int, side: str = "chainrule") -> Any:
    workers, clock = Timed(inner), Clock()
    model, shape = build(net)
    few = batches(net, shape, inner.size, part)
    data = [few[i % len(few)] for i in range((steps + FIRST) * inner.size)]
    together = DataParallel(
        workers, overlap=side == "overlapped", shard_optimizer=side == "sharded",
        check_every=10**9,
    )  # fmt: skip
    cr.train(
        model, RATE, 1, data, workers=together, shuffle=False, callbacks=[clock], verbose=False
    )
    if not inner.first:  # its clock was not told
        return {}
    talking = statistics.median(b - a for a, b in pairwise(clock.talked[FIRST - 1 :]))
    return told(clock.times[FIRST - 1 :], net, inner.size, part, clock.loss, talking)


def told(
    times: list[float], net: str, workers: int, part: int, loss: float, talking: float
) -> dict[str, float]:
    seconds = [end - start for start, end in pairwise(times)]
    return {
        "seconds": statistics.median(seconds),
        "ninth": float(np.quantile(seconds, 0.9)),
        "samples": BATCH[net] // part * workers,
        "loss": loss,
        "talking": talking if workers > 1 else 0.0,
    }


def pytorch(net: str, workers: int, threads: int, part: int, steps: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    if workers > 1:
        torch.distributed.init_process_group("gloo")
    found = trained_by_torch(torch, net, workers, part, steps)
    if workers > 1:
        torch.distributed.destroy_process_group()
    return os.environ["RANK"] == "0", found


def trained_by_torch(torch: Any, net: str, workers: int, part: int, steps: int) -> Any:
    rank = int(os.environ["RANK"])
    model, shape = build(net)
    twin = torch_twin(torch, model)
    if workers > 1:
        twin = torch.nn.parallel.DistributedDataParallel(twin)
    few = [
        (torch.tensor(x if x.ndim == 2 else x.transpose(0, 3, 1, 2).copy()), torch.tensor(y))
        for x, y in batches(net, shape, workers, part)
    ]
    optimizer = torch.optim.SGD(twin.parameters(), lr=RATE)
    criterion, times, loss = torch.nn.CrossEntropyLoss(), [], 0.0
    for step in range(1, steps + FIRST + 1):
        x, y = few[((step - 1) * workers + rank) % len(few)]
        optimizer.zero_grad()
        value = criterion(twin(x), y)
        own = value.item()
        value.backward()
        optimizer.step()
        times.append(time.perf_counter())
        if step == FIRST:
            mean = torch.tensor([own])
            if workers > 1:
                torch.distributed.all_reduce(mean)
            loss = float(mean[0]) / workers
    return told(times[FIRST - 1 :], net, workers, part, loss, 0.0)


def torch_twin(torch: Any, model: cr.Model) -> Any:
    """Return the same net, with the same parameters."""
    layers: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, cr.Linear):
            twin = torch.nn.Linear(layer.n_in, layer.n_out)
            weights = layer.weights.T
            if layer.n_in == 512:  # after Flatten of channels-last
                weights = weights.reshape(-1, 4, 4, 32).transpose(0, 3, 1, 2).reshape(-1, 512)
            twin.weight.data = torch.tensor(weights.copy())
        elif isinstance(layer, cr.Conv2d):
            twin = torch.nn.Conv2d(layer.n_in, layer.n_out, layer.kernel_size)
            twin.weight.data = torch.tensor(layer.weights.transpose(3, 2, 0, 1).copy())
        else:
            kinds = {cr.ReLU: torch.nn.ReLU(), cr.Flatten: torch.nn.Flatten()}
            twin = kinds.get(type(layer)) or torch.nn.MaxPool2d(2)
        if isinstance(layer, (cr.Linear, cr.Conv2d)):
            twin.bias.data = torch.tensor(layer.biases.copy())
        layers.append(twin)
    return torch.nn.Sequential(*layers)


def sums(sizes: str, repeats: int) -> Any:
    """Time the sums of vectors."""
    with connect(timeout=300) as workers:
        return workers.first, {"seconds": summed(workers, [*map(int, sizes.split(","))], repeats)}


def summed(workers: Workers, sizes: Sequence[int], repeats: int) -> list[float]:
    seconds = []
    for size in sizes:
        vector, times = np.zeros(size, np.float32), []
        workers.broadcast(b"")
        for _ in range(repeats * (10 if size < 100_000 else 1) + 3):
            start = time.perf_counter()
            workers.sum(vector)
            times.append(time.perf_counter() - start)
        seconds.append(statistics.median(times[3:]))
    return seconds


def main(words: list[str]) -> None:
    side, net = words[:2]
    workers, threads, part, steps = map(int, words[2:])
    if side == "sums":
        first, found = sums(net, steps)
    elif side == "torch":
        first, found = pytorch(net, workers, threads, part, steps)
    else:
        first, found = chainrule(net, part, steps, side)
    if first:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
