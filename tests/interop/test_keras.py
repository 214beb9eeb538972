"""Files that Keras has written, read into models that predict the same."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cases_keras
import chainrule as cr
from cases_keras import CASES, REFUSED
from chainrule.keras import load, load_weights

h5py = pytest.importorskip("h5py")

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")),
    reason="Keras and PyTorch are not installed: make parity",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of files that Keras has just written."""
    folder = tmp_path_factory.mktemp("keras")
    program = Path(cases_keras.__file__)
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    ran = subprocess.run(
        [sys.executable, program, folder], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return folder


def arrays(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        return file["x"], file["y"]


def assert_same(model, x, y, name):
    tolerance = {"mixed": 1e-2}.get(name, 1e-5)
    found = model.predict(x)
    assert found.shape == y.shape
    np.testing.assert_allclose(found, y, rtol=0, atol=tolerance * max(1, np.abs(y).max()))


@pytest.mark.parametrize("name", [case[0] for case in CASES] + ["chain"])
def test_a_model_predicts_the_same(name, folder):
    model = load(folder / f"{name}.keras")
    x, y = arrays(folder, name)
    assert_same(model, x, y, name)
    assert model.dtype == (np.float64 if name == "float64" else np.float32)


@pytest.mark.parametrize("name", [case[0] for case in CASES if case[0] != "nested"])
def test_weights_alone_go_into_a_net_of_the_same_layers(name, folder):
    net = load(folder / f"{name}.keras")
    expected = net.get_state()
    net.parameters[...] = 7
    lacks = {"batch-norm-scale", "batch-norm-center", "layer-norm-center",
             "group-norm", "distributed"}  # fmt: skip
    if name in lacks:  # they have fewer arrays, or are not named as Dense
        with pytest.raises(ValueError, match=r"missing|unknown"):
            load_weights(net, folder / f"{name}.weights.h5")
        return
    load_weights(net, folder / f"{name}.weights.h5")
    np.testing.assert_array_equal(net.parameters, expected["parameters"])


@pytest.mark.parametrize(("name", "code", "shape", "message"), REFUSED)
def test_what_is_not_ours_is_refused(name, code, shape, message, folder):
    with pytest.raises(ValueError, match=message) as caught:
        load(folder / f"{name}.keras")
    assert str(caught.value).isprintable()


def test_a_net_with_branches_is_refused(folder):
    for name in ("branch", "branch-inside", "branch-ends"):
        with pytest.raises(ValueError, match=r"no chain|not the output of its last layer"):
            load(folder / f"{name}.keras")


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("loss-classes", cr.CrossEntropy()), ("loss-squares", cr.MeanSquaredError()),
        ("loss-none", cr.MeanSquaredError()), ("loss-absolute", cr.MeanAbsoluteError()),
        ("loss-binary", cr.BinaryCrossEntropy()), ("chain", cr.SoftmaxCrossEntropy()),
        ("loss-mae", cr.MeanAbsoluteError()), ("loss-class", cr.MeanAbsoluteError()),
        ("loss-huber", cr.Huber()), ("loss-short", cr.Huber()),
        ("loss-smooth", cr.CrossEntropy(label_smoothing=0.2)),
        ("loss-other", cr.MeanSquaredError()),
    ],
    ids=lambda value: str(value).partition("(")[0],
)  # fmt: skip
def test_the_loss_that_it_was_compiled_with(name, cost, folder):
    assert repr(load(folder / f"{name}.keras").cost) == repr(cost)
    assert type(load(folder / f"{name}.keras", cr.Huber()).cost) is cr.Huber


@pytest.mark.parametrize(
    "loss", ["huber", 3, [], {"class_name": "Huber", "config": {"delta": -1}},
             {"class_name": "Huber", "config": {"delta": "x"}}, {"class_name": None},
             {"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": [1]}}],
    ids=str,
)  # fmt: skip
def test_a_loss_that_makes_no_sense(loss, folder, tmp_path):
    config = described(folder, lambda c: c.update(compile_config={"loss": loss}))
    wanted = cr.Huber if loss == "huber" else cr.MeanSquaredError
    assert type(load(changed(folder, tmp_path, **{"config.json": config})).cost) is wanted


def test_a_model_can_be_trained_on(folder, rng):
    model = load(folder / "chain.keras")
    x, y = arrays(folder, "chain")[0], np.array([0, 1, 2])
    before = model.loss(x, y).mean()
    for _ in range(20):
        model.loss(x, y)
        model.backward()
        model.parameters -= 0.1 * model.gradients
    assert model.loss(x, y).mean() < before / 2


