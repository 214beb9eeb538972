"""The studio's server: the page of :mod:`chainrule.studio.page` behind the guard."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import webbrowser
from typing import Any

from chainrule.cli.errors import UsageError
from chainrule.interop.extras import needs
from chainrule.studio.data import MOST_BYTES
from chainrule.studio.guard import UPLOAD, Guard, is_loopback
from chainrule.studio.keeper import keep_saving
from chainrule.studio.sent import is_table
from chainrule.studio.session import Session

__all__ = ["application", "serve"]

SWITCH = 2e-4  # seconds
PATIENCE = 20.0  # seconds that a new connection has for its first request
UPLOADS = 2  # at once: each may need as much memory as a file may have
LONGEST_UPLOAD = 600.0  # seconds


def serve(session: Session, host: str, port: int, *, browser: bool = True) -> None:
    """Serve the page until Ctrl-C or SIGTERM; the run is saved then, if there is one.

    Parameters
    ----------
    session : Session
    host : str
        Where to listen; from other computers the page can be reached only with a token.
    port : int
        0 takes a free one.
    browser : bool
        Whether to open the page in the user's browser.

    Raises
    ------
    UsageError
        If nothing can listen there.
    ModuleNotFoundError
        If NiceGUI is not installed.
    KeyboardInterrupt
        When it was stopped; it says where the run is.
    """
    with needs("chainrule studio", "nicegui", "'chainrule[studio]'"):
        import nicegui  # noqa: F401  # its absence is told before anything else
    import uvicorn

    socket = _listen(host, port)
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    guarded = application(session, host, token)
    # A training of small arrays gives Python's lock away hundreds of times a step, and would wait
    # for up to 5 ms each time that the page is busy.
    sys.setswitchinterval(SWITCH)
    config = uvicorn.Config(
        guarded, http=_impatient(), log_level="error", ws_max_size=1 << 20,
        timeout_graceful_shutdown=2, timeout_keep_alive=30, lifespan="on",
    )  # fmt: skip
    address = _address(host, socket.getsockname()[1], token)
    _tell(address, token)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    saving = keep_saving(session)
    try:
        uvicorn.Server(config).run(sockets=[socket])
    except KeyboardInterrupt as stop:  # which uvicorn raises once more when all is closed
        saving.set()
        saved = session.close(save=True)
        if saved is None:
            raise
        words = f"The run is saved in {saved}; to look at it again: chainrule studio {saved}"
        raise type(stop)(words) from stop
    saving.set()
    saved = session.close(save=True)  # it was started deaf to Ctrl-C, as by a shell with &
    if saved is not None:
        print(f"The run is saved in {saved}.", flush=True)


def application(session: Session, host: str, token: str | None) -> Any:
    """Return the page behind the guard, as an ASGI application; once in a process."""
    from fastapi import FastAPI

    from chainrule.studio.page import shell

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _take_uploads(app, session)
    paths = shell.install(app, session)
    return Guard(app, host, token, paths, shell.is_full)


def _impatient() -> Any:
    """Return uvicorn's protocol, which lets go of connections that ask for nothing (slow loris)."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    class Impatient(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two classes
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(PATIENCE, self.let_go, transport)

        def let_go(self, transport: Any) -> None:
            asked = self.cycle is not None or transport.get_protocol() is not self  # a websocket
            if not asked and not transport.is_closing():
                transport.abort()

    return Impatient


def _listen(host: str, port: int) -> Any:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # who comes before the server is ready waits
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen at {host}:{port}: {why}. Name another port: --port {port + 1}."
        ) from error
    return listening


def _address(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _tell(address: str, token: str | None) -> None:
    print(f"The studio is at {address}")
    if token is not None:
        print(
            "chainrule: it listens to other computers, and what is sent is not encrypted: whoever "
            "reads the address can steer the training. Use it in networks that you trust.",
            file=sys.stderr,
        )
    print("Ctrl-C stops it, and saves the run.", flush=True)


def _take_uploads(app: Any, session: Session) -> None:
    from fastapi import Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import JSONResponse

    turn = asyncio.Semaphore(UPLOADS)

    async def upload(request: Request) -> JSONResponse:
        try:
            async with turn, asyncio.timeout(LONGEST_UPLOAD):
                return await taken(request)
        except TimeoutError:
            return JSONResponse({"words": "The file came too slowly."}, 408)

    async def taken(request: Request) -> JSONResponse:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > MOST_BYTES:
                return JSONResponse({"words": f"At most {MOST_BYTES >> 20} MB can be sent."}, 413)
        name = request.query_params.get("name", "data.npz")
        try:
            if is_table(name):
                table = await run_in_threadpool(session.catalogue.add_table, name, bytes(content))
                return JSONResponse({"table": table.name})
            data = await run_in_threadpool(session.catalogue.add_upload, name, bytes(content))
        except ValueError as error:
            return JSONResponse({"words": str(error)})  # an answer to a person, not to a program
        return JSONResponse({"name": data.name})

    app.add_route(UPLOAD, upload, methods=["POST"])
