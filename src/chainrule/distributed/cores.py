"""How the cores of a machine are shared among the workers on it."""

import os

__all__ = ["THREADS", "threads_each"]

# What says how many threads a matrix product may use.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def threads_each(workers: int) -> int:
    """Return how many threads each of so many workers has: a part of the cores, one at least.

    Examples
    --------
    >>> threads_each(1_000_000)
    1
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // workers)
