"""Gradients go back in memory that is handed on, and nothing is overwritten too early."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import Layer


class Through(Layer):
    """Hand on the input and the gradient themselves, or every second time a copy."""

    def __init__(self, always=True):
        self.always = always
        self.calls = 0

    def forward(self, x):
        return x

    def backward(self, grad):
        self.calls += 1
        return grad if self.always or self.calls % 2 else grad.copy()


class Keeper(Layer):
    """Hand on the gradient, and look at it later."""

    def forward(self, x):
        return x

    def backward(self, grad):
        self.seen = np.multiply(grad, 1)
        return self.seen


KINDS = {
    "linear": lambda: cr.Linear(6, 6),
    "tanh": cr.Tanh,
    "relu": cr.ReLU,
    "through": Through,
    "sometimes": lambda: Through(always=False),
    "keeper": Keeper,
    "reshape": lambda: cr.Sequential([cr.Reshape([2, 3]), cr.Flatten()]),
    "norm": lambda: cr.LayerNorm(6),
    "softmax": cr.Softmax,
    "residual": lambda: cr.Residual([cr.Linear(6, 6), cr.Tanh(), cr.Linear(6, 6)]),
    "shortcut": lambda: cr.Residual([cr.Linear(6, 6), cr.Softmax()], shortcut=cr.Linear(6, 6)),
    "add": lambda: cr.Add([[cr.Linear(6, 6), cr.Tanh()], cr.Softmax()]),
    "side": lambda: cr.Sequential(
        [cr.Concatenate([cr.Linear(6, 3), [cr.Linear(6, 3), cr.Tanh()]])]
    ),
    "nested": lambda: cr.Sequential([cr.Softmax(), cr.Residual([cr.Residual([cr.Linear(6, 6)])])]),
}


@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=9), st.integers(0, 9))
@settings(max_examples=120, deadline=None)
def test_a_net_with_lent_memory_gives_the_gradients_of_one_without(kinds, seed):
    def build():
        return cr.Model([KINDS[kind]() for kind in kinds], cr.MeanSquaredError(), dtype=float)

    net, plain = build(), build()
    for part in plain._functions():
        part._buffers = None  # new arrays each time
    rng = np.random.default_rng(seed)
    for samples in (4, 4, 3, 4, 4):
        x, y = rng.standard_normal((2, samples, 6))
        for each in (net, plain):
            each.loss(x, y)
            each.backward()
        np.testing.assert_array_equal(net.gradients, plain.gradients)
        np.testing.assert_array_equal(net.input_gradient(x, y), plain.input_gradient(x, y))


def test_a_long_chain_goes_back_in_two_arrays():
    net = cr.Model([cr.Linear(6, 6), *(cr.Tanh() for _ in range(20))], cr.MeanSquaredError())
    net.loss(np.ones((4, 6)), np.zeros((4, 6)))
    net.backward()
    memory = set()
    for layer in net.layers[1:]:
        array = layer._buffers["grad_x"]
        while array.base is not None:
            array = array.base
        memory.add(id(array))
    assert len(memory) == 2


def test_what_a_layer_of_ones_own_holds_is_not_lent():
    def seen(*, plain):
        keeper = Keeper()
        layers = [cr.Linear(6, 6), cr.Tanh(), cr.Tanh(), keeper, cr.Tanh(), cr.Tanh()]
        net = cr.Model(layers, cr.MeanSquaredError(), dtype=float)
        for part in net._functions():
            part._buffers = None if plain else part._buffers
        for _ in range(2):
            net.loss(np.ones((4, 6)), np.zeros((4, 6)))
            net.backward()
        return keeper.seen

    np.testing.assert_array_equal(seen(plain=False), seen(plain=True))


@pytest.mark.parametrize("again", [1, 2])
def test_backward_twice_is_the_same(again):
    net = cr.Model([cr.Linear(6, 6), cr.Tanh(), cr.Softmax(), cr.Tanh()], cr.MeanSquaredError())
    net.loss(np.ones((4, 6)), np.zeros((4, 6)))
    net.backward()
    first = net.gradients.copy()
    for _ in range(again):
        net.backward()
        np.testing.assert_array_equal(net.gradients, first)
