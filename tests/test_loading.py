"""Loading what nobody saved: whatever is in the file, a whole model or a ValueError."""

import copy
import json
import math
import os
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr


def rich():
    """Return a model with an argument of every kind in its description."""
    return cr.Model(
        [
            cr.Flatten(),
            cr.Linear(3, 4),
            cr.LeakyReLU(0.1),
            cr.ELU(0.5),
            cr.GELU("tanh"),
            cr.Dropout(0.2),
            cr.Residual([cr.Linear(4, 2), cr.Tanh()], shortcut=cr.Linear(4, 2, bias=False)),
            cr.Sequential([cr.Linear(2, 2, initializer="orthogonal")]),
        ],
        cr.SoftmaxCrossEntropy(class_weights=[1, 2], label_smoothing=0.1),
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the header and the numbers of a saved file, and a place to write to."""
    path = tmp_path_factory.mktemp("loading") / "net.safetensors"
    rich().save(path)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :], path


def write(path, header, numbers):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def with_description(header, description):
    changed = copy.deepcopy(header)
    changed["__metadata__"]["chainrule"] = json.dumps(description)
    return changed


def loads_whole_or_is_refused(path):
    """Load; what loads must work: it predicts, and says what it is."""
    try:
        model = cr.load(path)
    except ValueError:
        return False
    assert model.parameters.dtype.kind == "f"
    with np.errstate(all="ignore"):  # a slope of 1e308 is a slope
        outputs = model.predict(np.ones((2, 3)))
    assert outputs.shape == (2, 2)
    assert repr(model).startswith("Model([")
    return True


def places(value, place=()):
    """Yield where each value in nested lists and dicts is."""
    yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*place, key))


def replaced(value, place, new):
    if not place:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = new
    return changed


RELU = {"class": "ReLU", "arguments": {}}
STRANGE = [
    None, True, 0, -1, 2, 2.0, 3.0, 0.5, 1e308, math.nan, math.inf, -math.inf, 10**30, "", "x",
    "he", "0.5", "ReLU", "f8,f8", "O", ">f4", [], [[]], {}, [1], ["a"], [1, 2], RELU,
    {"class": "Residual", "arguments": {}}, {"class": "MeanSquaredError", "arguments": {}},
    {"class": "Model", "arguments": {}}, {"class": "Layer", "arguments": {}},
    {"class": "Loss", "arguments": {}}, {"class": [], "arguments": {}}, {"class": "ReLU"},
]  # fmt: skip


@pytest.mark.parametrize("new", STRANGE, ids=repr)
def test_a_strange_value_anywhere_in_the_description(new, saved):
    header, numbers, path = saved
    description = json.loads(header["__metadata__"]["chainrule"])
    for place in places(description):
        if place[:1] == ("metadata",):
            continue
        write(path, with_description(header, replaced(description, place, new)), numbers)
        try:
            loads_whole_or_is_refused(path)
        except Exception as error:
            raise AssertionError(f"{new!r} in place of {place}") from error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_anything_anywhere_in_the_description(saved, data):
    header, numbers, path = saved
    description = json.loads(header["__metadata__"]["chainrule"])
    place = data.draw(st.sampled_from([p for p in places(description) if p[:1] != ("metadata",)]))
    new = data.draw(json_values)
    write(path, with_description(header, replaced(description, place, new)), numbers)
    loads_whole_or_is_refused(path)


TYPES = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I16", "I8", "U64",
         "U32", "U16", "U8", "BOOL", "C64", "F4", "", "X", 5, None]  # fmt: skip
SIZES = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
         "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_of_every_type(kind, saved):
    """Only floats are parameters; bits of one type must not be read as another."""
    header, _, path = saved
    changed, numbers, start = copy.deepcopy(header), b"", 0
    for name in sorted(name for name in header if name != "__metadata__"):
        count = math.prod(header[name]["shape"])
        size = count * SIZES.get(kind, 4)
        changed[name].update(dtype=kind, data_offsets=[start, start + size])
        numbers, start = numbers + bytes(size), start + size
    write(path, changed, numbers)
    assert loads_whole_or_is_refused(path) == (kind in ("F64", "F32", "F16"))


@pytest.mark.parametrize("kind", ["I32", "U32"])
def test_one_flipped_letter_does_not_turn_floats_into_whole_numbers(kind, saved):
    header, numbers, path = saved
    changed = copy.deepcopy(header)
    changed["1.weights"]["dtype"] = kind
    write(path, changed, numbers)
    with pytest.raises(ValueError, match=r"1\.weights"):
        cr.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["1.weights"].update(data_offsets=[0, 10**15]),
        lambda h: h["1.weights"].update(shape=[10**9, 10**9]),
        lambda h: h["1.weights"].update(shape=[-3, -4]),
        lambda h: h["1.weights"].update(shape=[12]),
        lambda h: h["1.weights"].update(shape=[4, 3]),
        lambda h: h.pop("1.weights"),
        lambda h: h.update(extra=h.pop("1.weights")),
        lambda h: h.update({"__metadata__": {"chainrule": 3}}),
        lambda h: h.update({"__metadata__": None}),
        lambda h: h.pop("__metadata__"),
    ],
)
def test_headers_that_do_not_fit(change, saved):
    header, numbers, path = saved
    changed = copy.deepcopy(header)
    change(changed)
    write(path, changed, numbers)
    with pytest.raises(ValueError, match=path.name):
        cr.load(path)


def test_every_byte(tmp_path):
    """All of a small file, not a sample of it: in each byte its lowest bit and another."""
    path = tmp_path / "net.safetensors"
    cr.Model([cr.Linear(1, 1)], cr.MeanSquaredError()).save(path)
    content = bytearray(path.read_bytes())
    flipped = tmp_path / "flipped"
    loaded = 0
    for at in range(len(content)):
        for bit in (0, 1 + at % 7):
            content[at] ^= 1 << bit
            flipped.write_bytes(content)
            content[at] ^= 1 << bit
            try:
                model = cr.load(flipped)
            except ValueError:
                continue
            loaded += 1
            assert model.parameters.shape == (2,)
            assert model.predict(np.ones((1, 1))).shape == (1, 1)
    assert loaded >= 16  # at least those of the two parameters themselves


@pytest.mark.parametrize("size", [10**6, 10**9, 10**18])
@pytest.mark.parametrize("kind", ["Linear", "Residual"])
def test_no_memory_is_taken_for_what_the_file_does_not_hold(kind, size, saved):
    header, numbers, path = saved
    description = json.loads(header["__metadata__"]["chainrule"])
    linear = {"class": "Linear", "arguments": {"n_in": size, "n_out": size}}
    block = {"class": "Residual", "arguments": {"layers": [linear], "shortcut": None}}
    description["layers"].append(linear if kind == "Linear" else block)
    write(path, with_description(header, description), numbers)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="missing"):
            cr.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [1, 50, 100, 150, 200, 400, 5000, 100_000])
def test_layers_in_layers_in_layers(depth, saved):
    header, numbers, path = saved
    description = json.loads(header["__metadata__"]["chainrule"])
    description["layers"].append("HERE")
    deep = '{"class": "Sequential", "arguments": {"layers": [' * depth
    deep += json.dumps(RELU) + "]}}" * depth
    changed = copy.deepcopy(header)
    changed["__metadata__"]["chainrule"] = json.dumps(description).replace('"HERE"', deep)
    write(path, changed, numbers)
    if depth <= 100:
        assert cr.load(path).predict(np.ones((2, 3))).shape == (2, 2)
    elif depth >= 5000:
        with pytest.raises(ValueError, match="damaged"):
            cr.load(path)
    else:
        loads_whole_or_is_refused(path)


def test_nothing_in_a_file_is_run(saved, tmp_path):
    """Names of things that would act are no classes here; nor is anything unpickled."""
    header, numbers, path = saved
    description = json.loads(header["__metadata__"]["chainrule"])
    witness = tmp_path / "witness"
    for name in ("os.system", "eval", "__import__", "builtins.open", "load", "Model", "Path"):
        act = {"class": name, "arguments": {"path": str(witness), "command": f"touch {witness}"}}
        description["layers"][0] = act
        write(path, with_description(header, description), numbers)
        with pytest.raises(ValueError, match="unknown class"):
            cr.load(path)
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR.")
    with pytest.raises(ValueError, match="damaged"):
        cr.load(path)
    assert not witness.exists()


# -- places to write to -------------------------------------------------------------------------


def test_a_target_that_is_a_folder(tmp_path):
    folder = tmp_path / "net.safetensors"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=r"net\.safetensors"):
        rich().save(folder)
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert (folder / "inside").is_dir()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs users as Unix has them")
def test_a_folder_that_may_not_be_written(tmp_path):
    """As a user who is not root, since root may write everywhere."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"before")
    code = f"""
import os, sys
from chainrule import *
net = Model([Linear(2, 2)], MeanSquaredError())
net.save({str(tmp_path / "other")!r})
os.remove({str(tmp_path / "other")!r})
os.chmod({str(tmp_path)!r}, 0o555)
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
try:
    net.save({str(path)!r})
except PermissionError as error:
    print("refused")
"""
    for part in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        part.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tmp_path.chmod(0o755)
    assert done.stdout.strip() == "refused"
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mask_of_the_process_counts_and_stays(mask, tmp_path):
    before = os.umask(mask)
    try:
        rich().save(tmp_path / "net.safetensors")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert (tmp_path / "net.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_model_that_cannot_be_described_leaves_the_old_file(tmp_path):
    class Own(cr.Layer):
        def __init__(self, function):
            self.function = function

    path = tmp_path / "net.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=r"Own.*cannot be saved.*numbers, text"):
        cr.Model([Own(abs)], cr.MeanSquaredError()).save(path)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
