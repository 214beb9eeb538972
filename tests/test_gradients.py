"""Every backward is the derivative of its forward."""

import numpy as np
import pytest

import chainrule
from cases import LAYERS, LOSSES, drawn, layer_input
from chainrule import Layer, Loss

LAYER_SHAPES = [
    pytest.param(case, shape, id=f"{case.name}-{shape}") for case in LAYERS for shape in case.shapes
]
LOSS_IDS = [case.name for case in LOSSES]


def central_difference(f, array):
    """Return df/d(array) by Richardson's extrapolation of two central differences."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value, estimates = array[index], []
        for h in (2e-3, 1e-3):
            array[index] = value + h
            above = f()
            array[index] = value - h
            estimates.append((above - f()) / (2 * h))
        array[index] = value
        gradient[index] = (4 * estimates[1] - estimates[0]) / 3
    return gradient


def assert_close(analytic, numerical):
    scale = max(np.abs(numerical).max(), 1e-3)
    assert analytic.shape == numerical.shape
    assert np.abs(analytic - numerical).max() <= 1e-7 * scale


@pytest.mark.parametrize(("case", "shape"), LAYER_SHAPES)
def test_layer(case, shape, rng):
    layer = drawn(case)
    x = layer_input(case, shape, rng)
    state = layer.rng.bit_generator.state

    def forward():
        layer.rng.bit_generator.state = state
        return layer.forward(x)

    upstream = rng.standard_normal(forward().shape)
    grad_x = (
        layer.backward(upstream) if case.input_gradient else layer.backward_parameters(upstream)
    )
    analytic = {
        f"{path}.{name}": getattr(part, part.parameters[name]).copy()
        for path, part in layer.named_layers()
        for name in part.parameter_shapes()
    }

    def scalar():
        return (forward() * upstream).sum()

    if case.input_gradient:
        assert_close(grad_x, central_difference(scalar, x))
    for path, part in layer.named_layers():
        for name in part.parameter_shapes():
            numerical = central_difference(scalar, getattr(part, name))
            assert_close(analytic[f"{path}.{name}"], numerical)


@pytest.mark.parametrize("case", LOSSES, ids=LOSS_IDS)
def test_loss(case, rng):
    loss, outputs, targets = case.build(), case.outputs(rng), case.targets(rng)
    weights = None if case.weights is None else case.weights(rng)
    losses = loss.forward(outputs, targets, weights)
    assert losses.shape == (len(outputs),)
    grad = loss.backward()

    def scalar():
        loss.forward(outputs, targets, weights)
        return loss.mean()

    assert_close(grad, central_difference(scalar, outputs))


@pytest.mark.parametrize("case", LOSSES, ids=LOSS_IDS)
def test_the_mean_is_the_weighted_mean_of_the_losses(case, rng):
    loss, outputs, targets = case.build(), case.outputs(rng), case.targets(rng)
    unweighted = loss.forward(outputs, targets)
    if getattr(loss, "class_weights", None) is None:
        np.testing.assert_allclose(loss.mean(), unweighted.mean())
        weights = rng.uniform(0.5, 2, len(outputs))
        weighted = loss.forward(outputs, targets, weights)
        np.testing.assert_allclose(weighted, unweighted)
        np.testing.assert_allclose(loss.mean(), np.average(unweighted, weights=weights))


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_backward_parameters_agrees_with_backward(case, rng):
    layer = drawn(case)
    x = layer_input(case, case.shapes[-1], rng)
    upstream = rng.standard_normal(layer.forward(x).shape)
    gradients = []
    for backward in (layer.backward, layer.backward_parameters):
        backward(upstream)
        gradients.append(
            [
                getattr(part, part.parameters[name]).copy()
                for part in layer.walk()
                for name in part.parameter_shapes()
            ]
        )
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_array_equal(first, second)


def views(x):
    """Return arrays equal to x that lie differently in memory."""
    yield np.asfortranarray(x)
    yield np.repeat(x, 2, axis=-1)[..., ::2]
    yield np.repeat(x, 3, axis=0)[::3]
    yield x[::-1].copy()[::-1]
    yield np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0)
    frozen = x.copy()
    frozen.flags.writeable = False
    yield frozen
    shifted = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x  # not at an address that the processor likes
    yield shifted


def results(case, x, upstream):
    """Return output, input gradient and parameter gradients of the layer fresh from its row."""
    layer = drawn(case)
    y = layer.forward(x)
    grad = layer.backward(upstream)
    gradients = [getattr(p, p.parameters[n]) for p in layer.walk() for n in p.parameter_shapes()]
    return [y, grad, *gradients]


@pytest.mark.parametrize(("case", "shape"), LAYER_SHAPES)
def test_memory_order_does_not_matter(case, shape, rng):
    x = layer_input(case, shape, rng)
    upstream = rng.standard_normal(drawn(case).forward(x).shape)
    expected = results(case, x, upstream)
    for other_x, other_up in zip(views(x), views(upstream), strict=True):
        np.testing.assert_array_equal(other_x, x)
        for other, plain in zip(results(case, other_x, other_up), expected, strict=True):
            np.testing.assert_allclose(other, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("case", "shape"), LAYER_SHAPES)
def test_one_row_broadcast_over_the_samples(case, shape, rng):
    """Such an array has a stride of 0 and one place in memory for all samples: writing shows."""
    row = layer_input(case, (1, *shape[1:]), rng)
    x = np.broadcast_to(row, (3, *shape[1:]))
    y_row = rng.standard_normal((1, *drawn(case).forward(x).shape[1:]))
    upstream = np.broadcast_to(y_row, (3, *y_row.shape[1:]))
    for other, plain in zip(
        results(case, x, upstream), results(case, x.copy(), upstream.copy()), strict=True
    ):
        np.testing.assert_allclose(other, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", LOSSES, ids=LOSS_IDS)
def test_memory_order_of_a_loss_does_not_matter(case, rng):
    outputs, targets = case.outputs(rng), case.targets(rng)
    weights = None if case.weights is None else case.weights(rng)
    loss = case.build()
    expected, grad = loss.forward(outputs, targets, weights), loss.backward()
    for other_outputs, other_targets in zip(views(outputs), views(targets), strict=True):
        np.testing.assert_allclose(
            loss.forward(other_outputs, other_targets, weights), expected, rtol=1e-13
        )
        np.testing.assert_allclose(loss.backward(), grad, rtol=1e-13, atol=1e-16)


def test_every_public_layer_and_loss_has_a_row():
    tested = {type(part) for case in LAYERS for part in case.build().walk()}
    tested |= {type(case.build()) for case in LOSSES}
    public = {getattr(chainrule, name) for name in chainrule.__all__}
    classes = {c for c in public if isinstance(c, type) and issubclass(c, (Layer, Loss))}
    assert classes - {Layer, Loss} <= tested


def test_a_wrong_gradient_would_be_seen(rng):
    """The test above is itself tested: an error of one part in a million fails it."""
    numerical = rng.standard_normal((3, 4))
    wrong = numerical.copy()
    wrong[np.unravel_index(np.abs(wrong).argmax(), wrong.shape)] *= 1 + 1e-6
    with pytest.raises(AssertionError):
        assert_close(wrong, numerical)
