"""What each loss says, by hand and by its relations to the others."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases import LOSSES

by_name = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
CLASS_LOSSES = [cr.CrossEntropy, cr.SoftmaxCrossEntropy]


def both(loss, *arguments):
    """Return the losses of the samples, and the derivative of their mean."""
    return loss.forward(*arguments), loss.backward()


# -- by hand ------------------------------------------------------------------------------------

P = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
Z = np.array([[1.0, 2.0], [0.0, -3.0]])
BY_HAND = [
    (cr.CrossEntropy(), P, [2, 1], [-np.log(0.2), -np.log(0.8)]),
    (cr.CrossEntropy(), P, [[0.5, 0.5, 0], [0, 0, 1]],
     [-0.5 * np.log(0.5) - 0.5 * np.log(0.3), -np.log(0.1)]),
    (cr.CrossEntropy(label_smoothing=0.3), P[:1], [0],
     [-0.8 * np.log(0.5) - 0.1 * np.log(0.3) - 0.1 * np.log(0.2)]),
    (cr.SoftmaxCrossEntropy(), Z, [0, 1], np.log1p(np.exp([1.0, 3.0]))),
    (cr.SoftmaxCrossEntropy(), [[0.0] * 10], [4], [np.log(10)]),
    (cr.BinaryCrossEntropy(), Z, [[1, 0], [1, 0]],
     [(np.log1p(np.exp(-1.0)) + np.log1p(np.exp(2.0))) / 2,
      (np.log(2) + np.log1p(np.exp(-3.0))) / 2]),
    (cr.BinaryCrossEntropy(label_smoothing=0.2), [[2.0]], [1],
     [0.9 * np.log1p(np.exp(-2.0)) + 0.1 * np.log1p(np.exp(2.0))]),
    (cr.MeanSquaredError(), Z, [[0, 0], [0, 1]], [2.5, 8.0]),
    (cr.MeanAbsoluteError(), Z, [[0, 0], [0, 1]], [1.5, 2.0]),
    (cr.Huber(), Z, [[0.5, 0], [0, 0]], [(0.125 + 1.5) / 2, 1.25]),
    (cr.Huber(2.0), [[5.0]], [[0.0]], [8.0]),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "outputs", "targets", "expected"), BY_HAND)
def test_by_hand(loss, outputs, targets, expected):
    np.testing.assert_allclose(loss.forward(np.asarray(outputs), targets), expected, rtol=1e-14)
    assert loss.mean() == pytest.approx(np.mean(expected), rel=1e-14)


# -- forms of targets ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", CLASS_LOSSES)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"class_weights": [1, 2, 3]}])
def test_indices_and_one_hot_rows_mean_the_same(make, options, rng):
    p = rng.dirichlet(np.ones(3), 6)
    indices = rng.integers(0, 3, 6)
    expected = both(make(**options), p, indices)
    one_hot = np.eye(3)[indices]
    forms = [indices.tolist(), indices.astype(np.uint8), one_hot, one_hot.astype(bool)]
    forms += [one_hot.astype(np.int64), one_hot.astype(np.float32), one_hot.tolist()]
    for form in forms:
        for ours, plain in zip(both(make(**options), p, form), expected, strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("make", [cr.MeanSquaredError, cr.Huber, cr.BinaryCrossEntropy])
def test_a_column_of_outputs_takes_a_row_of_targets(make, rng):
    z, t = rng.standard_normal((5, 1)), rng.integers(0, 2, 5)
    expected = both(make(), z, t[:, None])
    for ours, plain in zip(both(make(), z, t), expected, strict=True):
        np.testing.assert_array_equal(ours, plain)
    assert expected[0].shape == (5,)
    assert expected[1].shape == (5, 1)


@pytest.mark.parametrize("make", CLASS_LOSSES)
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_classes_of_a_sequence_are_those_of_its_last_axis(make, steps):
    p = np.full((3, steps, 4), 0.25)
    loss = make()
    losses = loss.forward(p, np.full((3, steps), 3))
    np.testing.assert_allclose(losses, np.log(4))
    assert loss.classes(p).shape == (3, steps)
    np.testing.assert_allclose(loss.probabilities(p).sum(axis=-1), 1)
    with pytest.raises(ValueError, match=r"0 to 3, got 0 to 4"):
        loss.forward(p, np.arange(3 * steps).reshape(3, steps) % 2 * 4)


# -- relations ----------------------------------------------------------------------------------


def test_softmax_before_cross_entropy_is_softmax_cross_entropy(rng):
    z, t = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    softmax, split, joint = cr.Softmax(), cr.CrossEntropy(), cr.SoftmaxCrossEntropy()
    np.testing.assert_allclose(split.forward(softmax.forward(z), t), joint.forward(z, t))
    np.testing.assert_allclose(softmax.backward(split.backward()), joint.backward(), atol=1e-15)


def test_log_softmax_and_the_targets_give_softmax_cross_entropy(rng):
    z, t = rng.standard_normal((6, 4)), rng.dirichlet(np.ones(4), 6)
    expected = -(t * cr.LogSoftmax().forward(z)).sum(axis=1)
    np.testing.assert_allclose(cr.SoftmaxCrossEntropy().forward(z, t), expected)


def test_a_yes_or_no_is_a_choice_of_two(rng):
    z, t = rng.standard_normal((6, 1)), rng.integers(0, 2, 6)
    two = np.hstack([np.zeros_like(z), z])
    losses, grad = both(cr.BinaryCrossEntropy(), z, t)
    two_losses, two_grad = both(cr.SoftmaxCrossEntropy(), two, t)
    np.testing.assert_allclose(losses, two_losses)
    np.testing.assert_allclose(grad[:, 0], two_grad[:, 1], atol=1e-16)


def test_huber_lies_between_its_two_limits(rng):
    y, t = 3 * rng.standard_normal((6, 2)), np.zeros((6, 2))
    squared = cr.MeanSquaredError().forward(y, t)
    np.testing.assert_allclose(cr.Huber(1e6).forward(y, t), squared / 2)
    absolute = cr.MeanAbsoluteError().forward(y, t)
    np.testing.assert_allclose(cr.Huber(1e-6).forward(y, t) / 1e-6, absolute, rtol=1e-3)


def test_adding_a_number_to_all_logits_changes_nothing(rng):
    z, t = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    plain, moved = cr.SoftmaxCrossEntropy(), cr.SoftmaxCrossEntropy()
    np.testing.assert_allclose(plain.forward(z, t), moved.forward(z + 1000, t), rtol=1e-9)
    np.testing.assert_allclose(plain.backward(), moved.backward(), atol=1e-12)


def test_the_gradient_of_logits_sums_to_0_in_each_row(rng):
    for targets in (rng.integers(0, 4, 6), rng.dirichlet(np.ones(4), 6)):
        grad = both(cr.SoftmaxCrossEntropy(label_smoothing=0.1), rng.standard_normal((6, 4)),
                    targets)[1]  # fmt: skip
        np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-15)


@by_name
def test_no_loss_is_less_than_0_but_by_the_entropy_of_soft_targets(case, rng):
    assert (case.build().forward(case.outputs(rng), case.targets(rng)) >= 0).all()


# -- weights ------------------------------------------------------------------------------------


@by_name
def test_backward_derives_the_mean_that_it_names(case, rng):
    """``mean()`` is np.average of the samples' losses under the weights that count."""
    loss, outputs, targets = case.build(), case.outputs(rng), case.targets(rng)
    weights = rng.uniform(0.1, 2, len(outputs))
    if getattr(loss, "class_weights", None) is None:
        losses = loss.forward(outputs, targets, weights)
        assert loss.mean() == pytest.approx(np.average(losses, weights=weights), rel=1e-12)
        np.testing.assert_allclose(losses, loss.forward(outputs, targets), rtol=1e-12)


