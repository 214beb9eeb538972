"""Files that lie, ask for much, or point elsewhere; and weights that lie beside a file."""

import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import chainrule as cr
import chainrule.onnx
from fuzz.readers import READERS, outcome, rich, sequences, small
from onnx_reading.exported import assert_same, loaded
from onnx_reading.graphs import GRAPHS, OLD, W, model_of, node, normal
from onnx_reading.lies import changed


def test_weights_beside_the_file(tmp_path):
    path = tmp_path / "net.onnx"
    constants = {"w": normal(40, 30)}
    whole = model_of([node("MatMul", "x w")], ["n", 40], constants)
    onnx.save(whole, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    x = normal(3, 40)
    np.testing.assert_allclose(loaded(path).predict(x), x @ constants["w"], rtol=1e-4, atol=1e-5)
    assert_same(loaded(path), path, x)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ValueError, match=r"net\.onnx is damaged"):
        loaded(path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", ""])
def test_weights_outside_the_folder_are_not_read(location, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    model = model_of([node("MatMul", "x w")], ["n", 4], {"w": W})
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="is damaged") as caught:
        loaded(folder / "net.onnx")
    assert str(caught.value).isprintable()


def test_weights_that_are_all_the_same_bytes(tmp_path):
    (tmp_path / "w.bin").write_bytes(normal(30, 30).tobytes())
    chain = [node("MatMul", f"v{i} w{i}", f"v{i + 1}") for i in range(9)]
    weights = {f"w{i}": normal(30, 30) for i in range(9)}
    nodes = [node("Relu", "x", "v0"), *chain, node("Relu", "v9")]
    model = model_of(nodes, ["n", 30], weights)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="more than the files beside it hold"):
        loaded(tmp_path / "net.onnx")


def test_functions_are_unfolded(tmp_path):
    versions = [helper.make_opsetid("", 20)]
    inner = [node("Sigmoid", "a", "s"), node("Mul", "a s", "b")]
    gate = helper.make_function("mine", "Gate", ["a"], ["b"], inner, versions)
    nodes = [node("MatMul", "x w", "z"), node("Gate", "z", domain="mine")]
    onnx.save(model_of(nodes, ["n", 4], {"w": W}, functions=[gate]), tmp_path / "net.onnx")
    assert isinstance(loaded(tmp_path / "net.onnx").layers[-1], cr.SiLU)


def function_bomb():
    """Return thirty functions, each of which calls the next one four times."""
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
    functions = []
    for i in range(30):
        op, domain = (f"F{i + 1}", "mine") if i < 29 else ("Relu", "")
        body = [node(op, f"v{k}", f"v{k + 1}", domain=domain) for k in range(4)]
        functions.append(helper.make_function("mine", f"F{i}", ["v0"], ["v4"], body, versions))
    bomb = model_of([node("F0", "x", domain="mine")], ["n", 4])
    bomb.functions.extend(functions)
    bomb.opset_import.extend(versions[1:])
    return bomb


def bombs():
    """Yield small files that ask for much memory or time."""
    many = np.array([2**20, 2**20])
    fill = [node("ConstantOfShape", "s", "c"), node("Add", "x c")]
    yield model_of(fill, ["n", 4], {"s": many})
    one, shape = np.ones(1, np.float32), {"s": many}
    yield model_of([node("Expand", "o s", "c"), node("Add", "x c")], ["n", 4], {"o": one, **shape})
    ends = {"a": np.array(0), "b": np.array(2**40), "c": np.array(1)}
    yield model_of([node("Range", "a b c", "r"), node("Add", "x r")], ["n", 4], ends)
    double = [node("Concat", f"v{i} v{i}", f"v{i + 1}", axis=0) for i in range(40)]
    yield model_of([*double, node("Add", "x v40")], ["n", 4], {"v0": np.ones(4, np.float32)})
    square = normal(300, 300)
    chain = [node("MatMul", f"v{i} w", f"v{i + 1}") for i in range(3000)]
    yield model_of([node("Relu", "x", "v0"), *chain, node("Relu", "v3000")], ["n", 300],
                   {"w": square})  # fmt: skip
    yield function_bomb()
    forks = [node("Add", f"v{i} v{i}", f"v{i + 1}") for i in range(400)]
    yield model_of([node("Relu", "x", "v0"), *forks, node("Relu", "v400")], ["n", 4])
    yield model_of([node("Pad", "x p")], ["n", 4], {"p": np.array([0, 2**40, 0, 2**40])})
    yield model_of([node("Unsqueeze", "x a", "u"), node("Expand", "u s")], ["n", 4],
                   {"a": np.array([1]), "s": np.array([1, 2**40, 1])})  # fmt: skip


@pytest.mark.parametrize("number", range(9))
def test_small_files_that_ask_for_much(number, tmp_path):
    import resource
    import tracemalloc

    path = tmp_path / "net.onnx"
    path.write_bytes(list(bombs())[number].SerializeToString())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    reader = next(each for each in READERS if each.name == "onnx")
    tracemalloc.start()
    outcome(reader, path)  # a fault is an AssertionError
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**28  # 2 ** 20 elements are what a constant may have, and a few such are made
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 60


def test_parts_that_lie(tmp_path):
    """Sound graphs with a few things changed: a model, or one line that names the file."""
    reader = next(each for each in READERS if each.name == "onnx")
    path = tmp_path / "net.onnx"
    sound = [
        model_of(nodes, shape, constants, opset=OLD.get(name, 20))
        for name, (nodes, shape, constants) in GRAPHS.items()
    ]
    for make, shape in ((small, 3), (rich, (4, 4, 1)), (sequences, (6,))):
        chainrule.onnx.export(make(), path, shape)
        sound.append(onnx.load(path))
    rng = random.Random(5)
    ends = {"read": 0, "refused": 0}
    for _ in range(1500):
        path.write_bytes(changed(rng.choice(sound), rng).SerializeToString())
        ends["read" if outcome(reader, path) is None else "refused"] += 1
    assert min(ends.values()) > 200  # neither all of them damaged beyond reading, nor none


def test_no_code_is_run(tmp_path):
    """What a file of ours says of its loss is taken as words: no expression is evaluated."""
    path = tmp_path / "net.onnx"
    canary = tmp_path / "canary"
    chainrule.onnx.export(small(), path, 3)
    document = onnx.load(path)
    for cost in (f"open({str(canary)!r}, 'w')", f"MeanSquaredError(x=open({str(canary)!r}, 'w'))",
                 "CrossEntropy(label_smoothing=2)", "SoftmaxCrossEntropy(", "Sequential([])",
                 "(" * 900, "Huber(__import__('os'))"):  # fmt: skip
        document.metadata_props[0].value = cost
        assert document.metadata_props[0].key == "cost"
        onnx.save(document, path)
        assert isinstance(loaded(path).cost, cr.SoftmaxCrossEntropy)
        assert not canary.exists()
