"""Where a step of LeNet spends its time: layer by layer, beside PyTorch and the bare products.

One process and one thread; the sides take turns, and each number is a median in microseconds, of
processor time, so that other programs disturb it less. The bare products are those of a convolution
whose windows lie gathered already, and of a linear layer.

    python benchmarks/lenet.py [--rounds 100] [--batch 64]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # the number of threads is read when it is loaded

import chainrule as cr
import chainrule.compiled

Times = dict[tuple[str, str, int], list[float]]  # (side, direction, layer)
OURS = ("chainrule", "compiled")


def ours() -> Any:
    layers = [
        cr.Conv2d(1, 6, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Conv2d(6, 16, 5), cr.ReLU(), cr.MaxPool2d(2),
        cr.Flatten(), cr.Linear(256, 120), cr.ReLU(), cr.Linear(120, 84), cr.ReLU(),
        cr.Linear(84, 10),
    ]  # fmt: skip
    return cr.Model(layers, cr.SoftmaxCrossEntropy())


def theirs() -> Any:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def timed(kept: list[float], work: Callable[[], Any]) -> Any:
    start = time.process_time()
    result = work()
    kept.append(1e6 * (time.process_time() - start))
    return result


def our_layers(side: str, model: Any, x: Any, y: Any, times: Times) -> None:
    model.training = True
    for i, layer in enumerate(model.layers):
        x = timed(times[side, "forward", i], lambda layer=layer, x=x: layer.forward(x))
    model.cost.forward(x, y)
    grad = model.cost.backward()
    for i, layer in reversed(list(enumerate(model.layers))):
        back = layer.backward if i else layer.backward_parameters
        grad = timed(times[side, "backward", i], lambda back=back, grad=grad: back(grad))


def their_layers(net: Any, x: Any, y: Any, times: Times) -> None:
    import torch

    passed = []
    for i, layer in enumerate(net):
        x = x.detach().requires_grad_(i > 0)
        out = timed(times["PyTorch", "forward", i], lambda layer=layer, x=x: layer(x))
        passed.append((x, out))
        x = out
    x = x.detach().requires_grad_()
    torch.nn.functional.cross_entropy(x, y).backward()
    grad = x.grad
    for i, (x, out) in reversed(list(enumerate(passed))):
        for parameter in net[i].parameters():
            parameter.grad = None
        timed(times["PyTorch", "backward", i], lambda out=out, grad=grad: out.backward(grad))
        grad = x.grad


def products(model: Any, batch: int) -> dict[tuple[str, int], Callable[[], Any]]:
    """Return the bare products of each layer, into arrays that are there already."""
    found: dict[tuple[str, int], Callable[[], Any]] = {}
    rng = np.random.default_rng(1)
    for i, layer in enumerate(model.layers):
        if "weights" not in layer.parameter_shapes():
            continue
        weights = layer.weights.reshape(-1, layer.weights.shape[-1])
        rows = batch * (1 if layer.weights.ndim == 2 else {0: 24 * 24, 3: 8 * 8}[i])
        seen = rng.standard_normal((rows, len(weights)), dtype=np.float32)
        grad = rng.standard_normal((rows, weights.shape[1]), dtype=np.float32)
        y, grad_w, sent = np.empty_like(grad), np.empty_like(weights), np.empty_like(seen)

        def back(
            seen: Any = seen, grad: Any = grad, w: Any = weights, to: Any = grad_w,
            sent: Any = sent, first: bool = i == 0,
        ) -> None:  # fmt: skip
            np.matmul(seen.T, grad, out=to)
            if not first:
                np.matmul(grad, w.T, out=sent)

        found["forward", i] = lambda seen=seen, w=weights, y=y: np.matmul(seen, w, out=y)
        found["backward", i] = back
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    import torch

    np.ones(30 << 20, np.uint8).sum()  # as in convolution.py: memory that is freed is kept
    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.batch, 28, 28, 1), dtype=np.float32)
    y = rng.integers(0, 10, options.batch)
    their_x, their_y = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(y)
    models = {side: ours() for side in OURS}
    optimizers = {side: cr.SGD(0.01) for side in OURS}
    net = theirs()
    their_optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    bare = products(models["chainrule"], options.batch)

    def our_step(side: str) -> None:
        models[side].loss(x, y)
        models[side].backward()
        optimizers[side].step(models[side].parameters, models[side].gradients)

    def their_step() -> None:
        their_optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(their_x), their_y).backward()
        their_optimizer.step()

    sides = (*OURS, "PyTorch")
    layers = range(len(net))
    for round_ in range(options.rounds + 5):
        if round_ in (0, 5):  # the first rounds warm it up, and compile
            steps: dict[str, list[float]] = {side: [] for side in sides}
            times: Times = {
                (side, way, i): []
                for side in (*sides, "products") for way in ("forward", "backward") for i in layers
            }  # fmt: skip
        for side in sides if round_ % 2 else sides[::-1]:
            if side == "PyTorch":
                timed(steps[side], their_step)
                their_layers(net, their_x, their_y, times)
                continue
            if side == "compiled":
                chainrule.compiled.enable()
            timed(steps[side], lambda side=side: our_step(side))
            our_layers(side, models[side], x, y, times)
            chainrule.compiled.disable()
        for (way, i), product in bare.items():
            timed(times["products", way, i], product)

    print("| layer | " + " | ".join(f"{w} {s}" for w in ("forward", "backward")
                                   for s in ("products", *sides)) + " |")  # fmt: skip
    print("|---|" + "---:|" * 8)
    for i in layers:
        cells = [
            f"{statistics.median(times[side, way, i]):,.0f}" if times[side, way, i] else ""
            for way in ("forward", "backward")
            for side in ("products", *sides)
        ]
        print(f"| {models['chainrule'].layers[i]!r} | {' | '.join(cells)} |")
    for side in sides:
        low, middle, high = statistics.quantiles(steps[side], n=4)
        pairs = zip(steps["PyTorch"], steps[side], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{side}: a step {middle:,.0f} µs ({low:,.0f}–{high:,.0f}), "
              f"PyTorch's time over its: {ratio:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
