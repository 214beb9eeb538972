"""Training on several processes: who they are, and what they tell each other."""

from chainrule.distributed.mpi import connect, started_by_mpi
from chainrule.distributed.workers import Pending, Workers

__all__ = ["Pending", "Workers", "connect", "started_by_mpi"]
