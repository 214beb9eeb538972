"""In a network namespace of its own: a training that loses its network: cut_off.py MPIEXEC FOLDER.

Prints the code with which it ends. Over TCP it waits for three seconds.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

TCP = {  # asks Open MPI for it; MPICH takes the shared memory of the machine
    "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_pml": "ob1", "OMPI_MCA_btl_tcp_if_include": "lo",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip


def main(mpiexec, folder):
    faulty = Path(__file__).parent / "faulty.py"
    command = [mpiexec, "-n", "2", sys.executable, faulty, "sluggish", folder, "3"]
    child = subprocess.Popen(command, env={**os.environ, **TCP})
    until = time.monotonic() + 30
    while not (folder / "begun").exists() and time.monotonic() < until:
        time.sleep(0.05)
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    print(child.wait(timeout=50))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
