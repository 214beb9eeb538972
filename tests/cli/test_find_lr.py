"""`chainrule find-lr`."""

import re
import shlex

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


def test_what_it_says_to_type_is_whole(run_here, tmp_path, rng):
    pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")
    rows = [f"{i / 60},{i % 5},{i % 2}" for i in range(60)]
    (tmp_path / "my table.csv").write_text("a,b,number of\n" + "\n".join(rows))
    done = run_here("find-lr", "my table.csv", "--target", "number of", "--task", "regression",
                    "--hidden", "20,10", "--dropout", 0.1, "--seed", 3)  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.split("chainrule train ")[1])
    assert words[:-1] == [
        "my table.csv", "--target", "number of", "--task", "regression", "--model", "mlp",
        "--hidden", "20,10", "--dropout", "0.1", "--optimizer", "adam", "--seed", "3", "--lr",
    ]  # fmt: skip
    assert run_here("train", *words, "--epochs", 2).returncode == 0


def test_nonsense_is_refused(run, tmp_path):
    done = run("find-lr", "--steps", "5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--steps must be at least 10" in done.stderr