def test_names_say_where_weights_belong(folder):
    net = cr.Model(
        [cr.Sequential([cr.Linear(5, 3), cr.Linear(3, 4)]), cr.Linear(4, 2), cr.Linear(2, 1)],
        cr.MeanSquaredError(),
    )
    names = {
        "sequential/layers/dense": "0.0", "sequential/layers/dense_1": "0.1",
        "sequential_1/layers/dense": "1", "dense": "2",
    }  # fmt: skip
    load_weights(net, folder / "nested.weights.h5", names=names)
    assert_same(net, *arrays(folder, "nested"), "nested")
    with pytest.raises(ValueError, match="no layer with weights 7"):
        load_weights(net, folder / "nested.weights.h5", names={"dense": "7"})


def test_all_that_is_wrong_is_said_at_once_and_nothing_changes(folder):
    net = cr.Model([cr.Linear(5, 4), cr.Linear(4, 2), cr.Linear(2, 2)], cr.MeanSquaredError())
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="dense/vars/0") as caught:
        load_weights(net, folder / "dense.weights.h5")
    message = str(caught.value).partition(": ")[2]
    assert message == (
        "dense/vars/0 has shape (5, 3), needs (5, 4); dense/vars/1 has shape (3,), needs (4,); "
        "dense_1/vars/0 has shape (3, 2), needs (4, 2); dense_1/vars/1 is missing; "
        "dense_2/vars/0 is missing; dense_2/vars/1 is missing."
    )
    np.testing.assert_array_equal(net.parameters, before)


def test_layers_that_keras_has_not_are_named():
    net = cr.Model([cr.LearnedPositions(3, 2), cr.Linear(2, 1)], cr.MeanSquaredError())
    with pytest.raises(TypeError, match=r"no such layer: 0 = LearnedPositions\(3, 2\)"):
        load_weights(net, "any.weights.h5")


def test_what_is_no_model_is_refused(folder):
    with pytest.raises(TypeError, match=r"load_weights: needs a chainrule\.Model, got str"):
        load_weights("net", folder / "dense.weights.h5")


def test_files_that_are_not_there(tmp_path):
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    for read in (load, lambda path: load_weights(net, path)):
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            read(tmp_path / "none")
        with pytest.raises(IsADirectoryError, match="is a folder"):
            read(tmp_path)


