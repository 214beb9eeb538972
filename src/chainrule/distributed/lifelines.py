"""Connections on which nothing is said: they tell that another worker is gone, or cut off."""

from __future__ import annotations

import atexit
import contextlib
import errno
import hmac
import json
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

__all__ = ["Lifelines"]

FAN = 32  # workers on whom one other looks
ALIVE = 2.0  # seconds in which a handshake must be done
GOODBYE = b"."
TOKEN = 16  # bytes
# What the system says when nothing has come from the other one, as long as it was told to wait.
SILENT = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


class Lifelines:
    """Tells soon if another worker has died, or if its machine or the network to it is down.

    Worker ``r`` holds a TCP connection to worker ``(r - 1) // 32``. Nothing is said on it: the
    systems at both ends ask each other whether they are there (TCP's keepalive). They answer
    whatever their worker does, so one that computes for long, or is stopped, does not count as
    lost. Of one that is killed the system closes the connection.

    Parameters
    ----------
    rank, size : int
        Which worker this is, and of how many.
    seconds : float
        After how long a silence of the other system it counts as lost.
    lost : function
        Called in a thread with the rank of the other, and whether it was silent; else it has died.
    """

    def __init__(
        self, rank: int, size: int, seconds: float, lost: Callable[[int, bool], None]
    ) -> None:
        self.rank = rank
        self.below = range(FAN * rank + 1, min(FAN * (rank + 1) + 1, size))
        self.above = (rank - 1) // FAN  # worker 0 has none
        self._seconds = seconds
        self._lost = lost
        self._pid = os.getpid()
        self._leaving = False
        self._lines: dict[int, socket.socket] = {}
        self._listener: socket.socket | None = None
        self._greeter = threading.Thread(target=self._greet, name="chainrule-greeter", daemon=True)
        self._all_have_tried = threading.Event()
        self._tokens = os.urandom(TOKEN), os.urandom(TOKEN)  # what is asked, what is answered

    # -- how they are tied ----------------------------------------------------------------------

    def offer(self, *, near: bool) -> str:
        """Wait for those below; return where, for them to ``reach``.

        Parameters
        ----------
        near : bool
            Whether all workers are on this machine.
        """
        if not self.below:
            return ""
        try:
            self._listener = _listen(near)
        except OSError as error:
            return json.dumps({"error": str(error)})
        self._greeter.start()
        ask, answer = (token.hex() for token in self._tokens)
        where = ["127.0.0.1"] if near else list(dict.fromkeys(_addresses()))
        port = self._listener.getsockname()[1]
        return json.dumps({"where": where, "port": port, "ask": ask, "answer": answer})

    def reach(self, offers: list[str]) -> str:
        """Tie the line to the worker above; return why it could not be done.

        Parameters
        ----------
        offers : list of str
            Of all workers, by rank.
        """
        if self.rank == 0:
            return ""
        offer = json.loads(offers[self.above])
        why = offer.get("error", "it has no address")
        for address in offer.get("where", ()):
            try:
                self._tie(address, offer)
            except OSError as error:
                why = f"{address}: {error}"
            else:
                return ""
        return f"worker {self.rank} cannot reach worker {self.above} by TCP ({why})"

    def watch(self, told: list[str]) -> None:
        """Begin to look, when all have tried to tie their lines.

        Parameters
        ----------
        told : list of str
            What ``reach`` returned in each worker.
        """
        self._greet_no_more()
        for rank in [rank for rank in self._lines if rank in self.below and told[rank]]:
            self._lines.pop(rank).close()  # it had given up when it was answered
        for line in self._lines.values():
            line.settimeout(None)
        atexit.register(self.close)
        threading.Thread(target=self._look, name="chainrule-lifelines", daemon=True).start()

    def close(self) -> None:
        """Say to the others that this worker goes in good order, and look no more."""
        atexit.unregister(self.close)
        if os.getpid() != self._pid:  # it was forked: the lines are not its own
            return
        self._greet_no_more()
        self._leaving = True
        for line in self._lines.values():
            with contextlib.suppress(OSError):
                line.send(GOODBYE)
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)  # which wakes the thread that looks

    # -- inner parts ----------------------------------------------------------------------------

    def _greet_no_more(self) -> None:
        self._all_have_tried.set()
        if self._listener is not None:
            self._greeter.join()
            self._listener.close()

    def _greet(self) -> None:
        """Accept those below, and nobody else."""
        assert self._listener is not None
        self._listener.settimeout(0.1)
        while len(self._lines) < len(self.below) and not self._all_have_tried.is_set():
            with contextlib.suppress(OSError):  # nobody has come
                line, _ = self._listener.accept()
                try:
                    self._welcome(line)
                except OSError:
                    line.close()

    def _welcome(self, line: socket.socket) -> None:
        ask, answer = self._tokens
        said = _exactly(line, TOKEN + 4)
        (rank,) = struct.unpack("!I", said[TOKEN:])
        if not hmac.compare_digest(said[:TOKEN], ask) or rank not in self.below:
            raise OSError("a stranger")
        _keep_alive(line, self._seconds)
        line.sendall(answer)  # last: what fails after it would look like a death from below
        if rank in self._lines:  # it had given up when it was answered, and has come again
            self._lines[rank].close()
        self._lines[rank] = line

    def _tie(self, address: str, offer: dict[str, str]) -> None:
        line = socket.create_connection((address, int(offer["port"])), timeout=ALIVE)
        try:
            line.sendall(bytes.fromhex(offer["ask"]) + struct.pack("!I", self.rank))
            if not hmac.compare_digest(_exactly(line, TOKEN), bytes.fromhex(offer["answer"])):
                raise OSError("another program answers there")
            _keep_alive(line, self._seconds)
        except BaseException:
            line.close()
            raise
        self._lines[self.above] = line

    def _look(self) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, line in self._lines.items():
                selector.register(line, selectors.EVENT_READ, rank)
            while selector.get_map():  # until all have gone, or this one has said goodbye to all
                for key, _ in selector.select():
                    selector.unregister(key.fileobj)
                    self._hear(key.data)
        for line in self._lines.values():
            line.close()

    def _hear(self, rank: int) -> None:
        try:
            goodbye, silent = self._lines[rank].recv(1) == GOODBYE, False
        except OSError as error:
            goodbye, silent = False, error.errno in SILENT
        if not goodbye and not self._leaving:
            self._lost(rank, silent)


