"""Gradients that are clipped, or joined from several mini-batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *
from chainrule.optimizers import clip_norm, clip_value


def net(cost=None, dtype=np.float64):
    return Model([Linear(4, 6), Tanh(), Linear(6, 3)], cost or SoftmaxCrossEntropy(), dtype=dtype)


def cut(x, y, size, *weights):
    return [
        tuple(a[i : i + size] for a in (x, y, *weights)) for i in range(0, len(x), size)
    ]  # fmt: skip


@given(
    st.integers(1, 7), st.integers(1, 9), st.integers(1, 40), st.booleans(), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_accumulated_is_the_big_mini_batch(k, size, count, weighted, class_weighted, seed):
    """Also with a shorter last mini-batch, fewer of them at the end, and weights of any size."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((count, 4)), rng.integers(0, 3, count)
    weights = [rng.random(count) * 10.0 ** rng.integers(-6, 6, count)] if weighted else []
    cost = {"class_weights": [1.0, 5.0, 0.25]} if class_weighted else {}
    nets = [net(SoftmaxCrossEntropy(**cost)) for _ in range(2)]
    steps = []

    class Count(Callback):
        def on_step_end(self, run):
            steps.append((run.step, run.steps, run.loss))

    for model, each, accumulate in zip(nets, (size * k, size), (1, k), strict=True):
        train(
            model, None, 2, cut(x, y, each, *weights), optimizer=Adam(0.05), callbacks=[Count()],
            accumulate=accumulate, verbose=False,
        )  # fmt: skip
    np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(nets[1].gradients, nets[0].gradients, rtol=1e-9, atol=1e-11)
    half = len(steps) // 2
    assert [step[:2] for step in steps[:half]] == [step[:2] for step in steps[half:]]
    if not weighted and not class_weighted:
        np.testing.assert_allclose(
            [step[2] for step in steps[:half]], [step[2] for step in steps[half:]], rtol=1e-9
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_accumulated_in_other_float_types(dtype, rng):
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    nets = [net(dtype=dtype) for _ in range(2)]
    for model, size, k in zip(nets, (30, 7), (1, 5), strict=True):
        train(model, 0.1, 1, cut(x, y, size), accumulate=k, verbose=False)
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, atol=tolerance)
    assert nets[1].gradients.dtype == dtype


def test_batches_may_use_their_memory_again(rng):
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    nets = [net() for _ in range(2)]
    for model, copies in zip(nets, (True, False), strict=True):
        train(model, 0.1, 2, Batches(x, y, 7, seed=3, copy=copies), accumulate=2, verbose=False)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("most", [1e-3, 1.0, 1e3])
def test_clipping_is_pytorchs(most, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    start = rng.standard_normal(50)
    theirs = torch.nn.Parameter(torch.zeros(50))
    for ours, function in [
        (clip_norm, torch.nn.utils.clip_grad_norm_),
        (clip_value, torch.nn.utils.clip_grad_value_),
    ]:
        theirs.grad = torch.tensor(start, dtype=torch.float32)
        gradients = start.astype(np.float32)
        norm = function([theirs], most)
        assert norm is None or norm.item() == pytest.approx(ours(gradients, most), rel=1e-6)
        ours(gradients, most)
        np.testing.assert_allclose(gradients, theirs.grad, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float16, 1e4), (np.float32, 1e30), (np.float32, 1e-30), (float, 1e200)]
)
def test_a_norm_whose_square_is_no_number_of_its_type(dtype, size):
    g = np.full(4, size, dtype)
    assert clip_norm(g, size) == pytest.approx(2 * float(dtype(size)), rel=1e-3)
    np.testing.assert_allclose(g, np.full(4, size / 2), rtol=1e-3)


def test_zero_and_nan_gradients():
    g = np.zeros(3, np.float32)
    assert clip_norm(g, 1.0) == 0
    np.testing.assert_array_equal(g, 0)
    assert np.isnan(clip_norm(np.array([np.nan, 1.0]), 1.0))


def test_the_loop_clips(rng):
    seen = []

    class Look(Callback):
        def on_step_end(self, run):
            seen.append(run.model.gradients.copy())

    x, y = 10 * rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    for options in ({}, {"clip_norm": 0.1}, {"clip_value": 0.01}):
        train(net(), 0.01, 1, [(x, y)], callbacks=[Look()], verbose=False, **options)
    plain, short, flat = seen
    np.testing.assert_allclose(short, plain * 0.1 / np.linalg.norm(plain), rtol=1e-6)
    np.testing.assert_allclose(flat, np.clip(plain, -0.01, 0.01), rtol=1e-6)


def test_what_is_frozen_has_no_part_in_the_norm(rng):
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    model = net()
    train(model, 0.1, 1, (x, y), verbose=False)  # leaves gradients in the first layer
    model.layers[0].frozen = True
    train(model, 0.1, 1, [(x, y)], clip_norm=1e-3, verbose=False)
    assert np.linalg.norm(model.layers[2].grad_w) ** 2 + np.linalg.norm(
        model.layers[2].grad_b
    ) ** 2 == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"accumulate": 1.5}, "accumulate must be at least 1, got 1.5"),
        ({"clip_norm": 0}, "clip_norm must be greater than 0, got 0"),
        ({"clip_value": -1}, "clip_value must be greater than 0, got -1"),
    ],
)
def test_nonsense_is_refused(options, words, rng):
    with pytest.raises(ValueError, match=words):
        train(net(), 0.1, 1, (np.ones((2, 4)), [0, 1]), verbose=False, **options)


def test_what_is_no_optimizer_and_no_schedule():
    data = (np.ones((2, 4)), np.array([0, 1]))
    with pytest.raises(TypeError, match=r"schedule must be .* Write OneCycle\(\)"):
        train(net(), 0.1, 1, data, schedule=OneCycle)
    with pytest.raises(TypeError, match="schedule must be"):
        train(net(), 0.1, 1, data, schedule="cosine")
    with pytest.raises(TypeError, match="optimizer must be an Optimizer"):
        train(net(), None, 1, data, optimizer="adam")


def test_half_precision_is_shortened_by_a_small_factor():
    """1e-2 over the norm of these is 0 in float16; the values are not."""
    g = np.full(100_000, 60_000, np.float16)
    clip_norm(g, 1e-2)
    np.testing.assert_allclose(g, 1e-2 / np.sqrt(100_000), rtol=1e-2)


@pytest.mark.parametrize("most", [0, -1, np.nan, np.inf])
@pytest.mark.parametrize("clip", [clip_norm, clip_value])
def test_a_bound_below_zero_would_turn_gradients_round(clip, most):
    g = np.ones(3)
    with pytest.raises(ValueError, match=f"{clip.__name__} must be greater than 0, got {most}"):
        clip(g, most)
    np.testing.assert_array_equal(g, 1)


def test_a_matrix_of_gradients_is_clipped_as_a_whole():
    g = np.full((2, 2), 3.0)
    assert clip_norm(g, 3.0) == 6
    np.testing.assert_allclose(g, 1.5)


def test_a_learning_rate_of_zero_and_text():
    data = (np.ones((2, 4)), np.array([0, 1]))
    for lr in (0, 0.0, "0.1", -1, np.nan):
        for optimizer in (None, Adam(0.1)):
            with pytest.raises(ValueError, match="must be greater than 0"):
                train(net(), lr, 1, data, optimizer=optimizer, verbose=False)
