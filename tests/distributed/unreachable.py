"""Workers where nobody may listen: python unreachable.py, started by mpiexec."""

import numpy as np

from chainrule.distributed import connect, lifelines


def not_allowed(near):
    raise OSError("ports are not allowed")


if __name__ == "__main__":
    lifelines._listen = not_allowed
    with connect(timeout=20) as workers:
        vector = np.ones(1)
        workers.sum(vector)
        if workers.first:
            print(vector[0])
