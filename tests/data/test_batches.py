"""Mini-batches, splits, one-hot rows, the embedded digits, and .npz files."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule import Batches, load_digits
from chainrule.data import load_npz, one_hot, read_npz, train_validation_split


@given(st.integers(1, 50), st.integers(1, 60), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_sample_comes_once(samples, batch_size, shuffle):
    x = np.arange(samples * 3).reshape(samples, 3)
    batches = Batches(x, x[:, 0], batch_size, shuffle=shuffle)
    seen = [(inputs.copy(), targets.copy()) for inputs, targets in batches]
    assert len(seen) == len(batches)
    inputs = np.concatenate([a for a, _ in seen])
    np.testing.assert_array_equal(inputs[:, 0], np.concatenate([b for _, b in seen]))
    np.testing.assert_array_equal(np.sort(inputs[:, 0]), x[:, 0])
    assert all(len(a) == batch_size for a, _ in seen[:-1])


def test_orders_change_and_follow_the_seed():
    def orders(seed):
        batches = Batches(np.arange(30), np.arange(30), 7, seed=seed)
        return [np.concatenate([x.copy() for x, _ in batches]) for _ in range(2)]

    first, second = orders(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(orders(1), [first, second])
    assert not np.array_equal(orders(2)[0], first)


def test_one_buffer_or_copies():
    x = np.arange(4)
    a, b = (inputs for inputs, _ in Batches(x, x, 2, shuffle=False))
    assert a.base is b.base
    a, b = (inputs for inputs, _ in Batches(x, x, 2, shuffle=False, copy=True))
    np.testing.assert_array_equal(a, [0, 1])


def test_drop_last():
    batches = Batches(np.arange(7), np.arange(7), 3, drop_last=True)
    assert [len(x) for x, _ in batches] == [3, 3]
    assert len(batches) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2], [1]), "as many inputs as targets"),
        (([], []), "no sample"),
        ((3, 4), "as many"),
        (([1], [1], 0), "at least 1"),
        (([1], [1], 1.5), "at least 1"),
    ],
)
def test_batches_refuse_nonsense(arguments, words):
    with pytest.raises(ValueError, match=words):
        Batches(*arguments)
    with pytest.raises(ValueError, match="no whole mini-batch"):
        Batches([1], [1], 2, drop_last=True)


def test_one_hot():
    np.testing.assert_array_equal(one_hot([[2], [0]], 3), [[[0, 0, 1]], [[1, 0, 0]]])
    for labels, words in (([3], "0 to 2"), ([-1], "0 to 2"), ([0.5], "integers")):
        with pytest.raises(ValueError, match=words):
            one_hot(labels, 3)


def test_a_split_is_a_partition_by_class(rng):
    y = np.repeat([0, 1, 2], [60, 30, 10])
    x = np.arange(100)
    x_train, y_train, x_held, y_held = train_validation_split(x, y, 0.2, stratify=True)
    assert sorted([*x_train, *x_held]) == list(range(100))
    np.testing.assert_array_equal(np.bincount(y_held), [12, 6, 2])
    np.testing.assert_array_equal(y[x_train], y_train)
    for fraction, words in ((0, "between"), (0.001, "too few")):
        with pytest.raises(ValueError, match=words):
            train_validation_split(x, y, fraction)


def test_the_embedded_digits():
    images, _labels = load_digits()
    assert images.shape == (1797, 8, 8)
    train, held = load_digits("train"), load_digits("test")
    assert len(train[0]) + len(held[0]) == 1797
    assert abs(len(held[0]) - 1797 / 5) < 5
    whole = {image.tobytes() for image in images}
    assert {image.tobytes() for image in [*train[0], *held[0]]} == whole
    with pytest.raises(ValueError, match='"all", "train" or "test"'):
        load_digits("validation")


def test_the_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    images, labels = load_digits()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


@pytest.mark.parametrize("names", ["x y", "X Y", "x_train y_train x_test y_test"])
def test_npz(names, tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **{name: np.arange(12.0).reshape(6, 2)[:, : 1 + (name[0] in "xX")]
                                 for name in names.split()})  # fmt: skip
    table = load_npz(path)
    assert table.x.shape == (6, 2)
    assert table.y.shape == (6, 1)
    assert (table.x_test is not None) == ("test" in names)


def test_order_and_types_of_npy(tmp_path):
    for array in (np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(4, dtype=">i2")):
        np.save(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(read_npz(tmp_path / "a.npy")["x"], array)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros(3)}, "needs the arrays x and y.*has a"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, "3 samples"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "empty"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "samples, ..."),
        ({"x": np.array([["a"]]), "y": np.zeros(1)}, "must be numbers"),
        ({"x": np.zeros((2, 1)), "y": np.array(["a", "b"])}, "Encode classes"),
        ({"x": np.array([[1.0, np.nan], [np.inf, 1]]), "y": np.zeros(2)}, "2 values of x are NaN"),
        ({"x": np.zeros((2, 1)), "y": np.array([1, np.nan])}, "the targets are NaN"),
        ({"x": np.array([[None]]), "y": np.zeros(1)}, "Python objects"),
        ({"x": np.zeros((2, 1)), "y": np.zeros(2), "x_test": np.zeros((1, 1))}, "only one of"),
        ({"x": np.zeros((2, 1)), "y": np.zeros(2), "x_test": np.zeros((1, 2)),
          "y_test": np.zeros(1)}, "a sample of x has shape"),
    ],
)  # fmt: skip
def test_npz_that_does_not_fit(arrays, words, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        load_npz(tmp_path / "a.npz")


def test_a_header_that_lies_takes_no_memory(tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    )
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content.getvalue() + bytes(80))
    with pytest.raises(ValueError, match="declares 8,000,000,000,000,000 bytes"):
        read_npz(path)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((1000, 1000)), y=np.zeros(1000))
    with pytest.raises(ValueError, match="limit is 1,000,000"):
        load_npz(path, max_bytes=1_000_000)


@given(st.data())
@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_mutated_npz(tmp_path, data):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(20.0).reshape(5, 4), y=np.arange(5))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ValueError):
        load_npz(path, max_bytes=10_000)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_npz(tmp_path / "none.npz")
