"""Whatever is in a file: a value, or one line that names the file. No crash, hang, or code run.

What a reader must do is in ``readers.outcome``; the files come from ``mutations`` (bytes) and
``structured`` (parts that lie). ``tools/fuzz_readers.py`` does the same for as long as one likes.
"""

import functools
import gzip
import io
import json
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cases import LAYERS, LOSSES
from chainrule import MeanSquaredError, ReLU, load
from chainrule.data import load_npz, read_idx, read_npz
from chainrule.description import describe
from fuzz import structured
from fuzz.mutations import mutants
from fuzz.readers import LIMIT, READERS, outcome, prepared, small

CHILD = Path(__file__).with_name("child.py")
BOUND = 48  # MB over what the process had: a few times the limit that the readers are told
by_name = {reader.name: reader for reader in READERS}
every_reader = pytest.mark.parametrize("reader", READERS, ids=str)
bounded = settings(max_examples=300, deadline=None, derandomize=True, database=None,
                   suppress_health_check=list(HealthCheck))  # fmt: skip


@every_reader
def test_sound_files_are_read(reader, tmp_path):
    for content in reader.corpus(tmp_path):
        (tmp_path / "file").write_bytes(content)
        assert outcome(reader, tmp_path / "file") is None


@every_reader
def test_changed_bytes(reader, tmp_path):
    path = tmp_path / "file"
    for i, content in enumerate(mutants(reader.corpus(tmp_path), 2500, reader.name)):
        path.write_bytes(content)
        try:
            outcome(reader, path)
        except AssertionError as error:
            raise AssertionError(f"mutant {i} of {reader}: {content[:2000]!r}") from error


@every_reader
def test_files_of_another_format(reader, tmp_path):
    for other in READERS:
        for content in other.corpus(tmp_path):
            (tmp_path / "file").write_bytes(content)
            outcome(reader, tmp_path / "file")


@every_reader
def test_no_file_and_a_folder(reader, tmp_path):
    assert outcome(reader, tmp_path / "none") is not None
    assert outcome(reader, tmp_path) is not None
    (tmp_path / "empty").write_bytes(b"")
    assert outcome(reader, tmp_path / "empty") is not None


def sign(description, state, sound):
    """Put a changed state into a checkpoint, with the hash that belongs to it."""
    from safetensors.numpy import load as parse

    from chainrule.training.checkpoint_file import _hash

    content = json.dumps(state)
    return {**description, "state": content, "hash": _hash(content, parse(sound))}


@functools.cache
def sound(name):
    with tempfile.TemporaryDirectory() as folder:
        return by_name[name].corpus(Path(folder))


@pytest.mark.parametrize("reader", ["idx", "table", "npz", "npy", "rows", "model", "arrays",
                                    "preparation", "checkpoint"])  # fmt: skip
