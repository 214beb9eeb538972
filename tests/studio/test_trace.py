"""What the page shows of the chain rule is what the library computes."""

import copy
import itertools

import numpy as np
import pytest

import cases
import chainrule as cr
from chainrule import Conv2d, Dropout, Embedding, Flatten, Linear, Model, ReLU, Sequential
from chainrule.studio.edits import Edit
from chainrule.studio.formulas import (
    ELEMENTWISE,
    formulas,
    formulas_of,
    has_modes,
    summary_line,
    to_mathml,
)
from chainrule.studio.numerical import numerical
from chainrule.studio.source import helpers, source, working
from chainrule.studio.trace import trace


def net(rng, *, dtype=np.float32):
    layers = [
        Linear(6, 8), cr.BatchNorm(8), ReLU(), Dropout(0.5),
        cr.Residual([Linear(8, 8), cr.Tanh()]), Sequential([Linear(8, 5), cr.GELU()]), Linear(5, 3),
    ]  # fmt: skip
    model = Model(layers, cr.SoftmaxCrossEntropy(), dtype=dtype, seed=3)
    return model, rng.standard_normal((7, 6)).astype(dtype), rng.integers(0, 3, 7)


def test_the_gradients_are_those_of_backward(rng):
    model, x, y = net(rng)
    found = trace(model, x, y, batch_statistics=True)
    other = copy.deepcopy(model)
    other.layers[3].p = 0  # in a trace nothing is dropped
    losses = other.loss(x, y)
    other.backward()
    assert (found.losses == losses).all()
    assert found.loss == other.cost.mean()
    shown = {f"{s.path}.{n}": g for s in found.steps for n, g in s.gradients.items()}
    wanted = dict(zip(
        [name for name, _ in other.named_parameters()],
        [getattr(part, grad) for layer in other.layers for part in layer.walk()
         for grad in part.parameters.values()],
        strict=True,
    ))  # fmt: skip
    assert list(shown) == list(wanted)
    for name, gradient in wanted.items():
        assert (shown[name] == gradient).all(), name


def test_for_a_sample_it_is_the_gradient_of_the_prediction(rng):
    model, x, y = net(rng)
    found = trace(model, x[:1], y[:1])
    assert (found.step("0").grad_input == model.input_gradient(x[:1], y[:1])).all()
    assert (found.outputs == model.predict(x[:1])).all()


def test_each_gives_what_the_next_is_given(rng):
    model, x, y = net(rng)
    found = trace(model, x, y, batch_statistics=True)
    outer = [step for step in found.steps if step.depth == 0]
    assert [step.path for step in outer] == ["0", "1", "2", "3", "4", "5", "6", "loss"]
    for before, after in itertools.pairwise(outer):
        assert (before.output == after.input).all()
        assert (before.grad_output == after.grad_input).all()
    assert outer[-1].grad_output == 1
    paths = [step.path for step in found.steps]
    assert paths[paths.index("4") :] == [
        "4", "4.inner", "4.inner.0", "4.inner.1", "5", "5.0", "5.1", "6", "loss",
    ]  # fmt: skip
    assert [step.path for step in found.steps if step.container] == ["4", "4.inner", "5"]


def test_the_net_stays_as_it_was(rng):
    model, x, y = net(rng)
    model.loss(x, y)
    model.backward()
    before = copy.deepcopy(model.get_state()), model.gradients.copy()
    trace(model, x, y, (Edit("0.weights", (0, 0), 9.0),), batch_statistics=True)
    numerical(model, x, y, ("0.weights", (1, 1)), batch_statistics=True)
    after = model.get_state()
    np.testing.assert_equal(after, before[0])
    assert (model.gradients == before[1]).all()
    assert model.training


