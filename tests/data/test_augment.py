"""Augmented images are what the settings say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data import Augment
from chainrule.data.augment import blend, cut, move, warp

TYPES = [np.uint8, np.float16, np.float32, np.float64]
ALL = {"shift": 2, "rotate": 20, "zoom": 0.2, "flip": True, "cut_out": 3, "mix_up": 0.4,
       "classes": 10}  # fmt: skip


@st.composite
def images(draw, types=TYPES):
    """A few images of odd shapes, with or without channels."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return (rng.random(shape + channels) * 255).astype(draw(st.sampled_from(types)))


def amounts(n, *values):
    return tuple(np.full(n, value) for value in values)


def shifted(image, down, right, fill):
    """Move one image by rolling it, and fill what came round the edge."""
    image = np.roll(image, (down, right), axis=(0, 1))
    for axis, pixels in enumerate((down, right)):
        if pixels:
            edge = slice(None, pixels) if pixels > 0 else slice(pixels, None)
            image[(slice(None),) * axis + (edge,)] = fill
    return image


@given(images(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_without_settings_it_is_a_copy(x, seed):
    y = np.arange(len(x))
    new_x, new_y = Augment(seed=seed)(x, y)
    assert new_x.dtype == x.dtype
    assert new_y.dtype == y.dtype
    assert new_x.tobytes() == x.tobytes()
    assert new_y.tobytes() == y.tobytes()
    assert not np.shares_memory(new_x, x)
    assert not np.shares_memory(new_y, y)


@given(images())
@settings(max_examples=60, deadline=None)
def test_warping_by_nothing_gives_the_same_bytes(x):
    none, one = amounts(len(x), 0, 1)
    assert warp(x, none, one, none, none).tobytes() == x.tobytes()
    assert move(x, none, none).tobytes() == x.tobytes()
    assert blend(x, np.arange(len(x))[::-1], one).tobytes() == x.tobytes()


@given(images(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_shift_is_a_roll_with_fill(x, data):
    height, width = x.shape[1:3]
    down = np.array(data.draw(st.lists(st.integers(-height, height),
                                       min_size=len(x), max_size=len(x))))  # fmt: skip
    right = np.array(data.draw(st.lists(st.integers(-width, width),
                                        min_size=len(x), max_size=len(x))))  # fmt: skip
    expected = [shifted(*args, 7) for args in zip(x, down, right, strict=True)]
    np.testing.assert_array_equal(move(x, down, right, 7), expected)
    none, one = amounts(len(x), 0, 1)
    np.testing.assert_array_equal(warp(x, none, one, down, right, 7), expected)


def test_far_shifts_leave_the_background(rng):
    x = rng.random((3, 4, 5))
    far = np.array([9, -9, 0])
    np.testing.assert_array_equal(move(x, far, far, 2)[:2], np.full((2, 4, 5), 2))
    np.testing.assert_array_equal(move(x, far, far, 2)[2], x[2])
    none, one = amounts(3, 0, 1)
    np.testing.assert_array_equal(warp(x, none, one, 1000 * far, far, 2)[:2], np.full((2, 4, 5), 2))


@given(images([np.float32, np.float64, np.uint8]), st.sampled_from([-1, 1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_quarter_turns_are_rot90(x, turns):
    side = min(x.shape[1:3])
    x = x[:, :side, :side]
    none, one = amounts(len(x), 0, 1)
    turned = warp(x, 90 * turns * one, one, none, none)
    tolerance = 255 * 4 * side * np.finfo(np.float32).eps
    np.testing.assert_allclose(turned, np.rot90(x, turns, axes=(1, 2)), atol=tolerance)


@given(images([np.float64, np.float32]), st.data())
@settings(max_examples=60, deadline=None)
def test_warp_is_that_of_scipy(x, data):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy comes with scikit-learn")

    def drawn(low, high):
        return np.array([data.draw(st.floats(low, high)) for _ in x])

    x = x / 255
    degrees, zoom = drawn(-180, 180), drawn(0.5, 2)
    down, right = drawn(-3, 3), drawn(-3, 3)
    ours = warp(x, degrees, zoom, down, right, 0.5)
    centre = (np.array(x.shape[1:3]) - 1) / 2
    for i, angle in enumerate(np.deg2rad(degrees)):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom[i]
        moved_by = np.array([down[i], right[i]])
        offset = centre - turn @ (centre + moved_by)
        planes = np.moveaxis(x[i].reshape(*x.shape[1:3], -1), -1, 0)
        theirs = np.stack([
            ndimage.affine_transform(plane, turn, offset, order=1, mode="grid-constant", cval=0.5)
            for plane in planes
        ], axis=-1)  # fmt: skip
        np.testing.assert_allclose(ours[i], theirs.reshape(x.shape[1:]), atol=1e-5)


@given(images())
@settings(max_examples=40, deadline=None)
def test_flips_mirror_left_to_right(x):
    y = np.zeros(len(x))
    augment = Augment(flip=True, seed=3)
    once = augment(x, y)[0]
    mirrored = x[:, :, ::-1]
    for before, mirror, after in zip(x, mirrored, once, strict=True):
        assert any(np.array_equal(after, one) for one in (before, mirror))
    twice = Augment(flip=True, seed=3)(once, y)[0]  # the same draws: what was mirrored is again
    assert twice.tobytes() == x.tobytes()


def test_about_half_is_mirrored(rng):
    x = rng.random((1000, 2, 3))
    flipped = (Augment(flip=True)(x, np.zeros(1000))[0] != x).any(axis=(1, 2))
    assert 400 < flipped.sum() < 600


@given(images(), st.integers(0, 12), st.data())
@settings(max_examples=60, deadline=None)
def test_cut_out_is_a_square(x, side, data):
    rows = np.array([data.draw(st.integers(0, x.shape[1] - 1)) for _ in x])
    columns = np.array([data.draw(st.integers(0, x.shape[2] - 1)) for _ in x])
    expected = x.copy()
    for image, row, column in zip(expected, rows, columns, strict=True):
        top, left = row - side // 2, column - side // 2
        image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 9
    np.testing.assert_array_equal(cut(x, rows, columns, side, 9), expected)


@given(images(), st.floats(0.05, 5))
@settings(max_examples=60, deadline=None)
def test_mix_up_blends_images_and_targets_alike(x, alpha):
    n = len(x)
    labels = np.arange(n)
    mixed, rows = Augment(mix_up=alpha, classes=n)(x, labels)
    assert mixed.dtype == x.dtype
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    assert rows.min() >= 0
    assert np.count_nonzero(rows, axis=1).max() <= 2
    # Each label is one image, so the rows say how the images were blended.
    expected = np.tensordot(rows, x.astype(np.float64), axes=1)
    step = {"u": 0.5, "f": 0}[x.dtype.kind] + 255 * np.finfo(np.float16).eps * (x.itemsize == 2)
    np.testing.assert_allclose(mixed, expected, atol=step + 1e-4)
    assert mixed.max() <= x.max() + 1e-4
    # The same seed mixes given rows, of whichever numbers, as it mixes the labels.
    for given_rows in (np.eye(n), np.eye(n, dtype=int), np.eye(n, dtype=bool)):
        np.testing.assert_allclose(Augment(mix_up=alpha)(x, given_rows)[1], rows, atol=1e-6)


def test_values_to_predict_are_mixed_too(rng):
    y = rng.random(6)
    mixed = Augment(mix_up=1.0)(rng.random((6, 2, 2)), y)[1]
    assert mixed.shape == (6,)
    assert not np.array_equal(mixed, y)
    assert y.min() <= mixed.min() <= mixed.max() <= y.max()


@given(images(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_everything_at_once_keeps_type_shape_and_range(x, seed):
    before = x.copy()
    new, rows = Augment(**ALL, fill=3, seed=seed)(x, np.arange(len(x)))
    assert new.dtype == x.dtype
    assert new.shape == x.shape
    assert rows.shape == (len(x), 10)
    slack = 1 if x.dtype == np.float16 else 1e-3
    assert min(x.min(), 3) - slack <= new.min() <= new.max() <= max(x.max(), 3) + slack
    np.testing.assert_array_equal(x, before)


def test_limits_are_reached_and_kept():
    x = np.zeros((2000, 9, 9))
    x[:, 4, 4] = 1  # a point at the centre shows where the image went
    moved = Augment(shift=2)(x, np.zeros(2000))[0]
    counts = moved.sum(axis=0)
    np.testing.assert_array_equal(np.argwhere(counts).min(axis=0), [2, 2])
    np.testing.assert_array_equal(np.argwhere(counts).max(axis=0), [6, 6])
    assert counts[2:7, 2:7].min() > 2000 / 25 / 2

    x = np.zeros((500, 41, 41))
    x[:, 20, 40] = 1  # a point on the right edge: its angle and distance show turn and zoom
    turned = Augment(rotate=30, zoom=0.3)(x, np.zeros(500))[0]
    brightest = turned.reshape(500, -1).argmax(axis=1)
    inside = turned.reshape(500, -1).max(axis=1) > 0
    up, right = 20 - brightest[inside] // 41, brightest[inside] % 41 - 20
    degrees, distance = np.degrees(np.arctan2(up, right)), np.hypot(up, right) / 20
    assert -33 < degrees.min() < -25
    assert 25 < degrees.max() < 33
    assert 0.67 < distance.min() < 0.75


def test_the_seed_says_all(rng):
    x, y = rng.random((8, 6, 6)), rng.integers(0, 10, 8)

    def three(seed):
        augment = Augment(**ALL, seed=seed)
        return [array for _ in range(3) for array in augment(x, y)]

    first = three(1)
    for a, b in zip(first, three(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first[0], three(2)[0])
    given_rng = Augment(**ALL, seed=5)(x, y, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(given_rng[0], first[0])


@pytest.mark.parametrize(
    ("x", "y", "settings", "words"),
    [
        (np.zeros((2, 784)), [0, 1], {}, r"got \(2, 784\).*x.reshape\(-1, height, width\)"),
        (np.zeros((2, 1, 2, 3, 4)), [0, 1], {}, "samples, height, width, channels"),
        (np.zeros((2, 3, 3), int), [0, 1], {}, "floats or uint8, got int64"),
        (np.zeros((2, 3, 3)), [0], {}, "as many images as targets"),
        (np.zeros((2, 3, 3)), 0, {}, "as many images as targets"),
        (np.zeros((2, 3, 3), np.uint8), [0, 1], {"fill": -0.4}, "0 to 255"),
        (np.zeros((2, 3, 3)), [0, 1], {"mix_up": 1}, "Give classes="),
        (np.zeros((2, 3, 3)), [0, 5], {"mix_up": 1, "classes": 5}, "0 to 4"),
    ],
)
def test_what_is_no_image_is_refused(x, y, settings, words):
    with pytest.raises(ValueError, match=words):
        Augment(**settings)(x, y)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shift": -1}, "shift is a number of whole pixels"),
        ({"shift": 0.5}, "shift is a number of whole pixels"),
        ({"cut_out": 1.5}, "cut_out is a number of whole pixels"),
        ({"rotate": -1}, "rotate must be 0 or more"),
        ({"mix_up": np.nan}, "mix_up must be 0 or more"),
        ({"zoom": 1}, "less than 1"),
        ({"classes": 0}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Augment(**settings)