def changed(folder, tmp_path, **parts):
    """Return a copy of a model's file with other parts."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(folder / "dense.keras") as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            if parts.get(info.filename, b"") is not None:
                new.writestr(info.filename, parts.get(info.filename) or old.read(info))
    return path


def described(folder, change):
    """Return the description of a net after a change."""
    with zipfile.ZipFile(folder / "dense.keras") as file:
        config = json.loads(file.read("config.json"))
    change(config)
    return json.dumps(config).encode()


DAMAGED = {
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"Sequential"',
    "no class": b"{}",
    "wrong types": b'{"class_name": 3, "config": []}',
    "no layers": b'{"module": "keras", "class_name": "Sequential", "config": {"layers": []}}',
    "layers of nothing": b'{"module": "keras", "class_name": "Sequential", "config": '
    b'{"layers": [null, 3, "x", {}, {"class_name": "Dense"}]}}',
    "deep": b"[" * 100_000,
    "not text": b"\xff\xfe",
}


@pytest.mark.parametrize("config", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_description(config, folder, tmp_path):
    with pytest.raises(ValueError, match=r"changed\.keras") as caught:
        load(changed(folder, tmp_path, **{"config.json": config}))
    assert str(caught.value).isprintable()
    if config == DAMAGED["layers of nothing"]:
        assert str(caught.value).count("its description is damaged") == 5


@pytest.mark.parametrize("units", [-1, 0, 10**12, "x", None, [3]])
def test_settings_that_make_no_sense(units, folder, tmp_path):
    config = described(folder, lambda c: c["config"]["layers"][1]["config"].update(units=units))
    with pytest.raises(ValueError, match=r"changed\.keras"):
        load(changed(folder, tmp_path, **{"config.json": config}))


def damaged(content, rng, count):
    """Yield copies of a file that end too soon, or have one bit flipped."""
    for i in range(count):
        copy = bytearray(content)
        if i % 2:
            copy[rng.integers(len(content))] ^= 1 << rng.integers(8)
        else:
            del copy[rng.integers(len(content)) :]
        yield bytes(copy)


def message_of(function, *arguments):
    """Return what the error says, if there is one."""
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    return "it is damaged without harm"


def test_every_damaged_file_is_an_error_or_a_model(folder, tmp_path, rng):
    path = tmp_path / "damaged.keras"
    for content in damaged((folder / "dense.keras").read_bytes(), rng, 150):
        path.write_bytes(content)
        message = message_of(load, path)
        assert "damaged" in message
        assert message.isprintable()


def test_every_damaged_file_of_weights_is_an_error_or_read(folder, tmp_path, rng):
    net = load(folder / "dense.keras")
    path = tmp_path / "damaged.weights.h5"
    for content in damaged((folder / "dense.weights.h5").read_bytes(), rng, 300):
        path.write_bytes(content)
        message = message_of(load_weights, net, path)
        assert "damaged" in message
        assert message.isprintable()


def test_missing_parts(folder, tmp_path):
    for name in ("config.json", "model.weights.h5"):
        with pytest.raises(ValueError, match=f"no item named '{name}'"):
            load(changed(folder, tmp_path, **{name: None}))


def test_a_bomb_is_not_unpacked(folder, tmp_path):
    for name in ("config.json", "model.weights.h5"):
        path = changed(folder, tmp_path, **{name: None})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, b" " * 50_000_000)
        with pytest.raises(ValueError, match=rf"{name} grows to more than"):
            load(path)


def with_weights(path, change):
    """Return a file of weights after a change, and a net for it."""
    with h5py.File(path, "a") as file:
        change(file["layers/dense/vars"], file)
    return cr.Model([cr.Linear(5, 3), cr.Linear(3, 2, bias=False)], cr.MeanSquaredError())


def replaced(**options):
    def change(group, file):
        del group["0"]
        group.create_dataset("0", (5, 3), **options)

    return change


def linked(link):
    def change(group, file):
        file["elsewhere"] = np.zeros((5, 3), "f")
        del group["0"]
        group["0"] = link()

    return change


def virtual(group, file):
    layout = h5py.VirtualLayout((5, 3), "f")
    layout[:] = h5py.VirtualSource("other.h5", "x", (5, 3))
    del group["0"]
    group.create_virtual_dataset("0", layout)


def all_linked(group, file):
    """Put all arrays into another file."""
    with h5py.File(file.filename.replace("w.h5", "other.h5"), "w") as other:
        file.copy("layers", other)
    del file["layers"]
    file["layers"] = h5py.ExternalLink("other.h5", "/layers")


HOSTILE = {
    "compressed": replaced(dtype="f", compression="gzip"),
    "never written": replaced(dtype="f"),
    "external": replaced(dtype="f", external="/etc/hostname"),
    "whole numbers": replaced(dtype="i4", data=np.zeros((5, 3), "i4")),
    "text": replaced(dtype="S9", data=np.zeros((5, 3), "S9")),
    "virtual": virtual,
    "link to a file": linked(lambda: h5py.ExternalLink("other.h5", "/x")),
    "link": linked(lambda: h5py.SoftLink("/elsewhere")),
    "all links to a file": all_linked,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_array_is_refused(kind, folder, tmp_path):
    shutil.copy(folder / "dense.weights.h5", tmp_path / "w.h5")
    net = with_weights(tmp_path / "w.h5", HOSTILE[kind])
    with pytest.raises(ValueError, match="dense/vars/0"):
        load_weights(net, tmp_path / "w.h5")


def test_a_circle_of_groups_ends(folder, tmp_path):
    shutil.copy(folder / "dense.weights.h5", tmp_path / "w.h5")

    def change(group, file):
        group["round"] = file["layers"]

    net = with_weights(tmp_path / "w.h5", change)
    load_weights(net, tmp_path / "w.h5")


def test_h5py_alone_is_needed(folder):
    code = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'torch'): sys.modules[name] = None\n"
        "from chainrule.keras import load\n"
        "print(load(sys.argv[1]))\n"
        "import chainrule.interop.extras\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, folder / "dense.keras"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Linear(5, 3)" in ran.stdout
    code = code.replace("'keras',", "'h5py',")
    ran = subprocess.run(
        [sys.executable, "-c", code, folder / "dense.keras"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "chainrule.keras needs h5py: pip install 'chainrule[keras]'" in ran.stderr
