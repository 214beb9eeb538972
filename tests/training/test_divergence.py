"""A training that diverges says where that began, and what to try."""

import math

import numpy as np
import pytest

from chainrule import *
from chainrule.training import Run
from chainrule.training.divergence import Divergence, explain


def regression(layers=(), dtype=np.float32):
    return Model([Linear(4, 8), *layers, Linear(8, 1)], MeanSquaredError(), dtype=dtype)


@pytest.fixture
def x(rng):
    return rng.standard_normal((64, 4))


@pytest.fixture
def y(x):
    return x[:, :1].copy()


def message_of(model, lr, epochs, data, **options):
    with pytest.raises(FloatingPointError) as caught:
        train(model, lr, epochs, data, verbose=False, **options)
    message = str(caught.value)
    assert message.isprintable()
    return message


class Fails(Layer):
    """The identity, until its backward or its forward is spoiled at a step."""

    def __init__(self, which, step):
        self.which, self.step, self.calls = which, step, 0

    def forward(self, x):
        self.calls += 1
        return np.log(-np.abs(x)) if self.is_time("forward") else x

    def backward(self, grad):
        with np.errstate(all="ignore"):
            return grad / (0 * grad) if self.is_time("backward") else grad

    def is_time(self, which):
        return self.which == which and self.calls >= self.step


# -- the data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["inputs", "targets"])
def test_data_that_are_no_numbers(what, value, x, y):
    {"inputs": x, "targets": y}[what][39, 0] = value
    message = message_of(regression(), 0.01, 1, Batches(x, y, 16, shuffle=False))
    assert "at step 3 (epoch 1)" in message
    assert f"The {what} have" in message
    assert ("1 NaN" if math.isnan(value) else "1 infinite") in message
    assert "sample 7 of the mini-batch" in message
    assert "lower learning rate" not in message  # it would not help


@pytest.mark.parametrize("what", ["inputs", "targets"])
def test_numbers_that_the_model_has_no_room_for(what, x, y):
    {"inputs": x, "targets": y}[what][5, 0] = 1e300
    message = message_of(regression(), 0.01, 1, [(x, y)])
    assert f"The {what} reach 1e+300, and the model's float32 ends at 3.403e+38" in message
    assert "sample 5" in message
    assert 'dtype="float64"' in message


# -- the parameters -------------------------------------------------------------------------------


def test_parameters_that_a_backward_spoiled(x, y):
    """The loss of the step is finite; the next one is not, and nothing else is left to see."""
    model = regression([Fails("backward", 3), ReLU()])
    message = message_of(model, 0.01, 5, Batches(x, y, 16))
    assert "the loss is nan at step 4 (epoch 1)" in message
    assert "Of the 4 arrays of parameters 2 are not finite" in message
    assert "0.weights of Linear(4, 8) has 32 NaN" in message
    assert "the step before this one (step 3)" in message
    assert "backward of layer 0, Linear(4, 8), grad_w had 32 NaN" in message


def test_the_layer_nearest_the_loss_is_named(x, y):
    class AfterAll(Fails):
        pass

    model = Model([Linear(4, 3), Linear(3, 1), AfterAll("backward", 2)], MeanSquaredError())
    message = message_of(model, 0.01, 5, [(x, y)])
    assert "backward of layer 1, Linear(3, 1), grad_w" in message
    assert "or from a layer nearer the loss" in message


def test_a_step_that_was_too_long(x, y):
    """Finite gradients, and a rate that carries the parameters beyond the type."""
    model = regression()
    message = message_of(model, 1e39, 5, [(x, y)])
    assert "after step 1 (epoch 1)" in message
    assert "gradients were finite, up to" in message
    assert "and it was too long" in message
    assert "a lower learning rate, as 1e+38 (it is 1e+39)" in message


def test_parameters_that_were_so_before(x, y):
    model = regression()
    model.layers[1].biases[0] = np.nan
    message = message_of(model, 0.01, 1, [(x, y)])
    assert "1 are not finite: 1.biases of Linear(8, 1) has 1 NaN" in message
    assert "before this training" in message


# -- the way forward ------------------------------------------------------------------------------


def test_an_activation_that_overflows(x, y):
    class Exponential(Layer):
        keeps = ("y",)

        def forward(self, x):
            self.y = np.exp(x)
            return self.y

        def backward(self, grad):
            return grad * self.y

    model = Model([Linear(4, 8), Exponential(), Linear(8, 1)], MeanSquaredError())
    model.layers[0].weights *= 100
    message = message_of(model, 1e-9, 5, [(x, y)])
    assert "at step 1 (epoch 1)" in message
    assert "In the forward of layer 1, Exponential(), what it returned has 0 NaN and" in message
    assert "infinite of 512 values" in message
    assert "look at exponentials, logarithms and divisions in it" in message


def test_a_layer_inside_another_is_named(x, y):
    model = regression([Residual([Linear(8, 8), Fails("forward", 2)])])
    message = message_of(model, 0.01, 5, [(x, y)])
    assert "In the forward of layer 1.inner.1, Fails(" in message
    assert "512 NaN" in message


def test_a_loss_that_overflows(x, y):
    message = message_of(regression(), 0.01, 1, [(1e20 * x, y)])
    assert "the loss is inf at step 1" in message
    assert "In the loss, MeanSquaredError(), what it returned has 0 NaN and" in message
    assert "normalise the data (the inputs reach" in message
    assert 'dtype="float64", if numbers this large are right' in message
    assert "learning rate" not in message  # no step has been made yet


