"""What stands between the network and the page: who may ask, from where, and how much.

Browsers let any page on the internet send requests to programs on the same computer. So a request
must name the studio as its host (else another name was made to lead here: DNS rebinding), must
come from the studio's own pages (``Origin``), and where the studio listens to other computers, must
bring the token that was printed with its address.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from chainrule.studio.data import MOST_BYTES

__all__ = ["Guard", "is_loopback"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "chainrule-studio"  # and the port: a browser sends cookies to all ports of a computer
UPLOAD = "/upload"
MOST_BODY = 1 << 20  # of any request but an upload
LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Whatever is on the page: nothing is fetched from anywhere else, and no other page frames it.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'{sockets}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Refuses what does not come from the studio's own page; an ASGI application round another.

    Parameters
    ----------
    app : ASGI application
    host : str
        Where the studio listens.
    token : str or None
        What each browser must bring once, as ``?token=…``; it is then remembered in a cookie.
    paths : sequence of str
        The pages that there are. What is below ``/_nicegui/`` and ``/studio/`` is served too.
    is_full : function () -> bool, optional
        Says whether no more tabs can be served.
    """

    def __init__(
        self,
        app: App,
        host: str,
        token: str | None,
        paths: tuple[str, ...],
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self.app, self.host, self.token, self.paths = app, host, token, paths
        self.is_full = is_full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is not None:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return
        if refusal is not None:
            await _answer(send, *refusal)
            return
        if self.token is not None and not self._knows_cookie(headers):
            await self._welcome(scope, headers, send)
            return
        if scope["path"] in self.paths and self.is_full():
            await _answer(send, 503, "As many tabs are open as the studio serves. Close some.")
            return
        await self._limited(scope, headers, receive, send)

    # -- who may ask ----------------------------------------------------------------------------

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and words for what is refused outright."""
        name = _host_name(headers.get("host", ""))
        if not self._is_ours(name):
            return 421, (
                f"The studio is not called {name[:80]!r}. Open the address that it has printed."
            )
        socket = scope["type"] == "websocket"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return 403, "This request comes from another site."
        if socket and origin is None:  # every browser sends it
            return 403, "A connection needs an Origin."
        site = headers.get("sec-fetch-site", "same-origin")
        navigates = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") == "GET"
        if site in ("cross-site", "same-site") and not navigates:
            return 403, "This request comes from another site."
        if self.token is not None and socket and not self._knows_cookie(headers):
            return 403, "A connection needs the token."
        path = scope["path"]
        inside = path.startswith(("/_nicegui/", "/_nicegui_ws/", "/studio/"))
        if not inside and path not in (*self.paths, UPLOAD, "/favicon.ico"):
            return 404, "There is no such page."
        length = headers.get("content-length", "0")
        most = MOST_BYTES if path == UPLOAD else MOST_BODY
        if not length.isdecimal() or len(length) > 12 or int(length) > most:
            return 413, f"At most {most >> 20} MB can be sent."
        return None

    def _is_ours(self, name: str) -> bool:
        if name in LOOPBACK or name == self.host:
            return True
        if is_loopback(self.host):
            return False
        # No name can be made to lead to an address that is written in figures.
        return _is_address(name)

    # -- the token ------------------------------------------------------------------------------

    def _knows_cookie(self, headers: dict[str, str]) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(headers))
        except CookieError:
            return False
        return found is not None and self._is_token(found.value)

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode(), (self.token or "").encode())

    async def _welcome(self, scope: Scope, headers: dict[str, str], send: Send) -> None:
        """Exchange a token in the address for a cookie, so that it stays in no history."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), "")
        if not self._is_token(given):
            await _answer(
                send, 403, "This needs the token: open the whole address that the studio printed."
            )
            return
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        address = scope["path"] + (f"?{rest}" if rest else "")
        # Lax, so that a link in a chat works too; what changes something has an Origin to show.
        cookie = f"{_cookie_name(headers)}={self.token}; HttpOnly; SameSite=Lax; Path=/"
        await _answer(
            send, 303, "", ((b"location", address.encode()), (b"set-cookie", cookie.encode()))
        )

    # -- how much -------------------------------------------------------------------------------

    async def _limited(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Pass a request on; what is sent without a length is counted as it comes."""
        most = MOST_BYTES if scope["path"] == UPLOAD else MOST_BODY
        count, begun, over, gone = 0, False, False, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal count, over, gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            count += len(message.get("body", b""))
            if count > most:
                over = True
                return {"type": "http.disconnect"}
            return message

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            if over and not begun:
                begun = True
                await _answer(send, 413, f"At most {most >> 20} MB can be sent.")
            if over:
                return
            if message["type"] == "http.response.start":
                begun = True
                policy = (b"content-security-policy", _policy(headers["host"]).encode())
                message = {**message, "headers": [*message.get("headers", ()), policy, *HEADERS]}
            await send(message)

        try:
            await self.app(scope, counted, guarded)
        except Exception:
            if not over and not gone:  # nobody is there any more who could be told
                raise
            if over and not begun:
                await _answer(send, 413, f"At most {most >> 20} MB can be sent.")


def is_loopback(host: str) -> bool:
    """Whether only programs on the same computer can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _policy(host: str) -> str:
    """Return what the page may do; older browsers do not take a socket to be of the page's own."""
    plain = re.fullmatch(r"[\w.:\[\]-]+", host)
    return POLICY.format(sockets=f" ws://{host} wss://{host}" if plain else "")


def _cookie_name(headers: dict[str, str]) -> str:
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if port.isdecimal() else COOKIE


def _host_name(host: str) -> str:
    """Return a Host header's name, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _answer(
    send: Send, status: int, words: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"),
            (b"content-security-policy", POLICY.format(sockets="").encode()), *HEADERS, *headers,
        ],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": words.encode()})
