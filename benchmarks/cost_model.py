r"""How long a step of P workers takes: a model, fitted to what benchmarks.distributed measured.

A step is the computation of the slowest worker, a short message in which they agree, and the sum of
the gradients:

    T(P) = C (1 + v sqrt(2 ln P)) + log2(P) a + sum over the pieces of (2 log2(P) a + 2 (P-1)/P m/B)

C is a worker's own step and v how much it varies (the greatest of P normal variables lies about
sqrt(2 ln P) deviations above their mean), a the latency of a message, m the bytes of a piece, B the
bandwidth; a sum is a reduce-scatter and an all-gather, each in log2(P) rounds that halve or double.
Sources: Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in
MPICH, 2005; for the greatest of normal variables any text on extreme values.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PIECE = 1 << 20
WORKERS = [2**k for k in range(13)]  # up to 4,096
SEVERAL = [8, 64, 512, 4096]
GLOBAL = 8192  # samples: up to there Goyal et al. found no loss of accuracy


@dataclass(frozen=True)
class Network:
    """What the messages go through."""

    name: str
    latency: float  # seconds
    bandwidth: float  # bytes a second, of a worker


@dataclass(frozen=True)
class Net:
    """A net, and how much a worker does of it in a step."""

    name: str
    parameters: int
    batch: int
    seconds: float  # of a step on one core as those that were measured


@dataclass(frozen=True)
class Model:
    """What was fitted."""

    here: Network
    varies: float
    speed: float  # floating-point operations a second of a core
    measured: list[Net]
    overhead: float  # seconds of a step that do not get shorter with the mini-batch


# Assumed, not measured.
NETWORKS = [
    Network("10 Gbit/s Ethernet, TCP", 25e-6, 1.1e9),
    Network("100 Gbit/s InfiniBand", 1.5e-6, 11e9),
]
# Parameters, samples of a worker, floating-point operations a sample forward (three times that in
# training), from the papers and PyTorch's tables.
COMMON = [
    ("ResNet-50", 25_600_000, 32, 8.2e9),
    ("VGG-16", 138_000_000, 32, 31e9),
    ("BERT-base, 128 tokens", 110_000_000, 32, 128 * 2 * 85e6),
]
OVERHEAD = 60e-6  # seconds of a step that do not get shorter with the mini-batch
SIZES = {"mlp": 79_510, "lenet": 80_202, "wide": 6_316_042}
TITLES = {"mlp": "784-100-10", "lenet": "LeNet", "wide": "1024-2048-2048-10"}
MACHINES = {"one core": 1, "32 cores": 32}  # what a worker is, at the same speed a core


def fitted(found: dict[str, Any]) -> Model:
    """Return the model of what was measured."""
    sizes = np.array(found["sizes"])
    times = np.median(np.array(found["sums"]["2"]), axis=0)
    pieces = np.ceil(sizes / PIECE)
    # Two workers: 2 a for each piece, and each byte goes once. Relative errors count.
    rows = np.stack([2 * pieces, 4 * sizes], axis=1) / times[:, None]
    latency, per_byte = np.linalg.lstsq(rows, np.ones(len(times)), rcond=None)[0]
    here = Network("this machine's memory", max(float(latency), 1e-7), float(1 / per_byte))
    measured, varies = [], []
    for net, runs in found["nets"].items():
        seconds = statistics.median(run["seconds"] for run in runs["1 worker"])
        batch = runs["1 worker"][0]["samples"]
        measured.append(Net(TITLES[net], SIZES[net], batch, seconds))
        ninth = statistics.median(run["ninth"] for run in runs["1 worker"])
        varies.append(max(0.0, ninth / seconds - 1) / 1.2816)  # of a normal variable
    most = measured[-1]
    # Of the widest: in a short step the system's other work weighs more than in those to foretell.
    speed = 6 * most.parameters * most.batch / most.seconds
    return Model(here, varies[-1], speed, measured, OVERHEAD)


def nets(model: Model) -> list[Net]:
    """Return the nets that were measured, and the common ones at the speed of the widest."""
    return [
        *model.measured,
        *(Net(n, p, batch, 3 * operations * batch / model.speed)
          for n, p, batch, operations in COMMON),
    ]  # fmt: skip


def of_sum(network: Network, size: int, workers: int) -> float:
    """Return the seconds of a sum of so many float32 values."""
    if workers == 1:
        return 0.0
    pieces = max(1, math.ceil(size / PIECE))
    there = 2 * (workers - 1) / workers * 4 * size / network.bandwidth
    return pieces * 2 * math.log2(workers) * network.latency + there


def of_step(
    model: Model, net: Net, network: Network, workers: int, *, cores: int = 1, part: float = 1.0
) -> float:
    """Return the seconds of a step; ``part``: of the mini-batch, where it is shared."""
    own = max(net.seconds * part / cores, model.overhead)
    slowest = own * (1 + model.varies * math.sqrt(2 * math.log(workers)))
    agree = math.log2(workers) * network.latency
    return slowest + agree + of_sum(network, net.parameters, workers)


def efficiency(model: Model, net: Net, network: Network, workers: int, cores: int) -> float:
    """Return how much of a lone worker's speed each has, with a mini-batch of its own."""
    alone = of_step(model, net, network, 1, cores=cores)
    return alone / of_step(model, net, network, workers, cores=cores)


def best_share(model: Model, net: Net, network: Network, cores: int) -> int:
    """Return how many workers make a step of 8,192 samples soonest: more would be slower."""
    times = {
        workers: of_step(model, net, network, workers, cores=cores,
                         part=GLOBAL / net.batch / workers)
        for workers in WORKERS
    }  # fmt: skip
    return min(times, key=lambda workers: times[workers])


