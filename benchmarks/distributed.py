"""One and two workers, beside threads and PyTorch's DDP; and what the measurements foretell.

    python -m benchmarks.distributed [--quick] [--rounds 7] [--out FOLDER] [--publish]

Leaves distributed.json, distributed.md and workers.png in the folder; with --publish the table and
the picture go into docs/scaling.md. Every configuration is run anew in every round, in turns; what
counts are the medians. What benchmarks.many_workers measured on a machine of many cores is drawn
beside the model too, from the file that it left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import checked, cost_model, report
from benchmarks.harness import VARIABLES, agree
from chainrule.distributed.launch import find_mpiexec

ROOT = Path(__file__).parent.parent
WORKER = [sys.executable, "-m", "benchmarks.distributed_sides"]
# Name, side, workers, threads of each, the share of the mini-batch that each takes.
CONFIGURATIONS = [
    ("1 worker", "chainrule", 1, 1, 1),
    ("1 worker, 2 threads", "chainrule", 1, 2, 1),
    ("2 workers, weak", "chainrule", 2, 1, 1),
    ("2 workers, strong", "chainrule", 2, 1, 2),
    ("2 workers, weak, overlapped", "overlapped", 2, 1, 1),
    ("2 workers, weak, sharded optimiser", "sharded", 2, 1, 1),
    ("PyTorch, 1 worker", "torch", 1, 1, 1),
    ("PyTorch, 1 worker, 2 threads", "torch", 1, 2, 1),
    ("PyTorch DDP, 2 workers, weak", "torch", 2, 1, 1),
    ("PyTorch DDP, 2 workers, strong", "torch", 2, 1, 2),
]
NETS = ("mlp", "lenet", "wide")
SIZES = (8, 1024, 16_384, 79_510, 262_144, 1_048_576, 4_194_304, 10_000_000)


def measured(side: str, net: str, workers: int, threads: int, part: int, steps: int) -> Any:
    """Run one configuration in processes of its own; return what worker 0 says."""
    environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads))}
    words = [*WORKER, side, net, str(workers), str(threads), str(part), str(steps)]
    if side != "torch":
        done = subprocess.run(
            [find_mpiexec(), "-n", str(workers), *words], env=environment, capture_output=True,
            text=True, timeout=600, check=False,
        )  # fmt: skip
        return said(done.stdout, done.stderr)
    port = free_port()
    children = [
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environment, "RANK": str(rank), "WORLD_SIZE": str(workers),
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
        )
        for rank in range(workers)
    ]  # fmt: skip
    outputs = [child.communicate(timeout=600) for child in children]
    return said(*outputs[0])


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def said(out: str, err: str) -> Any:
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(err.strip()[-2000:] or "it said nothing")
    return json.loads(lines[-1])


def main() -> int:
    arguments = parsed()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "distributed.json"
    if arguments.draw:
        found = json.loads(path.read_text())
    else:
        found = measure(arguments.rounds, NETS[:1] if arguments.quick else NETS)
        path.write_text(json.dumps(found, indent=1))
    text = tables(found)
    model = cost_model.fitted(found)
    text += f"\n\n{cost_model.in_words(model, found)}"
    cost_model.draw(arguments.out / "workers.png", model, found)
    (arguments.out / "distributed.md").write_text(text + "\n")
    print(text)
    texts = {"table": text}
    if arguments.more.exists():
        more = json.loads(arguments.more.read_text())
        texts["many"] = checked.in_words(more)
        checked.draw(arguments.out / "many-workers.png", more)
        print(texts["many"])
    if arguments.publish:
        publish(arguments.out, texts)
    return 0


def measure(rounds: int, nets: tuple[str, ...]) -> dict[str, Any]:
    """Run every configuration in turns; return the times of all rounds."""
    found: dict[str, Any] = {"machine": report.machine(), "cores": os.cpu_count(), "nets": {}}
    for net in nets:
        steps = {"mlp": 400, "lenet": 60, "wide": 16}[net]
        runs: dict[str, list[Any]] = {name: [] for name, *_ in CONFIGURATIONS}
        for round_ in range(rounds):
            turn = round_ % len(CONFIGURATIONS)
            for name, side, workers, threads, part in CONFIGURATIONS[turn:] + CONFIGURATIONS[:turn]:
                runs[name].append(measured(side, net, workers, threads, part, steps))
        first = {name: runs[name][0] for name in runs}
        for name, run in first.items():  # one computes what the others compute
            alike = "2 workers, weak" if "weak" in name else "1 worker"
            if not agree(first[alike]["loss"], run["loss"]):
                raise RuntimeError(f"{net}, {name}: the loss is {run['loss']}, not {first[alike]}")
        found["nets"][net] = runs
        print(net, {name: f"{1e6 * _median(run):.0f} µs" for name, run in runs.items()}, flush=True)
    found["sums"] = {
        str(workers): [measured("sums", ",".join(map(str, SIZES)), workers, 1, 1, 20)["seconds"]
                       for _ in range(rounds if workers == 2 else 1)]
        for workers in (2, 4)
    }  # fmt: skip
    found["sizes"] = SIZES
    return found


def _median(runs: list[Any]) -> float:
    return statistics.median(run["seconds"] for run in runs)


def tables(found: dict[str, Any]) -> str:
    """Return what was measured as a Markdown table."""
    lines = [
        f"{found['machine']}\n",
        "| net | side | µs a step (quartiles) | samples a second | of one worker | talking |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for net, runs in found["nets"].items():
        for name, side, *_ in CONFIGURATIONS:
            of = runs[name]
            times = sorted(run["seconds"] for run in of)
            low, high = times[len(times) // 4], times[-1 - len(times) // 4]
            one = runs["PyTorch, 1 worker" if side == "torch" else "1 worker"]
            speed = of[0]["samples"] / _median(of)
            talk = statistics.median(run["talking"] for run in of) / _median(of)
            share = f"{100 * talk:.0f} %" if of[0]["talking"] else ""
            lines.append(
                f"| {net} | {name} | {1e6 * _median(of):,.0f} ({1e6 * low:,.0f}–{1e6 * high:,.0f}) "
                f"| {speed:,.0f} | {speed / (one[0]['samples'] / _median(one)):.2f} × | {share} |"
            )
    lines += ["", "| values in a sum | 2 workers | 4 workers |", "|---:|---:|---:|"]
    for i, size in enumerate(found["sizes"]):
        two, four = (statistics.median(r[i] for r in found["sums"][n]) for n in ("2", "4"))
        lines.append(f"| {size:,} | {1e6 * two:,.1f} µs | {1e6 * four:,.1f} µs |")
    return "\n".join(lines)


def publish(out: Path, texts: dict[str, str]) -> None:
    """Put the tables and the pictures into the docs."""
    for picture in ("workers.png", *(["many-workers.png"] if "many" in texts else [])):
        shutil.copy(out / picture, ROOT / "docs" / "images" / picture)
    page = ROOT / "docs" / "scaling.md"
    for name, text in texts.items():
        before, rest = page.read_text().split(f"<!-- {name} -->\n", 1)
        after = rest.split(f"<!-- /{name} -->", 1)[1]
        page.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small net alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument(
        "--draw", action="store_true", help="from distributed.json: measure nothing"
    )
    parser.add_argument(
        "--more", type=Path, default=ROOT / "benchmarks" / "many_workers.json",
        help="what benchmarks.many_workers left",
    )  # fmt: skip
    parser.add_argument("--publish", action="store_true", help="write into docs/ too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
