"""`chainrule predict`, `evaluate` and `summary` with ONNX files, ours and those of others."""

import warnings

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
import onnx
from onnx import TensorProto, helper, numpy_helper

import chainrule.onnx
from chainrule import Conv2d, Flatten, Linear, MeanSquaredError, Model, SoftmaxCrossEntropy, load


@pytest.fixture
def iris(tmp_path):
    """A classifier that scikit-learn trained and skl2onnx wrote, and its data."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier

    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    names = np.array(["setosa", "versicolor", "virginica"])
    net = MLPClassifier(hidden_layer_sizes=(8,), max_iter=60, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it could learn on
        net.fit(x, names[y])
    path = tmp_path / "iris.onnx"
    path.write_bytes(skl2onnx.to_onnx(net, x[:1]).SerializeToString())
    np.savez(tmp_path / "iris.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x[[0, 60, 120]])
    return path, net, x, y


def test_predict(iris, run_here, tmp_path):
    path, net, x, _ = iris
    done = run_here("predict", path, tmp_path / "x.npy")
    assert done.returncode == 0
    said = [line.split(": ")[1].split(" ")[0] for line in done.stdout.splitlines()]
    assert said == net.predict(x[[0, 60, 120]]).tolist()


def test_evaluate(iris, run_here, tmp_path):
    path, net, x, y = iris
    done = run_here("evaluate", path, tmp_path / "iris.npz")
    accuracy = (net.predict(x) == net.classes_[y]).mean()
    assert done.returncode == 0
    assert f"accuracy   {accuracy:.4f}" in done.stdout


def test_summary(iris, run_here):
    done = run_here("summary", iris[0])
    assert done.returncode == 0
    assert "Linear(4, 8)" in done.stdout
    assert "3 classes (setosa, versicolor, virginica)" in done.stdout


def test_images_of_others(run_here, tmp_path):
    """A sample is (channels, height, width), as the file has it."""
    layers = [Conv2d(2, 3, 3), Flatten(), Linear(36, 4)]
    net = Model(layers, SoftmaxCrossEntropy())
    path = tmp_path / "net.onnx"
    chainrule.onnx.export(net, path, (6, 5, 2), channels_first=True)
    document = onnx.load(path)
    document.producer_name = "someone"
    onnx.save(document, path)
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    done = run_here("predict", path, tmp_path / "x.npy")
    wanted = net.predict_classes(np.moveaxis(x, 1, -1))
    assert [line.split(": ")[1].split(" ")[0] for line in done.stdout.splitlines()] == [
        str(n) for n in wanted
    ]


def test_numbers_of_others(run_here, tmp_path):
    weights = np.array([[1], [2]], np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", np.array([[1, 1], [2, 0.5]]))
    done = run_here("predict", tmp_path / "net.onnx", tmp_path / "x.npy")
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == ["value 3", "value 3"]


def test_our_own_come_back_with_their_preparation(run_here, model, tmp_path):
    """A net that `chainrule train` made answers the same as a file of ONNX."""
    path = tmp_path / "digits.onnx"
    assert run_here("export", model, "--to", "onnx", "--out", path).returncode == 0
    again = chainrule.onnx.load(path)
    assert again.metadata["preparation"] == load(model).metadata["preparation"]
    images, labels = chainrule.load_digits("test")
    np.savez(tmp_path / "digits.npz", x=images, y=labels)
    ours = run_here("evaluate", model, tmp_path / "digits.npz")
    theirs = run_here("evaluate", path, tmp_path / "digits.npz")
    assert ours.returncode == 0
    assert theirs.stdout == ours.stdout


def test_what_the_command_cannot_tell(run_here, tmp_path):
    net = Model([Linear(3, 2)], MeanSquaredError())
    path = tmp_path / "net.onnx"
    chainrule.onnx.export(net, path, (None, 3))
    np.save(tmp_path / "x.npy", np.zeros((1, 4, 3)))
    done = run_here("predict", path, tmp_path / "x.npy")
    assert done.returncode != 0
    assert "does not say how its inputs are prepared" in done.stderr
    assert run_here("summary", path).returncode == 0
