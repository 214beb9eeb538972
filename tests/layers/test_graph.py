"""Graphs of any form beside PyTorch's gradients; memory that forks; joins that do not fit."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr

WIDTH = 4
KINDS = {
    "linear": lambda: cr.Linear(WIDTH, WIDTH),
    "tanh": cr.Tanh,
    "relu": cr.ReLU,
    "softmax": cr.Softmax,
    "norm": lambda: cr.LayerNorm(WIDTH),
    "nothing": lambda: cr.Dropout(0.0),
    "scale": lambda: cr.Scale(WIDTH),
    "summand": lambda: cr.Scale(WIDTH, factor=False),
    "rescale": lambda: cr.Rescale(0.5, 0.1),
    "turned": lambda: cr.Slice(-1, step=-1),
    "chain": lambda: cr.Sequential([cr.Linear(WIDTH, WIDTH), cr.Tanh(), cr.Softmax(), cr.Tanh()]),
    "residual": lambda: cr.Residual([cr.Linear(WIDTH, WIDTH), cr.Tanh()]),
    "graph": lambda: cr.Graph([[cr.Tanh(), [0]], ["add", [0, 1]], ["multiply", [2, 1]]]),
}
TORCH = {
    "tanh": lambda torch, x: x.tanh(),
    "relu": lambda torch, x: x.relu(),
    "softmax": lambda torch, x: x.softmax(-1),
    "nothing": lambda torch, x: x,
    "rescale": lambda torch, x: 0.5 * x + 0.1,
    "turned": lambda torch, x: x.flip(-1),
    "graph": lambda torch, x: (x + x.tanh()) * x.tanh(),
}


@st.composite
def plans(draw, kinds=tuple(KINDS)):
    """Return nodes by the names of their kinds; whatever nobody takes is added at the end."""
    nodes, used = [], set()
    for i in range(1, draw(st.integers(2, 9))):
        what = draw(st.sampled_from(["add", "multiply", "matmul", "concatenate", *kinds]))
        count = 2 if what in ("matmul", "concatenate") else draw(st.integers(2, 3))
        count = 1 if what in KINDS else count
        inputs = [draw(st.integers(0, i - 1)) for _ in range(count)]
        nodes.append((what, inputs))
        used |= set(inputs)
    idle = [j for j in range(len(nodes)) if j not in used]
    return [*nodes, ("add", [*idle, len(nodes)])] if idle else nodes


def evened(plan):
    """Build the plan with a cut after each concatenation, so that all shapes stay (4, 4)."""
    nodes, place = [], {0: 0}
    for i, (what, inputs) in enumerate(plan, start=1):
        taken = [place[j] for j in inputs]
        if what == "concatenate":
            nodes.append([what, taken, 1])
            nodes.append([cr.Slice(1, 1, 8, 2), [len(nodes)]])
        else:
            nodes.append([KINDS[what]() if what in KINDS else what, taken])
        place[i] = len(nodes)
    return cr.Graph(nodes)


@given(plans(), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_memory_is_never_overwritten_too_early(plan, seed):
    def model():
        layers = [cr.Linear(WIDTH, WIDTH), cr.Tanh(), evened(plan), cr.Tanh(), cr.Softmax()]
        return cr.Model(layers, cr.MeanSquaredError(), dtype=float)

    net, plain = model(), model()
    for part in plain._functions():
        part._buffers = None  # new arrays each time
    rng = np.random.default_rng(seed)
    for samples in (2, 2, 3, 2, 2):
        x, y = rng.standard_normal((2, samples, WIDTH, WIDTH))
        for each in (net, plain):
            each.loss(x, y)
            each.backward()
        np.testing.assert_array_equal(net.gradients, plain.gradients)
        before = net.gradients.copy()
        net.backward()
        np.testing.assert_array_equal(net.gradients, before)
        np.testing.assert_array_equal(net.input_gradient(x, y), plain.input_gradient(x, y))


@given(plans(tuple(TORCH)), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_any_graph_has_the_gradients_of_autograd(plan, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((2, 2, WIDTH, WIDTH))
    layer = evened(plan)
    y = layer.forward(x)
    tensor = torch.tensor(x, requires_grad=True)
    values = [tensor]
    for what, inputs in plan:
        taken = [values[j] for j in inputs]
        if what in TORCH:
            values.append(TORCH[what](torch, *taken))
        elif what == "concatenate":
            values.append(torch.cat(taken, 1)[:, 1:8:2])
        elif what == "matmul":
            values.append(taken[0] @ taken[1])
        else:
            stack = torch.stack(taken)
            values.append(stack.sum(0) if what == "add" else stack.prod(0))
    values[-1].backward(torch.tensor(g))
    for ours, their in ((y, values[-1].detach()), (layer.backward(g), tensor.grad)):
        theirs = their.numpy()
        scale = max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * scale)


@given(plans())
@settings(max_examples=40, deadline=None)
def test_a_graph_comes_back_from_its_file_and_from_a_copy(tmp_path_factory, plan):
    path = tmp_path_factory.mktemp("graph") / "net.safetensors"
    net = cr.Model([evened(plan)], cr.MeanSquaredError(), dtype=float, seed=3)
    x = np.random.default_rng(1).standard_normal((2, WIDTH, WIDTH))
    net.save(path)
    for other in (cr.load(path), copy.deepcopy(net)):
        np.testing.assert_array_equal(other.predict(x), net.predict(x))
        assert repr(other.layers[0]) == repr(net.layers[0])
    assert repr(eval(repr(net.layers[0]), vars(cr))) == repr(net.layers[0])


def test_a_zero_among_the_factors(rng):
    layer = cr.Graph([[cr.Tanh(), [0]], ["multiply", [0, 1, 1]]])
    x = np.array([[0.0, 2.0]])
    layer.forward(x)
    t = np.tanh(x)
    g = rng.standard_normal(x.shape)
    np.testing.assert_allclose(layer.backward(g), g * (t**2 + 2 * x * t * (1 - t**2)))


def test_what_is_frozen_or_below_all_parameters_is_not_gone_through(monkeypatch):
    first, second = cr.Tanh(), cr.Linear(3, 3)
    layer = cr.Graph([[first, [0]], [second, [1]], [cr.Linear(3, 3), [2]], ["add", [3, 1]]])
    layer.forward(np.ones((2, 3), np.float32))
    monkeypatch.setattr(first, "backward", lambda grad: pytest.fail("nobody needs it"))
    layer.backward_parameters(np.ones((2, 3), np.float32))
    assert second.grad_w.any()
    second.frozen = True
    monkeypatch.setattr(second, "backward", lambda grad: pytest.fail("it is frozen"))
    layer.backward_parameters(np.ones((2, 3), np.float32))


def test_whole_numbers_do_not_make_float64_of_float32():
    layer = cr.Graph([[cr.Embedding(9, 5), [0]], ["multiply", [1, 1]], ["add", [2, 1]]])
    assert layer.takes_integers
    net = cr.Model([layer], cr.MeanSquaredError())
    assert net.predict(np.array([[1, 2], [3, 4]])).dtype == np.float32
    alone = cr.Graph([[cr.Tanh(), [0]], ["multiply", [1, 0]]])
    y = alone.forward(np.array([[1, 2]]))
    assert y.dtype == alone.backward(y).dtype == np.float32


@pytest.mark.parametrize(
    ("nodes", "shape", "message"),
    [
        ([["matmul", [0, 0]]], (3, 3), r"node 1, 'matmul', .*\(3, 3\) and \(3, 3\): .* two axes"),
        ([["concatenate", [0, 0], -2]], (2, 3), "axis -2 is the samples"),
        ([["concatenate", [0, 0], 3]], (2, 3), "axis 3 is out of bounds"),
        ([[cr.Flatten(), [0]], ["add", [1, 0]]], (2, 2, 2), "one number of axes"),
        ([[cr.Slice(1, 0, 2), [0]], ["add", [1, 0]]], (2, 3), r"\(2, 2\) and \(2, 3\)"),
    ],
)
def test_values_that_do_not_meet(nodes, shape, message):
    with pytest.raises(ValueError, match=message):
        cr.Graph(nodes).forward(np.ones(shape))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "needs a list of nodes"),
        ("add", "needs a list of nodes"),
        ([cr.Tanh()], r"node 1 must be \[layer"),
        ([[cr.Tanh, [0]]], "neither a layer"),
        ([[np.ones(2), [0]]], "neither a layer"),
        ([[["add"], [0]]], "neither a layer"),
        ([["power", [0, 0]]], "neither a layer"),
        ([[cr.Tanh(), [1]]], "before it"),
        ([[cr.Tanh(), [-1]]], "before it"),
        ([[cr.Tanh(), []]], "before it"),
        ([[cr.Tanh(), 0]], "before it"),
        ([[cr.Tanh(), [0, 0]]], "one input, got 2"),
        ([["add", [0]]], "two inputs, got 1"),
        ([["matmul", [0, 0, 0]]], "two inputs, got 3"),
        ([["add", [0, 0], 1]], "third entry"),
        ([["concatenate", [0, 0], 0]], "axis 0 is the samples"),
        ([["concatenate", [0, 0], "x"]], "third entry"),
        ([[cr.Tanh(), [0]], [cr.Tanh(), [0]]], "nobody takes the output of node 1"),
    ],
)
def test_nodes_that_are_none(nodes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        cr.Graph(nodes)


def test_a_layer_in_two_nodes_is_refused_by_the_model():
    tanh = cr.Tanh()
    with pytest.raises(ValueError, match="appears twice"):
        cr.Model([cr.Graph([[tanh, [0]], [tanh, [1]]])], cr.MeanSquaredError())


def test_summary_and_profile():
    net = cr.Model(
        [cr.Linear(3, 4), cr.Graph([[cr.Linear(4, 4), [0]], ["multiply", [0, 1]]])],
        cr.MeanSquaredError(),
    )
    assert "Graph([[Linear(4, 4), [0]], ['multiply', [0, 1]]])" in net.summary()
    x = np.ones((8, 3))
    history = cr.train(net, 0.1, 1, [(x, np.ones((8, 4)))], verbose=False, profile=True)
    assert "1.1" in str(history.profile)


@pytest.mark.parametrize("widths", [[], [(1.5, 0)], [(-1, 0)], [(1,)], 3, "ab", [("1", "2")]])
def test_widths_that_are_none(widths):
    with pytest.raises(ValueError, match="pairs of whole numbers"):
        cr.Pad(widths)


def test_a_border_of_a_value_that_is_none():
    with pytest.raises(TypeError, match="value must be a number"):
        cr.Pad([(1, 1)], value="x")


def test_a_border_that_never_wins_is_saved(tmp_path):
    net = cr.Model([cr.Pad([(1, 1)], value=-np.inf), cr.MaxPool1d(3)], cr.MeanSquaredError())
    net.save(tmp_path / "net.safetensors")
    x = -np.ones((1, 4, 2), np.float32)
    np.testing.assert_array_equal(cr.load(tmp_path / "net.safetensors").predict(x), net.predict(x))
    assert (net.predict(x) == -1).all()
