"""Nets with one output for yes or no: trained, evaluated, predicted with, exported; and refused."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")

from chainrule import BinaryCrossEntropy, load
from chainrule.cli.classes import class_probabilities
from chainrule.cli.prepare import load_data
from yes_no import patients, write


def logits_of(model, path):
    data = load_data(str(path), "well")
    rows = data.preparation.rows(np.concatenate([data.x, data.x_test]))
    return model.predict(rows), np.concatenate([data.y, data.y_test])


def test_a_yes_or_no_is_trained_judged_as_pytorch_does_and_exported(run, run_here, tmp_path):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("sklearn.metrics")
    table = write(tmp_path, "well")
    words = ["--target", "well", "--model", "net.py:build", "--lr", 0.05, "--epochs", 8]
    done = run("train", "patients.csv", *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Accuracy on 40 held-out samples" in done.stdout
    assert (tmp_path / "run" / "confusion.png").exists()
    model = load(tmp_path / "run" / "model.safetensors")
    logits, y = logits_of(model, table)
    done = run("evaluate", "run/model.safetensors", "patients.csv", "--json", cwd=tmp_path)
    figures = json.loads(done.stdout)
    z, t = torch.tensor(logits[:, 0]), torch.tensor(y, dtype=torch.float32)
    assert figures["loss"] == pytest.approx(float(torch.nn.BCEWithLogitsLoss()(z, t)), rel=1e-5)
    said = torch.sigmoid(z).numpy() > 0.5
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(y, said))
    assert figures["accuracy"] > 0.8
    assert figures["f1"] == pytest.approx(metrics.f1_score(y, said))
    done = run_here("predict", "run/model.safetensors", "patients.csv", "--out", "a.csv")
    assert done.returncode == 0, done.stderr
    answers = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    prepared = load_data(str(table), "well").preparation
    raw = patients()
    rows = prepared.rows(np.column_stack([raw["age"], raw["dose"]]))
    yes = torch.sigmoid(torch.tensor(model.predict(rows)[:, 0])).numpy()
    for answer, p in zip(answers, yes, strict=True):
        assert answer["predicted"] == ("yes" if p > 0.5 else "no")
        assert float(answer["probability"]) == pytest.approx(max(p, 1 - p), abs=2e-6)
    # As an ONNX file, of logits and of probabilities, it answers the same.
    for method in ("predict", "predict-proba"):
        words = ["--to", "onnx", "--method", method, "--out", f"{method}.onnx"]
        assert run_here("export", "run/model.safetensors", *words).returncode == 0
        found = run_here("evaluate", f"{method}.onnx", "patients.csv", "--json")
        again = json.loads(found.stdout)
        assert again["accuracy"] == figures["accuracy"]
        assert again["loss"] == pytest.approx(figures["loss"], rel=1e-5)


def test_a_yes_or_no_is_stopped_and_gone_on_with(run_here, tmp_path):
    write(tmp_path, "well")
    words = ["patients.csv", "--target", "well", "--model", "net.py:build", "--epochs", 2]
    assert run_here("train", *words, "--out", "run").returncode == 0
    done = run_here("train", "--resume", "--out", "run")
    assert done.returncode == 0, done.stderr
    done = run_here("train", "--config", "run/run.toml", "--out", "again")
    assert done.returncode == 0, done.stderr
    assert "differ" not in done.stdout
    one, two = (load(tmp_path / name / "model.safetensors") for name in ("run", "again"))
    assert (one.parameters == two.parameters).all()


@pytest.mark.parametrize(
    ("target", "function", "words"),
    [
        ("kind", "build", "yes or no, for targets of two classes, and here the target is 3 classes"
         ". Give the net 3 outputs and SoftmaxCrossEntropy()."),
        ("price", "build", "here the target is a number. Give the net MeanSquaredError(), or say "
         "--task classification"),
        ("well", "softmax", "must have 2 outputs and a loss for classes, or one output and "
         "BinaryCrossEntropy(), and has outputs of shape (1,) and SoftmaxCrossEntropy()"),
        ("well", "twice", "ends in Sigmoid(), and BinaryCrossEntropy takes logits: it has a sigmoid"
         " of its own. Leave Sigmoid() out."),
    ],
)  # fmt: skip
def test_what_is_no_yes_or_no_says_so(run_here, tmp_path, target, function, words):
    write(tmp_path, target)
    command = ["patients.csv", "--target", target, "--model", f"net.py:{function}"]
    done = run_here("train", *command)
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_no_is_as_sure_as_a_yes():
    logits = np.array([[30.0], [-30.0], [200.0]], np.float32)
    found = class_probabilities(BinaryCrossEntropy(), logits)
    np.testing.assert_allclose(found[0], [np.exp(-30.0), 1], rtol=1e-5)  # 1 - p would be 0
    np.testing.assert_array_equal(found[1], found[0][::-1])
    assert np.isfinite(found).all()
