"""A machine that fails, or a network that goes away, is noticed soon; a slow worker is let be."""

import contextlib
import json
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.distributed import lifelines
from chainrule.distributed.launch import _environment, find_mpiexec, launch
from chainrule.distributed.lifelines import FAN, Lifelines
from chainrule.distributed.watch import EXIT_CODE

HERE = Path(__file__).parent
SOON = 60  # seconds on a busy machine; alone it takes three


def test_a_stranger_who_dawdles_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(lifelines, "ALIVE", 0.3)
    line = Lifelines(0, 2, 2.0, lambda *of: None)
    offer = json.loads(line.offer(near=True))
    with socket.create_connection((offer["where"][0], offer["port"])) as stranger:
        said = 0
        while not select.select([stranger], [], [], 0.1)[0]:  # until it is hung up
            stranger.send(b"?")
            said += 1
        assert said < lifelines.TOKEN
    line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process is called")
def test_a_worker_ends_whatever_the_one_above_it_is_called(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "from chainrule.distributed.watch import Watchdog\n"
        "Watchdog('worker 0', 9.0).lost(1, silent=True)\n"
    )
    named = (
        "import ctypes, subprocess, sys\n"
        "ctypes.CDLL(None).prctl(15, b'\\xe4\\xff(x) 1')\n"  # PR_SET_NAME
        "sys.exit(subprocess.run([sys.executable, sys.argv[1]], timeout=60).returncode)\n"
    )
    command = [sys.executable, "-c", named, worker]
    assert subprocess.run(command, timeout=90, check=False).returncode == EXIT_CODE


def test_workers_are_launched_from_any_thread():
    codes = queue.Queue()
    command = [sys.executable, "-c", "raise SystemExit(5)"]
    threading.Thread(target=lambda: codes.put(launch(command, 1)), daemon=True).start()
    assert codes.get(timeout=SOON) == 5


# -- whole trainings, whose network is cut ------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, run):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(2, "faulty.py", "none", folder).returncode == 0
    return dict(np.load(folder / "end.npz"))


def own_network():
    """Return the command that starts another one in a network of its own, or skip."""
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        pytest.skip("no network namespaces here")
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        attempt = [
            *command,
            "sh",
            "-c",
            "ip link add a0 type veth peer name b0 && unshare -nm true",
        ]
        if not subprocess.run(attempt, capture_output=True, check=False).returncode:
            return command
    pytest.skip("network namespaces are not allowed here")


