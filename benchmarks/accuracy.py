"""Time to accuracy on MNIST beside PyTorch: the same net, first weights, order, Adam and 1cycle.

    python -m benchmarks.accuracy [--threads 1 2] [--seeds 5] [--publish]

Each side trains in a process of its own, an epoch at a time, in turns; the other one is stopped
meanwhile. Only training is timed; both are judged on the test set after each epoch. Needs the real
MNIST: CHAINRULE_DATA names its folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.harness import VARIABLES
from benchmarks.tasks import images, is_mnist

ROOT = Path(__file__).parent.parent
BATCH = 128
EPOCHS = 3
# The net, the share of right answers to reach, the highest learning rate.
TASKS: dict[str, tuple[float, float]] = {
    "784-512-10": (0.98, 0.004),
    "LeNet": (0.99, 0.006),
}
SIDES = ("chainrule", "chainrule, compiled", "PyTorch", "PyTorch, fused")
CYCLE = {"up": 0.25, "start": 25.0, "end": 1e4}


def layers(net: str) -> list[Any]:
    import chainrule as cr

    if net != "LeNet":
        return [cr.Linear(784, 512), cr.ReLU(), cr.Linear(512, 10)]
    return [
        cr.Reshape([28, 28, 1]),
        cr.Conv2d(1, 16, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Conv2d(16, 32, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Flatten(), cr.Linear(512, 128), cr.ReLU(), cr.Linear(128, 10),
    ]  # fmt: skip


def ours(net: str, seed: int, pipe: Connection, *, compiled: bool) -> None:
    import chainrule as cr
    from chainrule.schedules import OneCycle

    if compiled:
        import chainrule.compiled

        chainrule.compiled.enable()
    (x, y), test = images(), images("test")
    _, rate = TASKS[net]
    model = cr.Model(layers(net), cr.SoftmaxCrossEntropy(), seed=seed)
    warm = cr.Model(layers(net), cr.SoftmaxCrossEntropy())
    cr.train(warm, rate, 1, (x[:512], y[:512]), optimizer=cr.Adam(), verbose=False)
    start = 0.0

    def begin(run: Any) -> None:
        nonlocal start
        pipe.send("ready")
        pipe.recv()
        start = time.perf_counter()

    def end(run: Any) -> None:
        seconds = time.perf_counter() - start
        right = cr.evaluate(model, test)["accuracy"]
        pipe.send((seconds, right, run.history["loss"][-1], run.optimizer.learning_rate))

    schedule = OneCycle(
        CYCLE["up"], "cosine", three_phases=False, start_divisor=CYCLE["start"],
        end_divisor=CYCLE["end"],
    )  # fmt: skip
    cr.train(
        model, rate, EPOCHS, cr.Batches(x, y, BATCH, seed=seed), optimizer=cr.Adam(),
        schedule=schedule, callbacks=[cr.Hook(on_epoch_begin=begin, on_epoch_end=end)],
        verbose=False,
    )  # fmt: skip


def their_net(net: str, twin: Any) -> Any:
    """Return the net in PyTorch, with the weights of ours."""
    import torch
    from torch import nn

    if net == "LeNet":
        model = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
    else:
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    with torch.no_grad():
        for layer, other in zip(twin.layers, model, strict=True):
            if "weights" not in layer.parameter_shapes():
                continue
            w = layer.weights
            if w.ndim == 4:  # (height, width, in, out) to (out, in, height, width)
                w = w.transpose(3, 2, 0, 1)
            elif net == "LeNet" and len(w) == 512:  # they flatten channels first
                w = w.reshape(4, 4, 32, -1).transpose(3, 2, 0, 1).reshape(len(w[0]), 512)
            else:
                w = w.T
            other.weight.copy_(torch.tensor(w.copy()))
            other.bias.copy_(torch.tensor(layer.biases.copy()))
    return model


def theirs(net: str, seed: int, pipe: Connection, *, threads: int, fused: bool) -> None:
    import torch
    from torch import nn

    import chainrule as cr

    torch.set_num_threads(threads)
    (x, y), test = images(), images("test")
    _, rate = TASKS[net]
    twin = cr.Model(layers(net), cr.SoftmaxCrossEntropy(), seed=seed)  # for its first weights
    model = their_net(net, twin)
    x, y = torch.tensor(x), torch.tensor(y)
    test_x, test_y = (torch.tensor(a) for a in test)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=fused or None)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=EPOCHS * steps, pct_start=CYCLE["up"],
        div_factor=CYCLE["start"], final_div_factor=CYCLE["end"],
    )  # fmt: skip  # as ours it takes Adam's first average for the momentum: 0.95, 0.85, 0.95
    criterion = nn.CrossEntropyLoss()
    rng = np.random.default_rng(seed)
    criterion(model(x[:512]), y[:512]).backward()  # warm
    for epoch in range(EPOCHS):
        pipe.send("ready")
        pipe.recv()
        start = time.perf_counter()
        model.train()
        order = np.arange(len(x))
        rng.shuffle(order)  # as Batches deals them
        order, total = torch.from_numpy(order), 0.0
        for i in range(0, len(x), BATCH):
            chosen = order[i : i + BATCH]
            optimizer.zero_grad()
            loss = criterion(model(x[chosen]), y[chosen])
            total += loss.item() * len(chosen)
            loss.backward()
            optimizer.step()
            used = optimizer.param_groups[0]["lr"]
            if i + BATCH < len(x) or epoch < EPOCHS - 1:
                schedule.step()
        seconds = time.perf_counter() - start
        model.eval()
        with torch.inference_mode():
            right = sum(
                int((model(test_x[i : i + 1024]).argmax(1) == test_y[i : i + 1024]).sum())
                for i in range(0, len(test_x), 1024)
            ) / len(test_x)
        pipe.send((seconds, right, total / len(x), used))


def work(side: str, net: str, seed: int, threads: int, pipe: Connection) -> None:
    """In a process of its own: train an epoch whenever asked."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        if side.startswith("chainrule"):
            ours(net, seed, pipe, compiled="compiled" in side)
        else:
            theirs(net, seed, pipe, threads=threads, fused="fused" in side)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except BaseException:
        pipe.send(("error", traceback.format_exc()))


