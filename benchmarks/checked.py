"""The model's shape beside what many workers did: a part of python -m benchmarks.distributed.

The model is fitted to one and two workers of the machine (``benchmarks.many_workers``), and
foretells more of them. Two lines: one as if all its cores were alike, one with the slowest of as
many processes that do not talk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cost_model import (
    TITLES,
    Measured,
    Model,
    Net,
    fitted_network,
    fitted_steps,
    median,
    of_step,
    of_sum,
    own,
)

COLOURS = {"ours": "#0072B2", "torch": "#E69F00", "model": "#444444"}


def fitted(more: dict[str, Any]) -> Model:
    """Return the model of one and two workers of that machine."""
    rows = [
        Measured(
            name, modes["weak"]["1"][0]["samples"], median(modes["weak"]["1"]),
            own(modes["weak"]["2"]), own(modes["strong"]["2"]),
        )
        for name, modes in more["chainrule"].items()
    ]  # fmt: skip
    return fitted_steps(fitted_network(more["sizes"], more["sums"]["2"]), rows, 0.0)


def slowest(more: dict[str, Any], name: str, count: int) -> float:
    """Return how much longer the slowest of so many silent processes takes than one alone."""
    modes = more["chainrule"][name]
    if count == 1:
        return 1.0
    alone = median(modes["weak"]["1"])
    return max(1.0, median(modes["apart"][str(count)], "slowest") / alone)


def foretold(
    model: Model, net: Net, count: int, *, strong: bool = False, slow: float = 1.0
) -> float:
    """Return the seconds of a step; ``slow``: of the slowest worker, by one alone."""
    part = 1 / count if strong else 1.0
    more = (slow - 1) * (net.fixed + (net.seconds - net.fixed) * part)
    return of_step(model, net, model.here, count, part=part) + more


def in_words(more: dict[str, Any]) -> str:
    """Return what was measured beside what is foretold, as Markdown."""
    model = fitted(more)
    lines = [
        more["machine"],
        "",
        "| net | workers | a mini-batch each, ms | of one's speed | foretold | with the slowest "
        "core | DDP | one mini-batch, samples a second | foretold | with the slowest core | DDP |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for net in model.measured:
        name = next(name for name, title in TITLES.items() if title == net.name)
        for count in more["counts"]:
            row = [net.name, str(count), *_row(more, model, net, name, count)]
            lines.append(f"| {' | '.join(row)} |")
    lines += ["", "| values in a sum, µs (foretold) | "
              + " | ".join(f"{count} workers" for count in more["counts"][1:]) + " |",
              "|---:|" + "---:|" * len(more["counts"][1:])]  # fmt: skip
    for i, size in enumerate(more["sizes"]):
        told = [
            f"{1e6 * _sum(more, count, i):,.0f} ({1e6 * of_sum(model.here, size, count):,.0f})"
            for count in more["counts"][1:]
        ]
        lines.append(f"| {size:,} | " + " | ".join(told) + " |")
    here = model.here
    lines += [
        "",
        f"Fitted to one and two workers of this machine: a latency of {1e6 * here.latency:.1f} µs, "
        f"a bandwidth of {here.bandwidth / 1e9:.1f} GB/s, {1e6 * model.fixed[0]:.0f} µs and "
        f"{1e9 * model.fixed[1]:.1f} ns for each parameter that do not get shorter, "
        f"{1e6 * model.joining[0]:.0f} µs and {1e9 * model.joining[1]:.1f} ns that several need "
        "more.",
    ]
    return "\n".join(lines)


def _row(more: dict[str, Any], model: Model, net: Net, name: str, count: int) -> list[str]:
    modes, slow = more["chainrule"][name], slowest(more, name, count)
    took = median(modes["weak"][str(count)])
    weak = [net.seconds / foretold(model, net, count, slow=s) for s in (1.0, slow)]
    strong = [net.batch / foretold(model, net, count, strong=True, slow=s) for s in (1.0, slow)]
    parted = modes["strong"].get(str(count)) if count > 1 else modes["weak"]["1"]
    return [
        f"{1e3 * took:.2f}",
        *(f"{100 * value:.0f} %" for value in (net.seconds / took, *weak)),
        _percent(_ddp(more, name, "weak", count), _ddp(more, name, "weak", 1)),
        f"{net.batch / median(parted):,.0f}" if parted else "",
        *(f"{value:,.0f}" for value in strong),
        f"{net.batch / theirs:,.0f}" if (theirs := _ddp(more, name, "strong", count)) else "",
    ]


def _percent(took: float | None, alone: float | None) -> str:
    return f"{100 * alone / took:.0f} %" if took and alone else ""


def _ddp(more: dict[str, Any], name: str, mode: str, count: int) -> float | None:
    mode = "weak" if count == 1 else mode
    runs = more.get("torch", {}).get(name, {}).get(mode, {}).get(str(count))
    return median(runs) if runs else None


def _sum(more: dict[str, Any], count: int, i: int) -> float:
    return median([{"seconds": times[i]} for times in more["sums"][str(count)]])


def draw(path: Path, more: dict[str, Any]) -> None:
    """Draw speed by workers: with a mini-batch each above, with one in parts below."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    model, counts = fitted(more), more["counts"]
    figure, axes = plt.subplots(2, 3, figsize=(12, 7.6), sharex=True)
    for net, (weak, strong) in zip(model.measured, axes.T, strict=True):
        name = next(name for name, title in TITLES.items() if title == net.name)
        _draw_one(weak, more, model, net, name, strong=False)
        _draw_one(strong, more, model, net, name, strong=True)
        weak.set(ylim=(0, None))
        weak.set_title(f"{net.name}: {net.parameters:,} parameters", fontsize=10)
        strong.set(xlabel="workers", ylim=(0, None))
        strong.set_xscale("log", base=2)
        strong.set_xticks(counts, map(str, counts))
        strong.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda y, _: f"{y:,.0f}"))
    axes[0, 0].set_ylabel("a mini-batch each:\nof a lone worker's speed, %")
    axes[1, 0].set_ylabel("one mini-batch, in parts:\nsamples a second")
    for axis in axes.ravel():
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.align_ylabels()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper center", ncols=4,
                  frameon=False)  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)


