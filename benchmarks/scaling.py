"""How the time of a step grows with batch, width and depth; a part of python -m benchmarks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from benchmarks.harness import FLOOR, compare
from benchmarks.tasks import Task

SIDES = (FLOOR, "chainrule", "PyTorch")
COLORS = {FLOOR: "#999999", "chainrule": "#0072B2", "PyTorch": "#E69F00"}


def grids() -> dict[str, list[tuple[int, Task]]]:
    """Return, for each quantity that grows, its values and what to run."""

    def task(name: str, value: int, sizes: tuple[int, ...], batch: int) -> tuple[int, Task]:
        return value, Task(f"{name} {value}", "train", sizes, batch, sides=SIDES, rate=0.001,
                           samples=batch * max(2, min(50, 4096 // batch)))  # fmt: skip

    return {
        "samples in a mini-batch": [
            task("batch", n, (784, 100, 10), n) for n in (1, 4, 16, 64, 256, 1024, 4096)
        ],
        "units in the hidden layer": [
            task("width", n, (784, n, 10), 64) for n in (16, 64, 256, 1024, 4096)
        ],
        "hidden layers of 128": [
            task("depth", n, (784, *[128] * n, 10), 64) for n in (1, 2, 4, 8, 16)
        ],
    }


def draw(path: Path, more: dict[str, object], rounds: int = 7) -> None:
    """Measure on one thread, and draw the three curves."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8))
    for axis, (what, tasks) in zip(axes, grids().items(), strict=True):
        results = [(value, compare(task, 1, rounds)) for value, task in tasks]
        more[f"scaling: {what}"] = [asdict(result) for _, result in results]
        for side in SIDES:
            points = [(v, 1e6 * r.median(side)) for v, r in results if side in r.times]
            if points:
                axis.plot(*zip(*points, strict=True), "o-", color=COLORS[side], label=side, ms=4)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.grid(alpha=0.3, which="both")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("microseconds a step")
    axes[0].legend(frameon=False)
    figure.suptitle("784-100-10, batch 64, SGD, one thread; one quantity grows", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)