def _listen(near: bool) -> socket.socket:
    if not near and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # the system was told to do without
            return socket.create_server(
                ("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=FAN
            )
    return socket.create_server(("127.0.0.1" if near else "", 0), backlog=FAN)


def _addresses() -> Iterator[str]:
    """Yield the addresses under which other machines may know this one."""
    if sys.platform == "linux":
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
            for _, name in socket.if_nameindex():
                with contextlib.suppress(OSError):  # it has none
                    wanted = struct.pack("256s", name.encode()[:15])
                    said = fcntl.ioctl(any_.fileno(), 0x8915, wanted)  # SIOCGIFADDR
                    address = socket.inet_ntoa(said[20:24])
                    if not address.startswith("127."):
                        yield address
    with contextlib.suppress(OSError):
        for *_, where in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            address = str(where[0])
            if not address.startswith(("127.", "::1", "fe80")):
                yield address


def _exactly(line: socket.socket, count: int) -> bytes:
    said, deadline = b"", time.monotonic() + ALIVE
    while len(said) < count:
        line.settimeout(max(deadline - time.monotonic(), 1e-3))
        more = line.recv(count - len(said))
        if not more:
            raise OSError("it hangs up")
        said += more
    return said


def _keep_alive(line: socket.socket, seconds: float) -> None:
    """Let the system ask the other one, and give it up after so long a silence."""
    every = max(1, min(int(seconds / 5), 1000))
    times = max(1, min(round(seconds / every) - 1, 100))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS
    for name, value in (
        (idle, every),
        (getattr(socket, "TCP_KEEPINTVL", None), every),
        (getattr(socket, "TCP_KEEPCNT", None), times),
    ):
        if name is not None:
            line.setsockopt(socket.IPPROTO_TCP, name, value)
