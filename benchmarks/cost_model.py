r"""How long a step of P workers takes: a model, fitted to what benchmarks.distributed measured.

A step is the computation of the slowest worker, a short message in which they agree, and the sum of
the gradients:

    T(P) = C (1 + v sqrt(2 ln P)) + J + log2(P) a
           + sum over the pieces of (2 log2(P) a + 2 (P-1)/P m/B)

C is a worker's own step: a part F that does not get shorter with the mini-batch (the calls, the
optimiser's way over the parameters), and one that does. J is what a worker among several does more
(it scales its gradients). Both follow the number of parameters, f0 + f1 n and j0 + j1 n. v is how
much a step varies (the greatest of P normal variables lies about
sqrt(2 ln P) deviations above their mean), a the latency of a message, m the bytes of a piece, B the
bandwidth; a sum is a reduce-scatter and an all-gather, each in log2(P) rounds that halve or double.
Sources: Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in
MPICH, 2005; for the greatest of normal variables any text on extreme values.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
    fixed: float  # of them, those that do not get shorter with the mini-batch
    joining: float  # seconds more, if there are several workers


@dataclass(frozen=True)
class Model:
    """What was fitted."""

    here: Network
    varies: float
    speed: float  # floating-point operations a second of a core
    measured: list[Net]
    fixed: tuple[float, float]  # seconds of a step, and more for each parameter
    joining: tuple[float, float]  # the same of what workers do more


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
SIZES = {"mlp": 79_510, "lenet": 80_202, "wide": 6_316_042}
TITLES = {"mlp": "784-100-10", "lenet": "LeNet", "wide": "1024-2048-2048-10"}
UNEVEN = 0.1  # how much steps vary in a second simulation
MACHINES = {"one core": 1, "32 cores": 32}  # what a worker is, at the same speed a core


def fitted(found: dict[str, Any]) -> Model:
    """Return the model of what was measured."""
    here = fitted_network(found["sizes"], found["sums"]["2"])
    rows = [
        Measured(
            name, runs["1 worker"][0]["samples"], median(runs["1 worker"]),
            own(runs["2 workers, weak"]), own(runs["2 workers, strong"]),
        )
        for name, runs in found["nets"].items()
    ]  # fmt: skip
    last = found["nets"][rows[-1].name]["1 worker"]
    ninth = statistics.median(run["ninth"] for run in last)
    varies = max(0.0, ninth / rows[-1].alone - 1) / 1.2816  # of a normal variable
    return fitted_steps(here, rows, varies)


@dataclass(frozen=True)
class Measured:
    """Seconds of a step: of one worker, and what each of two computes of a whole and a half."""

    name: str
    batch: int
    alone: float
    weak: float
    strong: float


def fitted_network(sizes: Sequence[int], sums: list[list[float]]) -> Network:
    """Return the network between two workers, by the times of their sums."""
    values = np.array(sizes)
    times = np.median(np.array(sums), axis=0)
    pieces = np.ceil(values / PIECE)
    # Two workers: 2 a for each piece, and each byte goes once. Relative errors count.
    rows = np.stack([2 * pieces, 4 * values], axis=1) / times[:, None]
    latency, per_byte = np.linalg.lstsq(rows, np.ones(len(times)), rcond=None)[0]
    return Network("this machine's memory", max(float(latency), 1e-7), float(1 / per_byte))


def fitted_steps(here: Network, rows: list[Measured], varies: float) -> Model:
    """Return the model of steps of one worker and of two; the first net is small, the last wide."""
    sizes = [SIZES[row.name] for row in rows]
    # A half takes weak - strong less than a whole: what that does not explain is in both.
    fixed = line(
        sizes, [min(max(row.alone - 2 * (row.weak - row.strong), 0), row.alone) for row in rows]
    )
    joining = line(sizes, [max(row.weak - row.alone, 0) for row in rows])
    measured = [
        Net(TITLES[row.name], size, row.batch, row.alone, on(fixed, size), on(joining, size))
        for row, size in zip(rows, sizes, strict=True)
    ]
    most = measured[-1]
    # Of the widest: in a short step the system's other work weighs more than in those to foretell.
    speed = 6 * most.parameters * most.batch / (most.seconds - most.fixed)
    return Model(here, varies, speed, measured, fixed, joining)


def line(sizes: list[int], values: list[float]) -> tuple[float, float]:
    """Return the line through the first and the last point; neither number is below 0."""
    if sizes[0] == sizes[-1]:
        return values[0], 0.0
    slope = max(0.0, (values[-1] - values[0]) / (sizes[-1] - sizes[0]))
    return max(0.0, values[0] - slope * sizes[0]), slope


def on(line: tuple[float, float], size: int) -> float:
    return line[0] + line[1] * size


def median(runs: list[Any], key: str = "seconds") -> float:
    return statistics.median(run[key] for run in runs)


def own(runs: list[Any]) -> float:
    """Return the seconds of a step in which a worker does not talk."""
    return statistics.median(run["seconds"] - run["talking"] for run in runs)


def nets(model: Model) -> list[Net]:
    """Return the nets that were measured, and the common ones at the speed of the widest."""
    common = []
    for name, size, batch, operations in COMMON:
        fixed, joining = on(model.fixed, size), on(model.joining, size)
        seconds = fixed + 3 * operations * batch / model.speed
        common.append(Net(name, size, batch, seconds, fixed, joining))
    return [*model.measured, *common]


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
    calls = model.fixed[0]  # more cores do not make them shorter
    own = calls + (net.fixed - calls + (net.seconds - net.fixed) * part) / cores
    slowest = own * (1 + model.varies * math.sqrt(2 * math.log(workers)))
    if workers > 1:
        slowest += model.joining[0] + (net.joining - model.joining[0]) / cores
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
    ready, ranks = own + net.joining, np.arange(workers)
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
        f"{100 * model.varies:.0f} %; a core makes {model.speed / 1e9:.0f} GFLOP/s. Of a step "
        f"{1e6 * model.fixed[0]:.0f} µs, and {1e9 * model.fixed[1]:.1f} ns for each parameter, do "
        f"not get shorter with the mini-batch; several workers need {1e6 * model.joining[0]:.0f} "
        f"µs, and {1e9 * model.joining[1]:.1f} ns for each parameter, more than one.",
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
    alike, uneven = (off(replace(model, varies=varies)) for varies in (model.varies, UNEVEN))
    lines += [
        "",
        f"Simulated workers, message by message, need a step's time to {100 * max(alike):.0f} % "
        f"at most of what the formula says; if their steps varied by {100 * UNEVEN:.0f} %, to "
        f"{100 * max(uneven):.0f} % (in the middle {100 * statistics.median(uneven):.0f} %).",
    ]
    return "\n".join(lines)


def off(model: Model, counts: Sequence[int] = (8, 64, 512, 4096)) -> list[float]:
    """Return by how much simulated workers and the formula differ, each relative to it."""
    return [
        abs(simulated(model, net, network, workers, 50) / of_step(model, net, network, workers) - 1)
        for network in NETWORKS
        for net in nets(model)
        for workers in counts
    ]


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
        axis.set_title(f"{network.name}; a worker is {kind}", fontsize=10)
        axis.set(ylim=(0, 105), ylabel="of a lone worker's speed, %")
        _by_workers(axis, "workers, with a mini-batch each")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="upper center", ncols=6,
                  frameon=False)  # fmt: skip
    for axis in axes.ravel():
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)


def _draw_sums(axis: Any, model: Model, found: dict[str, Any]) -> None:
    sizes = found["sizes"]
    times = np.median(np.array(found["sums"]["2"]), axis=0)
    axis.plot(sizes, 1e6 * times, "o", color="black", label="measured")
    line = np.geomspace(sizes[0], sizes[-1], 100)
    axis.plot(
        line, [1e6 * of_sum(model.here, int(n), 2) for n in line], color="gray", label="model"
    )
    axis.set(xscale="log", yscale="log", xlabel="values in a sum", ylabel="µs")
    axis.set_title("a sum of two workers, on this machine", fontsize=10)
    axis.legend(frameon=False, fontsize=8)


def _draw_strong(axis: Any, model: Model) -> None:
    network = NETWORKS[0]
    for net in nets(model):
        times = [
            of_step(model, net, network, workers, cores=32, part=GLOBAL / net.batch / workers)
            for workers in WORKERS
        ]
        axis.plot(WORKERS, [GLOBAL / seconds for seconds in times], label=net.name)
    axis.set(yscale="log", ylabel="samples a second")
    _by_workers(axis, "workers of 32 cores, who part 8,192 samples")
    axis.set_title(f"{network.name}; a fixed number of samples", fontsize=10)


def _by_workers(axis: Any, words: str) -> None:
    axis.set(xscale="log", xlabel=words)
    axis.set_xticks([1, 8, 64, 512, 4096], ["1", "8", "64", "512", "4,096"])
    axis.minorticks_off()
