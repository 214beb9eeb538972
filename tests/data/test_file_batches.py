"""Mini-batches from files: each sample once, well mixed, from any place on, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import Batches, Linear, MeanSquaredError, Model, train
from chainrule.data import FileBatches, write_idx
from data import large


def numbered(count, batch_size=8, **options):
    x = np.arange(count, dtype=np.float32)[:, None] * np.ones(4, np.float32)
    return FileBatches(x, np.arange(count), batch_size, **options)


def all_of(batches):
    return [(x.copy(), y.copy()) for x, y in batches]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 300), st.integers(1, 70), st.integers(1, 400), st.integers(1, 9), st.booleans(),
    st.data(),
)  # fmt: skip
def test_each_sample_once_and_from_any_place(count, batch_size, block, blocks, shuffle, draw):
    def build():
        return numbered(count, batch_size, shuffle=shuffle, block_bytes=block, blocks=blocks,
                        ahead=0)  # fmt: skip

    data = build()
    epochs = [all_of(data) for _ in range(2)]
    for epoch in epochs:
        assert len(epoch) == len(data)
        assert [len(y) for _, y in epoch[:-1]] == [min(batch_size, count)] * (len(epoch) - 1)
        seen = np.concatenate([y for _, y in epoch])
        assert sorted(seen) == list(range(count))
        if not shuffle:
            assert list(seen) == list(range(count))
        for x, y in epoch:
            np.testing.assert_array_equal(x[:, 0], y)
    first = draw.draw(st.integers(0, len(data)))
    again = build()
    again.set_state({"epoch": 1})
    rest = all_of(again.batches_from(first))
    assert len(rest) == len(data) - first
    for one, other in zip(rest, epochs[1][first:], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_the_order_is_new_each_epoch_and_the_same_for_a_seed():
    data = numbered(500)
    first, second = (np.concatenate([y for _, y in data]) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.concatenate([y for _, y in numbered(500)]), first)
    other = np.concatenate([y for _, y in numbered(500, seed=1)])
    assert not np.array_equal(other, first)


def test_how_well_it_mixes():
    """From a tenth of the blocks at a time, as mixed as it can be."""
    count = 20_000
    data = numbered(count, 100, block_bytes=16 * 100, blocks=20)  # 200 blocks of 100 samples
    order = np.concatenate([y for _, y in data])
    place = np.argsort(order)
    # Whole shuffles of 20,000 have a correlation of 0 +- 0.007; of 200 blocks, +- 0.07.
    assert abs(np.corrcoef(place, np.arange(count))[0, 1]) < 0.25
    # Neighbours in the file share a window, not a mini-batch.
    same = (place[1:] // 100 == place[:-1] // 100).mean()
    assert same < 2 * 100 / 2000
    # A mini-batch has samples of most blocks of its window.
    blocks = [len(np.unique(order[i : i + 100] // 100)) for i in range(0, count, 100)]
    assert np.mean(blocks) > 19


@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f2", ">f4", "f8"])
def test_files_arrays_and_maps_are_the_same(tmp_path, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (70, 3, 2)).astype(dtype)
    y = rng.integers(0, 5, 70)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    options = {"mean": 50.0, "deviation": 29.0, "block_bytes": 50, "blocks": 3}
    expected = all_of(FileBatches(x, y, 16, **options))
    assert expected[0][0].dtype == np.float32
    raw = dict(zip(y.tolist(), y.tolist(), strict=True))
    assert raw
    sources = [tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r")]
    if dtype not in ("<f2",):
        if x.dtype != np.dtype("f8"):
            x = x.astype(x.dtype.newbyteorder("="))
        write_idx(tmp_path / "x.idx", x)
        sources.append(tmp_path / "x.idx")
    for source in sources:
        found = all_of(FileBatches(source, tmp_path / "y.npy", 16, **options))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    values = {tuple(np.round(row.ravel() * 29 + 50).astype(int)) for a, _ in expected for row in a}
    assert values == {tuple(row.ravel().astype(int)) for row in x}


def test_training_stopped_in_an_epoch_goes_on_without_reading_the_rest(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3)).astype(np.float16)
    np.save(tmp_path / "x.npy", x)

    def go(epochs, folder, at=None, resume=False):
        from chainrule import Hook

        def fail(run):
            if run.step == at:
                raise RuntimeError

        data = FileBatches(tmp_path / "x.npy", x[:, :1].astype(np.float32), 16, block_bytes=60)
        net = Model([Linear(3, 1)], MeanSquaredError())
        train(net, 0.1, epochs, data, checkpoint=tmp_path / folder, resume=resume, verbose=False,
              callbacks=[Hook(on_step_end=fail)])  # fmt: skip
        return net.parameters

    whole = go(3, "a")
    with pytest.raises(RuntimeError):
        go(3, "b", at=30)
    np.testing.assert_array_equal(go(3, "b", resume=True), whole)


def test_a_file_of_20_gb_within_1_gb_of_memory(tmp_path):
    rows = 20 * 2**30 // 16384
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, 4096)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for row in range(0, rows, rows // 50):  # the rest is a hole, and reads as zeros
            file.seek(start + row * 16384)
            file.write(np.ones(4096, np.float32).tobytes())
        file.truncate(start + rows * 16384)
    child = subprocess.run(
        [sys.executable, large.__file__, str(path)], capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    epochs, trained_on, moved, peak = child.stdout.split()
    assert (epochs, trained_on, moved) == ("1", str(rows), "True")
    assert path.stat().st_size > 20 * 2**30
    assert int(peak) < 1024


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "none.npy", "no such file"),
        (lambda f: saved(f, np.asfortranarray(np.ones((5, 2)))), "columns lie one after the other"),
        (lambda f: saved(f, np.array([["a"], ["b"]])), "must be numbers"),
        (lambda f: saved(f, np.ones((0, 2))), "no sample|as many|targets"),
        (lambda f: cut(saved(f, np.ones((5, 2)))), "declares 80 bytes of shape .*has 79"),
        (lambda f: written(f, b"\x93NUMPY\x01\x00\x10\x00hello"), "header is damaged"),
        (lambda f: written(f, b"hello"), "no IDX file"),
        (lambda f: written(f, b"\x1f\x8b123"), "is packed.*gunzip"),
        (lambda f: np.array([[{}]] * 5), "must be numbers, got an array of object"),
        (lambda f: np.float32(3), "single number"),
    ],
)
def test_what_cannot_be_read(tmp_path, make, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        FileBatches(make(tmp_path), np.zeros(5))


def written(folder, content):
    path = folder / "x.npy"
    path.write_bytes(content)
    return path


def saved(folder, array):
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])
    return path


def test_an_object_array_in_a_file_is_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "x.npy", np.array([Trap()] * 5, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="must be numbers"):
        FileBatches(tmp_path / "x.npy", np.zeros(5))
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_becomes_shorter(tmp_path):
    path = saved(tmp_path, np.ones((50, 2)))
    data = FileBatches(path, np.zeros(50), 5)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="has become shorter while it was being read"):
        list(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"deviation": 0.0}, "deviation must be greater than 0"),
        ({"mean": 1.0, "dtype": None}, "need a float type"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        FileBatches(np.ones((5, 2)), np.zeros(5), **options)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="5 inputs but 4 targets"):
        FileBatches(np.ones((5, 2)), np.zeros(4))


def test_half_precision_on_the_way_in():
    x = np.random.default_rng(0).standard_normal((64, 3))
    ends = []
    for kept in (x.astype(np.float16), x.astype(np.float16).astype(np.float32)):
        net = Model([Linear(3, 1)], MeanSquaredError())
        train(net, 0.1, 3, Batches(kept, x[:, :1], 16), verbose=False)
        ends.append(net.parameters)
    np.testing.assert_array_equal(*ends)
