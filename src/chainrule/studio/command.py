"""``chainrule studio``."""

from pathlib import Path

from chainrule.cli.errors import UsageError
from chainrule.studio.own import resolve
from chainrule.studio.server import serve
from chainrule.studio.session import Session

__all__ = ["studio_command"]


def studio_command(
    what: str | None,
    *,
    data: str | None,
    target: str | None,
    task: str | None,
    code: Path | None,
    host: str,
    port: int,
    browser: bool,
) -> int:
    """Serve the page until it is stopped; return the exit code."""
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--port must be from 0 to {(1 << 16) - 1}, got {port}.")
    session = Session(resolve(what, data, code, column=target, task=task))
    serve(session, host, port, browser=browser)
    return 0
