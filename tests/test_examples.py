"""Each program in examples/ runs, in a reduced form, and does what it says.

A new example is one row here.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="examples/ is not in this copy")


@dataclass(frozen=True)
class Example:
    """How to run a file in little time, and what must come of it.

    ``shows`` is given what the program printed, and asserts on it; ``leaves`` are the files that
    it must leave in the folder that it gets as ``--out``.
    """

    file: str
    shows: Callable[[str], None]
    arguments: Sequence[str] = ()
    leaves: Sequence[str] = ()
    needs: Sequence[str] = ()  # packages without which it is skipped


def spiral(printed: str) -> None:
    losses = [float(loss) for loss in re.findall(r"^Epoch \d+/30: loss = (\S+)$", printed, re.M)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] / 5
    (right,) = re.findall(r"^Of 2000 new points it places (\S+)% right\.$", printed, re.M)
    assert float(right) > 90  # half of it by chance


ROWS = [
    Example("spiral.py", spiral, ["--arms", "2", "--epochs", "30"], ["spiral.png"], ["matplotlib"]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_example(row, tmp_path):
    for package in row.needs:
        pytest.importorskip(package)
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / row.file, *row.arguments, "--out", tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    row.shows(ran.stdout)
    for name in row.leaves:
        content = (tmp_path / name).read_bytes()
        assert len(content) > 1000
        assert name in ran.stdout
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")


def test_every_example_has_a_row():
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == {row.file for row in ROWS}, "each file in examples/ needs a row here"
