"""Who may ask, from where, and how much: the guard alone, and the real server."""

import asyncio
import contextlib
import http.client
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from chainrule.studio import server as server_module
from chainrule.studio.guard import MOST_BODY, Guard

PAGES = ("/", "/train")


def in_a_loop(coroutine):
    """Run it to its end in a thread of its own: the browser of other tests has a loop here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def inner(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("gone")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def ask(*, host="127.0.0.1", token=None, kind="http", path="/train", query="", method="GET",
        body=(b"",), **headers):  # fmt: skip
    """Return what a request is answered: the status, and the headers."""
    named = {"host": "localhost:8047", **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": kind, "path": path, "query_string": query.encode(), "method": method,
        "headers": [(k.encode(), v.encode()) for k, v in named.items() if v is not None],
    }  # fmt: skip
    parts = list(body)
    sent = []

    async def receive():
        if kind == "websocket":
            return {"type": "websocket.connect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    in_a_loop(Guard(inner, host, token, PAGES)(scope, receive, send))
    first = sent[0]
    if kind == "websocket":
        return first["type"].partition(".")[2], {}
    return first["status"], dict(first["headers"])


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.example:8047",
        "localhost.evil.example",
        "192.168.0.7:8047",
        "",
        "[::2]",
    ],
)
def test_another_name_is_refused(name):
    """A name that was made to lead here: DNS rebinding."""
    assert _with_host(name)[0] == 421
    assert _with_host(name, kind="websocket", origin=f"http://{name}")[0] == "close"


def _with_host(name, **options):
    kind = options.pop("kind", "http")
    listens = options.pop("listens", "127.0.0.1")
    headers = [(b"host", name.encode())]
    headers += [(k.replace("_", "-").encode(), v.encode()) for k, v in options.items()]
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "path": "/train", "query_string": b"", "method": "GET",
             "headers": headers}  # fmt: skip
    in_a_loop(Guard(inner, listens, None, PAGES)(scope, receive, send))
    return sent[0].get("status") or sent[0]["type"].partition(".")[2], sent


@pytest.mark.parametrize("name", ["localhost:8047", "127.0.0.1:1", "[::1]:8047", "LOCALHOST"])
def test_a_name_of_this_computer(name):
    assert _with_host(name)[0] == 200


def test_other_sites_are_refused():
    assert ask(origin="http://localhost:8047")[0] == 200
    for origin in (
        "https://evil.example",
        "http://localhost:9999",
        "null",
        "http://127.0.0.1:8047",
    ):
        assert ask(origin=origin)[0] == 403
        assert ask(kind="websocket", origin=origin)[0] == "close"
    assert ask(kind="websocket", origin="http://localhost:8047")[0] == "accept"
    assert ask(kind="websocket")[0] == "close"  # every browser says where it comes from
    assert ask(sec_fetch_site="cross-site")[0] == 403
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200  # a link
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate", method="POST")[0] == 403


def test_the_token():
    options = {"host": "0.0.0.0", "token": "secret"}
    assert ask(**options)[0] == 403
    assert ask(**options, query="token=wrong")[0] == 403
    assert ask(**options, query="token=")[0] == 403
    assert ask(**options, cookie="chainrule-studio-8047=wrong")[0] == 403
    assert ask(**options, cookie='chainrule-studio-8047="; bad')[0] == 403
    status, headers = ask(**options, query="lr=0.1&token=secret")
    assert status == 303
    assert headers[b"location"] == b"/train?lr=0.1"
    assert b"HttpOnly; SameSite=Lax" in headers[b"set-cookie"]
    cookie = "chainrule-studio-8047=secret"
    assert ask(**options, cookie=cookie)[0] == 200
    origin = "http://localhost:8047"
    assert ask(**options, kind="websocket", origin=origin)[0] == "close"
    assert ask(**options, kind="websocket", origin=origin, cookie=cookie)[0] == "accept"


def test_from_elsewhere_only_an_address_in_figures_is_a_name():
    assert _with_host("192.168.0.7:8047", listens="0.0.0.0")[0] == 200
    assert _with_host("evil.example:8047", listens="0.0.0.0")[0] == 421


def test_sizes():
    assert ask(method="POST", content_length=str(MOST_BODY + 1))[0] == 413
    assert ask(method="POST", content_length="many")[0] == 413
    assert ask(method="POST", content_length="9" * 5000)[0] == 413  # too long for an int
    assert ask(method="POST", path="/upload", content_length=str(1 << 30))[0] == 413
    assert ask(method="POST", body=[b"x" * (MOST_BODY // 2)] * 3)[0] == 413  # no length is said
    assert ask(method="POST", body=[b"x"] * 3)[0] == 200


def test_more_tabs_than_it_serves_are_refused_in_words():
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/train", "query_string": b"", "method": "GET",
             "headers": [(b"host", b"localhost")]}  # fmt: skip
    full = Guard(inner, "127.0.0.1", None, PAGES, lambda: True)
    in_a_loop(full(scope, receive, send))
    assert sent[0]["status"] == 503
    assert b"Close some" in sent[1]["body"]
    in_a_loop(full({**scope, "path": "/studio/studio.css"}, receive, send))  # those that are open
    assert sent[2]["status"] == 200


def test_who_has_gone_is_told_nothing():
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/train", "query_string": b"", "method": "GET",
             "headers": [(b"host", b"localhost")]}  # fmt: skip
    in_a_loop(Guard(inner, "127.0.0.1", None, PAGES)(scope, receive, send))
    assert sent == []


def test_pages():
    for path in ("/nothing", "/../etc/passwd", "/docs", "/openapi.json"):
        assert ask(path=path)[0] == 404
    for headers in (ask()[1], ask(path="/nothing")[1]):
        assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
        assert headers[b"x-frame-options"] == b"DENY"
    policy = ask()[1][b"content-security-policy"].decode()
    assert "connect-src 'self' ws://localhost:8047 wss://localhost:8047;" in policy
    assert "*" not in policy
    for part in policy.split("; "):  # nowhere but here
        assert not {"http:", "https:", "ws:", "wss:"} & set(part.split())
    odd = dict(_with_host("localhost:1; script-src *")[1][0]["headers"])
    assert b"*" not in odd[b"content-security-policy"]


# -- the real server ----------------------------------------------------------------------------


def fetch(server, path, method="GET", body=None, **headers):
    parts = urlsplit(server.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_server_refuses_what_the_guard_refuses(server):
    assert fetch(server, "/train")[0] == 200
    assert fetch(server, "/train", Host="evil.example")[0] == 421
    assert (
        fetch(server, "/upload?name=a.npz", "POST", b"PK", Origin="https://evil.example")[0] == 403
    )
    status, words = fetch(server, "/upload?name=a.npz", "POST", b"no npz")
    assert (status, b"needs an .npz file" in words) == (200, True)
    socket_path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    assert fetch(server, socket_path, **upgrade, Origin="https://evil.example")[0] == 403


def test_a_gigabyte_is_refused_at_once(server):
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = (
            f"POST /upload?name=a.npz HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Length: {1 << 30}\r\n\r\n"
        )
        connection.sendall(head.encode() + b"PK\x03\x04" * 1000)
        assert b" 413 " in connection.recv(1000)
    assert fetch(server, "/train")[0] == 200


def test_500_quick_reloads(server):
    for _ in range(500):
        assert fetch(server, "/runs?words=a")[0] == 200  # the lightest part
    assert server.process.poll() is None


def test_from_elsewhere_it_needs_the_token(start):
    studio = start("--host", "0.0.0.0")
    assert "token=" in studio.address
    assert fetch(studio, "/train")[0] == 403
    parts = urlsplit(studio.address)
    assert fetch(studio, f"/train?{parts.query}")[0] == 303
    assert any("not encrypted" in line for line in studio.lines)


def test_a_port_that_is_taken_is_told_in_a_line(server, run_here):
    done = run_here("studio", "--port", urlsplit(server.address).port, "--no-browser")
    assert done.returncode == 2
    assert "cannot listen" in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def open_many(server, count):
    """Open tabs as a browser does, without drawing them; return how many updates each got."""
    aiohttp = pytest.importorskip("aiohttp")
    socketio = pytest.importorskip("socketio")
    origin = server.address.rstrip("/")
    updates = [0] * count
    clients = []
    async with aiohttp.ClientSession() as http_session:
        for i in range(count):
            async with http_session.get(f"{origin}/train") as answer:
                page = await answer.text()
            name = re.search(r"'client_id': '([0-9a-f-]{36})'", page)[1]
            client = socketio.AsyncClient(handle_sigint=False)

            def count_it(data, i=i):
                updates[i] += 1

            client.on("update", count_it)
            query = (
                f"client_id={name}&next_message_id=0&implicit_handshake=true&tab_id=t{i}"
                f"&document_id=d{i}"
            )
            await client.connect(
                f"{origin}?{query}", headers={"Origin": origin}, transports=["websocket"],
                socketio_path="/_nicegui_ws/socket.io",
            )  # fmt: skip
            clients.append(client)
        status, _ = await asyncio.to_thread(fetch, server, "/train")
        while min(updates) == 0:
            await asyncio.sleep(0.05)
        for client in clients:
            await client.disconnect()
    return status, updates


def test_a_hundred_tabs(server):
    status, updates = in_a_loop(open_many(server, 100))
    assert status == 200
    assert len(updates) == 100
    assert fetch(server, "/train")[0] == 200


async def come_back(server, reloads):
    """Open a tab, lose its connection, have pages asked for elsewhere, and connect it again."""
    aiohttp = pytest.importorskip("aiohttp")
    socketio = pytest.importorskip("socketio")
    origin = server.address.rstrip("/")
    async with aiohttp.ClientSession() as http_session:
        async with http_session.get(f"{origin}/runs") as answer:
            page = await answer.text()
        name = re.search(r"'client_id': '([0-9a-f-]{36})'", page)[1]
        for turn in range(2):
            client, seen = socketio.AsyncClient(handle_sigint=False), asyncio.Event()
            client.on("update", lambda data, seen=seen: seen.set())
            query = (
                f"client_id={name}&next_message_id=0&implicit_handshake=true&tab_id=t&document_id=d"
            )
            await client.connect(  # raises if the page is not known any more
                f"{origin}?{query}", headers={"Origin": origin}, transports=["websocket"],
                socketio_path="/_nicegui_ws/socket.io",
            )  # fmt: skip
            await asyncio.wait_for(seen.wait(), 30)
            for _ in range(reloads if turn == 0 else 0):  # while it is there: that takes a while
                async with http_session.get(f"{origin}/runs") as answer:
                    assert answer.status == 200
            await client.disconnect()
            if turn == 0:  # one more, for which one of those that wait is let go of
                async with http_session.get(f"{origin}/runs") as answer:
                    assert answer.status == 200


def test_a_tab_that_was_cut_off_survives_many_reloads_of_others(server):
    in_a_loop(come_back(server, 60))


@pytest.mark.parametrize(
    "path",
    [
        "/studio/../../../../../../etc/passwd",
        "/studio/%2e%2e/shell.py",
        "/studio/..%2fshell.py",
        "//evil.example/",
        "/upload/../train.py",
        "/_nicegui/../../etc/passwd",
    ],
)
def test_a_path_leads_to_no_file_of_this_computer(server, path):
    status, words = fetch(server, path)
    assert status == 404
    assert b"root:" not in words
    assert b"import" not in words[:200]


def test_an_address_as_long_as_a_book(server):
    assert fetch(server, f"/predict?drawing={'z' * 30_000}")[0] == 200
    assert fetch(server, f"/train?net={'linear-9,' * 3000}")[0] == 200


async def send_too_much(server):
    """Open a tab, and send a message of 3 MB; return what the socket is closed with.

    Whoever still sends when it is closed may see a reset, and not the code.
    """
    aiohttp = pytest.importorskip("aiohttp")
    origin = server.address.rstrip("/")
    address = f"{origin}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address, headers={"Origin": origin}) as connection,
    ):
        await connection.receive()  # its greeting
        try:
            await connection.send_str("4" + "x" * (3 << 20))
        except ConnectionError:
            return "reset"
        while (await connection.receive()).type == aiohttp.WSMsgType.TEXT:
            pass
        return connection.close_code


def test_a_giant_message_closes_its_socket_alone(server):
    assert in_a_loop(send_too_much(server)) in (1009, "reset")  # 1009: too big
    assert fetch(server, "/train")[0] == 200


async def ask_nothing(monkeypatch):
    """Return what a connection that never finishes its request is sent, and one that does."""
    import uvicorn

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(server_module, "PATIENCE", 2.0)
    config = uvicorn.Config(
        app, port=0, http=server_module._impatient(), lifespan="off", log_level="error"
    )
    serving = uvicorn.Server(config)
    task = asyncio.create_task(serving.serve())
    while not serving.started:
        await asyncio.sleep(0)
    port = serving.servers[0].sockets[0].getsockname()[1]
    slow, slow_out = await asyncio.open_connection("127.0.0.1", port)
    quick, quick_out = await asyncio.open_connection("127.0.0.1", port)
    slow_out.write(b"GET / HTTP/1.1\r\nX-Slow: ")
    for _ in range(2):
        quick_out.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = await quick.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await slow.read() == b""  # the first time: until it is let go
    for out in (slow_out, quick_out):
        out.close()
    serving.should_exit = True
    await task
    return answer


def test_a_connection_that_asks_for_nothing_is_let_go(monkeypatch):
    assert b"204" in in_a_loop(ask_nothing(monkeypatch))


def test_two_studios_on_one_computer_keep_their_tokens():
    options = {"host": "0.0.0.0", "token": "secret"}
    both = "chainrule-studio-8046=other; chainrule-studio-8047=secret"
    assert ask(**options, cookie=both)[0] == 200
    assert ask(**options, cookie="chainrule-studio-8046=secret")[0] == 403


def test_the_token_is_asked_for_before_anything_is_read():
    options = {"host": "0.0.0.0", "token": "secret", "method": "POST", "path": "/upload"}
    assert ask(**options, body=[b"PK"])[0] == 403
    assert ask(**options, query="token=secret", origin="http://evil.example")[0] == 403
