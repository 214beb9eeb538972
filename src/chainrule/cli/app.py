"""The command `chainrule`: its commands put together, run, and ended with an exit code."""

import io
import os
import signal
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import chainrule
from chainrule.cli import commands, errors
from chainrule.cli.errors import UsageError
from chainrule.cli.signals import exit_code, terminate

__all__ = ["run"]

app = App(
    name="chainrule",
    help="Train small neural nets in NumPy, and look at what they learned.",
    version=chainrule.__version__,
    help_epilogue="With --debug an error shows its traceback.",
    suppress_keyboard_interrupt=False,
)
for command in (
    commands.train, commands.find_lr, commands.compare, commands.evaluate, commands.predict,
    commands.summary, commands.studio, commands.export, commands.check,
):  # fmt: skip
    app.command(command)


def run(words: Sequence[str]) -> int:
    """Run the command with these words, and return its exit code."""
    errors.debug = "--debug" in words
    commands.given_words[:] = words
    words = [word for word in words if word != "--debug"]
    signal.signal(signal.SIGTERM, terminate)
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        if not words:
            words = ["--help"]
        with errors.warnings_in_one_line():
            code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt as stop:
        print(f"chainrule: stopped. {stop}".strip(), file=sys.stderr)
        return exit_code(stop)
    except BrokenPipeError:  # as `chainrule predict ... | head` leaves it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        errors.report(error)
        return 2 if isinstance(error, (CycloptsError, UsageError)) else 1
