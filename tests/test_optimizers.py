"""Optimisers beside their formulas, and what they may not do."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases_optimizers import OPTIMIZERS
from chainrule import *

MAKERS = [case.make for case in OPTIMIZERS]
every = pytest.mark.parametrize("make", MAKERS, ids=lambda make: repr(make()))


def plain_sgd(w, gradients, lr, momentum=0.0, nesterov=False, dampening=0.0, decay=0.0):
    velocity = None
    for g in gradients:
        d = g + decay * w
        if momentum:
            velocity = d if velocity is None else momentum * velocity + (1 - dampening) * d
            d = d + momentum * velocity if nesterov else velocity
        w = w - lr * d
    return w


def plain_adam(w, gradients, lr, betas, epsilon, decay=0.0, decoupled=False):
    m = s = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        if decoupled:
            w, d = w - lr * decay * w, g
        else:
            d = g + decay * w
        m = betas[0] * m + (1 - betas[0]) * d
        s = betas[1] * s + (1 - betas[1]) * d**2
        m_hat, s_hat = m / (1 - betas[0] ** t), s / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(s_hat) + epsilon)
    return w


fraction = st.floats(0, 0.99)


@given(fraction, st.booleans(), fraction, st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_sgd_is_its_formula(momentum, nesterov, dampening, decay, seed):
    if nesterov and momentum:
        dampening = 0.0
    elif nesterov:
        nesterov = False
    rng = np.random.default_rng(seed)
    start, gradients = rng.standard_normal(7), rng.standard_normal((12, 7))
    optimizer = SGD(0.1, momentum, nesterov=nesterov, dampening=dampening, weight_decay=decay)
    w = start.copy()
    for gradient in gradients:
        optimizer.step(w, gradient)
    expected = plain_sgd(start, gradients, 0.1, momentum, nesterov, dampening, decay)
    np.testing.assert_allclose(w, expected, rtol=1e-10, atol=1e-12)


@given(fraction, fraction, st.floats(1e-8, 0.1), st.floats(0, 1), st.booleans(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_adam_is_its_formula(beta1, beta2, epsilon, decay, decoupled, seed):
    rng = np.random.default_rng(seed)
    start, gradients = rng.standard_normal(7), rng.standard_normal((12, 7))
    optimizer = (AdamW if decoupled else Adam)(
        0.01, (beta1, beta2), epsilon=epsilon, weight_decay=decay
    )
    w = start.copy()
    for gradient in gradients:
        optimizer.step(w, gradient)
    expected = plain_adam(start, gradients, 0.01, (beta1, beta2), epsilon, decay, decoupled)
    np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-11)


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradients_and_the_float_type_stay(make, dtype, rng):
    optimizer = make()
    w, g = rng.standard_normal(5).astype(dtype), rng.standard_normal(5).astype(dtype)
    before = g.copy()
    g.flags.writeable = False
    held = w
    for _ in range(3):
        optimizer.step(w, g)
    np.testing.assert_array_equal(g, before)
    assert held is w
    assert w.dtype == dtype
    assert all(array.dtype == dtype for array in optimizer.state.values())
    assert optimizer.steps == 3


@every
def test_every_optimizer_finds_the_bottom_of_a_bowl(make):
    optimizer, w = make(), np.array([3.0, -2.0])
    optimizer.weight_decay = 0
    centre = np.array([1.0, 1.0])
    for _ in range(3000):
        optimizer.step(w, w - centre)
    np.testing.assert_allclose(w, centre, atol=0.02)


@every
def test_no_gradient_no_move(make):
    """Without weight decay a zero gradient leaves everything where it is."""
    optimizer = make()
    optimizer.weight_decay = 0.0
    w = np.array([1.0, 0.0, -2.0], np.float32)
    for _ in range(3):
        optimizer.step(w, np.zeros(3, np.float32))
    np.testing.assert_array_equal(w, [1, 0, -2])


@every
@pytest.mark.parametrize("gradient", [0.0, 1e-4, 1.0])
def test_half_precision_moves_as_double_does(make, gradient):
    """1e-8 is 0 in float16, and so is the square of 1e-4."""
    half, double = make(), make()
    w, wide = np.ones(3, np.float16), np.ones(3)
    for _ in range(3):
        half.step(w, np.full(3, gradient, np.float16))
        double.step(wide, np.full(3, gradient))
    np.testing.assert_allclose(w, wide, rtol=0.02)


@every
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_goes_on_where_the_first_was(make, twin, rng):
    first, w = make(), np.zeros(4)
    gradients = rng.standard_normal((6, 4))
    for gradient in gradients[:3]:
        first.step(w, gradient)
    second, v = twin(first), w.copy()
    for gradient in gradients[3:]:
        first.step(w, gradient)
        second.step(v, gradient)
    np.testing.assert_array_equal(v, w)


@every
def test_the_repr_builds_it(make):
    assert repr(eval(repr(make()))) == repr(make())


def test_defaults_are_those_of_the_papers():
    assert vars(Adam()) == vars(Adam(0.001, (0.9, 0.999), epsilon=1e-8, weight_decay=0.0))
    assert vars(AdamW()) == vars(AdamW(0.001, (0.9, 0.999), epsilon=1e-8, weight_decay=0.01))
    assert vars(SGD()) == vars(SGD(0.01, 0.0, nesterov=False, dampening=0.0, weight_decay=0.0))


def test_short_reprs():
    assert repr(SGD(0.1, 0.9)) == "SGD(0.1, momentum=0.9)"
    assert repr(AdamW()) == "AdamW()"


def test_the_learning_rate_may_change_between_steps():
    optimizer, w = SGD(1.0), np.zeros(1)
    optimizer.step(w, np.ones(1))
    optimizer.learning_rate = 0.1
    optimizer.step(w, np.ones(1))
    np.testing.assert_allclose(w, [-1.1])
    with pytest.raises(ValueError, match="greater than 0"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.1


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_learning_rates_that_make_no_sense(kind, value):
    with pytest.raises(ValueError, match=rf"{kind.__name__}.*greater than 0.*{value}"):
        kind(value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(0.1, 1.0), r"below 1.*1\.0"),
        (lambda: SGD(0.1, -0.1), r"below 1.*-0\.1"),
        (lambda: SGD(0.1, math.nan), "momentum"),
        (lambda: SGD(0.1, nesterov=True), "nesterov needs a momentum"),
        (lambda: SGD(0.1, 0.9, nesterov=True, dampening=0.1), "dampening of 0"),
        (lambda: SGD(0.1, 0.9, dampening=math.nan), "dampening"),
        (lambda: SGD(0.1, weight_decay=-1), "weight_decay"),
        (lambda: SGD(0.1, weight_decay=math.nan), "weight_decay"),
        (lambda: SGD(0.1, weight_decay=math.inf), "weight_decay"),
        (lambda: Adam(betas=(0.9, 1.0)), "betas"),
        (lambda: Adam(betas=(-0.1, 0.9)), "betas"),
        (lambda: Adam(betas=(0.9,)), "betas"),
        (lambda: Adam(betas=(0.9, math.nan)), "betas"),
        (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: Adam(epsilon=math.nan), "epsilon"),
        (lambda: Adam(weight_decay=-1), "Adam: weight_decay"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW: weight_decay"),
    ],
)
def test_nonsense_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@every
def test_one_optimizer_one_net(make):
    optimizer = make()
    with pytest.raises(ValueError, match=r"\(3,\) parameters but \(4,\) gradients"):
        optimizer.step(np.ones(3), np.ones(4))
    optimizer.step(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"made 1 steps .* 3 parameters, and got one of 4"):
        optimizer.step(np.ones(4), np.ones(4))


def test_an_optimizer_of_ones_own(rng):
    class Sign(Optimizer):
        """Moves each parameter by the sign of a running mean."""

        averages = ("mean",)

        def __init__(self, learning_rate=0.01, beta=0.5):
            super().__init__(learning_rate)
            self.beta = beta

        def update(self, parameters, gradients, state):
            mean = state["mean"]
            mean *= self.beta
            mean += (1 - self.beta) * gradients
            parameters -= self.learning_rate * np.sign(mean)

    x = rng.standard_normal((64, 2))
    y = x @ np.array([[1.0], [-1.0]])
    net = Model([Linear(2, 1)], MeanSquaredError())
    history = train(net, None, 20, (x, y), optimizer=Sign(0.1), verbose=False)
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert repr(Sign(0.1)) == "Sign(0.1)"
    with pytest.raises(NotImplementedError, match="Optimizer has no update"):
        Optimizer(0.1).step(np.ones(1), np.ones(1))


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_lion_is_its_formula(decay, rng):
    """PyTorch has none: the paper's program, line by line."""
    start, gradients = rng.standard_normal(30), rng.standard_normal((50, 30))
    w, v, m = start.copy(), start.copy(), np.zeros(30)
    optimizer = Lion(0.01, (0.8, 0.95), weight_decay=decay)
    for g in gradients:
        update = np.sign(0.8 * m + (1 - 0.8) * g)
        m = 0.95 * m + (1 - 0.95) * g
        v = v - 0.01 * (update + decay * v)
        optimizer.step(w, g)
    np.testing.assert_allclose(w, v, rtol=1e-12, atol=1e-12)