class Side:
    """A training in a process of its own, which is stopped while it waits."""

    def __init__(self, side: str, net: str, seed: int, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
        self.process = context.Process(target=work, args=(side, net, seed, threads, there))
        self.process.start()
        there.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        self._hear()
        os.kill(self.process.pid or 0, signal.SIGSTOP)

    def epoch(self, last: bool) -> tuple[float, float, float, float]:
        """Return the seconds, the share of right answers, the loss and the last learning rate."""
        os.kill(self.process.pid or 0, signal.SIGCONT)
        self.pipe.send("go")
        found: tuple[float, float, float, float] = self._hear()
        if last:
            self.process.join()
        else:
            self._hear()
            os.kill(self.process.pid or 0, signal.SIGSTOP)
        return found

    def _hear(self) -> Any:
        said = self.pipe.recv()
        if isinstance(said, tuple) and said[0] == "error":
            raise RuntimeError(said[1])
        return said


def measure(net: str, threads: int, seeds: int, sides: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each seed and side: seconds and accuracy after each epoch."""
    rows = []
    for seed in range(seeds):
        started = {side: Side(side, net, seed, threads) for side in sides}
        found: dict[str, list[Any]] = {side: [] for side in sides}
        for epoch in range(EPOCHS):
            turn = (seed + epoch) % len(sides)
            for side in sides[turn:] + sides[:turn]:
                found[side].append(started[side].epoch(last=epoch == EPOCHS - 1))
        for side in sides:
            seconds, right, losses, rates = zip(*found[side], strict=True)
            _, _, loss, rate = found["chainrule"][0]
            # The same training: in the first epoch they have not drifted apart by rounding yet.
            assert abs(losses[0] - loss) < 0.02 * loss, (side, losses[0], loss)
            assert abs(rates[0] - rate) < 1e-6 * rate, (side, rates[0], rate)
            rows.append({
                "net": net, "threads": threads, "seed": seed, "side": side,
                "seconds": np.cumsum(seconds).tolist(), "accuracy": right, "losses": losses,
            })  # fmt: skip
            pairs = zip(rows[-1]["seconds"], right, strict=True)
            words = ", ".join(f"{s:.2f} s {100 * a:.2f} %" for s, a in pairs)
            print(f"{net}, {threads} threads, seed {seed}, {side}: {words}", flush=True)
    return rows


def reached(row: dict[str, Any]) -> float:
    """Return the seconds of training until the goal; infinite if it was not reached."""
    goal, _ = TASKS[row["net"]]
    pairs = zip(row["seconds"], row["accuracy"], strict=True)
    return next((seconds for seconds, right in pairs if right >= goal), float("inf"))


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| net and goal | threads | side | s to the goal, median | chainrule | compiled |"
        " accuracy at the end |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for net, threads in dict.fromkeys((row["net"], row["threads"]) for row in rows):
        part = [row for row in rows if (row["net"], row["threads"]) == (net, threads)]
        times = {
            side: [reached(row) for row in part if row["side"] == side]
            for side in dict.fromkeys(row["side"] for row in part)
        }
        for side, mine in times.items():
            ends = [100 * row["accuracy"][-1] for row in part if row["side"] == side]
            ratios = []
            for other in ("chainrule", "chainrule, compiled"):
                if side.startswith("chainrule") or other not in times:
                    ratios.append("")
                else:
                    pairs = zip(mine, times[other], strict=True)
                    ratios.append(f"{np.median([a / b for a, b in pairs]):.2f} × as fast")
            lines.append(
                f"| {net}, {100 * TASKS[net][0]:g} % | {threads} | {side} | "
                f"{np.median(mine):.2f} | {ratios[0]} | {ratios[1]} | "
                f"{min(ends):.2f}–{max(ends):.2f} % |"
            )
    return "\n".join(lines)


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Draw accuracy over the seconds of training, a line for each seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys((row["net"], row["threads"]) for row in rows))
    figure, axes = plt.subplots(1, len(panels), figsize=(4.4 * len(panels), 3.6), squeeze=False)
    styles = {"chainrule": ("#0072B2", "-"), "chainrule, compiled": ("#0072B2", ":"),
              "PyTorch": ("#E69F00", "-"), "PyTorch, fused": ("#E69F00", ":")}  # fmt: skip
    for axis, (net, threads) in zip(axes[0], panels, strict=True):
        for row in rows:
            if (row["net"], row["threads"]) != (net, threads):
                continue
            color, line = styles[row["side"]]
            label = row["side"] if row["seed"] == 0 else None
            axis.plot(row["seconds"], [100 * a for a in row["accuracy"]], line, marker=".",
                      color=color, alpha=0.8, label=label)  # fmt: skip
        goal = 100 * TASKS[net][0]
        axis.axhline(goal, color="0.6", linewidth=0.8)
        axis.set_title(f"{net}, {threads} thread{'s' if threads > 1 else ''}", fontsize=10)
        axis.set(xlabel="seconds of training", xlim=(0, None), ylim=(goal - 4, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("% right on the test set")
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130, facecolor="white")
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--nets", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument("--publish", action="store_true", help="write into docs/ too")
    options = parser.parse_args()
    if not is_mnist():
        print("Needs the real MNIST: CHAINRULE_DATA names its folder.", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for threads in options.threads:
        for net in options.nets:
            rows += measure(net, threads, options.seeds, SIDES)
    text = f"{report.machine()}\n\n{table(rows)}"
    print(f"\n{text}")
    (options.out / "accuracy.json").write_text(json.dumps(rows, indent=1))
    draw(options.out / "accuracy.png", rows)
    if options.publish:
        page = ROOT / "docs" / "performance.md"
        before, rest = page.read_text().split("<!-- accuracy -->\n", 1)
        after = rest.split("<!-- /accuracy -->", 1)[1]
        page.write_text(f"{before}<!-- accuracy -->\n{text}\n<!-- /accuracy -->{after}")
        draw(ROOT / "docs" / "images" / "accuracy.png", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
