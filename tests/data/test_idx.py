"""The IDX reader: right, and hard to fool."""

import contextlib
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chainrule.data import read_idx, write_idx

in_folder = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TYPES = st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64])


@given(st.data())
@in_folder
def test_what_is_written_is_read(tmp_path, data):
    shape = data.draw(array_shapes(max_dims=4, max_side=5, min_side=0))
    array = data.draw(arrays(data.draw(TYPES), shape))
    for name in ("a.idx", "a.idx.gz"):
        write_idx(tmp_path / name, array)
        back = read_idx(tmp_path / name)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


def test_the_bytes_of_the_format(tmp_path):
    path = tmp_path / "a.idx"
    path.write_bytes(bytes([0, 0, 0x0B, 1]) + struct.pack(">I2h", 2, -2, 258))
    np.testing.assert_array_equal(read_idx(path), np.array([-2, 258], np.int16))


def test_gzip_is_told_by_content_and_the_same_each_time(tmp_path):
    array = np.arange(20, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    (tmp_path / "a").write_bytes((tmp_path / "a.gz").read_bytes())
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)
    write_idx(tmp_path / "b.gz", array)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


HEADER = bytes([0, 0, 8, 2]) + struct.pack(">II", 3, 4)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no IDX file"),
        (b"PK\3\4", "no IDX file"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "no IDX file"),
        (bytes([0, 0, 8, 0]), "no IDX file"),
        (bytes([0, 0, 8, 3, 0, 0]), "truncated in its header"),
        (HEADER + bytes(11), r"truncated.*\(3, 4\), 12 bytes, and has 11"),
        (HEADER + bytes(13), "bytes after the 12"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(5), "more than the limit"),
        (bytes([0, 0, 8, 255]) + b"\xff" * 1020, "255 axes"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 2**31) + bytes(5), "truncated"),
    ],
)
def test_what_is_no_whole_idx_file(content, words, zipped, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(ValueError, match=words) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_a_limit(tmp_path):
    write_idx(tmp_path / "a", np.zeros(100, np.uint8))
    with pytest.raises(ValueError, match="raise max_bytes"):
        read_idx(tmp_path / "a", max_bytes=99)
    assert read_idx(tmp_path / "a", max_bytes=100).size == 100


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_idx(tmp_path / "none")


def test_damaged_gzip(tmp_path):
    path = tmp_path / "a.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 255, 5000, np.uint8))
    content = path.read_bytes()
    for cut in (len(content) // 2, len(content) - 3):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="damaged gzip"):
            read_idx(path)
    changed = bytearray(content)
    changed[len(content) // 2] ^= 255
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"damaged gzip|bytes after"):
        read_idx(path)


@pytest.mark.parametrize("declared", [10, 2**31])
def test_a_bomb_does_not_fill_the_memory(declared, tmp_path):
    """100 MB of zeros in 100 KB: read no further than the header declares, or the limit allows."""
    path = tmp_path / "bomb.gz"
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", declared)
    path.write_bytes(gzip.compress(header + bytes(100_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bytes after|more than the limit"):
        read_idx(path, max_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_header_alone_takes_no_memory(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 2**32 - 1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="truncated"):
        read_idx(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@given(st.binary(max_size=200), st.booleans())
@in_folder
def test_random_bytes(tmp_path, content, zipped):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with contextlib.suppress(ValueError):
        read_idx(path, max_bytes=10_000)


@given(st.data())
@in_folder
def test_mutated_files(tmp_path, data):
    path = tmp_path / "a.gz"
    write_idx(path, np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ValueError):
        read_idx(path, max_bytes=10_000)


@pytest.mark.parametrize("array", [np.array(3), np.zeros(2, np.uint16), np.zeros(2, complex)])
def test_what_the_format_cannot_hold(array, tmp_path):
    with pytest.raises(ValueError, match="IDX holds"):
        write_idx(tmp_path / "a", array)
