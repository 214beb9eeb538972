"""RNN, GRU, LSTM, Bidirectional beside PyTorch: padding, truncation, states, odd sizes."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases_recurrent import recurrence

KINDS = [cr.RNN, cr.GRU, cr.LSTM]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
needs_torch = "PyTorch is not installed: make parity"


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason=needs_torch)


def drawn(layer, rng):
    """Return the layer in float64, with all parameters drawn."""
    layer = layer.astype("float64")
    layer.draw_missing(rng)
    for _, array in layer.named_parameters():
        np.add(array, 0.3 * rng.standard_normal(array.shape), out=array)
    return layer


def gradients(layer):
    return {
        f"{path}.{name}" if path else name: getattr(part, part.parameters[name]).copy()
        for path, part in layer.named_layers()
        for name in part.parameter_shapes()
    }


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-10, atol=1e-12)


def as_pair(state):
    return state if isinstance(state, tuple) else (state,)


# -- the layer beside the textbook recurrence ---------------------------------------------------


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_every_option_beside_the_plain_recurrence(data):
    """States, masks, truncation and lengths together; PyTorch's autograd goes back through it."""
    torch = pytest.importorskip("torch", reason=needs_torch)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20), label="seed"))
    kind = data.draw(st.sampled_from(KINDS))
    options = {
        "all_steps": data.draw(st.booleans(), label="all_steps"),
        "truncate": data.draw(st.none() | st.integers(1, 7), label="truncate"),
        "padding": data.draw(st.none() | st.sampled_from([0.0, -1.5]), label="padding"),
    }
    if kind is cr.RNN:
        options["activation"] = data.draw(st.sampled_from(["tanh", "relu"]))
    samples, steps, n_in, n = (data.draw(st.integers(1, most)) for most in (4, 7, 3, 4))
    layer = drawn(kind(n_in, n, **options), rng)
    x = rng.standard_normal((samples, steps, n_in))
    real = rng.random((samples, steps)) < data.draw(st.sampled_from([0.3, 0.7, 1.0]), label="real")
    explicit = options["padding"] is None or data.draw(st.booleans(), label="explicit mask")
    x[~real] = rng.standard_normal(x[~real].shape) if explicit else options["padding"]
    n_parts = 2 if kind is cr.LSTM else 1
    start = [rng.standard_normal((samples, n)) for _ in range(n_parts)]
    end = [rng.standard_normal((samples, n)) for _ in range(n_parts)]

    def whole(parts):
        return tuple(parts) if n_parts == 2 else parts[0]

    y = layer.forward(x, whole(start), real if explicit else None)
    upstream = rng.standard_normal(y.shape)
    grad_x = layer.backward(upstream, whole(end))

    leaf = lambda array: torch.tensor(array, requires_grad=True)  # noqa: E731
    p = {name: leaf(array) for name, array in layer.named_parameters()}
    their_x, their_start = leaf(x), [leaf(part) for part in start]
    plain = recurrence(torch, layer, torch.tensor(real), their_start)
    their_y = plain(their_x, p)
    total = (their_y * torch.tensor(upstream)).sum()
    for state, part in zip(plain.final_state, end, strict=True):
        total = total + (state * torch.tensor(part)).sum()
    total.backward()

    def theirs(tensor):
        return np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()

    assert_close(y, their_y.detach())
    assert_close(grad_x, theirs(their_x))
    np.testing.assert_array_equal(grad_x[~real], 0)
    for name, gradient in gradients(layer).items():
        assert_close(gradient, theirs(p[name]))
    for ours, state in zip(as_pair(layer.final_state), plain.final_state, strict=True):
        assert_close(ours, state.detach())
    for ours, tensor in zip(as_pair(layer.grad_initial_state), their_start, strict=True):
        assert_close(ours, theirs(tensor))


# -- the layer beside torch.nn ------------------------------------------------------------------


def copy_weights(torch, layer, theirs, suffix=""):
    """Set the parameters of one direction of a layer of torch.nn to ours."""
    n = layer.n_hidden
    order = {cr.RNN: [0], cr.GRU: [0, 1, 2], cr.LSTM: [0, 1, 3, 2]}[type(layer)]

    def by_gate(array):
        gates = np.split(array.T, len(order), axis=0)
        return torch.nn.Parameter(torch.tensor(np.concatenate([gates[i] for i in order])))

    hidden = np.zeros(len(order) * n)
    if isinstance(layer, cr.GRU):
        hidden[2 * n :] = layer.recurrent_biases
    setattr(theirs, f"weight_ih_l0{suffix}", by_gate(layer.weights))
    setattr(theirs, f"weight_hh_l0{suffix}", by_gate(layer.recurrent_weights))
    setattr(theirs, f"bias_ih_l0{suffix}", by_gate(layer.biases))
    setattr(theirs, f"bias_hh_l0{suffix}", torch.nn.Parameter(torch.tensor(hidden)))