def test_decoupled_decay_of_sgd_is_its_formula(rng):
    start, gradients = rng.standard_normal(5), rng.standard_normal((20, 5))
    w, v, m = start.copy(), start.copy(), 0.0
    optimizer = SGD(0.1, 0.9, weight_decay=0.2, decoupled=True)
    for g in gradients:
        m = 0.9 * m + g
        v = (1 - 0.1 * 0.2) * v - 0.1 * m
        optimizer.step(w, g)
    np.testing.assert_allclose(w, v, rtol=1e-12)


@pytest.mark.parametrize("kind", [SGD, RMSprop])
def test_a_momentum_that_comes_too_late(kind):
    optimizer = kind(0.1)
    with pytest.raises(ValueError, match=rf"built without a momentum.*{kind.__name__}\(mom"):
        optimizer.momentum = 0.9
    optimizer.step(np.ones(2), np.ones(2))
    assert optimizer.momentum == 0


@every
@pytest.mark.parametrize("momentum", [-0.1, 1.0, math.nan])
def test_no_momentum_of_one(make, momentum):
    optimizer = make()
    if optimizer.momentum:
        with pytest.raises(ValueError, match=r"momentum must be from 0 to below 1"):
            optimizer.momentum = momentum


@every
def test_a_million_million_steps(make, rng):
    optimizer, w = make(), np.ones(3)
    optimizer.step(w, np.ones(3))
    optimizer.steps = 10**12
    before = w.copy()
    optimizer.step(w, np.ones(3))
    assert np.isfinite(w).all()
    assert (w < before).all()


