"""Values far out, special, whole or missing: no layer may invent, hide or lose anything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import chainrule as cr
from cases import LAYERS, drawn, layer_input

by_name = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
FLOATS = [np.float16, np.float32, np.float64]
# Layers that act on each value alone, and have no parameters.
ELEMENTWISE = [
    cr.ReLU(),
    cr.LeakyReLU(),
    cr.ELU(),
    cr.GELU(),
    cr.GELU("tanh"),
    cr.SiLU(),
    cr.Softplus(),
    cr.Sigmoid(),
    cr.Tanh(),
]
elementwise = pytest.mark.parametrize("layer", ELEMENTWISE, ids=repr)
each_float = pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.__name__)


@each_float
@elementwise
@pytest.mark.parametrize("share", [1e-3, 0.25, 1.0])
def test_the_greatest_numbers(layer, dtype, share):
    """Warnings are errors here: an overflow on the way is as wrong as one at the end."""
    x = np.array([[share, -share]]) * float(np.finfo(dtype).max)
    x = x.astype(dtype)
    y = layer.forward(x)
    grad = layer.backward(np.ones_like(x))
    right, left = y[0]
    if isinstance(layer, (cr.Sigmoid, cr.Tanh)):
        assert right == 1
    else:
        assert right == x[0, 0]
        np.testing.assert_array_equal(grad[0, 0], 1)
    assert np.isfinite(y).all()
    assert np.isfinite(grad).all()
    if not isinstance(layer, cr.LeakyReLU):
        assert abs(left) <= 1
        np.testing.assert_array_equal(grad[0, 1], 0)


@pytest.mark.parametrize("x", [12.0, 300.0, 1000.0])
def test_float16_follows_float32_as_far_as_it_can(x):
    """Half precision overflows at 65504: a square on the way must not."""
    for layer in ELEMENTWISE:
        wide = np.array([[x, -x]], np.float32)
        y, grad = layer.forward(wide), layer.backward(np.ones_like(wide))
        narrow = layer.forward(wide.astype(np.float16))
        narrow_grad = layer.backward(np.ones((1, 2), np.float16))
        np.testing.assert_allclose(narrow, y, rtol=2e-3, atol=3e-4, err_msg=repr(layer))
        np.testing.assert_allclose(narrow_grad, grad, rtol=2e-3, atol=3e-4, err_msg=repr(layer))


@each_float
@pytest.mark.parametrize("case", [c for c in LAYERS if c.input_gradient], ids=lambda c: c.name)
def test_zeros_and_the_smallest_numbers(case, dtype):
    layer = drawn(case, dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    for value in (0, -0.0, tiny, -tiny):
        x = np.full(case.shapes[1], value, dtype)
        y = layer.forward(x)
        assert np.isfinite(y).all()
        assert np.isfinite(layer.backward(np.ones_like(y))).all()


@by_name
def test_a_nan_stays_in_its_sample(case, rng):
    """It shows in what it touches, and in no other sample."""
    layer = drawn(case)
    layer.training = False
    x = layer_input(case, (3, *case.shapes[-1][1:]), rng)
    if x.dtype.kind != "f":
        pytest.skip("takes no floats")
    clean = layer.forward(x)
    x[1] = np.nan
    y = layer.forward(x)
    border = isinstance(layer, cr.Pad)  # which nothing touches
    assert (np.isnan(y[1]) | (border & (y[1] == clean[1]))).all()
    assert np.isnan(y[1]).any()
    np.testing.assert_array_equal(y[[0, 2]], clean[[0, 2]])


@by_name
def test_a_nan_coming_back_reaches_the_parameters(case, rng):
    layer = drawn(case)
    x = layer_input(case, case.shapes[1], rng)
    y = layer.forward(x)
    grad = layer.backward(np.full_like(y, np.nan))
    if isinstance(layer, cr.Slice):  # what was cut off gets 0
        grad = grad[grad != 0]
    assert np.isnan(grad).all() or not case.input_gradient
    assert grad is None or grad.size or not case.input_gradient
    for part in layer.walk():
        for name in part.parameter_shapes():
            assert np.isnan(getattr(part, part.parameters[name])).any()


@pytest.mark.parametrize(
    ("layer", "right", "left"),
    [
        (cr.ReLU(), np.inf, 0),
        (cr.LeakyReLU(0.1), np.inf, -np.inf),
        (cr.ELU(), np.inf, -1),
        (cr.Softplus(), np.inf, 0),
        (cr.Sigmoid(), 1, 0),
        (cr.Tanh(), 1, -1),
    ],
    ids=repr,
)
def test_limits(layer, right, left):
    x = np.array([[np.inf, -np.inf]])
    np.testing.assert_array_equal(layer.forward(x), [[right, left]])
    assert not np.isnan(layer.backward(np.ones((1, 2)))).any()


def test_a_logit_of_minus_infinity_is_a_class_left_out():
    x = np.array([[0.5, -np.inf, 1.5], [2.0, 3.0, -np.inf]])
    kept = np.array([[0.5, 1.5], [2.0, 3.0]])
    upstream = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    softmax, small = cr.Softmax(), cr.Softmax()
    y = softmax.forward(x)
    np.testing.assert_allclose(y[0, [0, 2]], small.forward(kept)[0])
    assert y[0, 1] == y[1, 2] == 0
    grad = softmax.backward(upstream)
    np.testing.assert_allclose(grad[0, [0, 2]], small.backward(upstream[:, [0, 2]])[0])
    log = cr.LogSoftmax()
    np.testing.assert_allclose(np.exp(log.forward(x)), y)
    assert np.isfinite(log.backward(upstream)).all()


WHOLE = ["bool", "uint8", "int8", "int16", "int64"]


@by_name
@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_numbers(case, dtype):
    """A layer alone, handed the bytes of an image, gives what it gives for the same floats."""
    layer, same = drawn(case, np.float32), drawn(case, np.float32)
    x = (np.arange(np.prod(case.shapes[1])).reshape(case.shapes[1]) % 7 % 4).astype(dtype)
    y = layer.forward(x)
    np.testing.assert_allclose(y, same.forward(x.astype(np.float32)), rtol=1e-5, atol=1e-6)
    assert y.dtype.kind == "f" or isinstance(
        layer, (cr.Flatten, cr.Reshape, cr.Slice, cr.Transpose)
    )
    upstream = np.linspace(-1, 1, y.size, dtype=np.float32).reshape(y.shape)
    np.testing.assert_allclose(
        layer.backward(upstream), same.backward(upstream), rtol=1e-5, atol=1e-6
    )


@by_name
def test_no_sample_in_no_sample_out(case):
    model = cr.Model([case.build()], cr.MeanSquaredError())
    for shape in case.shapes:
        empty = model.predict(np.empty((0, *shape[1:])))
        assert empty.shape == (0, *model.predict(np.zeros(shape)).shape[1:])
        assert empty.dtype == np.float32


@by_name
def test_samples_do_not_know_of_each_other(case, rng):
    """The answer for a sample is the same alone, among others, and in any order."""
    model = cr.Model([case.build()], cr.MeanSquaredError(), dtype="float64")
    x = layer_input(case, (11, *case.shapes[-1][1:]), rng)
    whole = model.predict(x)
    for batch_size in (1, 2, 10, 11, 12, 1000):
        np.testing.assert_allclose(model.predict(x, batch_size=batch_size), whole, rtol=1e-12)
    order = rng.permutation(11)
    np.testing.assert_allclose(model.predict(x[order]), whole[order], rtol=1e-12)
    np.testing.assert_allclose(model.predict(x[4:5])[0], whole[4], rtol=1e-12)


def test_a_large_batch_in_float32(rng):
    model = cr.Model([cr.Linear(20, 30), cr.GELU(), cr.Linear(30, 4)], cr.SoftmaxCrossEntropy())
    x = rng.standard_normal((20_000, 20)).astype(np.float32)
    whole = model.predict(x, batch_size=20_000)
    np.testing.assert_allclose(model.predict(x), whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(x, batch_size=7), whole, rtol=1e-4, atol=1e-5)


@given(arrays(np.float32, (2, 3), elements=st.floats(width=32, allow_nan=False)))
@settings(max_examples=200, deadline=None)
def test_softmax_of_anything_finite_or_not(x):
    """A row without +inf, and not all -inf, has a softmax; it is a distribution."""
    rows = x[(x < np.inf).all(axis=1) & (x > -np.inf).any(axis=1)]
    with np.errstate(over="ignore"):  # max - min may exceed what the type holds: its exp is 0
        y = cr.Softmax().forward(rows)
        log = cr.LogSoftmax().forward(rows)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(log), y, rtol=1e-5, atol=1e-30)


@elementwise
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_monotone_and_bounded_where_the_formula_says_so(layer, data):
    x = np.sort(data.draw(arrays(np.float64, (1, 6), elements=st.floats(-50, 50))))
    y = layer.forward(x)
    if not isinstance(layer, (cr.GELU, cr.SiLU)):
        assert (np.diff(y) >= -1e-15).all()
    if isinstance(layer, cr.Sigmoid):
        assert ((y >= 0) & (y <= 1)).all()
    if isinstance(layer, (cr.GELU, cr.SiLU)):  # between min(x, 0) and max(x, 0)
        assert ((y >= np.minimum(x, 0)) & (y <= np.maximum(x, 0))).all()
