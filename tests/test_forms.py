"""The fast forms give what the plain forms give."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.compiled
import chainrule.optimizers.base
from cases import LAYERS, LOSSES, drawn, layer_input
from cases_optimizers import OPTIMIZERS
from chainrule.layers.rows import row_max, row_sum

MAKERS = [case.make for case in OPTIMIZERS]
every_optimizer = pytest.mark.parametrize("make", MAKERS, ids=lambda make: repr(make()))
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def compiled():
    pytest.importorskip("numba", reason="numba is not installed: pip install 'chainrule[compiled]'")
    chainrule.compiled.enable()
    yield
    chainrule.compiled.disable()


def passes(case, dtype, *, buffered):
    """Return everything that a layer computes over mini-batches of several sizes."""
    rng = np.random.default_rng(3)
    layer = drawn(case, dtype)
    if buffered:
        for part in layer.walk():
            part._buffers = {}  # as a model does
    results = []
    for shape in [*case.shapes, *case.shapes]:
        x = layer_input(case, shape, rng)
        x = x.astype(dtype) if x.dtype.kind == "f" else x
        y = layer.forward(x)
        results.append(y.copy())
        upstream = rng.standard_normal(y.shape).astype(dtype)
        if case.input_gradient:
            results.append(np.array(layer.backward(upstream)))
        else:
            layer.backward_parameters(upstream)
        results += [
            getattr(part, part.parameters[name]).copy()
            for part in layer.walk()
            for name in part.parameter_shapes()
        ]
    return results


@both_types
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_reused_buffers_change_no_bit(case, dtype):
    plain, buffered = (passes(case, dtype, buffered=b) for b in (False, True))
    for a, b in zip(plain, buffered, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("samples", [1, 2, 64])
def test_linear_is_its_formula_to_the_bit(samples, rng):
    layer = drawn(next(case for case in LAYERS if case.name == "Linear"), np.float32)
    x = rng.standard_normal((samples, 5), dtype=np.float32)
    g = rng.standard_normal((samples, 4), dtype=np.float32)
    np.testing.assert_array_equal(layer.forward(x), x @ layer.weights + layer.biases)
    np.testing.assert_array_equal(layer.backward(g), g @ layer.weights.T)
    np.testing.assert_array_equal(layer.grad_w, x.T @ g)
    # The product with ones adds in another order than sum: the last bit may differ.
    np.testing.assert_allclose(layer.grad_b, g.sum(axis=0), atol=1e-7 * np.abs(g).sum(axis=0).max())


@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (64, 10), (2, 3, 7), (5, 1000)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    np.testing.assert_array_equal(row_max(x), x.max(axis=-1, keepdims=True))
    total = np.abs(x).sum(axis=-1, dtype=np.float64).max()
    exact = x.sum(axis=-1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(row_sum(x), exact, atol=4 * np.finfo(dtype).eps * total)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_greatest_of_a_row_with_a_strange_value(value):
    x = np.array([[1.0, value, 2.0], [3.0, 4.0, 5.0], [value, value, value]])
    np.testing.assert_array_equal(row_max(x), x.max(axis=-1, keepdims=True))


def walked(make, dtype, size=1000, steps=5):
    rng = np.random.default_rng(2)
    w = rng.standard_normal(size).astype(dtype)
    optimizer = make()
    for _ in range(steps):
        optimizer.step(w, rng.standard_normal(size).astype(dtype))
    return w


@every_optimizer
@both_types
def test_blocks_change_no_bit(make, dtype, monkeypatch):
    whole = walked(make, dtype)
    monkeypatch.setattr(chainrule.optimizers.base, "BLOCK", 64)
    np.testing.assert_array_equal(walked(make, dtype), whole)


@every_optimizer
@both_types
def test_compiled_optimizers_change_no_bit(make, dtype, request):
    numpy = walked(make, dtype)
    request.getfixturevalue("compiled")
    np.testing.assert_array_equal(walked(make, dtype), numpy)


@every_optimizer
@both_types
def test_compiled_optimizers_move_groups_alike(make, dtype, request):
    def moved():
        layers = [cr.Linear(6, 5), cr.ReLU(), cr.Linear(5, 4), cr.LayerNorm(4), cr.Linear(4, 2)]
        net, rng = cr.Model(layers, cr.SoftmaxCrossEntropy(), dtype=dtype), np.random.default_rng(6)
        optimizer = make()
        optimizer.rates = {"2.weights": 0.5}
        net.layers[4].frozen = True
        optimizer.bind(net)
        for _ in range(4):
            gradients = rng.standard_normal(net.parameters.size).astype(dtype)
            optimizer.step(net.parameters, gradients)
        return net.parameters

    numpy = moved()
    request.getfixturevalue("compiled")
    np.testing.assert_array_equal(moved(), numpy)


@both_types
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_compiled_layers(case, dtype, request):
    numpy = passes(case, dtype, buffered=True)
    request.getfixturevalue("compiled")
    # The biases' gradient is a sum in another order.
    for a, b in zip(numpy, passes(case, dtype, buffered=True), strict=True):
        scale = max(1.0, np.abs(a).max())
        np.testing.assert_allclose(b, a, rtol=0, atol=8 * np.finfo(dtype).eps * scale)


@both_types
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_compiled_losses(case, dtype, request):
    def values():
        rng = np.random.default_rng(4)
        loss, outputs, targets = case.build(), case.outputs(rng).astype(dtype), case.targets(rng)
        weights = None if case.weights is None else case.weights(rng)
        return loss.forward(outputs, targets, weights), loss.backward()

    numpy = values()
    request.getfixturevalue("compiled")
    # Another exponential, and a sum in another order.
    for a, b in zip(numpy, values(), strict=True):
        np.testing.assert_allclose(b, a, rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.usefixtures("compiled")
def test_compiled_forms_take_what_numpys_take(rng):
    """Odd layouts, types and values go the way that they went."""
    relu, loss = cr.ReLU(), cr.SoftmaxCrossEntropy()
    strange = np.array([np.nan, np.inf, -np.inf, -0.0, 1.0], np.float32)
    np.testing.assert_array_equal(relu.forward(strange), [np.nan, np.inf, 0, 0, 1])
    x = rng.standard_normal((6, 8))[::2, ::2]
    np.testing.assert_array_equal(relu.forward(x), np.maximum(x, 0))
    np.testing.assert_array_equal(relu.backward(x), x * (x > 0))
    assert relu.forward(np.array([[-1, 2]], np.int8)).dtype.kind in "if"
    z = np.array([[0.0, -np.inf, 1.0]])
    assert np.isfinite(loss.forward(z, [2])).all()
    assert loss.forward(z, [1])[0] == np.inf
    assert loss.forward(x.T, [0, 1, 2, 0]).shape == (4,)
    half = np.ones(3, np.float16)
    cr.SGD(0.5).step(half, half.copy())
    np.testing.assert_array_equal(half, 0.5)


@pytest.mark.usefixtures("compiled")
def test_a_class_of_ones_own_keeps_its_methods():
    class Doubled(cr.SoftmaxCrossEntropy):
        def points(self, outputs, targets):
            return 2 * super().points(outputs, targets)

    z, y = np.array([[1.0, 2.0]]), np.array([0])
    assert Doubled().forward(z, y) == pytest.approx(2 * cr.SoftmaxCrossEntropy().forward(z, y))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_compiled_losses_refuse_a_wrong_class(labels):
    with pytest.raises(ValueError, match="must be 0 to 2"):
        cr.SoftmaxCrossEntropy().forward(np.zeros((2, 3)), np.array(labels))


def test_compiled_forms_go_in_and_out_of_place(request):
    before = cr.ReLU.forward
    request.getfixturevalue("compiled")
    assert chainrule.compiled.enabled()
    assert cr.ReLU.forward is not before
    chainrule.compiled.enable()  # twice is once
    chainrule.compiled.disable()
    assert not chainrule.compiled.enabled()
    assert cr.ReLU.forward is before


class _Own(cr.Layer):
    pass


# What NumPy refuses must not be written past the end of an array.
REFUSED = {
    "ReLU's gradient": lambda: forwarded(cr.ReLU(), np.ones((4, 3))).backward(np.ones((2, 3))),
    "ReLU's row": lambda: forwarded(cr.ReLU(), np.ones((4, 3))).backward(np.ones((1, 3))),
    "a short row": lambda: _Own().add_to_rows(np.zeros((2, 4)), np.ones(2)),
    "a short sum": lambda: _Own().sum_rows(np.ones((3, 4)), np.zeros(2)),
    "a long sum": lambda: _Own().sum_rows(np.ones((3, 4)), np.zeros(6)),
    "a cube": lambda: _Own().sum_rows(np.ones((2, 3, 4)), np.zeros(4)),
}


def forwarded(layer, x):
    layer.forward(x)
    return layer


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("what", REFUSED)
def test_compiled_forms_refuse_shapes_that_numpys_refuse(what):
    with pytest.raises(ValueError, match=r"broadcast|mismatch"):
        REFUSED[what]()


@pytest.mark.usefixtures("compiled")
def test_compiled_forms_broadcast_as_numpys():
    rows = np.zeros((2, 3, 4))
    for row in (np.array(1.0), np.array([1.0]), np.ones(4), np.ones((3, 4))):
        _Own().add_to_rows(rows, row)
    np.testing.assert_array_equal(rows, 4)
    points = cr.SoftmaxCrossEntropy().points(np.zeros((3, 2)), np.array([0.5, 0.5]))
    np.testing.assert_allclose(points, np.log(2))


@pytest.mark.usefixtures("compiled")
def test_compiled_forms_leave_strange_arrays_to_numpy():
    swapped = np.array([[-1.0, 2.0]], np.dtype(np.float32).newbyteorder())
    np.testing.assert_array_equal(cr.ReLU().forward(swapped), [[0, 2]])
    masked = np.ma.masked_array([[-1.0, 2.0]], mask=[[True, False]])
    np.testing.assert_array_equal(cr.ReLU().forward(masked), [[0, 2]])
    loss = cr.SoftmaxCrossEntropy()
    np.testing.assert_allclose(loss.forward(np.zeros((1, 2)), np.ma.masked_array([0])), np.log(2))
    np.testing.assert_allclose(loss.forward(swapped * 0, np.array([0])), np.log(2), rtol=1e-6)


@both_types
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("form", ["labels", "rows"])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_compiled_losses_leave_out_any_class(place, label, form, dtype, request):
    """A logit of minus infinity takes its class out, wherever it stands."""

    def values():
        z = np.array([[0.5, 1.0, 2.0]], dtype)
        z[0, place] = -np.inf
        targets = np.array([label]) if form == "labels" else np.eye(3)[[label]]
        loss = cr.SoftmaxCrossEntropy()
        return loss.forward(z, targets), loss.backward()

    numpy = values()
    assert not np.isnan(numpy[0]).any()
    request.getfixturevalue("compiled")
    for a, b in zip(numpy, values(), strict=True):
        np.testing.assert_allclose(b, a, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("outputs", ["half", "by columns"])
def test_compiled_losses_smooth_once(outputs, rng, request):
    """Where the kernel does not fit, NumPy's form gets the targets as they came."""
    z = rng.standard_normal((4, 3))
    z = z.astype(np.float16) if outputs == "half" else np.asfortranarray(z)
    numpy = cr.SoftmaxCrossEntropy(label_smoothing=0.4).forward(z, [0, 1, 2, 0])
    request.getfixturevalue("compiled")
    again = cr.SoftmaxCrossEntropy(label_smoothing=0.4).forward(z, [0, 1, 2, 0])
    np.testing.assert_array_equal(again, numpy)


