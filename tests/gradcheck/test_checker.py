"""The checker: what it sees, what it leaves alone, what it says."""

import copy
import json
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import check_gradients
from chainrule.gradcheck.numerical import along, element_wise, some_step_agrees
from chainrule.gradcheck.picture import figure
from chainrule.testing import assert_gradients
from mutants.linear import Linear as PlainLinear
from mutants.linear import TransposedSquareGradient

ACTIVATIONS = [cr.Tanh, cr.Sigmoid, cr.ReLU, cr.SiLU, cr.GELU, cr.Softplus, cr.ELU, cr.LeakyReLU]


class Perturbed(cr.Sequential):
    """A net of which one entry of one gradient is a thousandth too large."""

    place = (0, 0)
    spoiled: ClassVar[list[bool]] = []  # of the class: the checker works on copies

    def backward(self, grad):
        back = super().backward(grad)
        layers = [layer for layer in self.layers if isinstance(layer, cr.Linear)]
        which, entry = self.place
        arrays = [back, *(a for layer in layers for a in (layer.grad_w, layer.grad_b))]
        array = arrays[which % len(arrays)]
        candidates = np.flatnonzero(np.abs(array) > 1e-8)
        Perturbed.spoiled.append(len(candidates) > 0)
        if len(candidates):
            array.flat[candidates[entry % len(candidates)]] *= 1.001
        return back


def random_net(data, kind):
    widths = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [cr.Linear(n_in, n_out), data.draw(st.sampled_from(ACTIVATIONS))()]
    net = kind(layers)
    seed = data.draw(st.integers(0, 2**31))
    net.draw_missing(np.random.default_rng(seed))
    x = np.random.default_rng(seed).standard_normal((data.draw(st.integers(1, 4)), widths[0]))
    return net, x


@given(st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_one_perturbed_entry_is_always_seen(data):
    net, x = random_net(data, Perturbed)
    net.place = (data.draw(st.integers(0, 8)), data.draw(st.integers(0, 100)))
    Perturbed.spoiled.clear()
    report = check_gradients(net, x)
    # The first backward is the one that is compared; others try other inputs.
    if Perturbed.spoiled[0]:
        assert not report.ok
        assert any(not finding.ok and not finding.unproved for finding in report.findings)
    else:
        assert all(finding.ok or finding.unproved for finding in report.findings), report.text()


@given(st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_random_right_nets_pass(data):
    """Behind dead ReLUs there may be nothing but kinks: then nothing is said to be proved."""
    net, x = random_net(data, cr.Sequential)
    report = check_gradients(net, x)
    assert all(finding.ok or finding.unproved for finding in report.findings), report.text()


def test_a_large_net_is_sampled_and_one_wrong_entry_is_found(rng):
    class OneWrong(cr.Linear):
        def backward_parameters(self, grad):
            super().backward_parameters(grad)
            self.grad_w[100, 7] *= 1.001

    x, y = rng.standard_normal((16, 784)), rng.integers(0, 10, 16)
    layers = [cr.Linear(784, 100), cr.ReLU(), cr.Linear(100, 10)]
    good = check_gradients(cr.Model(layers, cr.SoftmaxCrossEntropy()), x, y, seconds=0.5)
    assert good.ok, good.text()
    assert good["0.weights"].checked < 78_400
    assert good["0.weights"].directions >= 2
    layers = [OneWrong(784, 100), cr.ReLU(), cr.Linear(100, 10)]
    report = check_gradients(cr.Model(layers, cr.SoftmaxCrossEntropy()), x, y, seconds=0.5)
    assert not report.ok
    assert report["0.weights"].index == (100, 7)
    assert report["0.weights"].max_error == pytest.approx(1e-3, rel=0.01)
    assert report["0.weights"].mistakes == ()
    assert "(100, 7)" in report.text()


@pytest.mark.parametrize("make", [lambda: cr.Linear(3, 2), PlainLinear, cr.Dropout])
def test_the_thing_and_its_input_stay_as_they_were(make, rng):
    thing, x = make(), rng.standard_normal((4, 3)).astype(np.float32)
    if isinstance(thing, cr.Layer):
        thing.draw_missing(rng)
    before, x_before = copy.deepcopy(vars(thing)), x.copy()
    check_gradients(thing, x)
    np.testing.assert_array_equal(x, x_before)
    after = {k: v for k, v in vars(thing).items() if k != "_rng"}
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name])
        assert not isinstance(value, np.ndarray) or value.dtype == before[name].dtype


