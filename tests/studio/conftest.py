"""The real server in a process of its own, and a real browser."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studio.driving import FRESH, SLOW, SOON, build_it, pause, reading, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WHERE = "the studio's browser tests were skipped: there is no chromium (Debian: apt-get install it)"
# CHAINRULE_SLOW_PAGE=4 makes every page four times as slow, and its wire late: a test that does not
# wait for what it reads then fails at once, rather than on a busy day.
TEMPO = float(os.environ.get("CHAINRULE_SLOW_PAGE", "0"))
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Studio:
    """A server that runs: where it is, and what it has printed."""

    address: str
    folder: Path
    process: subprocess.Popen
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    def stop(self, number=signal.SIGTERM):
        """Stop it as a person or a system does; return its exit code, when all it said is read."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.reader.join(10)
        return code


@contextlib.contextmanager
def running(folder, *words, port=0, **environment):
    """Start the studio, on a free port if none is named, and stop it afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chainrule", "studio", *words, "--port", str(port), "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )  # fmt: skip
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if found := re.search(r"http://\S+", line):
            break
    else:
        raise AssertionError("\n".join(lines))
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    try:
        yield Studio(found[0], Path(folder), process, lines, reader)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
        reader.join(10)
        process.stdout.close()
    assert not any("Traceback" in line for line in lines), "".join(lines)


@pytest.fixture
def start(tmp_path):
    """Start a server of the test's own: start(*words, port=0, NAME=value)."""
    with contextlib.ExitStack() as stack:
        yield lambda *words, **options: stack.enter_context(running(tmp_path, *words, **options))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for the tests of a file."""
    with running(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip(WHERE)
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser):
    """Open tabs: tab(width, height, colour). None may complain, or ask beyond this computer.

    What a browser says where nobody answers it, or is refused, is no complaint of the page.
    """
    complaints, contexts = [], []
    refused = re.compile("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|status of 403|status of 413")

    def listen(page):
        page.on(
            "console",
            lambda m: (
                m.type == "error" and not refused.search(m.text) and complaints.append(m.text)
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _check(request.url))

    def _check(url):
        if not re.match(r"(https?|wss?)://(localhost|127\.0\.0\.1)[:/]|data:|blob:", url):
            complaints.append(f"asked for {url}")

    def open_tab(width=1280, height=800, colour="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=colour, **options
        )
        context.set_default_timeout(SOON)
        contexts.append(context)
        if TEMPO:
            context.add_init_script(SLOW)
        page = context.new_page()
        if TEMPO:
            session = context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": TEMPO})
        listen(page)
        return page

    open_tab.complaints = complaints
    yield open_tab
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(server, tab):
    """Train, on a net that has learned nothing."""
    page = tab()
    page.goto(f"{server.address}{FRESH}")
    wait_for(page, "state", r"ready|paused|running|stopped")  # so it knows what is trained
    page.locator(".layer-code").first.wait_for()
    if reading(page, "state") == "running":
        pause(page)
    build_it(page)
    wait_for(page, "state", "ready")
    page.get_by_text("This is not what is being trained.").wait_for(state="hidden")
    return page


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session without a server, in a folder of its own."""
    from chainrule.studio.session import Session

    monkeypatch.chdir(tmp_path)
    session = Session()
    yield session
    session.close()
