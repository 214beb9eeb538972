"""Does the background thread hide the augmentation behind the step of the net?

Times a mini-batch of 64 images of 28 by 28, shifted, turned and zoomed: the step alone, the
augmentation alone, one after the other, and with the thread; and SciPy's augmentation beside ours.
All are measured in turn in one process, and the medians shown. It needs a second core that is free:
on a busy machine the thread waits for it, and hides little.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/augmentation.py [--rounds N]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from chainrule import SGD, Batches, Flatten, Linear, Model, ReLU, SoftmaxCrossEntropy
from chainrule.data import Augment, Augmented
from chainrule.data.augment import warp

STEPS = 50


def in_turn(cases: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each case in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def hiding(hidden: int, rounds: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((64 * STEPS, 28, 28), dtype=np.float32)
    batches = Batches(x, rng.integers(0, 10, len(x)))
    augment = Augment(shift=2, rotate=15, zoom=0.1)
    layers = [Linear(784, hidden), ReLU(), Linear(hidden, hidden), ReLU(), Linear(hidden, 10)]
    net, optimizer = Model([Flatten(), *layers], SoftmaxCrossEntropy()), SGD(0.01)

    def steps(data: Iterable[Any]) -> None:
        for x, y in data:
            net.loss(x, y)
            net.backward()
            optimizer.step(net.parameters, net.gradients)

    cases = {
        "step alone": lambda: steps(batches),
        "augmentation alone": lambda: list(Augmented(batches, augment, ahead=0)),
        "one after the other": lambda: steps(Augmented(batches, augment, ahead=0)),
        "with the thread": lambda: steps(Augmented(batches, augment)),
    }
    medians = in_turn(cases, rounds)
    print(f"784-{hidden}-{hidden}-10, a mini-batch:")
    for name, median in medians.items():
        print(f"  {name:20} {median / STEPS:7.3f} ms")


def against_scipy(rounds: int) -> None:
    from scipy.ndimage import affine_transform

    rng = np.random.default_rng(0)
    x = rng.random((64, 28, 28), dtype=np.float32)
    degrees, zoom = rng.uniform(-15, 15, 64), rng.uniform(0.9, 1.1, 64)
    down, right = rng.integers(-2, 3, (2, 64))

    def scipys() -> np.ndarray:
        out, centre = np.empty_like(x), np.array([13.5, 13.5])
        for i, angle in enumerate(np.deg2rad(degrees)):
            cos, sin = np.cos(angle) / zoom[i], np.sin(angle) / zoom[i]
            turn = np.array([[cos, sin], [-sin, cos]])
            offset = centre - turn @ (centre + np.array([down[i], right[i]]))
            affine_transform(x[i], turn, offset, output=out[i], order=1, mode="grid-constant")
        return out

    def ours() -> np.ndarray:
        return warp(x, degrees, zoom, down, right)

    np.testing.assert_allclose(ours(), scipys(), atol=1e-5)
    medians = in_turn({"ours": ours, "SciPy's": scipys}, 20 * rounds)
    print("shift, turn and zoom of 64 images of 28 by 28:")
    for name, median in medians.items():
        print(f"  {name:20} {median:7.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    for hidden in (100, 300, 1000):
        hiding(hidden, options.rounds)
    against_scipy(options.rounds)


if __name__ == "__main__":
    main()
