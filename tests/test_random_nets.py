"""Nets put together at random: whatever the order, the parts must not disturb each other.

Inside a model the layers write into shared, reused memory. A part that overwrites what another one
still needs passes every test of its own; only in company does it fail.
"""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *

WIDTH = 4

# Each maps (..., WIDTH) to the same shape.
PARTS = {
    "linear": lambda: Linear(WIDTH, WIDTH, initializer="glorot"),
    "plain": lambda: Linear(WIDTH, WIDTH, bias=False, initializer="orthogonal"),
    "elu": ELU,
    "gelu": GELU,
    "gelu_tanh": lambda: GELU("tanh"),
    "silu": SiLU,
    "softplus": Softplus,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
    # A large epsilon, or nearly equal values give slopes too steep for differences.
    "layer_norm": lambda: LayerNorm(WIDTH, epsilon=0.1),
    "rms_norm": lambda: RMSNorm(WIDTH, epsilon=0.1),
    "group_norm": lambda: GroupNorm(2, WIDTH, epsilon=0.1),
    "dropout": lambda: Dropout(0.3),
    "no_dropout": lambda: Dropout(0.0),
}
names = st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4)
nets = st.recursive(
    names,
    lambda inner: st.tuples(st.sampled_from(["sequential", "residual", "shortcut"]), inner, names),
    max_leaves=4,
)
COSTS = {
    "squared": MeanSquaredError,
    "huber": Huber,
    "classes": SoftmaxCrossEntropy,
    "smooth": lambda: SoftmaxCrossEntropy(class_weights=[1, 2, 3, 4], label_smoothing=0.1),
    "binary": BinaryCrossEntropy,
}


def build(tree):
    """Return the layers that a drawn tree stands for."""
    if isinstance(tree, list):
        return [PARTS[name]() for name in tree]
    kind, inner, after = tree
    if kind == "sequential":
        block = Sequential(build(inner))
    elif kind == "residual":
        block = Residual(build(inner))
    else:
        block = Residual(build(inner), shortcut=Linear(WIDTH, WIDTH))
    return [block, *build(after)]


def batch(cost, samples, rng):
    x = rng.standard_normal((samples, WIDTH))
    targets = {
        "squared": lambda: rng.standard_normal((samples, WIDTH)),
        "huber": lambda: rng.standard_normal((samples, WIDTH)),
        "classes": lambda: rng.integers(0, WIDTH, samples),
        "smooth": lambda: rng.dirichlet(np.ones(WIDTH), samples),
        "binary": lambda: rng.integers(0, 2, (samples, WIDTH)),
    }
    return x, targets[cost]()


def slope(f, h=1e-3):
    """Return f'(0), by two central differences and Richardson's extrapolation."""
    wide, narrow = ((f(step) - f(-step)) / (2 * step) for step in (h, h / 2))
    return (4 * narrow - wide) / 3


@settings(max_examples=120, deadline=None)
@given(nets, st.sampled_from(sorted(COSTS)), st.integers(1, 4), st.integers(0, 1000))
def test_the_gradient_of_any_net(tree, cost, samples, seed):
    rng = np.random.default_rng(seed)
    model = Model([Linear(WIDTH, WIDTH), *build(tree)], COSTS[cost](), dtype="float64", seed=seed)
    x, y = batch(cost, samples, rng)
    weights = rng.uniform(0.5, 2, samples)
    # Biases of 0 behind dropped values put ELU exactly where its second derivative jumps.
    model.parameters += 0.1 * rng.standard_normal(model.parameters.shape)
    start, state = model.parameters.copy(), model.rng.bit_generator.state
    # Another mini-batch first, so that no buffer is as new.
    model.loss(*batch(cost, 3, rng), rng.uniform(0.5, 2, 3))
    model.backward()
    model.predict(x)

    direction = rng.standard_normal(start.shape)
    direction /= np.linalg.norm(direction)

    def mean_loss(step):
        model.rng.bit_generator.state = state  # the same dropout each time
        model.parameters = start + step * direction
        model.loss(x, y, weights)
        return model.cost.mean()

    mean_loss(0)
    model.backward()
    found = float(model.gradients @ direction)
    assert found == pytest.approx(slope(mean_loss), rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(nets, st.integers(0, 1000))
def test_reused_memory_changes_no_result(tree, seed):
    """A model used many times gives what one fresh from the box gives."""
    rng = np.random.default_rng(seed)
    layers = [Linear(WIDTH, WIDTH), *build(tree)]
    fresh = Model(layers, MeanSquaredError(), dtype="float64", seed=seed)
    used = copy.deepcopy(fresh)
    state = used.rng.bit_generator.state
    for samples in (5, 2, 5):
        used.loss(*batch("squared", samples, rng))
        used.backward()
        used.predict(rng.standard_normal((samples + 1, WIDTH)))
        used.input_gradient(*batch("squared", samples, rng))
    used.rng.bit_generator.state = state
    x, y = batch("squared", 4, rng)
    for model in (fresh, used):
        model.loss(x, y)
        model.backward()
    np.testing.assert_array_equal(used.gradients, fresh.gradients)
    np.testing.assert_array_equal(used.predict(x), fresh.predict(x))
    np.testing.assert_array_equal(used.input_gradient(x, y), fresh.input_gradient(x, y))


@settings(max_examples=60, deadline=None)
@given(nets, st.integers(0, 1000))
def test_backward_twice_gives_the_same(tree, seed):
    rng = np.random.default_rng(seed)
    model = Model([Linear(WIDTH, WIDTH), *build(tree)], SoftmaxCrossEntropy(), seed=seed)
    model.loss(*batch("classes", 3, rng))
    model.backward()
    first = model.gradients.copy()
    model.gradients[...] = np.nan
    model.backward()
    np.testing.assert_array_equal(model.gradients, first)


@settings(max_examples=60, deadline=None)
@given(nets, st.integers(0, 1000))
def test_what_came_out_stays(tree, seed):
    rng = np.random.default_rng(seed)
    model = Model(build(tree), SoftmaxCrossEntropy(), seed=seed)

    def answers():
        x, y = batch("classes", 4, rng)
        return [
            model.forward(x),
            model.loss(x, y),
            model.predict(x),
            model.predict(x, batch_size=3),
            model.predict_proba(x),
            model.predict_classes(x),
            model.input_gradient(x, y),
        ]

    model.training = False
    results = answers()
    model.training = True
    results += answers()
    before = [result.copy() for result in results]
    for _ in range(2):
        answers()
        model.loss(*batch("classes", 4, rng))
        model.backward()
        model.parameters -= 0.1 * model.gradients
    for result, copied in zip(results, before, strict=True):
        np.testing.assert_array_equal(result, copied)


@settings(max_examples=60, deadline=None)
@given(nets, st.integers(0, 1000))
def test_what_goes_in_stays(tree, seed):
    rng = np.random.default_rng(seed)
    model = Model(build(tree), MeanSquaredError(), seed=seed)
    x, y = (array.astype(np.float32) for array in batch("squared", 4, rng))
    before = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    for _ in range(2):
        model.loss(x, y)
        model.backward()
        model.predict(x)
        model.input_gradient(x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@settings(max_examples=40, deadline=None)
@given(nets, st.integers(0, 1000))
def test_the_repr_of_any_net_builds_it(tree, seed):
    model = Model(build(tree), Huber(0.5), dtype="float64", seed=seed)
    same = eval(repr(model))
    assert repr(same) == repr(model)
    np.testing.assert_array_equal(same.parameters, model.parameters)
