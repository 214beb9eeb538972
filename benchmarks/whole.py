"""Whole processes: time to import, a program that trains MNIST, its peak of memory; our step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

PROGRAMS = Path(__file__).parent / "programs"
IMPORTS = {
    "NumPy": "import numpy",
    "chainrule": "import chainrule",
    "PyTorch": "import torch",
    "scikit-learn": "import sklearn.neural_network",
    "JAX": "import jax, jax.numpy",
}
TRAINERS = {"chainrule": "train_chainrule.py", "PyTorch": "train_torch.py",
            "scikit-learn": "train_sklearn.py"}  # fmt: skip


def measure(rounds: int) -> dict[str, Any]:
    """Return wall times of whole processes in turns, and the memory of training."""
    imports: dict[str, list[float]] = {name: [] for name in IMPORTS}
    trainers: dict[str, list[float]] = {name: [] for name in TRAINERS}
    answers: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, code in IMPORTS.items():
            seconds, output = run(["-c", code])
            if output is not None:
                imports[name].append(seconds)
    for _ in range(max(1, rounds // 2)):
        for name, program in TRAINERS.items():
            seconds, output = run([str(PROGRAMS / program)])
            if output is not None:
                trainers[name].append(seconds)
                answers[name] = json.loads(output.splitlines()[-1])
    return {"imports": imports, "programs": trainers, "answers": answers}


def run(words: list[str]) -> tuple[float, str | None]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment
    )
    seconds = time.perf_counter() - start
    return seconds, ran.stdout if ran.returncode == 0 else None


def tables(measured: dict[str, Any]) -> str:
    lines = ["| whole process | seconds | beside chainrule |", "|---|---:|---:|"]
    for what, kind in (("import", "imports"), ("train MNIST, 5 epochs", "programs")):
        times = {n: float(np.median(t)) for n, t in measured[kind].items() if t}
        ours = times["chainrule"]
        lines += [f"| {what}: {n} | {t:.2f} | {t / ours:.2f} × |" for n, t in times.items()]
    lines += ["", "| training MNIST | peak of memory, MB | accuracy |", "|---|---:|---:|"]
    for name, answer in measured["answers"].items():
        lines.append(f"| {name} | {answer['peak']:.0f} | {100 * answer['accuracy']:.2f} % |")
    if "chainrule" in measured["answers"]:
        bound = measured["answers"]["chainrule"]["bound"]
        lines.append(
            f"| the bound: the data, three times parameters and gradients, the activations of one "
            f"mini-batch, and 15 % | {bound:.0f} | |"
        )
    return "\n".join(lines)


def our_step() -> str:
    """Return where a step of ours spends its time, layer by layer, beside the bare products."""
    import chainrule as cr
    from benchmarks.tasks import TRAIN, batches

    task = TRAIN[0]
    net = cr.Model([cr.Linear(784, 100), cr.ReLU(), cr.Linear(100, 10)], cr.SoftmaxCrossEntropy())
    data = batches(task)
    cr.train(net, 0.1, 3, data, verbose=False)
    history = cr.train(net, 0.1, 10, data, verbose=False, profile=True)
    return f"Where a step of {task.name} spends its time:\n\n```\n{history.profile}\n```"
