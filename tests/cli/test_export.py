"""`chainrule export`: a run as an ONNX file, and as a program."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
pytest.importorskip("onnx", reason="needs the extra: pip install 'chainrule[onnx]'")

import chainrule as cr
from chainrule import load, load_digits
from chainrule.cli.preparation import Preparation


def answers(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def saved(folder, *layers, cost=None):
    model = cr.Model(layers, cost or cr.SoftmaxCrossEntropy())
    model.save(folder / "net.safetensors")
    return model


@pytest.mark.parametrize("method", ["predict", "predict-proba", "predict-classes"])
def test_a_run_as_an_onnx_file(method, model, run_here, tmp_path):
    done = run_here("export", model, "--to", "onnx", "--out", "d.onnx", "--method", method)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Written: d.onnx, {(tmp_path / 'd.onnx').stat().st_size:,} bytes.",
        "It takes values as they were prepared in training; its metadata say how.",
    ]
    net = load(model)
    x = Preparation.of(net, model).rows(load_digits("test")[0])
    y = answers(tmp_path / "d.onnx", x)
    wanted = getattr(net, method.replace("-", "_"))(x)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)


def test_the_file_says_how_values_are_prepared(model, run_here, tmp_path):
    import onnx

    run_here("export", model, "--to", "onnx", "--out", "d.onnx")
    about = {p.key: p.value for p in onnx.load(tmp_path / "d.onnx").metadata_props}
    assert json.loads(about["metadata"])["preparation"] == load(model).metadata["preparation"]


def test_without_out_it_lies_beside_the_model(run_here, tmp_path):
    net = saved(tmp_path, cr.Conv2d(3, 2, 3), cr.GlobalAvgPool())
    done = run_here(
        "export", "net.safetensors", "--to", "onnx", "--input-shape", "any,any,3",
        "--channels-first",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Written: net.onnx, ")
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)
    y = answers(tmp_path / "net.onnx", np.moveaxis(x, -1, 1).copy())
    np.testing.assert_allclose(y, net.predict(x), rtol=0, atol=1e-6)


def test_the_command_as_a_process(model, run, tmp_path):
    done = run("export", model, "--to", "onnx", "--out", tmp_path / "d.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "d.onnx").exists()


def test_a_program_in_numpy(model, run_here, tmp_path):
    done = run_here("export", model, "--to", "numpy", "--out", "program")
    assert done.returncode == 0, done.stderr
    assert "predict.py" in done.stdout
    images, _ = load_digits("test")
    np.save(tmp_path / "raw.npy", images[:20])
    command = [sys.executable, "-W", "error", "program/predict.py", "raw.npy"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    net = load(model)
    expected = net.predict_classes(Preparation.of(net, model).rows(images[:20]))
    assert ran.stdout == f"{expected}\n"
    assert (tmp_path / "program" / "predict.npz").exists()


def test_a_regression_in_its_own_units(run_here, tmp_path):
    x = np.arange(200.0) + 1e6
    rows = [f"{a},{5000 - 3 * a}" for a in x]
    (tmp_path / "line.csv").write_text("\n".join(["a,b", *rows]))
    options = "--target b --task regression --hidden 0 --lr 0.1 --out run"
    words = ["train", "line.csv", *options.split()]
    assert run_here(*words).returncode == 0
    done = run_here("export", "run/model.safetensors", "--to", "numpy", "--out", "program")
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "raw.npy", x[:, None])
    command = [sys.executable, "-W", "error", "program/predict.py", "raw.npy", "out.npy"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = np.load(tmp_path / "out.npy").ravel()
    assert np.abs(found - (5000 - 3 * x)).max() < 30  # of a range of 600
    net = load(tmp_path / "run" / "model.safetensors")
    preparation = Preparation.of(net, "model.safetensors")
    ours = preparation.values(net.predict(preparation.rows(x[:, None])))
    assert np.allclose(found, ours, rtol=0, atol=1e-3)


OWN = """
import chainrule.onnx
from chainrule import Layer

class Square(Layer):
    def forward(self, x):
        return x * x

    def backward(self, grad):
        return grad
"""
CONVERTER = """
@chainrule.onnx.converter(Square, any_order=True)
def square(graph, layer, x):
    return graph.node("Mul", x, x)
"""


def test_layers_of_ones_own(run_here, tmp_path, monkeypatch):
    from chainrule.onnx.exporting import registry

    monkeypatch.setattr(registry, "_converters", dict(registry._converters))
    (tmp_path / "own.py").write_text(OWN)
    namespace = {}
    exec(OWN, namespace)
    net = saved(tmp_path, cr.Linear(4, 3), namespace["Square"]())
    words = ("export", "net.safetensors", "--to", "onnx", "--input-shape", "4")
    assert "Name the file that defines them: --code FILE.py" in run_here(*words).stderr
    done = run_here(*words, "--code", "own.py")
    assert done.returncode == 1
    assert "no converter for 1: Square. Write one" in done.stderr
    (tmp_path / "own.py").write_text(OWN + CONVERTER)
    assert run_here(*words, "--code", "own.py").returncode == 0
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(answers(tmp_path / "net.onnx", x), net.predict(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--to", "pdf"], 2, "--to must be onnx or numpy, got pdf."),
        ([], 2, "to"),
        (["--to", "onnx"], 2, "net.safetensors does not say what shape its samples have"),
        (["--to", "onnx", "--input-shape", "4,x"], 2, "must be whole numbers or any"),
        (["--to", "onnx", "--input-shape", "0"], 2, "must be whole numbers or any"),
        (["--to", "onnx", "--input-shape", ""], 2, "must be whole numbers or any"),
        (["--to", "onnx", "--input-shape", "5"], 1, "the last axis of the input must be 4"),
        (["--to", "onnx", "--input-shape", "4", "--out", "a.png"], 2, "must name an .onnx file"),
        (["--to", "onnx", "--input-shape", "4", "--out", "no/a.onnx"], 1, "No such file"),
        (["--to", "onnx", "--input-shape", "4", "--method", "guess"], 2, "--method must be one of"),
        (["--to", "numpy", "--method", "predict-proba"], 2, "are for --to onnx."),
        (["--to", "numpy", "--input-shape", "any,4"], 2, "takes numbers in --input-shape"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(words, code, message, run_here, tmp_path):
    saved(tmp_path, cr.Linear(4, 3))
    done = run_here("export", "net.safetensors", *words)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.startswith("chainrule: ")
    assert done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_no_such_model(run_here):
    done = run_here("export", "no.safetensors", "--to", "onnx")
    assert (done.returncode, done.stderr) == (
        1, "chainrule: no.safetensors: there is no such file.\n"
    )  # fmt: skip


def test_a_missing_onnx_is_told_with_the_extra_that_brings_it(run_here, tmp_path, monkeypatch):
    saved(tmp_path, cr.Linear(4, 3))
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = run_here("export", "net.safetensors", "--to", "onnx", "--input-shape", "4")
    assert done.returncode == 1
    assert done.stderr == "chainrule: chainrule.onnx needs onnx: pip install 'chainrule[onnx]'\n"