def assert_weights_close(layer, theirs, suffix=""):
    """Compare the gradients of one direction."""
    n = layer.n_hidden
    order = {cr.RNN: [0], cr.GRU: [0, 1, 2], cr.LSTM: [0, 1, 3, 2]}[type(layer)]
    pairs = [("grad_w", "weight_ih"), ("grad_u", "weight_hh"), ("grad_b", "bias_ih")]
    for ours, name in pairs:
        gates = np.split(getattr(layer, ours).T, len(order), axis=0)
        expected = getattr(theirs, f"{name}_l0{suffix}").grad
        assert_close(np.concatenate([gates[i] for i in order]), expected)
    if isinstance(layer, cr.GRU):
        assert_close(layer.grad_rb, getattr(theirs, f"bias_hh_l0{suffix}").grad[2 * n :])


@pytest.mark.parametrize("lengths", [None, [5, 2, 1, 4]])
@pytest.mark.parametrize("directions", [1, 2])
@each_kind
def test_beside_torch_nn(kind, directions, lengths, torch, rng):
    """Uneven lengths are packed there, and padding here."""
    layer = drawn(kind(3, 4, padding=0.0), rng)
    whole = drawn(cr.Bidirectional(layer), rng) if directions == 2 else layer
    theirs = getattr(torch.nn, kind.__name__)(
        3, 4, batch_first=True, bidirectional=directions == 2, dtype=torch.float64
    )
    parts = [whole.layer, whole.twin] if directions == 2 else [whole]
    for part, suffix in zip(parts, ["", "_reverse"], strict=False):
        copy_weights(torch, part, theirs, suffix)
    x = rng.standard_normal((4, 5, 3))
    if lengths:
        x[np.arange(5) >= np.array(lengths)[:, None]] = 0
    their_x = torch.tensor(x, requires_grad=True)
    if lengths:
        packed = torch.nn.utils.rnn.pack_padded_sequence(their_x, lengths, True, False)
        their_y, state = theirs(packed)
        their_y, _ = torch.nn.utils.rnn.pad_packed_sequence(their_y, True)
    else:
        their_y, state = theirs(their_x)
    y = whole.forward(x)
    upstream = rng.standard_normal(y.shape)
    their_y.backward(torch.tensor(upstream))
    assert_close(y, their_y.detach())
    assert_close(whole.backward(upstream), their_x.grad)
    for i, (part, suffix) in enumerate(zip(parts, ["", "_reverse"], strict=False)):
        assert_weights_close(part, theirs, suffix)
        for ours, both in zip(as_pair(part.final_state), as_pair(state), strict=True):
            assert_close(ours, both[i].detach())


@each_kind
def test_the_last_step_alone_is_torch_s_final_state(kind, torch, rng):
    layer = drawn(cr.Bidirectional(kind(2, 3, all_steps=False, padding=0.0)), rng)
    theirs = getattr(torch.nn, kind.__name__)(
        2, 3, batch_first=True, bidirectional=True, dtype=torch.float64
    )
    copy_weights(torch, layer.layer, theirs)
    copy_weights(torch, layer.twin, theirs, "_reverse")
    x = rng.standard_normal((3, 6, 2))
    lengths = [6, 1, 3]
    x[np.arange(6) >= np.array(lengths)[:, None]] = 0
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, True, False)
    h = as_pair(theirs(packed)[1])[0].detach().numpy()
    assert_close(layer.forward(x), np.concatenate([h[0], h[1]], axis=-1))


# -- padding ------------------------------------------------------------------------------------


@each_kind
def test_padding_is_as_if_the_steps_were_not_there(kind, rng):
    layer = drawn(kind(2, 3, padding=9.0), rng)
    x = rng.standard_normal((1, 6, 2))
    gaps = [0, 3, 5]
    x[:, gaps] = 9.0
    short = np.delete(x, gaps, axis=1)
    y, plain = layer.forward(x), copy.deepcopy(layer)
    assert_close(np.delete(y, gaps, axis=1), plain.forward(short))
    np.testing.assert_array_equal(y[:, gaps], 9.0)
    upstream = rng.standard_normal(y.shape)
    grad = layer.backward(upstream)
    assert_close(np.delete(grad, gaps, axis=1), plain.backward(np.delete(upstream, gaps, axis=1)))
    np.testing.assert_array_equal(grad[:, gaps], 0)
    for name, gradient in gradients(layer).items():
        assert_close(gradient, gradients(plain)[name])


