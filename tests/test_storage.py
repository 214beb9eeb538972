"""Saved models: exact, and never half loaded."""

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases import LAYERS, LOSSES, layer_input
from chainrule.storage import write_arrays, write_atomically


def small():
    return cr.Model([cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2)], cr.SoftmaxCrossEntropy(), seed=1)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.safetensors"
    small().save(path)
    return path


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_every_layer_comes_back(case, dtype, tmp_path, rng):
    model = cr.Model([case.build()], cr.MeanSquaredError(), dtype=dtype, seed=3)
    model.metadata["note"] = {"mean": 0.5, "names": ["a", "b"]}
    model.save(tmp_path / "net.safetensors")
    same = cr.load(tmp_path / "net.safetensors")
    assert repr(same.layers) == repr(model.layers)
    assert same.dtype == model.dtype
    assert same.metadata == model.metadata
    np.testing.assert_array_equal(same.parameters, model.parameters)
    x = layer_input(case, case.shapes[-1], rng)
    np.testing.assert_array_equal(same.predict(x), model.predict(x))


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_every_loss_comes_back(case, tmp_path):
    model = cr.Model([cr.ReLU()], case.build())
    model.save(tmp_path / "net.safetensors")
    assert repr(cr.load(tmp_path / "net.safetensors").cost) == repr(model.cost)


def test_the_same_model_gives_the_same_bytes(path):
    code = (
        "import sys; from chainrule import *; "
        "net = Model([Linear(3, 4), ReLU(), Linear(4, 2)], SoftmaxCrossEntropy(), seed=1); "
        f"net.save({str(path.with_name('other'))!r})"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True)
        assert path.with_name("other").read_bytes() == path.read_bytes()


def test_any_reader_of_safetensors_reads_the_weights(path):
    from safetensors.numpy import load_file

    arrays = load_file(path)
    assert sorted(arrays) == ["0.biases", "0.weights", "2.biases", "2.weights"]
    np.testing.assert_array_equal(arrays["0.weights"], small().layers[0].weights)


class Doubled(cr.Layer):
    def __init__(self, times=2):
        self.times = times

    def forward(self, x):
        return self.times * x

    def backward(self, grad):
        return self.times * grad


def test_layers_of_ones_own(tmp_path):
    path = tmp_path / "net.safetensors"
    cr.Model([Doubled(3)], cr.MeanSquaredError()).save(path)
    with pytest.raises(ValueError, match=r"unknown class 'Doubled'.*classes=\[YourLayer\]"):
        cr.load(path)
    assert cr.load(path, classes=[Doubled]).layers[0].times == 3


def test_truncated_at_every_length(path, tmp_path):
    content = path.read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            cr.load(cut)


