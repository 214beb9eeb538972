"""Several workers that talk by MPI: the one file that knows it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.distributed.cores import THREADS, threads_each
from chainrule.distributed.watch import Watchdog
from chainrule.distributed.workers import Pending, Workers
from chainrule.layer import Array

if TYPE_CHECKING:
    from chainrule.distributed.lifelines import Lifelines

__all__ = ["PIECE", "MPIWorkers", "connect", "started_by_mpi"]

# Values that travel at a time: what one piece leaves in the cache, the next finds there.
PIECE = 1 << 20
FORWARDING = 0.3  # seconds in which the launcher hands on what was printed, before all is ended
GRACE = 3.0  # seconds in which all must fail, if they fail alike
# Set by the launchers of MPICH and its kin, of Open MPI, and of what speaks PMIx (as Slurm).
SIZES = {"OMPI_COMM_WORLD_SIZE": "Open MPI", "PMI_SIZE": "MPICH", "MPI_LOCALNRANKS": "MPICH"}
RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MPI_LOCALRANKID")
# How many were started, in words of the same and of Slurm: of one, nobody need know MPI.
COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def started_by_mpi() -> bool:
    """Whether this process was started by ``mpiexec``, or by what a cluster has in its place.

    Examples
    --------
    >>> started_by_mpi()
    False
    """
    return any(name in os.environ for name in RANKS)


def connect(*, timeout: float = 300.0, lost_after: float = 10.0) -> Workers:
    """Return the workers that ``mpiexec`` started this process with; one alone without it.

    Use it as ``with connect() as workers:``. An error in one worker then ends all of them, with
    its traceback. So does the end of the launcher, or of a worker.

    Parameters
    ----------
    timeout : float
        How many seconds a worker waits for the others, who may be slow or stopped, before it ends
        the job.
    lost_after : float
        After how many seconds without a sign of life a machine is taken for lost, or the network
        to it, which ends the job. The machines give these signs, not the workers: one that is slow
        or stopped is not lost. At least 2; ``inf`` does without.

    Raises
    ------
    ModuleNotFoundError
        If mpi4py is not installed.
    RuntimeError
        If the launcher and the MPI that was loaded do not belong together.

    Examples
    --------
    >>> from chainrule.distributed import connect
    >>> with connect() as workers:
    ...     print(workers)
    <worker 0 of 1>
    """
    if not timeout > 0:
        raise ValueError(f"connect: timeout must be above 0 seconds, got {timeout}.")
    if not lost_after >= 2:
        raise ValueError(f"connect: lost_after must be at least 2 seconds, got {lost_after}.")
    if not started_by_mpi() or any(os.environ.get(name) == "1" for name in COUNTS):
        return Workers()
    return MPIWorkers(timeout=timeout, lost_after=lost_after)


class MPIWorkers(Workers):
    """The workers of ``MPI_COMM_WORLD``; see :func:`connect`."""

    def __init__(self, *, timeout: float = 300.0, lost_after: float = 10.0) -> None:
        self._mpi = _library()
        world = self._mpi.COMM_WORLD
        self.rank, self.size = world.rank, world.size
        _check_launcher(self.size, self._mpi)
        # Of their own: nobody else's messages come between, nor ours between the ends.
        self._comm, self._ends = world.Dup(), world.Dup()
        _unlink_shared_memory(world)
        near = _share_cores(world, self._mpi)
        self._settled: BaseException | None = None
        self._watchdog = Watchdog(f"worker {self.rank} of {self.size}", timeout)
        self._watchdog.start()
        self._lifelines = self._tie(lost_after, near=near)
        _take_for_ctrl_c()
        self._hook = sys.excepthook
        sys.excepthook = self._excepthook

    # -- what they tell each other --------------------------------------------------------------

    def sum(self, vector: Array) -> None:
        """Put the sum of all workers' vectors into each of them, in place, piece by piece."""
        with self._watchdog.waiting("a sum"), _wide(vector) as flat:
            for start in range(0, flat.size, PIECE):
                self._comm.Allreduce(self._mpi.IN_PLACE, flat[start : start + PIECE])

    def start_sum(self, vector: Array) -> Pending:
        """Begin to do so; until ``wait`` nobody may touch the vector."""
        return _Sums(self, vector)

    def gather(self, array: Array) -> list[Array]:
        """Return the arrays of all workers, by rank; they may differ in shape and type."""
        with self._watchdog.waiting("what the others have"):
            array = np.ascontiguousarray(array)
            head = f"{array.dtype.str} {' '.join(map(str, array.shape))}".encode()
            heads = [
                a.tobytes().decode().split(" ")
                for a in self._gather_bytes(np.frombuffer(head, np.uint8))
            ]
            bodies = self._gather_bytes(array.reshape(-1).view(np.uint8))
        return [
            body.view(np.dtype(kind)).reshape([int(n) for n in shape if n])
            for (kind, *shape), body in zip(heads, bodies, strict=True)
        ]

    def fill(self, vector: Array, bounds: list[int]) -> None:
        """Fill the vector in place: worker ``r`` has what lies from ``bounds[r]`` on."""
        content = vector.view(np.uint8)
        starts = [bound * vector.itemsize for bound in bounds]
        counts = [stop - start for start, stop in pairwise(starts)]
        with self._watchdog.waiting("the others' part of the parameters"):
            self._comm.Allgatherv(
                self._mpi.IN_PLACE, [content, counts, starts[:-1], self._mpi.BYTE]
            )

    def broadcast(self, content: bytes) -> bytes:
        """Return what worker 0 has."""
        with self._watchdog.waiting("what worker 0 has"):
            length = np.array([len(content)], np.int64)
            self._comm.Bcast(length)
            buffer = np.empty(int(length[0]), np.uint8)
            if self.first:
                buffer[:] = np.frombuffer(content, np.uint8)
            for start in range(0, buffer.size, 4 * PIECE):
                self._comm.Bcast(buffer[start : start + 4 * PIECE])
        return buffer.tobytes()

    def _gather_bytes(self, mine: Array) -> list[Array]:
        counts = np.empty(self.size, np.int64)
        self._comm.Allgather(np.array([mine.size], np.int64), counts)
        whole = np.empty(int(counts.sum()), np.uint8)
        self._comm.Allgatherv(mine, [whole, counts, self._mpi.BYTE])
        return np.split(whole, np.cumsum(counts)[:-1])

    # -- how they end ---------------------------------------------------------------------------

    def failed(self, error: BaseException) -> None:
        """Tell the others of an error; it must then come out."""
        settled = self._settled
        if settled is not None and settled in (error, error.__cause__):  # perhaps in other words
            return
        # The others' patience must not end first: their words would be in the place of these.
        failures = self._end(failed=True, seconds=min(GRACE, self._watchdog.timeout / 2))
        if failures is None:  # the others are at work, and wait for this one
            self._report(error)
            self._mpi.COMM_WORLD.Abort(_code(error))
        self._settled = error
        if failures != self.size:  # the others have come to their end: each goes its own way
            return
        words = [type(error).__name__, str(error)]
        first = self._ends.allgather(words)[0]
        # Of one kind, or in the same words: worker 0 prints it.
        if not self.first and (words[0] == first[0] or words[1] == first[1]):
            error.said_elsewhere = True  # type: ignore[attr-defined]  # the command asks
            if isinstance(error, SystemExit):
                error.code = _code(error)  # words in it would be printed

    def close(self) -> None:
        """Wait until all have come to their end."""
        self._end(failed=False, seconds=float("inf"))
        self._watchdog.stop()
        if self._lifelines is not None:
            self._lifelines.close()
        sys.excepthook = self._hook

    def _tie(self, lost_after: float, *, near: bool) -> Lifelines | None:
        if self.size == 1 or lost_after == float("inf"):
            return None
        from chainrule.distributed.lifelines import Lifelines

        lines = Lifelines(self.rank, self.size, lost_after, self._watchdog.lost)
        offers = self.gather_text(lines.offer(near=near))
        told = self.gather_text(lines.reach(offers))
        lines.watch(told)
        if self.first and any(told):
            print(
                f"chainrule: {next(filter(None, told))}: a network that goes away will be noticed "
                f"after {self._watchdog.timeout:g} s only.", file=sys.stderr, flush=True,
            )  # fmt: skip
        return lines

    def _report(self, error: BaseException) -> None:
        import traceback

        lines = [f"chainrule: worker {self.rank} of {self.size} failed:\n"]
        lines += traceback.format_exception(error)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            # In one piece: other workers may print too.
            os.write(2, "".join(lines).encode("utf-8", "backslashreplace"))
        time.sleep(FORWARDING)

    def _end(self, *, failed: bool, seconds: float) -> int | None:
        """Return how many fail when all have come to an end; None if they do not come in time."""
        failures, deadline = np.array([failed], np.int64), time.monotonic() + seconds
        ends = self._ends.Iallreduce(self._mpi.IN_PLACE, failures)
        while not ends.Test():
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        return int(failures[0])

    def _excepthook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self.failed(error)
        if not getattr(error, "said_elsewhere", False):
            self._hook(kind, error, trace)


