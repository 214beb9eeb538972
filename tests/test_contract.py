"""What a layer or loss may not do: change what it is given, or what it gave."""

import gc
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import chainrule as cr
from cases import LAYERS, LOSSES, drawn, layer_input

by_name = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
# Layers that take any number; the others take indices.
NUMERIC = [case for case in LAYERS if case.input_gradient]
loss_by_name = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)


@by_name
def test_layers_leave_what_they_are_given(case, rng):
    layer, x = drawn(case), layer_input(case, case.shapes[-1], rng)
    before = x.copy()
    y = layer.forward(x)
    upstream = rng.standard_normal(y.shape)
    upstream_before = upstream.copy()
    layer.backward(upstream)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(upstream, upstream_before)


@by_name
def test_results_of_a_layer_alone_stay(case, rng):
    layer, x = drawn(case), layer_input(case, case.shapes[-1], rng)
    y = layer.forward(x)
    grad = layer.backward(rng.standard_normal(y.shape))
    y_before, grad_before = y.copy(), grad.copy()
    layer.forward(2 * x)
    layer.backward(rng.standard_normal(y.shape))
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(grad, grad_before)


@by_name
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_float_type_stays(case, dtype, rng):
    layer = drawn(case, dtype)
    x = layer_input(case, case.shapes[-1], rng).astype(dtype)
    y = layer.forward(x)
    assert y.dtype == dtype
    assert layer.backward(y.copy()).dtype == dtype
    assert all(array.dtype == dtype for _, array in layer.named_parameters())
    assert all(
        getattr(part, part.parameters[name]).dtype == dtype
        for part in layer.walk()
        for name in part.parameter_shapes()
    )


@loss_by_name
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_float_type_of_a_loss_stays(case, dtype, rng):
    loss = case.build()
    weights = None if case.weights is None else case.weights(rng)
    losses = loss.forward(case.outputs(rng).astype(dtype), case.targets(rng), weights)
    assert losses.dtype == dtype
    assert loss.backward().dtype == dtype


@loss_by_name
def test_losses_leave_what_they_are_given(case, rng):
    loss, given_arrays = case.build(), [case.outputs(rng), case.targets(rng)]
    if case.weights is not None:
        given_arrays.append(case.weights(rng))
    before = [array.copy() for array in given_arrays]
    for array in given_arrays:
        array.flags.writeable = False
    first = loss.forward(*given_arrays)
    first_grad = loss.backward()
    copies = first.copy(), first_grad.copy()
    loss.forward(given_arrays[0] * 0.9, *given_arrays[1:])
    loss.backward()
    for array, old in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(first_grad, copies[1])


@by_name
def test_outside_training_nothing_is_kept(case, rng):
    layer = drawn(case, np.float32)
    model = cr.Model([layer], cr.MeanSquaredError())
    x = layer_input(case, case.shapes[-1], rng).astype(np.float32)
    y = model.predict(x)
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None
    with pytest.raises(RuntimeError, match="training mode"):
        layer.backward(y)


@by_name
def test_standing_alone_outside_training(case, rng):
    layer, x = drawn(case), layer_input(case, case.shapes[-1], rng)
    layer.training = False
    y = layer.forward(x)
    with pytest.raises(RuntimeError, match="nothing to work from"):
        layer.backward(y)


def test_the_global_generator_is_never_used(rng):
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002  # it is what must not move
    for case in LAYERS:
        model = cr.Model([case.build()], cr.MeanSquaredError())
        x = layer_input(case, case.shapes[-1], rng)
        y = np.zeros(model.predict(x).shape)
        cr.train(model, 0.1, 1, [(x, y)], verbose=False)
    net = cr.Model([cr.Linear(3, 4), cr.Dropout(), cr.Linear(4, 2)], cr.SoftmaxCrossEntropy())
    batches = cr.Batches(rng.standard_normal((9, 3)), rng.integers(0, 2, 9), 4)
    cr.train(net, 0.1, 2, batches, verbose=False)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("case", NUMERIC, ids=lambda case: case.name)
def test_nan_is_not_hidden(case):
    layer = drawn(case)
    layer.training = False
    x = np.full(case.shapes[0], np.nan)
    assert np.isnan(layer.forward(x)).any()


@pytest.mark.parametrize("case", [c for c in NUMERIC if c.name not in ("Linear-glorot",)],
                         ids=lambda case: case.name)  # fmt: skip
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_inputs_give_finite_outputs_and_gradients(case, size, rng):
    layer = drawn(case)
    x = size * np.sign(rng.standard_normal(case.shapes[-1]))
    y = layer.forward(x)
    assert np.isfinite(y).all()
    assert np.isfinite(layer.backward(np.ones_like(y))).all()


@given(arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4)), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_softmax_cross_entropy_of_any_logits(logits, label):
    loss = cr.SoftmaxCrossEntropy()
    losses = loss.forward(logits, np.full(3, label))
    grad = loss.backward()
    assert np.isfinite(losses).all()
    assert (losses >= -1e-9).all()
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-12)
    probabilities = loss.probabilities(logits)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@given(arrays(np.float64, (2, 5), elements=st.floats(-30, 30)))
