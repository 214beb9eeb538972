"""What is compared: the nets, the data, and the goal of each comparison."""

from __future__ import annotations

import gzip
import math
import os
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

LEARNING_RATE = {"sgd": 0.1, "adam": 0.001}


@dataclass(frozen=True)
class Task:
    """One comparison: every side does the same arithmetic on the same numbers.

    ``sides`` maps the name of a side in the table to its builder in ``benchmarks.sides``;
    ``goals`` says how many times as fast as a side chainrule is to be. The side named
    ``chainrule`` is the one that all are compared with.
    """

    name: str
    kind: str  # "train" or "predict"
    sizes: tuple[int, ...]
    batch: int
    optimizer: str = "sgd"
    samples: int = 0
    sides: tuple[str, ...] = ()
    goals: dict[str, float] = field(default_factory=dict)
    quick: bool = False
    rate: float | None = None  # where that of the optimiser is too high

    @property
    def count(self) -> int:
        """How many samples a block has."""
        return self.samples or self.batch * max(2, min(100, 12_800 // self.batch))

    @property
    def learning_rate(self) -> float:
        return self.rate or LEARNING_RATE[self.optimizer]


def floor(ratio: float) -> float:
    """Return the goal beside the bare products: at most ``ratio`` times their time."""
    return round(1 / ratio, 4)


OURS = ("chainrule", "chainrule, compiled")
SMALL, MEDIUM, WIDE = (784, 100, 10), (784, 512, 256, 10), (1024, 2048, 2048, 10)
TRAIN = [
    Task("784-100-10, batch 64, SGD", "train", SMALL, 64, quick=True,
         sides=("matrix products alone", *OURS, "PyTorch", "PyTorch, fused", "PyTorch, compiled",
                "JAX, scan", "JAX, step by step", "scikit-learn", "the article"),
         goals={"matrix products alone": floor(1.2), "PyTorch": 1.8, "JAX, scan": 1.0,
                "scikit-learn": 2.3, "the article": 35}),
    Task("784-100-10, batch 64, Adam", "train", SMALL, 64, "adam",
         sides=(*OURS, "PyTorch, fused", "JAX, scan", "scikit-learn"),
         goals={"PyTorch, fused": 1.5, "scikit-learn": 2}),
    Task("784-512-256-10, batch 128, SGD", "train", MEDIUM, 128, samples=3840,
         sides=("matrix products alone", *OURS, "PyTorch", "JAX, scan"),
         goals={"matrix products alone": floor(1.12), "PyTorch": 1.0}),
    Task("1024-2048-2048-10, batch 256, SGD", "train", WIDE, 256, samples=1024,
         sides=("matrix products alone", *OURS, "PyTorch", "JAX, scan"),
         goals={"matrix products alone": floor(1.12), "PyTorch": 1.0}),
    *(Task(f"784-100-10, batch {batch}, SGD", "train", SMALL, batch,
           sides=("matrix products alone", *OURS, "PyTorch"), goals={"PyTorch": 1.0})
      for batch in (1, 8, 512, 4096)),
]  # fmt: skip
PREDICT = [
    Task("784-100-10, predict 1 sample", "predict", SMALL, 1, samples=1, quick=True,
         sides=(*OURS, "PyTorch", "scikit-learn", "onnxruntime"),
         goals={"PyTorch": 1.0, "scikit-learn": 1.0}),
    Task("784-100-10, predict 10,000 samples", "predict", SMALL, 10_000, samples=10_000,
         sides=(*OURS, "PyTorch", "scikit-learn", "onnxruntime"),
         goals={"PyTorch": 1.0, "scikit-learn": 1.0}),
]  # fmt: skip


def weights(sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the first weights and biases: the same for every side."""
    rng = np.random.default_rng(0)
    return [
        (
            (rng.standard_normal((a, b)) * math.sqrt(2 / a)).astype(np.float32),
            np.zeros(b, np.float32),
        )
        for a, b in pairwise(sizes)
    ]


def data(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and labels: MNIST where CHAINRULE_DATA names it, else random ones."""
    x, y = images()
    n_in = task.sizes[0]
    if x.shape[1] != n_in:
        rng = np.random.default_rng(1)
        x = rng.standard_normal((task.count, n_in), dtype=np.float32)
    repeats = -(-task.count // len(x))
    if repeats > 1:
        x, y = np.concatenate([x] * repeats), np.concatenate([y] * repeats)
    return np.ascontiguousarray(x[: task.count]), y[: task.count].copy()


def batches(task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
    x, y = data(task)
    starts = range(0, task.count, task.batch)
    return [(x[i : i + task.batch].copy(), y[i : i + task.batch].copy()) for i in starts]


def is_mnist() -> bool:
    return (Path(os.environ.get("CHAINRULE_DATA", "")) / "train-images-idx3-ubyte.gz").is_file()


@cache
def images(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Return normalised rows of 784 pixels, float32, and labels, int64."""
    if not is_mnist():
        rng = np.random.default_rng(2)
        count = 60_000 if split == "train" else 10_000
        return rng.standard_normal((count, 784), dtype=np.float32), rng.integers(0, 10, count)
    folder = Path(os.environ["CHAINRULE_DATA"])
    name = "train" if split == "train" else "t10k"

    def read(kind: str, header: int) -> Any:
        with gzip.open(folder / f"{name}-{kind}-ubyte.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    x = read("images-idx3", 16).reshape(-1, 784).astype(np.float32)
    x /= 255 * 0.3081
    x -= 0.1307 / 0.3081
    return x, read("labels-idx1", 8).astype(np.int64)