@by_name
def test_only_the_proportions_of_weights_count(case, rng):
    outputs, targets = case.outputs(rng), case.targets(rng)
    weights = rng.uniform(0.1, 2, len(outputs))
    expected = both(case.build(), outputs, targets, weights)
    for factor in (1e-6, 1e6):
        found = both(case.build(), outputs, targets, factor * weights)
        for ours, plain in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-12)


@by_name
def test_a_weight_of_2_is_the_sample_twice(case, rng):
    outputs, targets = case.outputs(rng), case.targets(rng)
    weighted, repeated = case.build(), case.build()
    weights = 1.0 + (np.arange(len(outputs)) % 2)
    times = weights.astype(int)
    weighted.forward(outputs, targets, weights)
    repeated.forward(np.repeat(outputs, times, axis=0), np.repeat(targets, times, axis=0))
    assert weighted.mean() == pytest.approx(repeated.mean(), rel=1e-12)
    first = np.cumsum(times) - times
    scale = weights.reshape(-1, *[1] * (outputs.ndim - 1))
    np.testing.assert_allclose(weighted.backward(), repeated.backward()[first] * scale, rtol=1e-12)


@by_name
def test_a_weight_of_0_leaves_a_sample_out(case, rng):
    outputs, targets = case.outputs(rng), case.targets(rng)
    if len(outputs) == 1:
        pytest.skip("one sample cannot be left out")
    weights = (np.arange(len(outputs)) > 0).astype(float)
    weighted, cut = case.build(), case.build()
    weighted.forward(outputs, targets, weights)
    cut.forward(outputs[1:], targets[1:])
    assert weighted.mean() == pytest.approx(cut.mean(), rel=1e-12)
    grad = weighted.backward()
    assert not grad[0].any()
    np.testing.assert_allclose(grad[1:], cut.backward(), rtol=1e-12)


