"""Nets of convolutions beside the same in PyTorch: forward, backward, SGD; batch 64, float32.

One process, the sides in turn; what counts is the ratio of the medians.

    python benchmarks/convolution.py [--threads 1] [--rounds 30]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

arguments = argparse.ArgumentParser()
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--rounds", type=int, default=30)
arguments.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)  # net and side, measured alone
options = arguments.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)

import numpy as np  # noqa: E402  # the number of threads is read when it is loaded

import chainrule as cr  # noqa: E402

BATCH = 64
Step = Callable[[], Any]


def lenet() -> tuple[Any, tuple[int, ...]]:
    return [
        cr.Conv2d(1, 16, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Conv2d(16, 32, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Flatten(), cr.Linear(512, 128), cr.ReLU(), cr.Linear(128, 10),
    ], (28, 28, 1)  # fmt: skip


def block() -> tuple[Any, tuple[int, ...]]:
    """A block of a residual net, with one convolution before it so that it goes back through."""
    inner = [
        cr.Conv2d(32, 32, 3, padding="same"), cr.BatchNorm(32), cr.ReLU(),
        cr.Conv2d(32, 32, 3, padding="same"), cr.BatchNorm(32),
    ]  # fmt: skip
    return [cr.Conv2d(32, 32, 1), cr.Residual(inner), cr.ReLU()], (32, 32, 32)


NETS = {"lenet": lenet, "3x3 block": block}


def data(shape: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, *shape), dtype=np.float32)
    if outputs == (10,):
        return x, rng.integers(0, 10, BATCH)
    return x, rng.standard_normal((BATCH, *outputs), dtype=np.float32)


def ours(net: str) -> Step:
    layers, shape = NETS[net]()
    loss = cr.SoftmaxCrossEntropy() if net == "lenet" else cr.MeanSquaredError()
    model = cr.Model(layers, loss)
    x, y = data(shape, (10,) if net == "lenet" else shape)
    optimizer = cr.SGD(0.01)

    def step() -> None:
        model.loss(x, y)
        model.backward()
        optimizer.step(model.parameters, model.gradients)

    return step


def theirs(net: str, channels_last: bool) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)

    class Residual(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return x + super().forward(x)

    if net == "lenet":
        model = nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
        x, y = data((28, 28, 1), (10,))
        cost = nn.functional.cross_entropy
    else:
        same = partial(nn.Conv2d, 32, 32, 3, padding="same")
        inner = [same(), nn.BatchNorm2d(32), nn.ReLU(), same(), nn.BatchNorm2d(32)]
        model = nn.Sequential(nn.Conv2d(32, 32, 1), Residual(*inner), nn.ReLU())
        x, y = data((32, 32, 32), (32, 32, 32))
        cost = nn.functional.mse_loss
    memory = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=memory)
    tensor = torch.tensor(np.moveaxis(x, -1, 1).copy()).contiguous(memory_format=memory)
    target = torch.tensor(y)
    if y.ndim == 4:
        target = target.movedim(-1, 1).contiguous(memory_format=memory)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        cost(model(tensor), target).backward()
        optimizer.step()

    return step


SIDES: dict[str, Callable[[str], Step]] = {
    "chainrule": ours,
    "PyTorch": partial(theirs, channels_last=False),
    "PyTorch channels-last": partial(theirs, channels_last=True),
}


def megabytes(net: str, side: str) -> float:
    """Return how much a process of its own grew by ten steps, at its greatest."""
    command = [sys.executable, __file__, "--memory", net, side, "--threads", str(options.threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def growth(net: str, side: str) -> float:
    def greatest() -> float:
        status = Path("/proc/self/status").read_text()  # of this process alone; Linux only
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    if side != "chainrule":  # PyTorch's own code is loaded by the first small step
        import torch

        small = torch.nn.Conv2d(1, 1, 1)
        small(torch.zeros(1, 1, 2, 2)).sum().backward()
    step = SIDES[side](net)
    before = greatest()
    for _ in range(10):
        step()
    return greatest() - before


def main() -> None:
    # Having freed a large array once, the C library keeps what PyTorch frees, as in a program that
    # has loaded its data; else PyTorch would take its memory anew at every step.
    np.ones(30 << 20, np.uint8).sum()
    for net in NETS:
        steps = {side: make(net) for side, make in SIDES.items()}
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for round_ in range(options.rounds + 3):
            for side, step in steps.items():
                start = time.perf_counter()
                step()
                if round_ >= 3:
                    times[side].append(1000 * (time.perf_counter() - start))
        medians = {side: statistics.median(values) for side, values in times.items()}
        print(f"{net}, {options.threads} thread(s)")
        for side, median in medians.items():
            low, _, high = statistics.quantiles(times[side], n=4)
            ratio = medians["chainrule"] / median
            print(
                f"  {side:<22} {median:6.2f} ms  ({low:.2f} to {high:.2f})  "
                f"ours / it {ratio:.2f}  memory {megabytes(net, side):.0f} MB"
            )


if __name__ == "__main__":
    if options.memory:
        print(growth(*options.memory))
    else:
        main()