class _Sums(Pending):
    """The sums of the pieces of a vector."""

    def __init__(self, workers: MPIWorkers, vector: Array) -> None:
        self._workers, mpi = workers, workers._mpi
        self._wide = _wide(vector)
        flat = self._wide.__enter__()
        self._requests = [
            workers._comm.Iallreduce(mpi.IN_PLACE, flat[start : start + PIECE])
            for start in range(0, flat.size, PIECE)
        ]

    def poke(self) -> None:
        """Let it go on: most networks move a message only while MPI is being called."""
        self._workers._mpi.Request.Testall(self._requests)

    def wait(self) -> None:
        """Return when it has arrived."""
        with self._workers._watchdog.waiting("a sum"):
            self._workers._mpi.Request.Waitall(self._requests)
        self._wide.__exit__(None, None, None)


@contextlib.contextmanager
def _wide(vector: Array) -> Iterator[Array]:
    """Yield a float type that MPI knows: float16 is none, and its sums would round too."""
    if vector.itemsize >= 4:
        yield vector
    else:
        wide = vector.astype(np.float32)
        yield wide
        vector[...] = wide


def _code(error: BaseException) -> int:
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code:
        return error.code
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _library() -> Any:
    """Return mpi4py's MPI, begun for calls from one thread."""
    try:
        import mpi4py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "several workers need mpi4py: pip install 'chainrule[mpi]'", name="mpi4py"
        ) from error
    if "mpi4py.MPI" not in sys.modules:
        mpi4py.rc.thread_level = "funneled"  # others let each call lock
        for name, value in _mpich_settings().items():
            os.environ.setdefault(name, value)
        if "OMPI_COMM_WORLD_SIZE" in os.environ:  # that MPI, even if another's wheel is nearer
            os.environ.setdefault("MPI4PY_LIBMPI", _open_mpi())
    from mpi4py import MPI

    return MPI