@pytest.mark.parametrize("machines", [1, 2])
def test_a_network_that_is_cut_ends_all_and_the_restart_gives_the_same(
    run, tmp_path, undisturbed, machines
):
    script = [sys.executable, HERE / "cut_off.py", find_mpiexec(), tmp_path, str(machines)]
    done = subprocess.run(
        [*own_network(), *script], capture_output=True, text=True, timeout=200, check=False,
        env=_environment(os.environ, 2),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] != 0
    assert said["seconds"] < SOON
    assert said["left"] == []
    assert "nothing comes from worker 1 any more: its machine, or the network to it" in done.stderr
    assert not (tmp_path / "end.npz").exists()
    done = run(2, "faulty.py", "cut", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Going on from" in done.stdout
    for name, array in np.load(tmp_path / "end.npz").items():
        assert array.tobytes() == undisturbed[name].tobytes()


def test_a_job_that_is_stopped_and_goes_on_has_not_waited(start, tmp_path):
    with start(2, "faulty.py", "slow", tmp_path, 3, 2) as launcher:
        files = [tmp_path / f"pid-{rank}" for rank in range(2)]
        wait_until(lambda: all(file.exists() and file.read_text() for file in files))
        pids = [int(file.read_text()) for file in files]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(5)  # longer than both times that it is allowed
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        before = newest(tmp_path)
        wait_until(lambda: newest(tmp_path) > before)  # it makes steps again
        assert launcher.poll() is None
        launcher.send_signal(signal.SIGINT)
        _, err = launcher.communicate(timeout=SOON)
    assert "ends:" not in err


def newest(folder):
    names = [path.name for path in (folder / "checkpoints").glob("*.safetensors")]
    return max(names, default="")


def wait_until(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.05)


# -- the lines themselves, between processes that are no workers ---------------------------------


class Lost(list):
    """Notes who is lost."""

    def __init__(self):
        self.happened = threading.Event()

    def __call__(self, rank, silent):
        self.append((rank, silent))
        self.happened.set()


def tie(first, *others):
    """Tie the lines of workers in one process."""
    offers = [lines.offer(near=True) for lines in (first, *others)]
    told = [lines.reach(offers) for lines in (first, *others)]
    for lines in (first, *others):
        lines.watch(told)
    return told


def forked(do):
    """Return a process that does something, and then waits."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            do()
            time.sleep(60)
        os._exit(0)
    return pid


@pytest.fixture
def lines():
    made = []

    def make(rank, size, lost):
        made.append(Lifelines(rank, size, 2, lost))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_who_goes_in_good_order_is_not_missed(lines):
    lost = Lost(), Lost(), Lost()
    first, second, third = (lines(rank, 3, of) for rank, of in enumerate(lost))
    assert tie(first, second, third) == ["", "", ""]
    assert sorted(first._lines) == [1, 2]
    assert list(second._lines) == list(third._lines) == [0]
    second.close()
    first.close()
    third.close()
    assert not lost[0].happened.wait(0.2)
    assert lost == ([], [], [])


class Hurried:
    """A line on which, as something is sent, the one at its other end goes."""

    def __init__(self, line, other, until):
        self.line, self.other, self.until = line, other, until

    def __getattr__(self, name):
        return getattr(self.line, name)

    def send(self, content):
        self.other.close()
        end = time.monotonic() + 0.3
        while self.until.fileno() != -1 and time.monotonic() < end:
            select.select([], [], [], 0.01)
        return self.line.send(content)


def test_goodbye_is_said_to_all_before_a_line_is_closed(lines):
    lost = Lost(), Lost(), Lost()
    workers = [lines(rank, 3, of) for rank, of in enumerate(lost)]
    assert tie(*workers) == ["", "", ""]
    one, another = workers[0]._lines
    kept = workers[0]._lines[another]
    workers[0]._lines[one] = Hurried(workers[0]._lines[one], workers[one], kept)
    workers[0].close()
    assert not lost[another].happened.wait(0.2)
    assert lost == ([], [], [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_who_is_killed_is_missed_and_who_is_stopped_is_not():
    # In a process of its own, which has no other threads when it forks.
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(HERE)!r})
from test_network import Lifelines, Lost, forked
lost = Lost()
lines = Lifelines(0, 2, 2, lost)
told, tell = os.pipe()
offer, give = os.pipe()
def other():
    from time import sleep
    theirs = Lifelines(1, 2, 2, print)
    said = theirs.reach([os.read(offer, 9999).decode(), ""])
    theirs.watch(["", said])
    os.write(tell, b"+" if said == "" else b"-")
pid = forked(other)
os.write(give, lines.offer(near=True).encode())
assert os.read(told, 1) == b"+"
lines.watch(["", ""])
os.kill(pid, signal.SIGSTOP)
assert not lost.happened.wait(4), lost  # its system answers
os.kill(pid, signal.SIGCONT)
assert not lost.happened.wait(0.5), lost
os.kill(pid, signal.SIGKILL)
assert lost.happened.wait(10)
print(lost)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stdout == "[(1, False)]\n", done.stderr


def test_a_stranger_is_turned_away(lines):
    lost = Lost()
    first, second = lines(0, 2, lost), lines(1, 2, lost)
    offer = first.offer(near=True)
    port = json.loads(offer)["port"]
    for said in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(64)):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
            with contextlib.suppress(OSError):  # it may have hung up
                stranger.sendall(said)
                stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
    assert second.reach([offer, ""]) == ""
    first.watch(["", ""])
    second.watch(["", ""])
    assert list(first._lines) == [1]
    with pytest.raises(ConnectionRefusedError):  # nobody listens any more
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_another_program_in_the_place_of_a_worker_is_known(lines):
    with socket.create_server(("127.0.0.1", 0)) as other:
        offer = json.loads(lines(0, 2, Lost()).offer(near=True))
        offer["port"] = other.getsockname()[1]

        def answer_wrongly():
            with other.accept()[0] as line:
                line.sendall(bytes(16))

        answer = threading.Thread(target=answer_wrongly)
        answer.start()
        said = lines(1, 2, Lost()).reach([json.dumps(offer), ""])
        answer.join()
    assert said == (
        "worker 1 cannot reach worker 0 by TCP (127.0.0.1: another program answers there)"
    )


def test_who_gave_up_before_it_was_answered_is_not_missed(lines):
    lost = Lost()
    first, second = lines(0, 2, lost), lines(1, 2, Lost())
    offer = first.offer(near=True)
    assert second.reach([offer, ""]) == ""
    second._lines.pop(0).close()
    first.watch(["", "worker 1 cannot reach worker 0"])
    assert not lost.happened.wait(0.2)


def test_each_of_very_many_looks_on_few():
    size = 4096
    all_ = [Lifelines(rank, size, 2, print) for rank in range(size)]
    below = [(rank, one.rank) for one in all_ for rank in one.below]
    assert sorted(rank for rank, _ in below) == list(range(1, size))
    assert all(all_[rank].above == above for rank, above in below)
    assert max(len(one.below) for one in all_) == FAN


def test_where_they_cannot_reach_each_other_it_is_said_and_they_train(run):
    done = run(3, "unreachable.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3.0\n"
    assert done.stderr.splitlines() == [
        "chainrule: worker 1 cannot reach worker 0 by TCP (ports are not allowed): a network that "
        "goes away will be noticed after 20 s only."
    ]


# -- what started them ---------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("name", "code"), [("mpiexec.sh", -signal.SIGKILL), ("another.sh", 0)])
def test_launchers_are_ended_and_nothing_else(tmp_path, name, code):
    starter = tmp_path / name
    starter.write_text('#!/bin/sh\n"$@"\n:\n')
    starter.chmod(0o755)
    end = [sys.executable, "-c", "from chainrule.distributed import watch; watch._end_launchers()"]
    done = subprocess.run([starter, *end], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


def test_if_the_launcher_does_not_end_who_has_lost_another_it_ends_itself():
    script = "from chainrule.distributed.watch import Watchdog; Watchdog('it', 9).lost(3, False)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert done.stderr == "chainrule: it ends: worker 3 has died.\n"