@pytest.mark.parametrize("seed", range(5))
def test_an_input_of_the_same_seed_does_not_hide_a_transposition(seed):
    x = np.random.default_rng(seed).standard_normal((4, 3))
    report = check_gradients(TransposedSquareGradient(3, 3), x, seed=seed)
    assert report["weights"].mistake == "transposed"


def test_global_randomness_is_used_but_the_verdict_is_the_same():
    from mutants.right_ones import DropoutOfGlobalNumPy

    x = np.ones((6, 5))
    assert (
        check_gradients(DropoutOfGlobalNumPy(), x).to_dict()
        == check_gradients(DropoutOfGlobalNumPy(), x).to_dict()
    )


def test_kinks_are_skipped_and_counted():
    x = np.array([[0.0, 1.0, -1.0, 2.0]])
    finding = check_gradients(cr.ReLU(), x)["input"]
    assert finding.ok
    assert (finding.checked, finding.skipped) == (3, 1)


def test_too_many_kinks_prove_nothing():
    report = check_gradients(cr.ReLU(), np.zeros((2, 3)))
    assert not report.ok
    assert "nothing was proved" in report.text()


def test_parameters_by_name():
    class Odd:
        def __init__(self):
            self.gain = np.array([1.0, 2.0])

        def forward(self, x):
            self.x = x
            return x * self.gain

        def backward(self, grad):
            self.slope_of_gain = -(grad * self.x).sum(axis=0)
            return grad * self.gain

    x = np.ones((3, 2))
    assert [f.name for f in check_gradients(Odd(), x).findings] == ["input"]
    report = check_gradients(Odd(), x, parameters={"gain": "slope_of_gain"})
    assert report["gain"].mistake == "sign"


def test_a_model_of_one_s_own(rng):
    """The article's Model, with its own classes: it returns no input gradient."""

    class Article:
        def __init__(self):
            self.layers = [PlainLinear(3, 5)]
            self.cost = cr.MeanSquaredError()

        def forward(self, x):
            return self.layers[0].forward(x)

        def loss(self, x, y):
            return self.cost.forward(self.forward(x), y)

        def backward(self):
            self.layers[0].backward(self.cost.backward())

    report = check_gradients(Article(), rng.standard_normal((4, 3)), rng.standard_normal((4, 5)))
    assert [(f.name, f.ok) for f in report.findings if f.name != "input"] == [
        ("0.weights", True), ("0.biases", True),
    ]  # fmt: skip


def test_integer_inputs_are_not_differentiated():
    class Table:
        def __init__(self):
            self.weights = np.arange(8.0).reshape(4, 2)

        def forward(self, x):
            self.x = x
            return self.weights[x]

        def backward(self, grad):
            self.grad_w = np.zeros_like(self.weights)
            np.add.at(self.grad_w, self.x, grad)
            return np.zeros(self.x.shape)

    report = check_gradients(Table(), np.array([0, 2, 2, 1]))
    assert [f.name for f in report.findings] == ["weights"]
    assert report.ok


def test_whole_numbers_that_are_values_are_differentiated():
    report = check_gradients(cr.Tanh(), [[1, 2], [3, -4]])
    assert report.ok
    assert report["input"].checked == 4


