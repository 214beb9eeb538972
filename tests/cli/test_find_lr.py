"""`chainrule find-lr`."""

import re

import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")


def test_it_suggests_a_rate_that_trains(run, tmp_path):
    done = run("find-lr", "--out", "a.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rate = float(re.search(r"Learning rate: (\S+)", done.stdout)[1])
    assert 0.01 < rate < 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    words = done.stdout.split("chainrule train ")[1].split()
    trained = run("train", *words, "--epochs", "4", cwd=tmp_path)
    assert float(trained.stdout.split("held-out samples: ")[1].split(" %")[0]) > 90


def test_nonsense_is_refused(run, tmp_path):
    done = run("find-lr", "--steps", "5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--steps must be at least 10" in done.stderr