def test_half_precision_says_so(x, y):
    message = message_of(regression(dtype=np.float16), 0.01, 1, [(6e4 * x / abs(x).max(), y)])
    assert 'dtype="float32" (float16 ends at 65504)' in message


def test_what_is_random_may_fall_otherwise(x, y):
    class Unlucky(Layer):
        def forward(self, x):
            return x * (np.inf if self.rng.random() < 0.5 else 1)

        def backward(self, grad):
            return grad

    said = [message_of(Model([Linear(4, 1), Unlucky()], MeanSquaredError(), seed=seed), 0.01, 99,
                       [(x, y)]) for seed in range(8)]  # fmt: skip
    assert any("Done once more, it is finite" in message for message in said)
    assert any("layer 1, Unlucky(), what it returned has" in message for message in said)


def test_a_layer_that_cannot_be_copied_hides_nothing(x, y):
    layer = Fails("forward", 2)
    layer.file = open(__file__, "rb")  # noqa: SIM115  # closed below
    message = message_of(regression([layer]), 0.01, 5, [(x, y)])
    layer.file.close()
    assert "the loss is nan at step 2 (epoch 2)" in message
    assert "a lower learning rate" in message


# -- growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_grows_without_end(accumulate, x, y):
    model = regression()
    message = message_of(model, 3.0, 200, Batches(x, y, 16), accumulate=accumulate)
    assert "train: the loss diverges: it is" in message
    assert "at the first" in message
    assert "The parameters reach" in message
    assert "a lower learning rate, as 0.3 (it is 3)" in message
    assert np.isfinite(model.parameters).all()


def test_a_loss_may_rise_and_be_negative_and_high_from_the_beginning(x, y):
    class ShiftedError(MeanSquaredError):
        def __init__(self, shift):
            super().__init__()
            self.shift = shift

        def points(self, outputs, targets):
            return super().points(outputs, targets) + self.shift

    for shift in (-1e9, 0, 1e9):
        model = Model([Linear(4, 1)], ShiftedError(shift), dtype=np.float64)
        history = train(model, 0.1, 20, Batches(x, y, 16), verbose=False)
        assert history["loss"][-1] < history["loss"][0]


def test_what_is_too_high_is_measured_by_the_first():
    divergence = Divergence()
    assert 1e308 < divergence.highest < math.inf  # an infinite loss is too high at once
    divergence.begin(0.5)
    assert divergence.highest == 1e6
    divergence.begin(30.0)
    assert divergence.highest == 3e7
    other = Divergence()
    other.set_state(divergence.get_state())
    assert other.highest == 3e7
    other.set_state(Divergence().get_state())
    assert 1e308 < other.highest < math.inf
    for first in ("x", True, [1]):
        with pytest.raises(ValueError, match="must be a number"):
            divergence.set_state({"first": first})
    assert divergence.highest == 3e7


def test_a_resumed_training_is_measured_by_its_first_loss(tmp_path, x, y):
    """Without that it would be measured by the loss that it had when it was stopped."""
    plain = message_of(regression(), 3.0, 200, [(x, y)])
    assert "at step 3" in plain
    train(regression(), 3.0, 2, [(x, y)], checkpoint=tmp_path, verbose=False)
    options = {"checkpoint": tmp_path, "resume": True}
    assert message_of(regression(), 3.0, 200, [(x, y)], **options) == plain


# -- nothing is changed ---------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", ["data", "parameters", "forward", "nothing"])
def test_the_model_is_left_as_it_was_to_the_bit(spoil, rng):
    layers = [Linear(4, 8), BatchNorm(8), Dropout(0.5), Fails("forward", 2), Linear(8, 2)]
    model = Model(layers, SoftmaxCrossEntropy(), seed=3)
    x, y = rng.standard_normal((16, 4)), rng.integers(0, 2, 16)
    model.loss(x, y)
    model.backward()
    if spoil == "parameters":
        model.layers[0].weights[0, 0] = np.nan
    if spoil == "data":
        x[3, 1] = np.nan
    model.layers[3].step = 2 if spoil == "forward" else 99
    with np.errstate(all="ignore"):
        model.loss(x, y)

    def everything():
        arrays = {**dict(model.named_parameters()), **dict(model.named_state())}
        return (
            {name: array.tobytes() for name, array in arrays.items()},
            model.parameters.tobytes(), model.gradients.tobytes(),
            model.rng.bit_generator.state, model.training, model.layers[3].calls,
            [sorted(part.__dict__) for part in model.layers],
            model.cost.losses.tobytes(),
        )  # fmt: skip

    before, inputs = everything(), x.tobytes()
    run = Run(model, SGD(0.1), 1, epoch=1, step=2)
    assert "at step 2 (epoch 1)" in explain(model, x, y, (), run)
    assert everything() == before
    assert x.tobytes() == inputs
    model.backward()  # what its forward kept is still there


def test_the_best_model_so_far_is_given_back(x, y):
    model = regression([Fails("forward", 9)])
    best = KeepBest("loss")
    message_of(model, 0.01, 99, Batches(x, y, 16), callbacks=[best])
    assert best.epoch == 2
    assert np.isfinite(model.parameters).all()