def test_class_weights_are_sample_weights_by_class(rng):
    z, t = rng.standard_normal((9, 3)), rng.integers(0, 3, 9)
    class_weights = [0.5, 2.0, 3.0]
    by_class = cr.SoftmaxCrossEntropy(class_weights=class_weights)
    by_sample = cr.SoftmaxCrossEntropy()
    np.testing.assert_allclose(
        both(by_class, z, t)[1], both(by_sample, z, t, np.take(class_weights, t))[1]
    )
    assert by_class.mean() == pytest.approx(by_sample.mean())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("weight", ["small", "large"])
def test_weights_of_any_size(dtype, weight):
    """A loss is a mean: it cannot be greater than the greatest, however the weights are scaled."""
    info = np.finfo(dtype)
    small, large = float(info.smallest_subnormal) * 4, float(info.max) / 8
    weights = np.full(64, {"small": small, "large": large}[weight])
    outputs = np.full((64, 1), 2, dtype)
    loss = cr.MeanSquaredError()
    losses = loss.forward(outputs, np.zeros((64, 1)), weights)
    np.testing.assert_allclose(losses, 4, rtol=1e-2)
    assert loss.mean() == pytest.approx(4, rel=1e-2)
    assert float(loss.backward().astype(float).sum()) == pytest.approx(4, rel=1e-2)


# -- far out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("make", [cr.SoftmaxCrossEntropy, cr.BinaryCrossEntropy,
                                  cr.MeanAbsoluteError, cr.Huber])  # fmt: skip
