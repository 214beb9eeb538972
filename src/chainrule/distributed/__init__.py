"""Training on several processes: who they are, and what they tell each other."""

from chainrule.distributed.workers import Pending, Workers

__all__ = ["Pending", "Workers", "connect", "started_by_mpi"]


def __getattr__(name: str) -> object:
    if name in ("connect", "started_by_mpi"):  # what needs MPI is imported when it is asked for
        from chainrule.distributed import mpi

        return getattr(mpi, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
