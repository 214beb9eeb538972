"""`chainrule check`: a student's terminal, a teacher's autograder."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")

FILE = """
import numpy as np
from chainrule import Layer


class Linear:
    def __init__(self, n_in, n_out):
        self.weights = np.random.default_rng(0).standard_normal((n_in, n_out))
        self.biases = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.biases

    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        self.grad_b = grad.mean(axis=0)
        return grad @ self.weights.T


class Squared:
    def forward(self, y, t):
        self.d = y - t
        return (self.d**2).mean(axis=1)

    def backward(self):
        return 2 * self.d / self.d.size


class Helper:
    pass
"""

CASES = """

def check_cases():
    x = np.random.default_rng(1).standard_normal((4, 3))
    return [(Linear(3, 2), x), (Squared(), x, x + 1)]
"""


def check(*words, cwd):
    command = [sys.executable, "-m", "chainrule", "check", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "cases.py").write_text(FILE + CASES)
    return tmp_path


def test_cases_of_the_file(folder):
    done = check("cases.py", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "scaled_by_batch: the gradient is scaled by the number of samples" in done.stdout
    assert "Squared: ok" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 of 2 failed: Linear."
    assert "\x1b" not in done.stdout
    one = check("cases.py:Squared", cwd=folder)
    assert one.returncode == 0
    assert "Linear" not in one.stdout


def test_arguments_on_the_command_line(folder):
    words = ("mine.py:Linear", "--arguments", "3,2", "--input-shape", "4,3")
    done = check(*words, cwd=folder)
    assert done.returncode == 1
    assert "scaled_by_batch" in done.stdout
    loss = check("mine.py:Squared", "--input-shape", "4,3", "--target-shape", "4,3", cwd=folder)
    assert loss.returncode == 0, loss.stdout


def test_json(folder):
    done = check("cases.py", "--json", cwd=folder)
    assert done.returncode == 1
    linear, squared = json.loads(done.stdout)
    assert (linear["ok"], squared["ok"]) == (False, True)
    assert [f["mistake"] for f in linear["findings"]] == [None, None, "scaled_by_batch"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.py"], 2, "no such file"),
        (["mine.py"], 2, "say how to build and feed"),
        (["mine.py:Nothing"], 2, "there are: Linear, Squared"),
        (["mine.py:Linear", "--input-shape", "4,3"], 2, "--arguments"),
        (["mine.py:Linear", "--input-shape", "a"], 2, "--input-shape must be"),
        (["cases.py:Nothing"], 2, "it has Linear, Squared"),
        (["broken.py"], 1, "line 2: ZeroDivisionError"),
        (["empty.py"], 2, "no class with forward and backward"),
        (["odd.py"], 2, "check_cases returns tuples"),
    ],
)
def test_wrong_use_is_one_line(words, code, message, folder):
    (folder / "broken.py").write_text("x = 1\n1 / 0\n")
    (folder / "empty.py").write_text("")
    (folder / "odd.py").write_text("def check_cases():\n    return [3]\n")
    done = check(*words, cwd=folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_code_that_raises_is_reported_with_its_line(folder):
    spoiled = FILE.replace("self.grad_b = grad.mean(axis=0)", "self.grad_b = grad.men(axis=0)")
    (folder / "spoiled.py").write_text(spoiled + CASES)
    done = check("spoiled.py", cwd=folder)
    assert done.returncode == 1
    assert "backward raised AttributeError" in done.stdout
    assert "self.grad_b = grad.men(axis=0)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