def test_large_outputs(make, size, dtype):
    outputs = np.array([[size, -size], [-size, size]], dtype)
    losses, grad = both(make(), outputs, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert losses.dtype == grad.dtype == dtype
    assert np.isfinite(losses).all()
    assert losses[1] == pytest.approx(size, rel=1.01)
    assert np.isfinite(grad).all()
    assert np.abs(grad).max() <= 0.5


def test_a_logit_of_minus_infinity_is_a_class_left_out():
    z = np.array([[0.5, -np.inf, 1.5], [2.0, 3.0, -np.inf]])
    losses, grad = both(cr.SoftmaxCrossEntropy(), z, [2, 0])
    kept = both(cr.SoftmaxCrossEntropy(), np.array([[0.5, 1.5], [2.0, 3.0]]), [1, 0])
    np.testing.assert_allclose(losses, kept[0])
    assert grad[0, 1] == grad[1, 2] == 0
    np.testing.assert_allclose(grad[[0, 0, 1, 1], [0, 2, 0, 1]], kept[1].ravel())


def test_a_true_class_that_was_left_out_costs_infinity():
    """A number, however great, would let a training go on."""
    losses = cr.SoftmaxCrossEntropy().forward(np.array([[0.0, -np.inf], [0.0, 0.0]]), [1, 1])
    np.testing.assert_allclose(losses, [np.inf, np.log(2)])


@by_name
def test_nan_is_not_hidden(case, rng):
    loss, outputs = case.build(), case.outputs(rng)
    outputs[0] = np.nan
    with np.errstate(invalid="ignore"):  # some functions of NumPy warn of a NaN that goes in
        losses = loss.forward(outputs, case.targets(rng))
    assert np.isnan(losses[0])
    assert not np.isnan(losses[1:]).any()
    assert np.isnan(loss.mean())
    grad = loss.backward()
    assert np.isnan(grad[0]).any()
    assert not np.isnan(grad[1:]).any()


@by_name
def test_half_precision_follows_double(case, rng):
    outputs, targets = case.outputs(rng).astype(np.float16), case.targets(rng)
    weights = None if case.weights is None else case.weights(rng)
    half = both(case.build(), outputs, targets, weights)
    double = both(case.build(), outputs.astype(np.float64), targets, weights)
    for narrow, wide in zip(half, double, strict=True):
        assert narrow.dtype == np.float16
        np.testing.assert_allclose(narrow, wide, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_probability_of_0_is_clipped_in_every_type(dtype):
    """A softmax in half precision gives exact zeros all the time."""
    loss = cr.CrossEntropy()
    losses, grad = both(loss, np.array([[1, 0], [0.25, 0.75]], dtype), [0, 1])
    np.testing.assert_allclose(losses, [0, -np.log(0.75)], rtol=1e-3)
    np.testing.assert_allclose(grad, [[-0.5, 0], [0, -1 / 1.5]], rtol=1e-3)
    assert np.isfinite(loss.forward(np.array([[1, 0]], dtype), [1])).all()


def test_the_mean_of_many_in_half_precision():
    """The sum of the losses exceeds 65504, their mean does not."""
    loss = cr.MeanSquaredError()
    loss.forward(np.full((64, 1), 40, np.float16), np.zeros((64, 1)))
    assert loss.mean() == 1600


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", CLASS_LOSSES)
@pytest.mark.parametrize(
    "rows",
    [
        [[2, 0, 0], [0, 0, 0]],  # together they sum to 2, as two rows should
        [[3, -2, 0], [0, 1, 0]],
        [[1.5, -0.5, 0], [1, 0, 0]],
        [[1, 1, 0], [0, 0, 0]],
        [[0.6, 0.6, 0], [0.4, 0.4, 0]],
        [[1, np.nan, 0], [0, 1, 0]],
        [[np.inf, 0, 0], [0, 1, 0]],
    ],
)
def test_every_row_of_targets_must_be_a_distribution(make, rows):
    outputs = np.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=rf"{make.__name__}.*row.*sum to 1"):
        make().forward(outputs, rows)


@pytest.mark.parametrize("make", CLASS_LOSSES)
@pytest.mark.parametrize("noise", [1e-6, 1e-4])
def test_rounded_distributions_are_taken(make, noise, rng):
    rows = rng.dirichlet(np.ones(10), 50).astype(np.float16).astype(np.float32)
    make().forward(np.full((50, 10), 0.1), rows * (1 + noise))


@pytest.mark.parametrize(
    ("loss", "targets", "parts"),
    [
        (cr.SoftmaxCrossEntropy(), [0, 1], ["SoftmaxCrossEntropy", "(3,)", "(3, 4)", "(2,)"]),
        (cr.SoftmaxCrossEntropy(), [0, 1, 9], ["0 to 3", "0 to 9", "last layer"]),
        (cr.SoftmaxCrossEntropy(), [0.0, 1.0, 2.0], ["integers", "float64"]),
        (cr.SoftmaxCrossEntropy(), np.zeros((3, 1), int), ["class indices", "(3, 1)"]),
        (cr.SoftmaxCrossEntropy(), [None, 1, 2], ["class indices", "object"]),
        (cr.BinaryCrossEntropy(), np.full((3, 4), 2), ["BinaryCrossEntropy", "0, 1", "2"]),
        (cr.BinaryCrossEntropy(), np.full((3, 4), np.nan), ["BinaryCrossEntropy", "nan"]),
        (cr.BinaryCrossEntropy(), np.full((3, 4), -0.1), ["between", "-0.1"]),
        (cr.MeanSquaredError(), [1, 2, 3], ["MeanSquaredError()", "(3, 4)", "(3,)"]),
        (cr.MeanSquaredError(), np.zeros((4, 3)), ["(3, 4)", "(4, 3)"]),
        (cr.MeanSquaredError(), np.full((3, 4), "x"), ["numbers", "<U1"]),
        (cr.Huber(), np.zeros((3, 4), object), ["Huber(", "numbers", "object"]),
        (cr.MeanAbsoluteError(), 3.0, ["numbers", "(3, 4)", "()"]),
        (cr.MeanAbsoluteError(), np.zeros((3, 4), complex), ["numbers", "complex"]),
    ],
)
def test_messages(loss, targets, parts):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the parts are the match
        loss.forward(np.full((3, 4), 0.25), targets)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (3, 0)])
