"""The results as a Markdown table, as JSON, and as a bar chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from benchmarks.harness import FLOOR, REFERENCE, Result
from benchmarks.tasks import Task, is_mnist


def machine(data: str | None = None) -> str:
    """Return the processor, the cores, the versions of what took part, and the data."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [n for n in cpuinfo.read_text().splitlines() if n.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    versions = []
    for package in ("numpy", "torch", "jax", "scikit-learn", "onnxruntime", "numba"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    if data is None:
        data = "MNIST" if is_mnist() else "random, of the shape of MNIST"
    return (
        f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"{', '.join(versions)}; OpenBLAS kernels: {kernels()}; data: {data}."
    )


def kernels() -> str:
    """Return which processor OpenBLAS takes this one for."""
    try:
        import threadpoolctl
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    found = [i.get("architecture", "") for i in threadpoolctl.threadpool_info()]
    told = os.environ.get("OPENBLAS_CORETYPE")
    return next(filter(None, found), "unknown") + (f" (told: {told})" if told else "")


def verdict(task: Task, result: Result, side: str) -> str:
    """Return the goal and whether it is met, by the faster of our two forms."""
    goal = task.goals.get(side)
    if goal is None:
        return ""
    best = max(result.speed(side, ours) for ours in result.times if ours.startswith(REFERENCE))
    plain = result.speed(side)
    words = f"≤ {1 / goal:.2f} ×" if side == FLOOR else f"≥ {goal:g} ×"
    if plain >= goal:
        return f"{words}: met"
    return f"{words}: {'met when compiled' if best >= goal else 'not met'}"


def table(tasks: Sequence[Task], results: Sequence[Result]) -> str:
    """Return the Markdown table.

    The ratio beside a side says how many times as fast as it chainrule is; beside the products
    alone it is our time over theirs.
    """
    lines = [
        "| work | threads | side | µs a step (quartiles) | chainrule | compiled | goal |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    by_name = {task.name: task for task in tasks}
    for result in results:
        task = by_name[result.task]
        for side in result.times:
            low, high = (1e6 * t for t in result.spread(side))
            ratios = []
            for ours in (REFERENCE, f"{REFERENCE}, compiled"):
                if side.startswith(REFERENCE) or ours not in result.times:
                    ratios.append("")
                elif side == FLOOR:
                    ratios.append(f"{1 / result.speed(side, ours):.2f} × its time")
                else:
                    ratios.append(f"{result.speed(side, ours):.2f} × as fast")
            lines.append(
                f"| {result.task} | {result.threads} | {side} | {1e6 * result.median(side):,.1f} "
                f"({low:,.1f}–{high:,.1f}) | {ratios[0]} | {ratios[1]} | "
                f"{verdict(task, result, side)} |"
            )
        for side, why in result.left_out.items():
            lines.append(f"| {result.task} | {result.threads} | {side} | left out: {why} | | | |")
    return "\n".join(lines)


def save_json(path: Path, results: Sequence[Result], more: dict[str, object]) -> None:
    content = {"machine": machine(), "results": [asdict(r) for r in results], **more}
    path.write_text(json.dumps(content, indent=1))


def chart(path: Path, results: Sequence[Result]) -> None:
    """Draw the time of each side of the first comparison, for each number of threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    first = [r for r in results if r.task == results[0].task]
    figure, axes = plt.subplots(1, len(first), figsize=(5.2 * len(first), 3.8), squeeze=False)
    for axis, result in zip(axes[0], first, strict=True):
        sides = sorted(
            (s for s in result.times if s != "the article"), key=result.median, reverse=True
        )
        values = [1e6 * result.median(s) for s in sides]
        ours = [s.startswith(REFERENCE) for s in sides]
        colors = [
            "#0072B2" if mine else "#999999" if s == FLOOR else "#E69F00"
            for s, mine in zip(sides, ours, strict=True)
        ]
        bars = axis.barh(sides, values, color=colors)
        axis.bar_label(bars, [f" {value:,.0f}" for value in values], fontsize=8)
        axis.set_xlabel("microseconds a step (less is better)")
        axis.set_title(f"{result.threads} thread{'s' if result.threads > 1 else ''}", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.12)
    figure.suptitle(f"Training {results[0].task}", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)
