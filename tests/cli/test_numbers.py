"""Numbers to predict in an .npz file: by the command, from training to export."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")

from chainrule import load
from chainrule.cli.predict import load_own
from chainrule.cli.preparation import Preparation
from chainrule.cli.prepare import load_data
from chainrule.cli.settings import Settings


def prices(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, (rows, 3))
    return x, 5000 + 120 * x[:, 0] - 40 * x[:, 1] ** 1.5 + rng.normal(0, 5, rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory, run_alone):
    """A folder with prices.npz, and a run on it."""
    folder = tmp_path_factory.mktemp("numbers")
    x, y = prices()
    np.savez(folder / "prices.npz", x=x, y=y)
    done = run_alone(
        "train", "prices.npz", "--epochs", 60, "--lr", 0.01, "--out", "run", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def printed(words):
    found = words.split("RMSE ")[1].split()
    return float(found[0].rstrip(",")), float(found[2])


def test_what_is_printed_is_what_scikit_learn_says(home):
    metrics = pytest.importorskip("sklearn.metrics")
    folder, words = home
    data = load_data(str(folder / "prices.npz"))
    x, y = prices()
    held = np.array([np.flatnonzero((x == row).all(axis=1)).item() for row in data.x_test])
    assert len(held) == 40
    np.testing.assert_array_equal(data.values_test, y[held])
    model = load(folder / "run" / "model.safetensors")
    learned = np.delete(np.arange(200), held)
    mean, deviation = y[learned].mean(), y[learned].std()
    rows = (x[held] - x[learned].mean(axis=0)) / x[learned].std(axis=0)
    predicted = model.predict(rows.astype(np.float32))[:, 0] * deviation + mean
    rmse, r2 = (
        metrics.root_mean_squared_error(y[held], predicted),
        metrics.r2_score(y[held], predicted),
    )
    assert printed(words) == (pytest.approx(rmse, rel=1e-3), pytest.approx(r2, abs=1e-4))
    assert r2 > 0.9
    assert {"predicted.png", "curves.png"} <= {path.name for path in (folder / "run").iterdir()}
    assert "confusion.png" not in {path.name for path in (folder / "run").iterdir()}


def test_evaluated_and_predicted_in_their_own_unit(home, run):
    metrics = pytest.importorskip("sklearn.metrics")
    folder, _ = home
    x, y = prices(50, seed=1)
    np.savez(folder / "new.npz", x=x, y=y)
    model = "run/model.safetensors"
    done = run("predict", model, "new.npz", "--all", "--out", "answers.csv", cwd=folder)
    assert done.stdout.startswith("new.npz[0]: value ")
    rows = list(csv.DictReader((folder / "answers.csv").read_text().splitlines()))
    predicted = [float(row["predicted"]) for row in rows]
    done = run("evaluate", model, "new.npz", "--json", "--out", "drawn", cwd=folder)
    found = json.loads(done.stdout.split("Drawn")[0])
    assert found["samples"] == 50
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, predicted), rel=1e-6)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, predicted), rel=1e-6)
    assert (folder / "drawn" / "predicted.png").exists()
    assert "predicts a number" in run("summary", model, cwd=folder).stdout
    # Whole numbers are judged as numbers by a model that predicts them.
    np.savez(folder / "whole.npz", x=x, y=np.round(y).astype(np.int64)[:, None])
    done = run("evaluate", model, "whole.npz", "--json", cwd=folder)
    assert json.loads(done.stdout)["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(np.round(y), predicted), rel=1e-6
    )


def test_exported_with_their_unit(home, run):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'chainrule[onnx]'")
    folder, _ = home
    model = "run/model.safetensors"
    assert run("export", model, "--to", "onnx", "--out", "m.onnx", cwd=folder).returncode == 0
    one, other = (
        json.loads(run("evaluate", path, "prices.npz", "--json", cwd=folder).stdout)
        for path in (model, "m.onnx")
    )
    assert other == pytest.approx(one, rel=1e-5)
    made = Preparation.of(load_own(folder / "m.onnx", None), folder / "m.onnx")
    assert (
        made.target_deviation == load_data(str(folder / "prices.npz")).preparation.target_deviation
    )


def test_the_run_is_repeated_to_the_byte_and_resumed(home, run):
    folder, _ = home
    done = run("train", "--config", "run/run.toml", "--out", "again", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, again = ((folder / n / "model.safetensors").read_bytes() for n in ("run", "again"))
    assert first == again
    done = run("train", "--resume", "--out", "again", cwd=folder)
    assert done.returncode == 0, done.stderr
    other = np.load(folder / "prices.npz")
    np.savez(folder / "prices.npz", x=other["x"], y=other["y"] + 0.25)
    done = run("train", "--resume", "--out", "again", cwd=folder)
    assert done.returncode == 2
    assert "the data are not those that the run in again was begun with" in done.stderr


def test_one_rule_says_what_targets_are(tmp_path):
    x = np.random.default_rng(0).standard_normal((60, 2))
    path = tmp_path / "a.npz"

    def kind(y, task=None, **more):
        np.savez(path, x=x, y=y, **more)
        return load_data(str(path), task=task).preparation

    whole = np.arange(60) % 7
    assert kind(whole).names == list("0123456")
    assert kind(whole.astype(float)).names == list("0123456")
    assert kind(whole, "regression").names == []
    numbers = kind(whole / 4)
    assert numbers.regression
    assert numbers.sample_shape == [2]
    assert kind((whole / 4)[:, None]) == numbers
    assert kind(whole.astype(float), x_test=x, y_test=whole + 0.5).regression  # of either
    with pytest.raises(ValueError, match="classes are whole numbers 0, 1, 2, …, and these"):
        kind(whole / 4, "classification")
    with pytest.raises(ValueError, match="or, if they are numbers to predict: --task regression"):
        kind(whole - 3)
    with pytest.raises(ValueError, match=r"have shape \(60, 2\), and one a sample is learned"):
        kind(x)
    with pytest.raises(ValueError, match="are too large for a mean"):
        kind(np.linspace(1, 1.7, 60) * 1e308, "regression")
    with pytest.raises(ValueError, match="numbers to predict are much too large"):
        kind(whole / 4, x_test=x[:1], y_test=np.array([1e300]))


def test_images_with_a_number_each(tmp_path, run):
    x = np.random.default_rng(0).random((120, 6, 6))
    np.savez(tmp_path / "light.npz", x=x, y=x[:, :3].mean(axis=(1, 2)))
    done = run("train", "light.npz", "--epochs", 5, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    preparation = load(tmp_path / "run" / "model.safetensors").metadata["preparation"]
    assert preparation["sample_shape"] == [6, 6]
    assert np.isfinite(printed(done.stdout)).all()


def test_what_is_decided_where_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = prices()
    np.savez("numbers.npz", x=x, y=y)
    np.savez("classes.npz", x=x, y=np.arange(200) % 3)
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04")

    def decided(name, **said):
        settings = Settings(name, **said).spelled_out()
        return settings.epochs, settings.optimizer

    assert decided("numbers.npz") == (30, "adam")
    assert decided("numbers.npz", optimizer="sgd") == (30, "sgd")
    assert decided("classes.npz", task="regression") == (30, "adam")
    for name in ("classes.npz", "damaged.npz", "absent.npz"):
        assert decided(name) == (5, "sgd")


def test_a_model_of_classes_says_that_these_are_numbers(home, run):
    folder, _ = home
    x, _ = prices()
    np.savez(folder / "classes.npz", x=x, y=np.arange(200) % 3)
    words = ("classes.npz", "--epochs", 1, "--out", "classes")
    assert run("train", *words, cwd=folder).returncode == 0
    np.savez(folder / "new.npz", x=x, y=x[:, 0])
    done = run("evaluate", "classes/model.safetensors", "new.npz", cwd=folder)
    assert done.returncode == 1
    assert "these targets are not: they are numbers to predict" in done.stderr