@given(data=st.data())
@bounded
def test_parts_that_lie(reader, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "lies"
    if reader in ("idx", "npy", "rows"):
        content = data.draw(structured.idx_files() if reader == "idx" else structured.npy_files())
    elif reader in ("npz", "table"):
        content = data.draw(structured.npz_files())
    else:
        of = data.draw(st.sampled_from(sound(reader)))
        signed = sign if reader == "checkpoint" else None
        content = data.draw(structured.safetensors_files(of, signed))
    path.write_bytes(content)
    outcome(by_name["npz" if reader == "npy" else reader], path)


def bombs(name):
    """Return small files that ask for much memory or time."""
    if name == "rows":
        return bombs("idx") + bombs("npz")
    if name.startswith("idx"):
        header = bytes([0, 0, 8, 1]) + struct.pack(">I", LIMIT)
        return [
            gzip.compress(header + bytes(100_000_000), compresslevel=1),
            gzip.compress(header[:4] + b"\xff" * 4 + bytes(100_000_000), compresslevel=1),
            b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"a" * 2_000_000,  # a name without an end
            gzip.compress(b"") * 100_000,
        ]
    if name in ("npz", "table"):
        member = io.BytesIO()
        np.save(member, np.zeros(LIMIT // 8))
        found = [*packed_zeros()]
        found.append(archive({f"{i}.npy": member.getvalue() for i in range(200)}, 8))
        header = b"\x93NUMPY\1\0" + struct.pack("<H", 9000)
        found += [header + text.ljust(9000) for text in (b"-" * 8999 + b"1", b"[" * 9000)]
        return found
    deep = b"[" * 1_000_000
    linear = {"class": "Linear", "arguments": {"n_in": 10**9, "n_out": 10**9}}
    nets = [[linear], [{"class": "Sequential", "arguments": {"layers": [linear]}}] * 2000]
    found = [safetensors({"chainrule": deep.decode()}), struct.pack("<Q", len(deep)) + deep]
    for layers in nets:
        cost = {"class": "MeanSquaredError", "arguments": {}}
        net = {"format_version": 1, "layers": layers, "cost": cost, "dtype": "float32",
               "metadata": {}}  # fmt: skip
        found.append(safetensors({"chainrule": json.dumps(net)}))
    shape = {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}
    found.append(safetensors({"chainrule": '{"format_version": 1}'}, {"a": shape}))
    return [*found, *(large_arguments() if name == "model" else [])]


def large_arguments():
    """Return every layer and loss, saved, each of its numbers in turn much too large."""
    functions = [(case.build(), MeanSquaredError()) for case in LAYERS]
    functions += [(ReLU(), case.build()) for case in LOSSES]
    found = []
    for layer, cost in functions:
        net = {"format_version": 1, "layers": [describe(layer)], "cost": describe(cost),
               "dtype": "float32", "metadata": {}}  # fmt: skip
        for inside in (net["layers"][0]["arguments"], net["cost"]["arguments"]):
            for argument, value in list(inside.items()):
                if value is None or isinstance(value, int | float | list):
                    for large in (2**31, 10**12, [2**31] * 2):
                        inside[argument] = large
                        found.append(safetensors({"chainrule": json.dumps(net)}))
                    inside[argument] = value
    return found


@functools.cache
def packed_zeros():
    return [archive({"x.npy": bytes(100_000_000)}, method) for method in (8, 12, 14)]


def archive(members, method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


def safetensors(metadata, arrays=None):
    text = json.dumps({"__metadata__": metadata, **(arrays or {})}).encode()
    return struct.pack("<Q", len(text)) + text


@every_reader
def test_memory_and_time_in_a_process_of_its_own(reader, tmp_path):
    """The bytes of ``mutations``, and bombs: under a limit of memory, and of time."""
    sound = reader.corpus(tmp_path)
    for i, content in enumerate([*mutants(sound, 300, "child"), *bombs(reader.name)]):
        (tmp_path / f"mutant-{i:04}").write_bytes(content)
    child = [sys.executable, str(CHILD), reader.name, str(tmp_path), str(4 * BOUND)]
    done = subprocess.run(child, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1:] + done.stderr.splitlines()[-5:]
    peak = float(re.search(r"^peak ([\d.]+) MB$", done.stdout, re.MULTILINE)[1])
    assert peak < BOUND


class Acts:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@every_reader
def test_nothing_is_unpickled(reader, tmp_path):
    canary = tmp_path / "canary"
    payload = pickle.dumps(Acts(canary))
    pickle.loads(payload).close()
    assert canary.exists()  # it would act
    canary.unlink()
    objects = np.array([[Acts(canary)]], object)
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, objects, allow_pickle=True)
    np.savez(npz, x=objects, y=np.zeros(1))
    with_name = archive({"x.npy": payload, "y.npy": payload, "data.pkl": payload}, 0)
    for content in (payload, gzip.compress(payload), npy.getvalue(), npz.getvalue(), with_name):
        (tmp_path / "file").write_bytes(content)
        assert outcome(reader, tmp_path / "file") is not None
        assert not canary.exists()


# What the fuzzing found, each as it was found.


def test_an_archive_that_points_before_its_beginning(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2, 1)), y=np.zeros(2))
    content = bytearray(path.read_bytes())
    content[-6:-2] = struct.pack("<I", len(content) + 100)  # where the directory is
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is damaged"):
        read_npz(path)


def test_a_member_without_a_name_that_is_encrypted(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(zipfile.ZipInfo(""), b"abc")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] = 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is damaged"):
        read_npz(path)


@pytest.mark.parametrize("text", [b"{'descr': '<f8'\n", b"{'descr'", b"", b"{'a': 1}", b"(" * 500])
def test_a_header_of_npy_that_does_not_parse(text, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    with pytest.raises(ValueError, match=r"a\.npy: its header is damaged"):
        read_npz(path)


def test_a_negative_axis(tmp_path):
    path = tmp_path / "a.npy"
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    with pytest.raises(ValueError, match=r"it declares the shape \(-1,\)"):
        read_npz(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound(method, tmp_path):
    """One megabyte so packed can be gigabytes, and Python unpacks them in one go."""
    path = tmp_path / "a.npz"
    path.write_bytes(archive({"x.npy": bytes(10_000)}, method))
    with pytest.raises(ValueError, match="packed by a method that NumPy does not use"):
        read_npz(path)


def test_the_limit_is_for_all_arrays_together(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **{name: np.zeros(1000) for name in "abcd"})
    with pytest.raises(ValueError, match="limit is"):
        read_npz(path, max_bytes=20_000)
    assert len(read_npz(path, max_bytes=32_000)) == 4


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as opened:
        for number in (1.0, 2.0):
            content = io.BytesIO()
            np.save(content, np.full((2, 1), number))
            opened.writestr("x.npy", content.getvalue())
    with pytest.raises(ValueError, match="two arrays of the name 'x'"):
        read_npz(path)
    np.savez(path, x=np.zeros((2, 1)), X=np.ones((2, 1)), y=np.zeros(2))
    with pytest.raises(ValueError, match="it has two, in small and in capital letters: X, x, y"):
        load_npz(path)


def test_every_flipped_bit_of_a_table_is_refused_or_changes_nothing(tmp_path):
    """The checksum of an archive is compared only by who reads to the end."""
    path = tmp_path / "a.npz"
    x = np.arange(6.0).reshape(3, 2)
    np.savez(path, x=x, y=np.arange(3))
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        try:
            table = load_npz(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(table.x, x)
        np.testing.assert_array_equal(table.y, np.arange(3))


def test_idx_of_a_shape_that_no_array_has(tmp_path):
    path = tmp_path / "a.idx"
    path.write_bytes(bytes([0, 0, 14, 4]) + bytes(4) + b"\xff" * 12)
    with pytest.raises(ValueError, match=r"a\.idx: "):
        read_idx(path)
    path.write_bytes(bytes([0, 0, 8, 200]) + bytes(800))
    with pytest.raises(ValueError, match="declares 200 axes"):
        read_idx(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"sample_shape": [10**9, 10**9]},  # an image would be scaled to it
        {"sample_shape": [2]},  # and three means
        {"deviation": [1, 2]},
        {"maximum": [16.0]},
        {"data": ["digits"]},
        {"names": "ab", "mean": [[1], [2, 3]]},
    ],
    ids=str,
)
def test_preparations_that_make_no_sense(damage, tmp_path):
    model = prepared()
    model.metadata["preparation"].update(damage)
    model.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        by_name["preparation"].read(tmp_path / "net.safetensors")


def test_what_a_file_says_is_shown_in_one_printable_line(tmp_path):
    path = tmp_path / "net.safetensors"
    small().save(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'0.biases"', b'0\\n\\u001b[2J"'))
    length = struct.unpack("<Q", content[:8])[0] + len(b'0\\n\\u001b[2J"') - len(b'0.biases"')
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(ValueError, match="safetensors") as caught:
        load(path)
    assert str(caught.value).isprintable()
