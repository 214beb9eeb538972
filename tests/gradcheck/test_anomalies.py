"""detect_anomalies names the layer, the pass and the step."""

import copy
import pickle

import numpy as np
import pytest

from chainrule import *


class Breaks(Layer):
    """Right until its third call, then one value is spoiled in the pass that is named."""

    def __init__(self, which, value):
        self.which, self.value, self.calls = which, value, 0

    def forward(self, x):
        self.calls += 1
        return self.spoil(x, "forward")

    def backward(self, grad):
        return self.spoil(grad, "backward")

    def spoil(self, array, which):
        array = array.copy()
        if self.calls == 3 and which == self.which:
            array[0, 0] = self.value
        return array


@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize(("value", "words"), [(np.nan, "1 NaN"), (np.inf, "1 infinite")])
def test_the_first_anomaly_is_named(which, value, words, rng):
    x, y = rng.standard_normal((12, 4)), rng.integers(0, 2, 12)
    inside = Residual([Linear(3, 3), Breaks(which, value)])
    net = Model([Linear(4, 3), inside, Linear(3, 2)], SoftmaxCrossEntropy())
    with pytest.raises(FloatingPointError) as caught:
        train(net, 0.1, 5, Batches(x, y, 6), detect_anomalies=True, verbose=False)
    message = str(caught.value)
    assert f"step 3 (epoch 2), {which} of layer 1.inner.1, Breaks(" in message
    assert words in message
    assert "of 18 values (shape (6, 3))" in message
    assert "the finite ones are" in message
    assert np.isfinite(net.parameters).all()


def test_nothing_is_left_behind_and_nothing_is_changed(rng):
    data = rng.standard_normal((12, 4)), rng.integers(0, 2, 12)

    def net():
        return Model([Linear(4, 3), ReLU(), Linear(3, 2)], SoftmaxCrossEntropy())

    watched, plain = net(), net()
    train(watched, 0.1, 3, data, detect_anomalies=True, verbose=False)
    train(plain, 0.1, 3, data, verbose=False)
    np.testing.assert_array_equal(watched.parameters, plain.parameters)
    assert "forward" not in vars(watched.layers[0])
    assert "backward" not in vars(watched.cost)


def test_nan_in_the_data_and_in_the_parameters(rng):
    x, y = rng.standard_normal((6, 4)), rng.integers(0, 2, 6)
    net = Model([Linear(4, 2)], SoftmaxCrossEntropy())
    bad = x.copy()
    bad[2, 1] = np.nan
    with pytest.raises(FloatingPointError, match=r"forward of layer 0.*its input has 1 NaN"):
        train(net, 0.1, 1, (bad, y), detect_anomalies=True, verbose=False)
    net.layers[0].biases[0] = np.inf
    with pytest.raises(FloatingPointError, match="its biases has 0 NaN and 1 infinite"):
        train(net, 0.1, 1, (x, y), detect_anomalies=True, verbose=False)


def test_a_copy_made_meanwhile_is_a_net_of_its_own(rng):
    """A copied layer whose forward is still that of the original would compute with its weights."""
    data = rng.standard_normal((12, 4)), rng.integers(0, 2, 12)
    net = Model([Linear(4, 3), ReLU(), Linear(3, 2)], SoftmaxCrossEntropy())
    copies = []

    class Copy(Callback):
        def on_step_end(self, run):
            copies.append((copy.deepcopy(run.model), run.model.predict(data[0])))
            copies.append((pickle.loads(pickle.dumps(run.model)), copies[-1][1]))

    train(net, 0.5, 3, data, callbacks=[Copy()], detect_anomalies=True, verbose=False)
    assert len(copies) == 6
    for twin, outputs in copies:
        np.testing.assert_array_equal(twin.predict(data[0]), outputs)