@pytest.mark.parametrize("betas", [(0, 0), (0, 0.999), (0.9, 0), (0.9, 0.6), (1 - 1e-9, 1 - 1e-9)])
@pytest.mark.parametrize("kind", [Adam, AdamW, NAdam, RAdam, Lion])
def test_betas_at_their_edges(kind, betas):
    optimizer, w = kind(0.01, betas), np.ones(3)
    for _ in range(30):
        optimizer.step(w, np.ones(3))
    assert np.isfinite(w).all()
    assert (w < 1).all()


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, NAdam, RAdam, Lion])
def test_the_momentum_has_one_name(kind):
    optimizer = kind(momentum=0.5) if kind in (SGD, RMSprop) else kind(betas=(0.5, 0.9))
    assert optimizer.momentum == 0.5
    optimizer.momentum = 0.25
    assert "0.25" in repr(optimizer)
    assert Adagrad().momentum == Adadelta().momentum == 0


@pytest.mark.parametrize("make", [lambda: SGD(0.1), lambda: SGD(0.1, 0.9), lambda: Adam(0.1)])
def test_a_matrix_is_no_vector(make):
    weights, optimizer = np.ones((3, 4)), make()
    with pytest.raises(ValueError, match=r"one vector of parameters, got shape \(3, 4\)"):
        optimizer.step(weights, np.ones((3, 4)))
    np.testing.assert_array_equal(weights, 1)
    optimizer.step(weights.reshape(-1), np.ones(12))  # as the message says; no step was counted
    assert optimizer.steps == 1


@pytest.mark.parametrize("make", [SGD, Adam])
def test_half_precision_keeps_a_small_weight_decay(make):
    """A thousandth of a hundred-thousandth is 0 in float16, but not in the averages."""
    moved = {}
    for dtype in (np.float16, np.float32):
        w = np.full(3, 1e-3, dtype)
        options = {"momentum": 0.5} if make is SGD else {"epsilon": 1e-12}
        optimizer = make(0.25, weight_decay=1e-5, **options)
        optimizer.step(w, np.zeros(3, dtype))
        moved[dtype] = next(iter(optimizer.state.values()))
    assert moved[np.float16].min() > 0
    np.testing.assert_allclose(moved[np.float16], moved[np.float32], rtol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda number: SGD(0.1, number(0.9), weight_decay=number(0.3)),
        lambda number: SGD(0.1, number(0.9), dampening=number(0.3)),
        lambda number: Adam(0.1, epsilon=number(1e-3), weight_decay=number(0.3)),
    ],
)
def test_numbers_of_numpy_change_no_bit(make):
    moved = []
    for number in (float, np.float64):
        rng = np.random.default_rng(5)
        w, optimizer = rng.standard_normal(100, dtype=np.float32), make(number)
        for _ in range(5):
            optimizer.step(w, rng.standard_normal(100, dtype=np.float32))
        moved.append(w)
    np.testing.assert_array_equal(*moved)