@settings(max_examples=50, deadline=None)
def test_softmax_is_a_distribution_and_shift_does_not_matter(x):
    y = cr.Softmax().forward(x)
    np.testing.assert_allclose(y.sum(axis=1), 1)
    np.testing.assert_allclose(cr.Softmax().forward(x + 100), y, atol=1e-12)
    np.testing.assert_allclose(np.exp(cr.LogSoftmax().forward(x)), y, atol=1e-12)


def test_dropout_keeps_the_mean_and_draws_anew():
    layer = cr.Dropout(0.3)
    x = np.ones((200, 200))
    first, second = layer.forward(x), layer.forward(x)
    assert abs(first.mean() - 1) < 0.02
    assert abs((first == 0).mean() - 0.3) < 0.02
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.Linear(0, 3), "at least 1"),
        (lambda: cr.Dropout(1.5), "from 0 to 1"),
        (lambda: cr.ELU(0), "greater than 0"),
        (lambda: cr.GELU("sigmoid"), '"none" or "tanh"'),
        (lambda: cr.Huber(-1), "greater than 0"),
        (lambda: cr.CrossEntropy(label_smoothing=2), "from 0 to 1"),
        (lambda: cr.SoftmaxCrossEntropy(class_weights=[-1, 2]), "0 or more"),
        (lambda: cr.BinaryCrossEntropy(class_weights=[1, 2, 3]), "are two"),
        (lambda: cr.Sequential([]), "at least one layer"),
    ],
)
def test_constructors_refuse_nonsense(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "weights", "words"),
    [
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1, 4], None, "0 to 3"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1, -1], None, "0 to 3"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1], None, "class indices"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0.0, 1.0, 2.0], None, "integers"),
        (cr.SoftmaxCrossEntropy(), (3, 4), np.ones((3, 4)), None, "sum"),
        (cr.SoftmaxCrossEntropy(), (3, 4), np.full((3, 4), np.nan), None, "sum"),
        (cr.SoftmaxCrossEntropy(), (3, 4), ["a", "b", "c"], None, "class indices"),
        (cr.SoftmaxCrossEntropy(), (0, 4), np.empty(0, int), None, "at least one sample"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1, 2], [1, 2], "sample_weights"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1, 2], [1, 2, -1], "0 or more"),
        (cr.SoftmaxCrossEntropy(), (3, 4), [0, 1, 2], [0, 0, 0], "every weight is 0"),
        (cr.SoftmaxCrossEntropy(class_weights=[1, 2]), (3, 4), [0, 1, 2], None, "has 2 values"),
        (cr.BinaryCrossEntropy(), (3, 1), [0, 1, 2], None, "SoftmaxCrossEntropy"),
        (cr.MeanSquaredError(), (3, 2), [1, 2, 3], None, "shape"),
        (cr.MeanSquaredError(), (3, 1), np.zeros((3, 3)), None, "shape"),
    ],
)
def test_losses_refuse_what_does_not_fit(loss, outputs, targets, weights, words):
    with pytest.raises(ValueError, match=words):
        loss.forward(np.full(outputs, 0.25), targets, weights)


def test_linear_names_the_remedy():
    with pytest.raises(ValueError, match=r"Linear\(784, 100\).*784.*\(64, 28, 28\).*Flatten"):
        cr.Linear(784, 100).forward(np.zeros((64, 28, 28)))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        cr.Linear(5, 2).forward(np.zeros(5))
    with pytest.raises(ValueError, match=r"Use Linear\(6, 2\)"):
        cr.Linear(5, 2).forward(np.zeros((3, 6)))
    with pytest.raises(ValueError, match=r"Residual.*shortcut"):
        cr.Residual([cr.Linear(5, 2)]).forward(np.zeros((3, 5)))


def test_parameters_are_written_through_and_keep_their_shape():
    layer = cr.Linear(3, 2)
    held = layer.weights
    layer.weights = np.ones((3, 2))
    assert (held == 1).all()
    layer.weights -= 0.5
    assert (held == 0.5).all()
    for wrong in (np.ones((2, 3)), 1.0, np.ones(2)):
        with pytest.raises(ValueError, match=r"weights must have shape \(3, 2\)"):
            layer.weights = wrong
    with pytest.raises(ValueError, match="grad_b must have shape"):
        layer.grad_b = np.float64(3)


def test_a_layer_of_ones_own_needs_no_super_init(rng):
    class Shift(cr.Layer):
        parameters = {"shift": "grad_shift"}  # noqa: RUF012  # as a reader would write it

        def __init__(self, n):
            self.n = n
            self.shift = np.zeros(n)

        def forward(self, x):
            return x + self.shift

        def backward(self, grad):
            self.grad_shift = grad.sum(axis=0)
            return grad

    net = cr.Model([cr.Linear(3, 2), Shift(2)], cr.MeanSquaredError())
    x, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    net.loss(x, y)
    net.backward()
    np.testing.assert_allclose(net.gradients[-2:], net.layers[0].grad_b, rtol=1e-6)
    assert net.layers[1].shift.base is net.parameters
    assert repr(net.layers[1]) == "Shift(2)"


def test_a_forgotten_parameter_is_named():
    class Empty(cr.Layer):
        parameters = {"scale": "grad_scale"}  # noqa: RUF012

        def forward(self, x):
            return x * self.scale

    with pytest.raises(AttributeError, match="scale has not been set"):
        Empty().forward(np.ones((1, 2)))
