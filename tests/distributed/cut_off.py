"""In a network of its own: a training that loses it: cut_off.py MPIEXEC FOLDER MACHINES.

With one machine its workers find each other over ``lo``; with two, each in a network of its own,
over a wire between them. It is cut when the training has begun. Prints, as JSON, the code with
which it ends, after how many seconds, and which processes of it are left.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LOST_AFTER = "3"
SETTINGS = {
    "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_pml": "ob1", "OMPI_MCA_btl_tcp_if_include": "lo",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
# MPICH would find out that the two are one machine: let it talk over the wire.
TCP = {"MPIR_CVAR_CH4_NETMOD": "ucx", "MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp,self"}


def shell(line):
    subprocess.run(["sh", "-ec", line], check=True)


def wait_until(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.05)


def wire(folder):
    """Make another machine, and a wire to it; return it, and what starts a program there."""
    other = subprocess.Popen(["unshare", "-n", "sleep", "120"])
    own = os.readlink("/proc/self/ns/net")
    wait_until(lambda: os.readlink(f"/proc/{other.pid}/ns/net") != own)
    there = f"nsenter -t {other.pid} -n"
    shell(f"ip link add name here0 type veth peer name there0 netns {other.pid}")
    shell("ip addr add 10.7.0.1/24 dev here0 && ip link set here0 up")
    shell(f"{there} ip addr add 10.7.0.2/24 dev there0")
    shell(f"{there} ip link set lo up && {there} ip link set there0 up")
    for line in (["ip"], [*there.split(), "ip"]):
        show = [*line, "-br", "link", "show", "type", "veth"]
        wait_until(lambda show=show: " UP " in subprocess.check_output(show, text=True))
    remote = folder / "remote"  # in place of ssh: [OPTIONS] HOST COMMAND
    remote.write_text(f'#!/bin/sh\nshift; shift\nexec {there} sh -c "$*"\n')
    worker = folder / "worker"  # UCX looks up its devices in /sys, which is of the network
    worker.write_text(
        "#!/bin/sh\nmount -t sysfs none /sys\n"
        'export UCX_NET_DEVICES=$(ls /sys/class/net | grep 0)\nexec "$@"\n'
    )
    for file in (remote, worker):
        file.chmod(0o755)
    return other, remote, worker


def left(folder):
    """Return the processes that know the folder, but for those that started this one."""
    above, pid = set(), os.getpid()
    while pid > 1:
        above.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in words and int(path.parent.name) not in above:
            found.append(words)
    return found


def main(mpiexec, folder, machines):
    shell("ip link set lo up")
    command = [mpiexec, "-n", "2"]
    program = [sys.executable, HERE / "faulty.py", "cut", folder, "120", LOST_AFTER]
    environment, other, cut = {**os.environ, **SETTINGS}, None, "lo"
    if machines == 2:
        other, remote, worker = wire(folder)
        environment, cut = environment | TCP, "here0"
        command += ["-ppn", "1", "-hosts", "10.7.0.1,10.7.0.2", "-localhost", "10.7.0.1"]
        command += ["-launcher", "ssh", "-launcher-exec", remote, "unshare", "-m", worker]
    try:
        child = subprocess.Popen([*command, *program], env=environment)
        wait_until((folder / "begun").exists)
        shell(f"ip link set {cut} down")
        start = time.monotonic()
        code = child.wait(timeout=60)
        seconds = time.monotonic() - start
        wait_until(lambda: not left(folder))
    finally:
        print(json.dumps({"code": code, "seconds": seconds, "left": left(folder)}))
        if other is not None:
            other.kill()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
