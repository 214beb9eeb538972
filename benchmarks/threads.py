"""What a second thread does for a matrix product, by its size.

Run: python benchmarks/threads.py      (needs threadpoolctl)
"""

import time
from statistics import median

import numpy as np
import threadpoolctl

# (rows, inner, columns): products of small nets, forward and backward, and of wide ones
SIZES = [
    (64, 100, 10), (64, 64, 64), (64, 128, 64), (64, 256, 128), (8, 784, 100), (64, 784, 100),
    (784, 64, 100), (128, 784, 512), (512, 784, 100), (4096, 784, 100), (256, 2048, 2048),
]  # fmt: skip


def main() -> None:
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    library = controller.lib_controllers[0]
    most = library.num_threads
    counts = sorted({1, *(2**i for i in range(1, most.bit_length())), most})
    rng = np.random.default_rng(0)
    print(f"{library.internal_api} {library.version}, {getattr(library, 'architecture', '')}")
    print("| product | million operations | " + " | ".join(f"{n} threads, µs" for n in counts))
    print("|---|---:" + "|---:" * len(counts))
    for m, k, n in SIZES:
        a, b = (rng.standard_normal(s, dtype=np.float32) for s in ((m, k), (k, n)))
        out = np.empty((m, n), np.float32)
        repeats = max(1, int(2e-3 / (2 * m * k * n / 5e10 + 1e-6)))
        times: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(21):
            for count in counts:
                library.set_num_threads(count)
                np.matmul(a, b, out=out)
                start = time.perf_counter()
                for _ in range(repeats):
                    np.matmul(a, b, out=out)
                times[count].append((time.perf_counter() - start) / repeats * 1e6)
        cells = " | ".join(f"{median(times[count]):.1f}" for count in counts)
        print(f"| {m} x {k} x {n} | {2 * m * k * n / 1e6:.2f} | {cells}")
    library.set_num_threads(most)


if __name__ == "__main__":
    main()