@each_kind
def test_nothing_comes_through_a_mask(kind, rng):
    """Not even a NaN, from either side."""
    layer = drawn(kind(2, 3), rng)
    x = rng.standard_normal((3, 4, 2))
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    x[~mask] = np.nan
    y = layer.forward(x, mask=mask)
    np.testing.assert_array_equal(y[~mask], 0)
    upstream = rng.standard_normal(y.shape)
    upstream[~mask] = np.nan
    grad = layer.backward(upstream)
    assert np.isfinite(y).all()
    assert np.isfinite(grad).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients(layer).values())


def test_stacked_layers_pass_over_the_padding_of_an_embedding(rng):
    layers = [cr.Embedding(5, 3, padding=0), cr.LSTM(3, 4, padding=0.0)]
    layers += [cr.Bidirectional(cr.GRU(4, 2, padding=0.0)), cr.RNN(4, 2, padding=0.0)]
    net = drawn(cr.Sequential(layers), rng)
    tokens = np.array([[1, 2, 3, 0, 0, 0], [4, 4, 0, 0, 0, 0]])
    y = net.forward(tokens)
    assert_close(y[0, :3], net.forward(tokens[:1, :3])[0])
    assert_close(y[1, :2], net.forward(tokens[1:, :2])[0])
    np.testing.assert_array_equal(y[0, 3:], 0)


@each_kind
def test_all_padding_leaves_the_state_as_it_was(kind, rng):
    layer = drawn(kind(2, 3, padding=0.0, all_steps=False), rng)
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 3, 2))), np.zeros((2, 3)))
    start = rng.standard_normal((2, 3))
    state = (start, start) if kind is cr.LSTM else start
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 3, 2)), state), start)
    layer.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(as_pair(layer.grad_initial_state)[0], 1)


# -- truncation and states ----------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_truncation_is_one_backward_for_each_chunk(kind, k, rng):
    """The state that enters step k, 2k, ... is a constant: chunks, each with its own backward."""
    layer = drawn(kind(2, 3, truncate=k), rng)
    plain = kind(2, 3).astype("float64")
    for name, array in layer.named_parameters():
        setattr(plain, name, array)
    x, upstream = rng.standard_normal((4, 7, 2)), rng.standard_normal((4, 7, 3))
    y, grad = layer.forward(x), layer.backward(upstream)
    state, total = None, dict.fromkeys(gradients(layer), 0)
    for start in range(0, 7, k):
        chunk = slice(start, start + k)
        assert_close(y[:, chunk], plain.forward(x[:, chunk], state))
        state = plain.final_state
        assert_close(grad[:, chunk], plain.backward(upstream[:, chunk]))
        total = {name: total[name] + gradient for name, gradient in gradients(plain).items()}
    for name, gradient in gradients(layer).items():
        assert_close(gradient, total[name])


@each_kind
def test_a_sequence_in_two_parts_is_the_whole(kind, rng):
    """Forward by the state, backward by its gradient."""
    layer = drawn(kind(2, 3), rng)
    second = copy.deepcopy(layer)
    x, upstream = rng.standard_normal((4, 7, 2)), rng.standard_normal((4, 7, 3))
    y, grad = layer.forward(x), layer.backward(upstream)
    whole = gradients(layer)
    assert_close(layer.forward(x[:, :4]), y[:, :4])
    assert_close(second.forward(x[:, 4:], layer.final_state), y[:, 4:])
    assert_close(second.backward(upstream[:, 4:]), grad[:, 4:])
    assert_close(layer.backward(upstream[:, :4], second.grad_initial_state), grad[:, :4])
    for name, gradient in gradients(layer).items():
        assert_close(gradient + gradients(second)[name], whole[name])