def simulated(model: Model, net: Net, network: Network, workers: int, steps: int = 400) -> float:
    """Return the mean seconds of a step of simulated workers, message by message.

    Each computes for a time that is drawn; then they exchange in pairs, round by round, and each
    waits for its partner.
    """
    rng = np.random.default_rng(workers)
    own = net.seconds * np.maximum(rng.normal(1, model.varies, (steps, workers)), 0)
    ready, ranks = own, np.arange(workers)
    for seconds, distance in _rounds(network, net.parameters, workers):
        ready = np.maximum(ready, ready[:, ranks ^ distance]) + seconds
    return float(ready.max(axis=1).mean())


def _rounds(network: Network, size: int, workers: int) -> Iterator[tuple[float, int]]:
    """Yield how long each round of messages takes, and how far the partners are apart."""
    distances = [1 << k for k in range(int(math.log2(workers)))]
    for distance in distances:  # they agree
        yield network.latency, distance
    for start in range(0, size, PIECE):
        piece = 4 * min(PIECE, size - start)
        halves = [piece / 2 ** (k + 1) for k in range(len(distances))]
        for bytes_, distance in zip(halves, reversed(distances), strict=True):
            yield network.latency + bytes_ / network.bandwidth, distance
        for bytes_, distance in zip(reversed(halves), distances, strict=True):
            yield network.latency + bytes_ / network.bandwidth, distance


def _beside(model: Model, net: Net, found: dict[str, Any]) -> str:
    name = next(name for name, title in TITLES.items() if title == net.name)
    runs = found["nets"][name]["2 workers, weak"]
    took = statistics.median(run["seconds"] for run in runs)
    foretold = of_step(model, net, model.here, 2)
    return f"{net.name} {1e3 * foretold:.2f} ms, measured {1e3 * took:.2f}"


def in_words(model: Model, found: dict[str, Any]) -> str:
    """Return what was fitted, how well it fits, and what it foretells, as Markdown."""
    here = model.here
    lines = [
        f"Fitted: a latency of {1e6 * here.latency:.1f} µs and a bandwidth of "
        f"{here.bandwidth / 1e9:.1f} GB/s between two workers here; a step varies by "
        f"{100 * model.varies:.0f} %; a core makes {model.speed / 1e9:.0f} GFLOP/s.",
        "",
        "The model beside the measurement, two workers here with a mini-batch each: "
        + "; ".join(_beside(model, net, found) for net in model.measured)
        + ".",
        "",
        "| net | network | a worker is | 8 | 64 | 512 | 4,096 | soonest for 8,192 samples |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for network in NETWORKS:
        for kind, cores in MACHINES.items():
            for net in nets(model):
                row = [efficiency(model, net, network, workers, cores) for workers in SEVERAL]
                best = best_share(model, net, network, cores)
                most = "4,096 or more" if best == WORKERS[-1] else f"{best:,}"
                lines.append(
                    f"| {net.name} | {network.name} | {kind} | "
                    + " | ".join(f"{100 * value:.0f} %" for value in row)
                    + f" | {most} |"
                )
    off = [
        abs(simulated(model, net, network, workers, 50) / of_step(model, net, network, workers) - 1)
        for network in NETWORKS
        for net in nets(model)
        for workers in (8, 64, 512, 4096)
    ]
    lines += [
        "",
        f"Simulated workers, message by message, need a step's time to {100 * max(off):.0f} % "
        f"at most of what the formula says (in the middle {100 * statistics.median(off):.0f} %).",
    ]
    return "\n".join(lines)


def draw(path: Path, model: Model, found: dict[str, Any]) -> None:
    """Draw the measurements of the sums, and what the model foretells."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7.2))
    _draw_sums(axes[0, 0], model, found)
    _draw_strong(axes[1, 0], model)
    places = [(network, kind) for network in NETWORKS for kind in MACHINES]
    for axis, (network, kind) in zip(axes[:, 1:].ravel(), places, strict=True):
        for net in nets(model):
            line = [100 * efficiency(model, net, network, n, MACHINES[kind]) for n in WORKERS]
            axis.plot(WORKERS, line, label=net.name)
        axis.set(title=f"{network.name}; a worker is {kind}", ylim=(0, 105), xlabel="workers")
        axis.set_ylabel("of a lone worker's speed, %")
        axis.set_xscale("log", base=2)
    axes[0, 1].legend(frameon=False, fontsize=8)
    for axis in axes.ravel():
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)


def _draw_sums(axis: Any, model: Model, found: dict[str, Any]) -> None:
    sizes = found["sizes"]
    times = np.median(np.array(found["sums"]["2"]), axis=0)
    axis.plot(sizes, 1e6 * times, "o", label="measured, 2 workers")
    line = np.geomspace(sizes[0], sizes[-1], 100)
    axis.plot(line, [1e6 * of_sum(model.here, int(n), 2) for n in line], label="model")
    axis.set(xscale="log", yscale="log", xlabel="values in a sum", ylabel="µs")
    axis.set_title("the sum, on this machine")
    axis.legend(frameon=False, fontsize=8)


def _draw_strong(axis: Any, model: Model) -> None:
    network = NETWORKS[0]
    for net in nets(model):
        times = [
            of_step(model, net, network, workers, cores=32, part=GLOBAL / net.batch / workers)
            for workers in WORKERS
        ]
        axis.plot(WORKERS, [GLOBAL / seconds for seconds in times], label=net.name)
    axis.set(yscale="log", xlabel="workers of 32 cores", ylabel="samples a second")
    axis.set_xscale("log", base=2)
    axis.set_title(f"8,192 samples a step; {network.name}", fontsize=10)
