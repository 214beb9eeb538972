"""The command ``chainrule``; it needs the extra ``chainrule[cli]``."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 if all went well, 1 for a failure, 2 for wrong use."""
    try:
        from chainrule.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("cyclopts", "rich"):
            raise
        print(
            "chainrule: the command line needs its extra: pip install 'chainrule[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:] if words is None else words))
