"""Every comparison: python -m benchmarks [--quick] [--threads 1 2] [--out FOLDER] [--publish].

Prints a Markdown table, and leaves results.json, table.md and speed.png in the folder. With
--publish they go into docs/.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks import report, scaling, whole
from benchmarks.harness import Result, compare
from benchmarks.tasks import PREDICT, TRAIN

ROOT = Path(__file__).parent.parent
QUICK_SIDES = {
    "matrix products alone", "chainrule", "chainrule, compiled", "PyTorch", "JAX, scan",
    "scikit-learn", "onnxruntime",
}  # fmt: skip


def main() -> int:
    arguments = parsed()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    tasks = [task for task in TRAIN + PREDICT if task.quick or not arguments.quick]
    if arguments.only:
        tasks = [task for task in tasks if arguments.only in task.name]
    print(report.machine(), flush=True)
    results: list[Result] = []
    for threads in arguments.threads:
        for task in tasks:
            start = time.perf_counter()
            only = QUICK_SIDES if arguments.quick else None
            result = compare(task, threads, arguments.rounds, only=only)
            results.append(result)
            print(f"\n{task.name}, {threads} threads ({time.perf_counter() - start:.0f} s)")
            for side in result.times:
                print(f"  {side:24s}{1e6 * result.median(side):12,.1f} µs a step")
            for side, why in result.left_out.items():
                print(f"  {side:24s}left out: {why}")
            sys.stdout.flush()
    text = report.table(tasks, results)
    print(f"\n{text}\n")
    report.chart(out / "speed.png", results)
    more: dict[str, object] = {}
    report.save_json(out / "results.json", results, more)
    if not arguments.quick and not arguments.only:
        more = whole.measure(rounds=5)
        text += f"\n\n{whole.tables(more)}"
        scaling.draw(out / "scaling.png", more)
    text = f"{report.machine()}\n\n{text}\n\n{whole.our_step()}"
    (out / "table.md").write_text(text + "\n")
    report.save_json(out / "results.json", results, more)
    print(f"In {out}: table.md, results.json, speed.png")
    if arguments.publish:
        publish(out, text)
    return 0


def publish(out: Path, text: str) -> None:
    """Put the table and the pictures into the docs."""
    for name in ("speed.png", "scaling.png"):
        if (out / name).exists():
            shutil.copy(out / name, ROOT / "docs" / "images" / name)
    page = ROOT / "docs" / "performance.md"
    before, rest = page.read_text().split("<!-- table -->\n", 1)
    after = rest.split("<!-- /table -->", 1)[1]
    page.write_text(f"{before}<!-- table -->\n{text}\n<!-- /table -->{after}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the main ones, under a minute")
    parser.add_argument("--threads", type=int, nargs="+")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", help="comparisons whose name has this in it")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument("--publish", action="store_true", help="write into docs/ too")
    arguments = parser.parse_args()
    arguments.threads = arguments.threads or ([1] if arguments.quick else [1, 2])
    arguments.rounds = arguments.rounds or (9 if arguments.quick else 21)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
