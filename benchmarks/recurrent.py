"""A step of training of recurrent layers beside PyTorch: forward, backward, SGD; one run, medians.

The two sides take turns, so that what else the machine does meets both alike.

python benchmarks/recurrent.py [--layer LSTM|GRU|RNN] [--threads 1]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

N_IN, N_HIDDEN, STEPS, SAMPLES, ROUNDS, RATE = 128, 128, 64, 32, 101, 1e-3


# Having freed a large array once, the C library keeps what PyTorch frees, as in a program that has
# loaded its data; else PyTorch would take its memory anew at every step.
bytes(30 << 20)


def our_step(kind: str) -> Callable[[], None]:
    import numpy as np

    import chainrule as cr

    layer = getattr(cr, kind)(N_IN, N_HIDDEN)
    model = cr.Model([layer], cr.MeanSquaredError())
    optimizer = cr.SGD(RATE)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, STEPS, N_IN)).astype(np.float32)
    y = rng.standard_normal((SAMPLES, STEPS, N_HIDDEN)).astype(np.float32)

    def step() -> None:
        model.loss(x, y)
        model.backward()
        optimizer.step(model.parameters, model.gradients)

    return step


def their_step(kind: str, threads: int) -> Callable[[], None]:
    import torch

    torch.set_num_threads(threads)
    layer = getattr(torch.nn, kind)(N_IN, N_HIDDEN, batch_first=True)
    optimizer = torch.optim.SGD(layer.parameters(), RATE)
    x, y = torch.randn(SAMPLES, STEPS, N_IN), torch.randn(SAMPLES, STEPS, N_HIDDEN)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(x)[0], y).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", choices=["LSTM", "GRU", "RNN"], action="append")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for library in ("OPENBLAS", "MKL", "OMP"):  # read when NumPy and PyTorch are imported
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads)
    print(
        f"{N_IN} -> {N_HIDDEN}, {STEPS} steps, {SAMPLES} samples, float32, "
        f"{options.threads} thread(s), medians of {ROUNDS}"
    )
    for kind in options.layer or ["LSTM", "GRU", "RNN"]:
        sides = {"chainrule": our_step(kind), "PyTorch": their_step(kind, options.threads)}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for side in sides.values():
            side()
        for _ in range(ROUNDS):
            for name, side in sides.items():
                start = time.perf_counter()
                side()
                times[name].append(1000 * (time.perf_counter() - start))
        ours, theirs = (statistics.median(times[name]) for name in sides)
        print(
            f"{kind:<5} chainrule {ours:6.2f} ms   PyTorch {theirs:6.2f} ms   {ours / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
