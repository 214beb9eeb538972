"""Frozen layers, rates of their own, and what weight decay pulls at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule.optimizers.base
from cases_optimizers import OPTIMIZERS
from chainrule import *
from chainrule.optimizers import decay_all

every = pytest.mark.parametrize(
    "make", [case.make for case in OPTIMIZERS], ids=lambda make: repr(make())
)


def deep(seed=0, dtype=np.float64):
    block = Sequential([Linear(6, 6), LayerNorm(6)])
    layers = [Flatten(), Linear(8, 6), Tanh(), Residual([block]), Linear(6, 3)]
    return Model(layers, SoftmaxCrossEntropy(), dtype=dtype, seed=seed)


def samples(rng, count=40):
    return rng.standard_normal((count, 4, 2)), rng.integers(0, 3, count)


def named(net):
    return {name: array.copy() for name, array in net.named_parameters()}


@every
def test_what_is_frozen_does_not_move(make, rng):
    """Not even by momentum or decay from before it was frozen."""
    net, data, optimizer = deep(), samples(rng), make()
    optimizer.decays = decay_all
    train(net, None, 1, data, optimizer=optimizer, verbose=False)
    before = named(net)
    net.layers[1].frozen = net.layers[3].frozen = True
    train(net, None, 2, data, optimizer=optimizer, verbose=False)
    for name, array in net.named_parameters():
        assert (array == before[name]).all() == (name[0] in "13"), name
    net.layers[3].frozen = False
    train(net, None, 1, data, optimizer=optimizer, verbose=False)
    moved = {name for name, array in net.named_parameters() if (array != before[name]).any()}
    assert moved == {name for name in before if name[0] in "34"}


def test_the_rest_moves_as_if_the_frozen_layer_were_no_part_of_the_training(rng):
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    whole = Model([Linear(4, 5), Tanh(), Linear(5, 3)], SoftmaxCrossEntropy(), dtype=np.float64)
    part = Model([Linear(5, 3)], SoftmaxCrossEntropy(), dtype=np.float64)
    part.layers[0].weights = whole.layers[2].weights
    features = Model(
        [Linear(4, 5), Tanh()], MeanSquaredError(), dtype=np.float64
    ).predict(x)  # fmt: skip
    whole.layers[0].frozen = True
    for net, inputs in ((whole, x), (part, features)):
        train(net, 0.1, 5, Batches(inputs, y, 8), optimizer=AdamW(0.1), clip_norm=0.1,
              verbose=False)  # fmt: skip
    np.testing.assert_allclose(whole.layers[2].weights, part.layers[0].weights, rtol=1e-12)


def test_the_way_back_ends_at_the_last_frozen_layer(rng):
    net, (x, y) = deep(), samples(rng)
    for i in (1, 3):
        net.layers[i].frozen = True
    net.loss(x, y)
    net.backward()
    gradients = dict(zip(named(net), _gradients(net), strict=True))
    assert all((g != 0).any() == (name[0] == "4") for name, g in gradients.items())
    for layer in net.layers:
        layer.frozen = True
    net.loss(x, y)
    net.backward()  # nothing to do, and no error


def _gradients(net):
    start = 0
    for _, array in net.named_parameters():
        yield net.gradients[start : start + array.size]
        start += array.size


def test_the_whole_net_frozen(rng):
    net = deep()
    before = net.parameters.copy()
    for layer in net.layers:
        layer.frozen = True
    train(net, 0.1, 1, samples(rng), clip_norm=1.0, verbose=False)
    np.testing.assert_array_equal(net.parameters, before)


def test_decay_pulls_at_no_bias_and_no_normalisation(rng):
    net = deep()
    before = named(net)
    optimizer = AdamW(0.1, weight_decay=0.5).bind(net)
    optimizer.step(net.parameters, np.zeros_like(net.gradients))
    for name, array in net.named_parameters():
        decayed = name.endswith("weights")
        np.testing.assert_allclose(array, before[name] * (0.95 if decayed else 1), rtol=1e-15)


def test_the_rule_can_be_changed(rng):
    net = deep()
    before = named(net)
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.decays = lambda name, array: name.startswith("4.")
    optimizer.bind(net).step(net.parameters, np.zeros_like(net.gradients))
    for name, array in net.named_parameters():
        factor = 0.95 if name.startswith("4.") else 1
        np.testing.assert_allclose(array, before[name] * factor, rtol=1e-15)


def test_without_a_model_everything_decays():
    w = np.ones(3)
    AdamW(0.1, weight_decay=0.5).step(w, np.zeros(3))
    np.testing.assert_allclose(w, 0.95)


@every
def test_a_rate_is_an_optimizer_of_its_own(make, rng):
    """Each layer moves as it would under an optimiser of that learning rate alone."""
    rates = {"1": 0.5, "3": 0.1, "3.inner.0.0.biases": 2.0}
    net, optimizer = deep(), make()
    optimizer.rates = rates
    optimizer.bind(net)
    singles = [(deep(), make()) for _ in range(4)]
    for (_, single), rate in zip(singles, (1, 0.5, 0.1, 2.0), strict=True):
        single.learning_rate *= rate
        single.bind(net)
    for gradient in rng.standard_normal((5, net.parameters.size)):
        for model, each in [(net, optimizer), *singles]:
            each.step(model.parameters, gradient)
    wanted = {"1": 1, "3": 2, "4": 0}
    alone = [dict(single.named_parameters()) for single, _ in singles]
    for name, array in net.named_parameters():
        which = 3 if name == "3.inner.0.0.biases" else wanted[name[0]]
        np.testing.assert_allclose(array, alone[which][name], rtol=1e-12, atol=1e-14)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=8, max_size=8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_groups_lie_end_to_end(rates, decay):
    net = deep()
    optimizer = SGD(0.1, weight_decay=0.1 * decay)
    optimizer.rates = dict(zip(named(net), rates, strict=True))
    groups = optimizer.bind(net).groups
    assert [group.start for group in groups] == [0, *(group.stop for group in groups[:-1])]
    assert groups[-1].stop == net.parameters.size
    start = 0
    for (_, array), rate in zip(net.named_parameters(), rates, strict=True):
        group = next(group for group in groups if group.start <= start < group.stop)
        assert (group.rate, group.decays) == (rate, array.ndim > 1)
        start += array.size


def test_nonsense_is_refused(rng):
    net, optimizer = deep(), SGD()
    optimizer.rates = {"7": 0.5}
    with pytest.raises(ValueError, match=r"no parameter is called '7'.*0\.weights|1\.weights"):
        optimizer.bind(net)
    optimizer.rates = {"1": -1}
    with pytest.raises(ValueError, match=r"'1' must be 0 or more, got -1"):
        optimizer.bind(net)
    optimizer.rates = {"1": np.inf}
    with pytest.raises(ValueError, match=r"'1' must be 0 or more, got inf"):
        optimizer.bind(net)
    optimizer.rates = {}
    optimizer.bind(net)
    with pytest.raises(ValueError, match=r"a net of \d+ parameters, and got one of 3"):
        optimizer.step(np.ones(3), np.ones(3))
    used = SGD()
    used.step(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"made 1 steps .* 3 parameters"):
        used.bind(net)


def test_an_error_in_the_middle_of_a_step_leaves_the_learning_rate(rng):
    class Broken(SGD):
        def update(self, parameters, gradients, state):
            raise RuntimeError("broken")

    net, optimizer = deep(), Broken(0.5)
    optimizer.rates = {"1": 0.1}
    with pytest.raises(RuntimeError, match="broken"):
        optimizer.bind(net).step(net.parameters, net.gradients)
    assert optimizer.learning_rate == 0.5


@every
@given(size=st.integers(1, 200))
@settings(max_examples=8, deadline=None)
def test_blocks_of_any_size_change_nothing(make, size):
    """They may cut through a layer, or hold several with and without decay."""
    moved = []
    for block in (size, 131_072):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chainrule.optimizers.base, "BLOCK", block)
            net, optimizer, rng = deep(), make(), np.random.default_rng(2)
            optimizer.rates = {"3": 0.5}
            net.layers[4].frozen = True
            optimizer.bind(net)
            for _ in range(3):
                optimizer.step(net.parameters, rng.standard_normal(net.parameters.size))
            moved.append(net.parameters)
    np.testing.assert_allclose(*moved, rtol=1e-13)


def test_half_precision_decays_the_same_parameters(rng):
    """Also where a block holds weights and biases."""
    for make in (lambda: SGD(0.5, 0.9, weight_decay=0.5), lambda: AdamW(0.5, weight_decay=0.5)):
        nets = [deep(dtype=np.float64), deep(dtype=np.float16)]
        nets[0].parameters = nets[1].parameters
        for net in nets:
            make().bind(net).step(net.parameters, np.zeros_like(net.gradients))
        np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=2e-3, atol=1e-4)


@every
def test_a_layer_frozen_in_the_middle_of_a_training(make, rng):
    """By a callback, after any step: it stands still from the next one on, until it may learn."""
    net, (x, y), seen = deep(), samples(rng), {}

    def freeze(run):
        seen[run.step] = net.layers[1].weights.copy()
        net.layers[1].frozen = 2 <= run.step < 5

    train(net, None, 1, Batches(x, y, 5), optimizer=make(), callbacks=[Hook(on_step_end=freeze)],
          verbose=False)  # fmt: skip
    stood = [bool((seen[step] == seen[step + 1]).all()) for step in range(1, 8)]
    assert stood == [False, True, True, True, False, False, False]