@each_kind
def test_states_go_on_in_a_model_while_predicting(kind, rng):
    """One step at a time, as in writing text, gives what all steps at once give."""
    net = cr.Model([kind(2, 3)], cr.MeanSquaredError(), dtype="float64")
    x = rng.standard_normal((2, 5, 2))
    y = net.predict(x)
    net.training = False
    layer, state = net.layers[0], None
    for t in range(5):
        assert_close(layer.forward(x[:, t : t + 1], state), y[:, t : t + 1])
        state = layer.final_state
    before = [part.copy() for part in as_pair(state)]
    net.predict(x)
    for old, part in zip(before, as_pair(state), strict=True):
        np.testing.assert_array_equal(old, part)


def test_states_of_both_directions(rng):
    layer = drawn(cr.Bidirectional(cr.LSTM(2, 3)), rng)
    x = rng.standard_normal((4, 5, 2))
    state = tuple(tuple(rng.standard_normal((2, 4, 3))) for _ in range(2))
    y = layer.forward(x, state)
    assert_close(y[..., :3], layer.layer.forward(x, state[0]))
    assert_close(y[..., 3:], layer.twin.forward(x[:, ::-1], state[1])[:, ::-1])
    layer.backward(rng.standard_normal(y.shape))
    assert layer.grad_initial_state[1][1].shape == (4, 3)
    assert layer.final_state == (layer.layer.final_state, layer.twin.final_state)


# -- parameters ---------------------------------------------------------------------------------


def test_how_parameters_are_drawn(rng):
    layer = cr.LSTM(7, 5).astype("float64")
    layer.draw_missing(rng)
    for gate in np.split(layer.recurrent_weights, 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(5), atol=1e-12)
    assert abs(layer.weights).max() <= np.sqrt(6 / 12)
    np.testing.assert_array_equal(layer.biases, np.repeat([0, 1, 0, 0], 5))
    layer = cr.Bidirectional(layer)
    assert not np.allclose(layer.layer.weights, layer.twin.weights)


@each_kind
def test_it_learns_what_came_first(kind, rng):
    """The label is the sign at the first of eight steps: nothing but a state can bring it."""
    x = rng.standard_normal((256, 8, 1))
    y = (x[:, 0, 0] > 0).astype(int)
    net = cr.Model([kind(1, 12, all_steps=False), cr.Linear(12, 2)], cr.SoftmaxCrossEntropy())
    cr.train(net, None, 40, cr.Batches(x, y, 64), optimizer=cr.Adam(0.02), verbose=False)
    assert (net.predict_classes(x) == y).mean() > 0.95


# -- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 3), r"LSTM\(3, 2\): the input must be \(samples, steps, 3\), got .*x\[None\]"),
        ((4, 5), r"Embedding\(n_tokens, 3\)"),
        ((4, 5, 2), r"Use LSTM\(2, 2\)"),
        ((4,), "samples, steps, 3"),
    ],
)
def test_wrong_shapes(shape, words):
    with pytest.raises(ValueError, match=words):
        cr.LSTM(3, 2).forward(np.zeros(shape))


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        (cr.GRU(3, 2), {"initial_state": np.zeros((2, 2))}, r"initial_state must be an array of"),
        (cr.LSTM(3, 2), {"initial_state": np.zeros((4, 2))}, r"a pair \(h, c\), each an array"),
        (cr.RNN(3, 2), {"mask": np.ones((4, 3), bool)}, r"the mask must hold True or False"),
        (cr.RNN(3, 2), {"mask": np.ones((4, 5))}, r"got float64 of shape \(4, 5\)"),
    ],
)
def test_wrong_states_and_masks(layer, options, words):
    with pytest.raises(ValueError, match=words):
        layer.forward(np.zeros((4, 5, 3)), **options)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: cr.RNN(0, 2), ValueError, r"RNN\(0, 2\): .*at least 1"),
        (lambda: cr.GRU(2, 2.5), TypeError, "whole numbers"),
        (lambda: cr.LSTM(2, 2, truncate=0), ValueError, "at least 1, got 0"),
        (lambda: cr.LSTM(2, 2, padding=float("nan")), ValueError, "finite"),
        (lambda: cr.RNN(2, 2, activation="sigmoid"), ValueError, '"tanh" or "relu"'),
        (lambda: cr.Bidirectional(cr.Linear(2, 2)), TypeError, "needs an RNN, GRU or LSTM"),
    ],
)
def test_wrong_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_no_steps(rng):
    layer = drawn(cr.LSTM(3, 2), rng)
    y = layer.forward(np.zeros((4, 0, 3)))
    assert y.shape == (4, 0, 2)
    assert layer.backward(y).shape == (4, 0, 3)
    assert all((gradient == 0).all() for gradient in gradients(layer).values())