def test_an_edit_changes_loss_and_gradients(rng):
    model, x, y = net(rng)
    plain = trace(model, x[:1], y[:1])
    weight = trace(model, x[:1], y[:1], (Edit("0.weights", (2, 1), 4.0),))
    pixel = trace(model, x[:1], y[:1], (Edit("x", (0, 2), -3.0),))
    assert weight.step("0").parameters["weights"][2, 1] == 4.0
    assert pixel.x[0, 2] == -3.0
    assert len({plain.loss, weight.loss, pixel.loss}) == 3
    changed = copy.deepcopy(model)
    changed.layers[0].weights[2, 1] = 4.0
    assert trace(changed, x[:1], y[:1]).loss == weight.loss
    for bad in (Edit("0.weights", (6, 0), 1.0), Edit("x", (0,), 1.0), Edit("9.weights", (0,), 1.0),
                Edit("x", (0, 0), np.inf)):  # fmt: skip
        with pytest.raises(ValueError, match=r"no place|no parameter|finite"):
            trace(model, x[:1], y[:1], (bad,))


@pytest.mark.parametrize("place", [("0.weights", (2, 1)), ("6.biases", (1,)), ("x", (3, 2))])
def test_the_numerical_derivative_agrees(rng, place):
    model, x, y = net(rng, dtype=np.float64)
    found = trace(model, x, y, batch_statistics=True)
    name, index = place
    path, _, parameter = name.rpartition(".")
    exact = found.step("0").grad_input if name == "x" else found.step(path).gradients[parameter]
    found = numerical(model, x, y, place, batch_statistics=True)
    assert found.quotient == pytest.approx(exact[index], rel=1e-6, abs=1e-9)
    assert not found.kink


@pytest.mark.parametrize("case", cases.LAYERS, ids=lambda case: case.name)
def test_every_layer_is_shown(case, rng):
    """Its input, output and gradients; a row of its Jacobian; its source; its formula."""
    layer = case.build()
    shape = case.shapes[-1]
    x = rng.standard_normal(shape) if case.inputs is None else case.inputs(rng, shape)
    plain = copy.deepcopy(layer).astype(np.float64)
    plain.training = False
    y = plain.forward(x)
    model = Model([layer], cr.MeanSquaredError(), dtype=np.float64)
    target = rng.standard_normal(y.shape)
    found = trace(model, x, target)
    step = found.step("0")
    assert step.output.shape == step.grad_output.shape == y.shape
    if case.input_gradient:
        assert step.grad_input.shape == x.shape
        place = tuple(int(rng.integers(n)) for n in y.shape)
        row = step.local(place)
        assert row.shape == x.shape
        if isinstance(layer, ELEMENTWISE):
            assert step.local()[place] == pytest.approx(row[place])
            assert step.local() * step.grad_output == pytest.approx(step.grad_input)
    for shown in (formulas(type(layer)), formulas_of(layer), formulas_of(step.thing)):
        assert shown.forward
        assert shown.backward
        for line in (*shown.forward, *shown.backward):
            assert to_mathml(line).startswith("<math")
    assert summary_line(type(layer)).endswith((".", ":"))
    for way in ("forward", "backward"):
        lines = source(layer, way)
        assert lines.file.startswith("chainrule/")
        assert f"def {way}(" in lines.lines[0]
        assert working(lines)
        for name in helpers(layer, way):
            assert f"def {name}(" in "".join(source(layer, name).lines[:3])


@pytest.mark.parametrize("case", cases.LOSSES, ids=lambda case: case.name)
def test_every_loss_is_shown(case, rng):
    outputs, targets = case.outputs(rng), case.targets(rng)
    n = outputs.shape[-1]
    layer = Linear(n, n)
    layer.weights, layer.biases = np.eye(n), np.zeros(n)
    found = trace(Model([layer], case.build(), dtype=np.float64), outputs, targets)
    loss = found.steps[-1]
    assert loss.path == "loss"
    own = case.build()
    own.forward(outputs.astype(np.float64), targets)
    assert (loss.grad_input == own.backward()).all()
    shown = formulas(type(case.build()))
    assert shown.forward
    assert shown.backward


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(Linear(4, 3), (1, 4)), (Conv2d(2, 3, 3), (1, 5, 5, 2)), (cr.Softmax(), (1, 6))],
)
def test_the_local_derivative_is_the_derivative(layer, shape, rng):
    layer = layer.astype(np.float64)
    x = rng.standard_normal(shape)
    place = tuple(n - 1 for n in layer.forward(x).shape)
    target = np.zeros_like(layer.forward(x))
    model = Model([copy.deepcopy(layer)], cr.MeanSquaredError(), dtype=np.float64)
    shown = trace(model, x, target).step("0").local(place)
    for index in np.ndindex(shape):
        step = np.zeros(shape)
        step[index] = 1e-6
        slope = (layer.forward(x + step)[place] - layer.forward(x - step)[place]) / 2e-6
        assert shown[index] == pytest.approx(slope, abs=1e-6)