@pytest.mark.parametrize("x", [np.zeros((0, 3)), 3.0, [["a"]], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_inputs_that_prove_nothing_are_refused(x):
    with pytest.raises(ValueError, match="check_gradients: the input"):
        check_gradients(cr.Tanh(), x)


def test_what_user_code_raises_is_reported_with_its_line():
    class Raises:
        def forward(self, x):
            return x

        def backward(self, grad):
            return grad @ np.ones((7, 7))  # this line

    report = check_gradients(Raises(), np.ones((2, 3)))
    assert not report.ok
    assert report.error.startswith("backward raised ValueError: matmul")
    assert "test_checker.py, line" in report.error
    assert "# this line" in report.error
    assert "gradcheck/check.py" not in report.error


@pytest.mark.parametrize(
    ("thing", "y", "words"),
    [
        (3, None, "forward and backward, got 3"),
        (cr.ReLU, None, r"got the class ReLU. Pass an object: ReLU\(\)"),
        (cr.MeanSquaredError(), None, "a loss needs targets"),
    ],
)
def test_what_is_no_layer(thing, y, words):
    with pytest.raises(TypeError, match=words):
        check_gradients(thing, np.ones((2, 3)), y)


def test_unknown_mistakes_are_said_to_be_unknown(rng):
    class Strange(PlainLinear):
        def backward(self, grad):
            back = super().backward(grad)
            self.grad_w[1] += np.arange(5.0)
            return back

    finding = check_gradients(Strange(), rng.standard_normal((4, 3)))["weights"]
    assert not finding.ok
    assert finding.mistake is None
    assert "No known mistake explains the numbers" in finding.words[0]
    assert "index 1 of axis 0" in finding.pattern
    assert "rank 1" in finding.pattern


def test_the_report_in_every_form(rng):
    class Bad(PlainLinear):
        def backward(self, grad):
            back = super().backward(grad)
            self.grad_b = -self.grad_b
            return back

    x = rng.standard_normal((4, 3))
    report = check_gradients(Bad(), x)
    plain, coloured = report.text(), report.text(colour=True)
    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert str(report) == plain  # the output of a test is no terminal
    read = json.loads(report.to_json())
    assert [f["mistake"] for f in read["findings"]] == [None, None, "sign"]
    assert read["ok"] is False
    with pytest.raises(KeyError, match="there are: input, weights, biases"):
        report["scale"]
    with pytest.raises(AssertionError, match="sign: the gradient has the wrong sign"):
        assert_gradients(Bad(), x)
    assert_gradients(PlainLinear(), x)


def test_the_picture(rng, tmp_path):
    pytest.importorskip("matplotlib")
    report = check_gradients(PlainLinear(), rng.standard_normal((4, 3)))
    drawn = figure(report)
    shown = np.asarray(drawn.axes[3].images[0].get_array())
    np.testing.assert_allclose(shown, report["weights"].analytic_array)
    page = report._repr_html_()
    assert '<img alt="analytic' in page
    assert "PlainLinear" in page or "Linear" in page
    failed = check_gradients(cr.ReLU(), np.zeros((2, 3)))
    assert "nothing was proved" in failed._repr_html_()


def test_the_fixture(assert_gradients, rng):
    assert_gradients(cr.Softmax(), rng.standard_normal((3, 4)))


@given(st.floats(-20, 20), st.floats(0.1, 3))
@settings(max_examples=100, deadline=None)
def test_differences_know_their_error(x, scale):
    start = np.array([x])
    found = element_wise(lambda a: np.sin(scale * a), 1.0, start, np.array([0]))
    true = scale * np.cos(scale * x)
    assert not found.kink[0]
    assert abs(found.value[0] - true) <= 20 * found.error[0] + 1e-9


def test_a_direction_is_the_sum_of_the_elements(rng):
    start, direction = rng.standard_normal(6), rng.standard_normal(6)
    value, _, kink = along(lambda a: a**3, 1.0, start, direction)
    assert not kink
    assert value == pytest.approx((3 * start**2 * direction).sum(), rel=1e-7)


def test_a_weak_kink_within_the_step_is_no_mistake():
    """It bends the estimate by a few millionths, and every wide step agrees on it."""
    start = np.array([0.5])

    def outputs(a):
        return a + 1e-5 * np.maximum(a - 0.5 - 2e-4, 0)

    bent = element_wise(outputs, 1.0, start, np.array([0])).value[0]
    assert abs(bent - 1) > 1e-6
    assert some_step_agrees(outputs, 1.0, start, 0, 1.0)
    assert not some_step_agrees(outputs, 1.0, start, 0, 1.001)
    assert not some_step_agrees(outputs, 1.0, start, 0, 1.0001)
