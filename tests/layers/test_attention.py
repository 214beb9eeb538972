"""Attention: padding, options, and nets that learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases_attention import attention


def drawn(layer, dtype=np.float64):
    layer = layer.astype(dtype)
    layer.rng = rng = np.random.default_rng(7)
    layer.draw_missing(rng)
    for _, array in layer.named_parameters():
        np.add(array, 0.1 * rng.standard_normal(array.shape), out=array)
    return layer


def padded(rng, shape, value=0.0):
    """Draw sequences whose last steps are padding, of another number in each."""
    x = rng.standard_normal(shape)
    for i, sample in enumerate(x):
        sample[shape[1] - i % shape[1] :] = value
    return x


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make parity")


@given(
    st.sampled_from([(4, 2, None), (6, 3, 1), (8, 4, 2), (2, 1, None)]),
    st.booleans(), st.booleans(), st.booleans(),
    st.integers(1, 3), st.integers(1, 5), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_against_pytorch(torch, sizes, causal, rotary, bias, samples, steps, seed):
    width, heads, shared = sizes
    rotary = rotary and width // heads % 2 == 0
    layer = drawn(cr.MultiHeadAttention(
        width, heads, key_value_heads=shared, causal=causal, bias=bias, padding=0.0,
        positions="rotary" if rotary else None,
    ))  # fmt: skip
    rng = np.random.default_rng(seed)
    x = padded(rng, (samples, steps, width))
    p = {n: torch.tensor(a, requires_grad=True) for n, a in layer.named_parameters()}
    tensor = torch.tensor(x, requires_grad=True)
    keep = (tensor != 0).any(-1)
    theirs = attention(torch, tensor, p, layer, keep=keep)
    theirs = torch.where(keep[..., None], theirs, 0)
    upstream = rng.standard_normal(x.shape)
    theirs.backward(torch.tensor(upstream))
    ours = layer.forward(x)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    grad_x = layer.backward(upstream)
    np.testing.assert_allclose(grad_x, tensor.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, gradient in layer.parameters.items():
        if name in p:
            ours = getattr(layer, gradient)
            np.testing.assert_allclose(ours, p[name].grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("make", [
    lambda **options: cr.MultiHeadAttention(4, 2, **options),
    lambda **options: cr.TransformerBlock(4, 2, hidden=5, **options),
])  # fmt: skip
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_padding_changes_nothing_for_the_rest(make, value, rng):
    layer, plain = drawn(make(padding=value)), drawn(make())
    x = rng.standard_normal((1, 3, 4))
    longer = np.concatenate([x, np.full((1, 2, 4), value)], axis=1)
    y = layer.forward(longer)
    np.testing.assert_allclose(y[:, :3], plain.forward(x), atol=1e-12)
    np.testing.assert_array_equal(y[:, 3:], value)
    grad = rng.standard_normal((1, 5, 4))
    grad_x = layer.backward(grad)
    np.testing.assert_allclose(grad_x[:, :3], plain.backward(grad[:, :3]), atol=1e-12)
    np.testing.assert_array_equal(grad_x[:, 3:], 0)
    for (_, part), (_, other) in zip(layer.named_layers(), plain.named_layers(), strict=True):
        for name in part.parameter_shapes():
            a, b = (getattr(p, p.parameters[name]) for p in (part, other))
            np.testing.assert_allclose(a, b, atol=1e-11)


def test_a_mask_may_be_given_and_all_may_be_padding(rng):
    layer = drawn(cr.MultiHeadAttention(4, 2))
    x = rng.standard_normal((2, 3, 4))
    mask = np.array([[True, False, True], [False, False, False]])
    y = layer.forward(x, mask)
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(y[~mask], 0)
    np.testing.assert_allclose(y[0, [0, 2]], layer.forward(x[:1, [0, 2]])[0], atol=1e-12)
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\)"):
        layer.forward(x, mask[:1])


def test_a_causal_step_sees_nothing_later(rng):
    block = drawn(cr.TransformerBlock(4, 2, causal=True, positions="rotary"))
    x = rng.standard_normal((2, 5, 4))
    y = block.forward(x)
    x[:, 3:] = 9.0
    np.testing.assert_array_equal(block.forward(x)[:, :3], y[:, :3])


def test_rotary_positions_tell_distances_alone(rng):
    """Shifted by any number of steps, two vectors look the same to each other."""
    layer = drawn(cr.MultiHeadAttention(8, 1, positions="rotary", bias=False))
    pair = rng.standard_normal((1, 2, 8))
    far = np.concatenate([np.zeros((1, 6, 8)), pair], axis=1)
    mask = np.array([[False] * 6 + [True] * 2])
    np.testing.assert_allclose(
        layer.forward(far, mask)[:, 6:], layer.forward(pair), rtol=1e-10, atol=1e-12
    )


def test_a_small_transformer_learns_to_tell_the_first_step(rng):
    """Each step is to repeat what the first one was: only attention can bring it there."""
    x = rng.integers(0, 2, (256, 6))
    inputs = np.eye(2)[x]
    net = cr.Model(
        [cr.Linear(2, 16), cr.LearnedPositions(6, 16), cr.TransformerBlock(16, 2, causal=True),
         cr.Linear(16, 2)],
        cr.SoftmaxCrossEntropy(),
    )  # fmt: skip
    targets = np.repeat(x[:, :1], 6, axis=1)
    history = cr.train(net, None, 25, (inputs, targets), optimizer=cr.Adam(0.01), verbose=False)
    assert history["loss"][-1] < 0.05
    assert (net.predict_classes(inputs[:20]) == targets[:20]).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.MultiHeadAttention(5, 2), "multiple of the number of heads"),
        (lambda: cr.MultiHeadAttention(4, 0), "heads must be a whole number"),
        (lambda: cr.MultiHeadAttention(8, 4, key_value_heads=3), "multiple of key_value_heads"),
        (lambda: cr.MultiHeadAttention(6, 2, positions="rotary"), "must be even"),
        (lambda: cr.MultiHeadAttention(4, 2, positions="sine"), "positions must be None"),
        (lambda: cr.MultiHeadAttention(4, 2, dropout=1.0), "below 1"),
        (lambda: cr.MultiHeadAttention(4, 2, initializer="x"), "There are: he"),
        (lambda: cr.MultiHeadAttention(4, 2).forward(np.zeros((2, 4))), r"\(samples, steps, 4\)"),
        (lambda: cr.MultiHeadAttention(4, 2).forward(np.zeros((2, 3, 5))), r"got \(2, 3, 5\)"),
        (lambda: cr.LearnedPositions(3, 4).forward(np.zeros((2, 4, 4))), "at most 3 steps"),
        (lambda: cr.LearnedPositions(0, 4), "at least 1"),
        (lambda: cr.TransformerBlock(5, 2), "multiple of the number of heads"),
        (lambda: cr.MultiHeadAttention(4, 2, padding=np.inf), "padding must be a finite number"),
        (lambda: cr.TransformerBlock(4, 2, padding=np.nan), "padding must be a finite number"),
        (lambda: cr.TransformerBlock(4, 2, padding="0"), "padding must be a finite number"),
    ],
)
def test_what_does_not_fit(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_saved_transformer_is_the_same(tmp_path, rng):
    net = cr.Model(
        [cr.LearnedPositions(4, 8), cr.TransformerBlock(8, 2, key_value_heads=1, dropout=0.1)],
        cr.MeanSquaredError(),
    )
    net.save(tmp_path / "net.safetensors")
    x = rng.standard_normal((2, 4, 8))
    again = cr.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
