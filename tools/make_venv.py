"""Make the virtual environment, or say in one line what is missing."""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.exit(
        "chainrule needs Python 3.11 or newer; {} is {}.{}. "
        "Name another: make demo PYTHON=python3.12".format(sys.executable, *sys.version_info[:2])
    )

import subprocess  # noqa: E402  # after the check, so that an old Python reaches the message
import venv  # noqa: E402
from pathlib import Path  # noqa: E402

folder = Path(sys.argv[1])
try:
    import ensurepip  # noqa: F401  # Debian ships it as a package of its own
except ImportError:
    sys.exit(
        "This Python cannot make a virtual environment with pip. On Debian and Ubuntu install it: "
        "sudo apt install python{}.{}-venv".format(*sys.version_info[:2])
    )
venv.create(folder, with_pip=True, clear=True, symlinks=True)
subprocess.run(
    [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True
)