def test_indices_have_no_gradient(rng):
    model = Model([Embedding(5, 3), Flatten(), Linear(6, 2)], cr.SoftmaxCrossEntropy())
    found = trace(model, np.array([[1, 2]]), np.array([1]))
    assert found.step("0").grad_input is None
    assert found.step("0").gradients["weights"].any()


def test_no_public_layer_or_loss_is_missing():
    """The rows above are of all of them: each is shown with formula, source and arrays."""

    def kinds(base, mine):
        named = {getattr(cr, n) for n in cr.__all__ if isinstance(getattr(cr, n), type)}
        return {kind for kind in named if issubclass(kind, base) and kind is not base} - mine

    shown = {type(case.build()) for case in (*cases.LAYERS, *cases.LOSSES)}
    assert kinds(cr.Layer, shown) == kinds(cr.Loss, shown) == set()


def test_as_in_training_the_same_numbers_are_dropped(rng):
    model, x, y = net(rng, dtype=np.float64)
    found = trace(model, x, y, batch_statistics=True, dropping=True)
    other = copy.deepcopy(model)
    other._net.rng = np.random.default_rng(0)
    losses = other.loss(x, y)
    other.backward()
    assert (found.losses == losses).all()
    assert (found.step("0").gradients["weights"] == other.layers[0].grad_w).all()
    assert (found.step("3").output == 0).any()
    assert (trace(model, x, y, batch_statistics=True, dropping=True).losses == losses).all()
    quotient = numerical(model, x, y, ("0.weights", (2, 1)), batch_statistics=True, dropping=True)
    assert quotient.quotient == pytest.approx(other.layers[0].grad_w[2, 1], rel=1e-5)
    assert has_modes(step.thing for step in found.steps)


def test_a_formula_is_that_of_the_mode(rng):
    model, x, y = net(rng, dtype=np.float64)
    model.layers[1].running_variance = np.full(8, 4.0)
    alone = trace(model, x[:1], y[:1]).step("1")
    assert formulas_of(alone.thing) != formulas(cr.BatchNorm)
    slope = 1 / np.sqrt(4.0 + 1e-5)  # gamma is 1: as the formula of the mode says
    assert alone.grad_input == pytest.approx(slope * alone.grad_output)
    many = trace(model, x, y, batch_statistics=True).step("1")
    assert formulas_of(many.thing) == formulas(cr.BatchNorm)
    assert formulas_of(cr.GELU()).forward == (r"y = x \Phi(x)",)
    assert len(formulas_of(cr.GELU("tanh")).forward) == 2
    assert len(formulas_of(Linear(3, 2, bias=False)).backward) == 2


def test_tokens_as_floats_have_no_gradient_either(rng):
    model = Model([Embedding(5, 3), Flatten(), Linear(6, 2)], cr.SoftmaxCrossEntropy())
    x = np.array([[1.0, 2.0]], np.float32)
    found = trace(model, x, np.array([1]))
    assert found.step("0").grad_input is None
    other = trace(model, x, np.array([1]), (Edit("x", (0, 1), 4.0),))
    assert other.loss != found.loss
    with pytest.raises(ValueError, match="from 0 to 4"):
        trace(model, x, np.array([1]), (Edit("x", (0, 1), 7.0),))