@by_name
def test_outputs_need_samples(case, shape):
    with pytest.raises(ValueError, match=r"\(samples, \.\.\.\)"):
        case.build().forward(np.ones(shape), np.ones(shape))


@pytest.mark.parametrize("weights", [[1, np.nan, 1], [1, np.inf, 1], [-1, 2, 2]])
def test_weights_that_are_no_weights(weights):
    with pytest.raises(ValueError, match="0 or more, and finite"):
        cr.MeanSquaredError().forward(np.ones((3, 1)), np.ones(3), weights)


@by_name
def test_backward_needs_a_forward(case, rng):
    with pytest.raises(RuntimeError, match="nothing to work from"):
        case.build().backward()
    loss = case.build()
    loss.training = False
    loss.forward(case.outputs(rng), case.targets(rng))
    with pytest.raises(RuntimeError, match="nothing to work from"):
        loss.backward()


@by_name
def test_backward_twice_gives_the_same(case, rng):
    loss = case.build()
    loss.forward(case.outputs(rng), case.targets(rng))
    first = loss.backward().copy()
    np.testing.assert_array_equal(loss.backward(), first)


@by_name
def test_a_prediction_lets_go_of_the_targets(case, rng):
    outputs, targets = case.outputs(rng).astype(np.float32), case.targets(rng)
    if targets.dtype.kind == "f":
        targets = targets.astype(np.float32)
    model = cr.Model([cr.Dropout(0.0)], case.build())
    model.loss(outputs, targets)
    model.predict(outputs)
    alive = weakref.ref(targets)
    del targets
    gc.collect()
    assert alive() is None


# -- losses of one's own ------------------------------------------------------------------------


class LogCosh(cr.Loss):
    keeps = ("difference",)

    def points(self, outputs, targets):
        self.difference = outputs - targets
        return np.log(np.cosh(self.difference))

    def point_gradients(self):
        return np.tanh(self.difference)


@given(st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_loss_of_ones_own(samples, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((samples, 2)), rng.standard_normal(samples)
    weights = rng.uniform(0.1, 1, samples)
    net = cr.Model([cr.Linear(2, 1)], LogCosh(), dtype="float64")
    losses = net.loss(x, y, weights)
    assert losses.shape == (samples,)
    net.backward()
    shares = weights / weights.sum()
    slopes = np.tanh(net.predict(x)[:, 0] - y) * shares
    np.testing.assert_allclose(net.layers[0].grad_w[:, 0], x.T @ slopes, rtol=1e-12, atol=1e-15)
    with pytest.raises(TypeError, match=r"LogCosh.*no classes"):
        net.predict_classes(x)


def test_a_loss_half_written_says_what_is_missing():
    class Half(cr.Loss):
        def points(self, outputs, targets):
            return outputs

    loss = Half()
    loss.forward(np.ones((1, 1)), [1.0])
    with pytest.raises(NotImplementedError, match=r"Half has no point_gradients"):
        loss.backward()
    with pytest.raises(NotImplementedError, match=r"Loss has no points"):
        cr.Loss().forward(np.ones((1, 1)), [1.0])