@given(st.data())
@settings(max_examples=400, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_a_flipped_byte_is_refused_or_loads_a_whole_model(path, data):
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    flipped = path.with_name("flipped.safetensors")
    flipped.write_bytes(content)
    try:
        model = cr.load(flipped)
    except ValueError:
        return
    assert model.parameters.size == small().parameters.size


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_random_bytes_are_refused(tmp_path, content):
    path = tmp_path / "random.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        cr.load(path)


def rewrite(path, change):
    """Change the metadata and the description inside a saved model."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    description = json.loads(metadata["chainrule"])
    change(metadata, description)
    if "chainrule" in metadata:
        metadata["chainrule"] = json.dumps(description)
    new = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])


def huge(metadata, description):
    description["layers"][0]["arguments"] = {
        "n_in": 10**9, "n_out": 10**9, "bias": True, "initializer": "he",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, d: m.update(other=m.pop("chainrule")), "not one that chainrule saved"),
        (lambda m, d: d.update(format_version=99), "Upgrade chainrule"),
        (lambda m, d: d.update(format_version="x"), "version"),
        (lambda m, d: d.pop("format_version"), "damaged"),
        (lambda m, d: d.pop("cost"), "damaged"),
        (lambda m, d: d.update(layers=[]), "at least one layer"),
        (lambda m, d: d.update(layers=3), "damaged"),
        (lambda m, d: d.update(dtype="object"), "float type"),
        (lambda m, d: d.update(metadata=3), "damaged"),
        (lambda m, d: d["layers"].pop(), "no parameter 2.biases, 2.weights"),
        (lambda m, d: d["layers"].append(d["layers"][0]), "3.weights of Linear.* is missing"),
        (lambda m, d: d["layers"][0]["arguments"].update(n_in=9), r"\(3, 4\).*needs \(9, 4\)"),
        (lambda m, d: d["layers"][0].update({"class": "os.system"}), "unknown class"),
        (lambda m, d: d["layers"][0]["arguments"].update(frob=1), "does not take"),
        (lambda m, d: d["layers"][0]["arguments"].update(n_in="x"), "does not take|damaged"),
        (lambda m, d: d.update(cost={"class": "ReLU", "arguments": {}}), "must be a chainrule"),
        (huge, "needs"),
    ],
)
def test_descriptions_that_do_not_fit(change, words, path):
    rewrite(path, change)
    with pytest.raises(ValueError, match=words):
        cr.load(path)


def test_a_description_too_deep_to_read(path):
    rewrite(path, lambda metadata, description: description.update(deep=0))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"deep\\": 0', b'\\"deep\\": ' + b"[" * 100_000))
    content = bytearray(path.read_bytes())
    length = struct.unpack("<Q", content[:8])[0] + 100_000 - 1
    content[:8] = struct.pack("<Q", length)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        cr.load(path)


def test_foreign_files(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "foreign.safetensors"
    save_file({"weight": np.zeros((2, 2))}, path)
    with pytest.raises(ValueError, match="not one that chainrule saved"):
        cr.load(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        cr.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        cr.load(tmp_path)


def test_what_cannot_be_saved_is_said_and_the_old_file_stays(path):
    before = path.read_bytes()
    model = small()
    model.metadata["array"] = np.zeros(3)
    with pytest.raises(TypeError):
        model.save(path)
    with pytest.raises(TypeError, match="float64 at most"):
        write_arrays(path, {"x": np.zeros(2, np.longdouble)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_or_is_a_file(tmp_path, path):
    with pytest.raises(OSError, match="none"):
        small().save(tmp_path / "none" / "net.safetensors")
    with pytest.raises(OSError, match="net"):
        small().save(path / "net.safetensors")


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk of 64 KB, and a function that mounts it anew with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", f"size=64k{options}", "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    if os.geteuid() != 0 or not shutil.which("mount") or mount(""):
        pytest.skip("this system does not let tests mount a small disk")
    yield disk, mount
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_the_old_file_whole(small_disk):
    disk, _ = small_disk
    path = disk / "net.safetensors"
    small().save(path)
    before = path.read_bytes()
    large = cr.Model([cr.Linear(200, 200)], cr.MeanSquaredError())
    with pytest.raises(OSError, match=r"No space left.*disk/net\.safetensors'$"):
        large.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in disk.iterdir()] == [path.name]
    small().save(path)  # there is room for it again


def test_a_disk_that_was_mounted_read_only(small_disk):
    """Unlike the rights of a folder, it holds for root as well."""
    disk, mount = small_disk
    path = disk / "net.safetensors"
    small().save(path)
    before = path.read_bytes()
    assert mount(",remount,ro") == 0
    with pytest.raises(OSError, match=r"Read-only file system.*disk/net\.safetensors'$"):
        small().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in disk.iterdir()] == [path.name]
    assert mount(",remount,rw") == 0
    small().save(path)


def test_a_folder_that_vanishes(path):
    shutil.rmtree(path.parent)
    with pytest.raises(FileNotFoundError, match=r"/net\.safetensors'$"):
        small().save(path)


WRITER = """
import sys, threading
from chainrule.storage import write_atomically
path, first = sys.argv[1], int(sys.argv[2])

def write(number):
    for _ in range(25):
        write_atomically(path, bytes([number]) * 10_000 * number)

threads = [threading.Thread(target=write, args=(first + i,)) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_many_writers_at_once(tmp_path):
    """Threads of several processes: whoever reads meanwhile reads what one of them wrote, whole."""
    path = tmp_path / "file"
    path.write_bytes(b"\1" * 10_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(first)])
        for first in (1, 5, 9)
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        content = path.read_bytes()
        assert content == content[:1] * 10_000 * content[0]
        seen.add(content[0])
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(seen) > 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_threads_that_write_leave_the_mask_of_the_process(tmp_path):
    """To ask for the mask is to set it: two that ask at once can leave it open to all."""
    before = os.umask(0o027)
    try:
        threads = [
            threading.Thread(target=write_atomically, args=(tmp_path / f"{i}", b"x"))
            for i in range(64)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o640}
    finally:
        assert os.umask(before) == 0o027


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        small().save(tmp_path / "net.safetensors")


def test_saved_files_are_readable_as_other_files_are(path):
    other = Path(path.parent / "plain")
    other.write_text("")
    assert path.stat().st_mode == other.stat().st_mode