@pytest.mark.usefixtures("compiled")
def test_compiled_gradients_of_a_loss_alone_are_the_callers():
    loss = cr.SoftmaxCrossEntropy()
    loss.forward(np.zeros((1, 2)), np.array([0]))
    first = loss.backward()
    first *= 100
    np.testing.assert_array_equal(loss.backward(), [[-0.5, 0.5]])


@pytest.mark.usefixtures("compiled")
def test_a_loss_of_ones_own_may_keep_labels():
    class Sevens(cr.SoftmaxCrossEntropy):
        def points(self, outputs, targets):
            losses = super().points(outputs, targets)
            self.targets = targets.argmax(axis=-1)
            return losses

        def point_gradients(self):
            return np.full_like(self.softmax, 7)

    loss = Sevens()
    loss.forward(np.zeros((2, 2)), np.array([0, 1]))
    np.testing.assert_array_equal(loss.backward(), 3.5)


@pytest.mark.parametrize("then", ["enabled", "disabled"])
@pytest.mark.parametrize("samples", [2, 3])  # as many as classes, or not
def test_forms_may_change_between_the_passes(then, samples, request):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((samples, 4)), np.arange(samples) % 2
    alone = cr.SoftmaxCrossEntropy()
    alone.forward(x[:, :2], y)  # what it kept must not be mistaken for what the next keeps
    net = cr.Model([cr.Linear(4, 3), cr.ReLU(), cr.Linear(3, 2)], cr.SoftmaxCrossEntropy())
    net.loss(x, y)
    net.backward()
    expected, expected_alone = net.gradients.copy(), alone.backward()
    request.getfixturevalue("compiled")
    if then == "enabled":
        chainrule.compiled.disable()
    net.loss(x, y)
    alone.forward(x[:, :2], y)
    (chainrule.compiled.enable if then == "enabled" else chainrule.compiled.disable)()
    net.backward()
    np.testing.assert_allclose(net.gradients, expected, atol=1e-6)
    np.testing.assert_allclose(alone.backward(), expected_alone, atol=1e-6)


@pytest.mark.usefixtures("compiled")
def test_a_method_held_from_before_still_works():
    """As a profile holds it, when a callback takes the forms out."""
    forward = cr.ReLU().forward
    chainrule.compiled.disable()
    for dtype in (np.float16, np.float32):
        np.testing.assert_array_equal(forward(np.array([[-1, 2]], dtype)), [[0, 2]])


@pytest.mark.usefixtures("compiled")
def test_a_sum_over_many_rows_loses_no_digits():
    total = np.zeros(1, np.float32)
    _Own().sum_rows(np.broadcast_to(np.float32(1), (2**24 + 4, 1)).copy(), total)
    assert total == 2**24 + 4
