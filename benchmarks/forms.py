"""The fast form of a line beside its plain form: why the library has the one it has.

Each pair is timed in one run, alternating; the table gives medians in microseconds.

Run: python benchmarks/forms.py
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from chainrule import Conv2d
from chainrule.layers import correlation
from chainrule.layers.bands import neighbours
from chainrule.layers.rows import row_max, row_sum

Pair = tuple[Callable[[], object], Callable[[], object]]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def sum_over_samples(rows: int, columns: int) -> Pair:
    grad, out, ones = normal(rows, columns), normal(columns), np.ones(rows, np.float32)
    return lambda: np.sum(grad, axis=0, out=out), lambda: np.matmul(ones, grad, out=out)


def greatest_of_rows(rows: int, columns: int) -> Pair:
    x = normal(rows, columns)
    return lambda: x.max(axis=-1, keepdims=True), lambda: row_max(x)


def sum_of_rows(rows: int, columns: int) -> Pair:
    x = normal(rows, columns)
    return lambda: x.sum(axis=-1, keepdims=True), lambda: row_sum(x)


def outer_product(n_in: int, n_out: int) -> Pair:
    x, grad, out = normal(1, n_in), normal(1, n_out), normal(n_in, n_out)
    return lambda: np.matmul(x.T, grad, out=out), lambda: np.multiply(x.T, grad, out=out)


def one_hot(samples: int, classes: int) -> Pair:
    labels = np.random.default_rng(0).integers(0, classes, samples)
    rows = normal(samples, classes)

    def put() -> None:
        rows.fill(0)
        np.put_along_axis(rows, labels[:, None], 1, axis=-1)

    return put, lambda: np.equal(labels[:, None], np.arange(classes), out=rows)


def gather(samples: int, features: int) -> Pair:
    x, out = normal(20_000, features), normal(samples, features)
    chosen = np.random.default_rng(0).permutation(len(x))[:samples]
    return lambda: x[chosen], lambda: np.take(x, chosen, axis=0, out=out, mode="clip")


def gradient_step(size: int, block: int) -> Pair:
    w, g, scratch = normal(size), normal(size), normal(size)

    def whole() -> None:
        np.subtract(w, np.multiply(g, 0.1, out=scratch), out=w)

    def blocks() -> None:
        for i in range(0, size, block):
            part = w[i : i + block]
            part -= np.multiply(g[i : i + block], 0.1, out=scratch[: part.size])

    return whole, blocks


def convolution(length: int, channels: int, outputs: int, size: int) -> Pair:
    layer = Conv2d(channels, outputs, size)
    layer._buffers = {}  # as in a model
    x = normal(64, length, length, channels)
    grad = normal(64, length - size + 1, length - size + 1, outputs)
    back = layer.backward_parameters if channels == 1 else layer.backward

    def passes(how: Callable[..., int]) -> None:
        correlation.neighbours = how
        layer.forward(x)
        back(grad)
        correlation.neighbours = neighbours

    return lambda: passes(lambda *_, **__: 1), lambda: passes(neighbours)


def best_places(length: int, channels: int) -> Pair:
    """Two comparisons of one place of all windows: what max pooling does for each place."""
    image = normal(64, length, length, channels)[:, ::2, ::2]
    best, seen, wins = normal(*image.shape), normal(*image.shape), np.empty(image.shape, bool)

    def twice() -> None:
        np.greater_equal(image, best, out=wins)
        np.maximum(best, image, out=best)

    def once() -> None:
        seen[...] = image
        np.greater_equal(seen, best, out=wins)
        np.maximum(best, seen, out=best)

    return twice, once


def pairs() -> list[tuple[str, Pair]]:
    sizes = [(64, 10), (64, 100), (256, 2048), (4096, 100), (36864, 16)]
    rows = [(64, 10), (64, 1000), (4096, 10), (2048, 64)]
    return [
        *((f"sum over {m} samples of {n}: sum(axis=0) | ones @ x", sum_over_samples(m, n))
          for m, n in sizes),
        *((f"greatest of each row, {m} x {n}: max | argmax", greatest_of_rows(m, n))
          for m, n in rows),
        *((f"sum of each row, {m} x {n}: sum | x @ ones", sum_of_rows(m, n)) for m, n in rows),
        ("gradient of 784 x 100 weights, one sample: matmul | multiply", outer_product(784, 100)),
        ("one-hot rows, 64 x 10: put_along_axis | equal", one_hot(64, 10)),
        ("gather 64 x 784: x[i] | take into a buffer", gather(64, 784)),
        *((f"step of SGD, {n:,} parameters: whole | blocks of 131,072", gradient_step(n, 131_072))
          for n in (78_510, 535_818, 6_316_042)),
        *((f"convolution {k} x {k} of {n} x {n}, {a} to {b} channels, both passes: one window"
           " | neighbours at a time", convolution(n, a, b, k))
          for n, a, b, k in ((28, 1, 6, 5), (12, 6, 16, 5), (28, 1, 16, 5), (12, 16, 32, 5),
                             (32, 3, 16, 3), (32, 16, 16, 3))),
        *((f"a place of pooling's windows, {n} x {n} x {c}: read twice | copied first",
           best_places(n, c)) for n, c in ((24, 6), (24, 16), (32, 32))),
    ]  # fmt: skip


def timed(pair: Pair, rounds: int = 31) -> list[float]:
    start = time.perf_counter()
    pair[0]()
    repeats = max(1, int(1e-3 / (time.perf_counter() - start + 1e-9)))
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for form, kept in zip(pair, times, strict=True):
            start = time.perf_counter()
            for _ in range(repeats):
                form()
            kept.append((time.perf_counter() - start) / repeats * 1e6)
    return [median(kept) for kept in times]


def main() -> None:
    print("| what: plain form \\| form in use | plain, µs | in use, µs | ratio |")
    print("|---|---:|---:|---:|")
    for name, pair in pairs():
        plain, used = timed(pair)
        what = name.replace("|", "\\|")
        print(f"| {what} | {plain:.1f} | {used:.1f} | {plain / used:.2f} |")


if __name__ == "__main__":
    main()