def _draw_one(
    axis: Any, more: dict[str, Any], model: Model, net: Net, name: str, *, strong: bool
) -> None:
    counts = more["counts"]

    def shown(seconds: float, alone: float) -> float:
        return net.batch / seconds if strong else 100 * alone / seconds

    for label, style, slow in (
        ("model, all cores alike", ":", dict.fromkeys(counts, 1.0)),
        ("model, with the slowest core", "-", {n: slowest(more, name, n) for n in counts}),
    ):
        line = [shown(foretold(model, net, n, strong=strong, slow=slow[n]), net.seconds)
                for n in counts]  # fmt: skip
        axis.plot(counts, line, style, color=COLOURS["model"], label=label)
    mode = "strong" if strong else "weak"
    runs = {1: more["chainrule"][name]["weak"]["1"]}
    runs |= {int(n): of for n, of in more["chainrule"][name][mode].items()}
    mids = [shown(median(of), net.seconds) for of in runs.values()]
    ends = [[shown(run["seconds"], net.seconds) for run in of] for of in runs.values()]
    spread = [[m - min(e) for m, e in zip(mids, ends, strict=True)],
              [max(e) - m for m, e in zip(mids, ends, strict=True)]]  # fmt: skip
    axis.errorbar(list(runs), mids, spread, fmt="o", color=COLOURS["ours"], capsize=3,
                  label="measured (all rounds)")  # fmt: skip
    theirs = {n: _ddp(more, name, mode, n) for n in counts}
    points = {n: shown(t, theirs[1]) for n, t in theirs.items() if t and theirs[1]}
    if points:
        axis.plot(*zip(*points.items(), strict=True), "^", color=COLOURS["torch"],
                  label="PyTorch DDP, gloo")  # fmt: skip
