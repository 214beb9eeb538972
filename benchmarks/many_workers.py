"""Weak and strong scaling on a machine of many cores: what the model's shape is held against.

    python -m benchmarks.many_workers [--seconds 300] [--workers 1,2,4,8,16] [--out FILE]

Each worker has one BLAS thread. *Weak*: each takes a mini-batch of its own; *strong*: one is
parted; *apart*: as many processes train at the same time without a word, which shows what the
machine makes slower by itself (its clock, its memory, two threads on a core). PyTorch's DDP beside
it, if torch is installed. All are run in turns, round after round, until the time is up; the file
is written anew after each. python -m benchmarks.distributed --more FILE draws it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.distributed import SIZES, free_port, said
from benchmarks.distributed_sides import BATCH, Workers, connect, summed, trained, trained_by_torch
from benchmarks.harness import VARIABLES, agree
from chainrule.distributed.launch import find_mpiexec

STEPS = {"mlp": 200, "lenet": 30, "wide": 10}
LONGEST = 150  # seconds of a part


def main() -> int:
    arguments = parsed()
    until = time.monotonic() + arguments.seconds
    counts = [int(n) for n in arguments.workers.split(",")]
    sides = ["chainrule", *(["torch"] if importlib.util.find_spec("torch") else [])]
    found: dict[str, Any] = {
        "machine": report.machine("random, of the shape of MNIST"), "cores": os.cpu_count(),
        "physical": physical(), "settings": settings(), "sizes": SIZES, "counts": counts,
        "failures": [],
    }  # fmt: skip
    longest: dict[tuple[str, int], float] = {}
    for round_ in range(arguments.rounds):
        for side in sides:
            for count in counts[round_ % len(counts) :] + counts[: round_ % len(counts)]:
                start = time.monotonic()
                if start + longest.get((side, count), 5) > until:
                    continue
                try:
                    add(found, side, count, launched(side, count))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    found["failures"].append(f"{side}, {count}: {error}"[-3000:])
                longest[side, count] = time.monotonic() - start
                arguments.out.write_text(json.dumps(found))
                print(f"round {round_}, {side}, {count} workers: {longest[side, count]:.1f} s,"
                      f" {until - time.monotonic():.0f} s left", flush=True)  # fmt: skip
    print(json.dumps(found["failures"], indent=1))
    check(found)
    return 0


def launched(side: str, count: int) -> Any:
    """Run all of a side with so many workers; return what worker 0 says."""
    environment = {**os.environ, **dict.fromkeys(VARIABLES, "1")}
    words = [sys.executable, "-m", "benchmarks.many_workers", "--side", side]
    if side == "chainrule":
        words = [find_mpiexec(), "-n", str(count), *words]
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
        return said(done.stdout, done.stderr)
    environment |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": free_port(), "GLOO_SOCKET_IFNAME": "lo"}
    children = [
        subprocess.Popen(
            words, env={**environment, "RANK": str(rank)}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    try:
        outputs = [child.communicate(timeout=LONGEST) for child in children]
    finally:
        for child in children:
            child.kill()
    return said(*outputs[0])


def worker(side: str) -> None:
    if side == "chainrule":
        with connect(timeout=100) as workers:
            found = {net: modes_of(workers, net, steps) for net, steps in STEPS.items()}
            found["sums"] = summed(workers, SIZES, 10) if workers.size > 1 else []
            if workers.first:
                print(json.dumps(found), flush=True)
        return
    import torch

    torch.set_num_threads(1)
    count = int(os.environ["WORLD_SIZE"])
    if count > 1:
        torch.distributed.init_process_group("gloo")
    found = {
        net: {"weak": trained_by_torch(torch, net, count, 1, steps)}
        | ({"strong": trained_by_torch(torch, net, count, count, steps)} if count > 1 else {})
        for net, steps in STEPS.items()
    }
    if count > 1:
        torch.distributed.destroy_process_group()
    if os.environ["RANK"] == "0":
        print(json.dumps(found), flush=True)


def modes_of(workers: Workers, net: str, steps: int) -> dict[str, Any]:
    found = {"weak": trained(workers, net, 1, steps)}
    if workers.size > 1:
        if BATCH[net] % workers.size == 0:
            found["strong"] = trained(workers, net, workers.size, steps)
        workers.broadcast(b"")  # all begin at once
        apart = trained(Workers(), net, 1, steps)
        seconds = workers.gather(np.array([apart["seconds"]]))
        found["apart"] = {**apart, "seconds": float(np.median(seconds)),
                          "slowest": float(np.max(seconds))}  # fmt: skip
    return found


def add(found: dict[str, Any], side: str, count: int, what: dict[str, Any]) -> None:
    """Put what was measured beside the earlier rounds: side, net, mode, workers, rounds."""
    for net, modes in what.items():
        if net == "sums":
            found.setdefault("sums", {}).setdefault(str(count), []).append(modes)
            continue
        for mode, run in modes.items():
            runs = found.setdefault(side, {}).setdefault(net, {}).setdefault(mode, {})
            runs.setdefault(str(count), []).append(run)


def check(found: dict[str, Any]) -> None:
    """Refuse workers who do not compute what one does, or what PyTorch's do."""
    ours, theirs = found.get("chainrule", {}), found.get("torch", {})
    pairs = [
        (f"{net}, strong, {count}", modes["weak"]["1"][0], run)
        for net, modes in ours.items() if "1" in modes["weak"]
        for count, (run, *_) in modes.get("strong", {}).items()
    ] + [
        (f"{net}, {mode}, {count}, torch", run, theirs[net][mode][count][0])
        for net in ours if net in theirs
        for mode in theirs[net]
        for count, (run, *_) in ours[net].get(mode, {}).items() if count in theirs[net][mode]
    ]  # fmt: skip
    for name, one, other in pairs:
        if not agree(one["loss"], other["loss"]):
            raise RuntimeError(f"{name}: the loss is {other['loss']}, not {one['loss']}")
    print(f"{len(pairs)} losses agree.")


def physical() -> int | None:
    """Return how many cores there are, if two threads on one count once; None if it is not told."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return None
    lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
    chips = [value for name, _, value in lines if name.strip() == "physical id"]
    cores = [value for name, _, value in lines if name.strip() == "core id"]
    return len(set(zip(chips, cores, strict=True))) if chips and len(chips) == len(cores) else None


def settings() -> dict[str, str]:
    """Return what MPI was told by the environment."""
    return {
        name: value for name, value in os.environ.items()
        if name.startswith(("MPIR_CVAR_", "UCX_", "FI_"))
    }  # fmt: skip


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_workers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", default="1,2,4,8,16")
    parser.add_argument("--out", type=Path, default=Path("many_workers.json"))
    parser.add_argument("--side", help="be one worker of a side")
    return parser.parse_args()


if __name__ == "__main__":
    if side := parsed().side:
        worker(side)
        sys.exit()
    sys.exit(main())
