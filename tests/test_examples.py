"""Each program in examples/ runs, in a reduced form, and does what it says.

A new example is one row here.
"""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="examples/ is not in this copy")


@dataclass(frozen=True)
class Example:
    """How to run a file in little time, and what must come of it.

    ``shows`` is given what the program printed, and asserts on it; ``leaves`` are the files that
    it must leave in the folder that it gets as ``--out``; ``reads`` are files for it to read there.
    """

    file: str
    shows: Callable[[str], None]
    arguments: Sequence[str] = ()
    leaves: Sequence[str] = ()
    needs: Sequence[str] = ()  # packages without which it is skipped
    reads: Mapping[str, str] = field(default_factory=dict)  # name and content


def spiral(printed: str) -> None:
    losses = [float(loss) for loss in re.findall(r"^Epoch \d+/30: loss = (\S+)$", printed, re.M)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] / 5
    (right,) = re.findall(r"^Of 2000 new points it places (\S+)% right\.$", printed, re.M)
    assert float(right) > 90  # half of it by chance


def lenet(printed: str) -> None:
    (right,) = re.findall(r"^(\S+)% of 359 held-out images", printed, re.M)
    assert float(right) > 90


def lenet_on_mnist(printed: str) -> None:
    (right,) = re.findall(r"^(\S+)% of 10,000 held-out images", printed, re.M)
    assert float(right) >= 99


def gpt(printed: str) -> None:
    losses = [float(loss) for loss in re.findall(r"^Step \d+: loss = (\S+)\. ", printed, re.M)]
    assert len(losses) == 5
    assert losses[-1] < losses[0] - 0.5
    assert re.search(r"^[\d,]+ characters a second\.$", printed, re.M)


NAMES = ["anna", "hanna", "johanna", "marianna", "susanna", "dan", "jordan", "logan"]


def names_rnn(printed: str) -> None:
    assert "8 lines, 13 characters" in printed
    losses = [float(loss) for loss in re.findall(r"^Epoch \d+/40: loss = (\S+):", printed, re.M)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] / 2
    samples = re.findall(r"^Epoch 40/40: loss = \S+: (.*)$", printed, re.M)[0].split(" | ")
    assert len(samples) == 6
    assert set("".join(samples)) <= set("".join(NAMES))
    assert "Not in the text:" in printed


def grid_search(printed: str) -> None:
    from sklearn.datasets import load_digits

    assert "8 settings on 2 processes." in printed
    alone = runpy.run_path(str(EXAMPLES / "grid_search.py"))["make_search"](2)
    alone.fit(*load_digits(return_X_y=True))
    scores = re.findall(r"^(0\.\d+)  alpha=", printed, re.M)
    assert scores == [f"{score:.6f}" for score in alone.cv_results_["mean_test_score"]]
    assert len(set(scores)) > 2
    assert f"The best, {alone.best_score_:.1%} right," in printed


ROWS = [
    Example("lenet_mnist.py", lenet, ["--digits", "--epochs", "6"], ["lenet.safetensors"]),
    Example(
        "tiny_gpt.py", gpt, ["--steps", "40", "--blocks", "1", "--width", "32"], ["gpt.safetensors"]
    ),
    Example("spiral.py", spiral, ["--arms", "2", "--epochs", "30"], ["spiral.png"], ["matplotlib"]),
    Example("grid_search.py", grid_search, ["--folds", "2"], needs=["sklearn", "dask"]),
    Example("names_rnn.py", names_rnn, ["names.txt", "--hidden", "24", "--epochs", "40"],
            reads={"names.txt": "\n".join(NAMES)}),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_example(row, tmp_path):
    for package in row.needs:
        pytest.importorskip(package)
    for name, content in row.reads.items():
        (tmp_path / name).write_text(content)
    out = ["--out", tmp_path] if row.leaves else []
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / row.file, *row.arguments, *out],
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


@pytest.mark.usefixtures("mnist_folder")
def test_lenet_reads_mnist(tmp_path):
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "lenet_mnist.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    lenet_on_mnist(ran.stdout)


def test_every_example_has_a_row():
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == {row.file for row in ROWS}, "each file in examples/ needs a row here"