def _mpich_settings() -> dict[str, str]:
    """Return variables of MPICH, which other MPIs do not know.

    Its own way inside a machine turns idle while it waits: with the usual one the sum of 80,000
    values takes two workers a quarter of the time, and four workers on two cores a hundredth.
    """
    usual = {
        f"MPIR_CVAR_{name}_POSIX_INTRA_ALGORITHM": "mpir"
        for name in ("ALLREDUCE", "BCAST", "BARRIER", "REDUCE")
    }
    beside = os.environ.get("MPI_LOCALNRANKS", "")
    if beside.isdecimal() and threads_each(1) < int(beside):  # not a core for each: let others run
        usual |= {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "50"}
    return usual


def _open_mpi() -> str:
    """Return where the library of the Open MPI is that started this process."""
    from pathlib import Path

    prefixes = [os.environ.get("OPAL_PREFIX"), os.environ.get("OMPI_HOME"), sys.prefix]
    for prefix in filter(None, prefixes):
        for library in Path(prefix, "lib").glob("libmpi.so.40*"):
            return str(library)
    return "libmpi.so.40"


def _take_for_ctrl_c() -> None:
    """Let SIGUSR1, which Open MPI hands on, do what Ctrl-C does, if nobody else uses it."""
    number = getattr(signal, "SIGUSR1", None)  # Windows has none
    if number is not None and signal.getsignal(number) is signal.SIG_DFL:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _unlink_shared_memory(world: Any) -> None:
    """Take away the names of the memory that MPICH shares between processes of a machine.

    All have it by now, and it goes with the last of them. With its name it would stay when they are
    killed.
    """
    world.Barrier()
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        for path in {line.split()[-1] for line in maps if "/dev/shm/mpich_shm_" in line}:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _share_cores(world: Any, mpi: Any) -> bool:
    """Let the matrix products of each worker use its part of the machine's cores.

    As many threads as there are cores in each of them would wait for each other, and a step take
    many times as long. Whoever has set a number in the environment knows better.

    Returns whether all workers are on this machine.
    """
    beside = world.Split_type(mpi.COMM_TYPE_SHARED)
    if not any(name in os.environ for name in THREADS):
        with contextlib.suppress(ImportError):
            import threadpoolctl

            threadpoolctl.threadpool_limits(threads_each(beside.size), "blas")
    near: bool = beside.size == world.size
    beside.Free()
    return near


def _check_launcher(size: int, mpi: Any) -> None:
    for name, launcher in SIZES.items():
        told = os.environ.get(name, "")
        if told.isdecimal() and int(told) > 1 and size == 1:
            loaded = mpi.Get_library_version().splitlines()[0].strip()
            raise RuntimeError(
                f"connect: {launcher}'s mpiexec started {told} workers, and mpi4py has loaded "
                f"another MPI ({loaded:.60}), in which each is alone. Use the mpiexec of that one "
                "(chainrule train --workers finds it), or name the other's library in the "
                "variable MPI4PY_LIBMPI."
            )
