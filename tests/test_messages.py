"""What is refused, and whether the message helps: who, what came, what is needed, the remedy."""

import numpy as np
import pytest

from chainrule import *


def refused(act, kind, *parts):
    """Assert that the call raises, on one line, with all the parts in the message."""
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert "\n" not in message
    assert len(message) < 500


def net(**options):
    return Model([Linear(4, 8), ReLU(), Linear(8, 3)], SoftmaxCrossEntropy(), **options)


X = np.ones((6, 4))

SHAPES = {
    "images": (
        lambda: Linear(784, 100).forward(np.zeros((64, 28, 28))),
        ["Linear(784, 100)", "784", "(64, 28, 28)", "Put Flatten() before it"],
    ),
    "other width": (
        lambda: Linear(5, 2).forward(np.zeros((3, 6))),
        ["Linear(5, 2)", "must be 5", "(3, 6)", "Use Linear(6, 2)"],
    ),
    "second layer": (
        lambda: Model([Linear(4, 8), Linear(9, 3)], MeanSquaredError()).predict(X),
        ["Linear(9, 3)", "(6, 8)", "Use Linear(8, 3)"],
    ),
    "one sample": (
        lambda: Linear(5, 2).forward(np.zeros(5)),
        ["Linear(5, 2)", "axis of samples", "(5,)", "x[None]"],
    ),
    "one sample to a model": (
        lambda: net().predict(np.zeros(4)),
        ["Linear(4, 8)", "axis of samples", "(4,)", "x[None]"],
    ),
    "a number": (
        lambda: net().predict(3.0),
        ["Model: the inputs", "axis of samples", "single number"],
    ),
    "text": (lambda: net().predict([["a"] * 4]), ["Model: the inputs", "numbers", "<U1"]),
    "objects": (
        lambda: net().predict(np.full((2, 4), None)),
        ["Model: the inputs", "numbers", "object"],
    ),
    "complex": (lambda: net().predict(X * 1j), ["Model: the inputs", "numbers", "complex128"]),
    "ragged": (lambda: net().predict([[1, 2], [3]]), ["Model: the inputs", "one array"]),
    "residual": (
        lambda: Residual([Linear(5, 2)]).forward(np.zeros((3, 5))),
        ["Residual([Linear(5, 2)])", "(3, 2)", "(3, 5)", "shortcut=Linear(...)"],
    ),
    "weights": (
        lambda: setattr(Linear(3, 2), "weights", np.ones((2, 3))),
        ["Linear(3, 2)", "weights", "(3, 2)", "(2, 3)"],
    ),
    "a number for weights": (
        lambda: setattr(Linear(3, 2), "weights", 1.0),
        ["Linear(3, 2)", "weights", "(3, 2)", "()"],
    ),
    "a gradient": (
        lambda: setattr(Linear(3, 2), "grad_b", np.ones(3)),
        ["Linear(3, 2)", "grad_b", "(2,)", "(3,)"],
    ),
    "parameters": (
        lambda: setattr(net(), "parameters", np.ones(3)),
        ["Model: parameters", "(67,)", "(3,)"],
    ),
    "gradients": (
        lambda: setattr(net(), "gradients", 0.0),
        ["Model: gradients", "(67,)", "()"],
    ),
    "batch size 0": (lambda: net().predict(X, batch_size=0), ["batch_size", "at least 1", "0"]),
    "batch size -1": (lambda: net().predict(X, batch_size=-1), ["batch_size", "-1"]),
    "evaluate 0": (lambda: evaluate(net(), (X, [0] * 6), batch_size=0), ["batch_size", "0"]),
    "evaluate -1": (lambda: evaluate(net(), (X, [0] * 6), batch_size=-1), ["batch_size", "-1"]),
    "evaluate lengths": (
        lambda: evaluate(net(), (X, [0] * 5)),
        ["6 inputs", "5 targets"],
    ),
    "summary": (lambda: net().summary(5), ["Linear(4, 8)", "(1, 5)"]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_values(name):
    act, parts = SHAPES[name]
    refused(act, ValueError, *parts)


SHARED = Linear(2, 2)
BUILDING = {
    "class": (lambda: Model([ReLU], MeanSquaredError()), TypeError, ["layer 0", "Write ReLU()"]),
    "class inside": (
        lambda: Sequential([Linear(2, 2), Sequential]),
        TypeError,
        ["Sequential: layer 1", "Write Sequential()"],
    ),
    "no layer": (
        lambda: Model([ReLU(), "tanh"], MeanSquaredError()),
        TypeError,
        ["layer 1", "'tanh'", "chainrule.Layer"],
    ),
    "function": (lambda: Model([np.tanh], MeanSquaredError()), TypeError, ["layer 0", "tanh"]),
    "loss among layers": (
        lambda: Model([ReLU(), MeanSquaredError()], MeanSquaredError()),
        TypeError,
        ["layer 1", "MeanSquaredError()", "no layer"],
    ),
    "no list": (lambda: Model(ReLU(), MeanSquaredError()), TypeError, ["list of layers", "ReLU()"]),
    "generator": (
        lambda: Model((ReLU() for _ in range(2)), MeanSquaredError()),
        TypeError,
        ["list of layers"],
    ),
    "none": (lambda: Model(None, MeanSquaredError()), TypeError, ["list of layers", "None"]),
    "empty": (lambda: Model([], MeanSquaredError()), ValueError, ["at least one layer"]),
    "empty residual": (lambda: Residual([]), ValueError, ["Residual", "at least one layer"]),
    "loss class": (
        lambda: Model([ReLU()], CrossEntropy),
        TypeError,
        ["cost", "Write CrossEntropy()"],
    ),
    "layer as loss": (
        lambda: Model([ReLU()], Softmax()),
        TypeError,
        ["cost", "chainrule.Loss", "Softmax()"],
    ),
    "no loss": (lambda: Model([ReLU()], None), TypeError, ["cost", "None"]),
    "twice": (
        lambda: Model([SHARED, ReLU(), SHARED], MeanSquaredError()),
        ValueError,
        ["Linear(2, 2)", "twice", "Build a layer for each place"],
    ),
    "twice, deeper": (
        lambda: Model([SHARED, Residual([Sequential([SHARED])])], MeanSquaredError()),
        ValueError,
        ["Linear(2, 2)", "twice"],
    ),
    "shortcut class": (
        lambda: Residual([ReLU()], shortcut=ReLU),
        TypeError,
        ["Residual", "shortcut", "Write ReLU()"],
    ),
    "shortcut list": (
        lambda: Residual([ReLU()], shortcut=[Linear(2, 2)]),
        TypeError,
        ["Residual", "shortcut", "layer"],
    ),
    "shortcut number": (
        lambda: Residual([ReLU()], shortcut=5),
        TypeError,
        ["Residual", "shortcut", "5"],
    ),
    "no inputs": (lambda: Linear(0, 3), ValueError, ["Linear(0, 3)", "at least 1"]),
    "broken size": (lambda: Linear(2.5, 3), TypeError, ["Linear", "2.5", "whole number"]),
    "text as size": (lambda: Linear("2", 3), TypeError, ["Linear", "'2'", "whole number"]),
    "initializer": (
        lambda: Linear(2, 3, initializer="hee"),
        ValueError,
        ["Linear", "'hee'", "he, glorot"],
    ),
    "dropout": (lambda: Dropout(1.5), ValueError, ["Dropout(1.5)", "from 0 to 1"]),
    "dropout nan": (lambda: Dropout(np.nan), ValueError, ["Dropout(nan)"]),
    "elu": (lambda: ELU(0), ValueError, ["ELU(alpha=0)", "greater than 0"]),
    "gelu": (lambda: GELU("sigmoid"), ValueError, ["GELU", "'sigmoid'", '"tanh"']),
    "slope": (lambda: LeakyReLU(np.nan), ValueError, ["LeakyReLU", "nan"]),
    "huber": (lambda: Huber(0), ValueError, ["Huber(delta=0)", "greater than 0"]),
    "smoothing": (
        lambda: SoftmaxCrossEntropy(label_smoothing=1.1),
        ValueError,
        ["SoftmaxCrossEntropy", "from 0 to 1", "1.1"],
    ),
    "class weights": (
        lambda: SoftmaxCrossEntropy(class_weights=[1, -1]),
        ValueError,
        ["SoftmaxCrossEntropy", "0 or more", "-1"],
    ),
    "no class weight": (
        lambda: CrossEntropy(class_weights=[0, 0]),
        ValueError,
        ["CrossEntropy", "not all 0"],
    ),
    "binary class weights": (
        lambda: BinaryCrossEntropy(class_weights=[1, 2, 3]),
        ValueError,
        ["BinaryCrossEntropy", "are two"],
    ),
    "dtype": (lambda: net(dtype=int), ValueError, ["dtype", "float type", "int"]),
}


@pytest.mark.parametrize("name", BUILDING)
def test_building(name):
    act, kind, parts = BUILDING[name]
    refused(act, kind, *parts)


def test_a_layer_belongs_to_one_model():
    layer, cost = Linear(2, 2), MeanSquaredError()
    Model([layer], cost)
    refused(
        lambda: Model([ReLU(), layer], MeanSquaredError()),
        ValueError,
        "Linear(2, 2)",
        "belongs to another model",
        "copy.deepcopy",
    )
    refused(lambda: Model([ReLU()], cost), ValueError, "MeanSquaredError()", "another model")


@pytest.mark.parametrize(
    "fail",
    [
        lambda layer: Model([layer, Linear(2, 2, initializer="hee")], MeanSquaredError()),
        lambda layer: Model([layer, layer], MeanSquaredError()),
        lambda layer: Model([layer], MeanSquaredError),
        lambda layer: Model([layer], MeanSquaredError(), dtype=int),
        lambda layer: Model([layer], MeanSquaredError(), seed="x"),
    ],
)
def test_a_model_that_was_not_built_keeps_no_layer(fail):
    """After the mistake is put right, the same layers may be used."""
    layer = Linear(2, 2)
    with pytest.raises((TypeError, ValueError)):
        fail(layer)
    Model([layer], MeanSquaredError())


def test_a_loss_that_failed_leaves_no_way_back(rng):
    """Else the layers of the second mini-batch would meet the targets of the first."""
    model = net()
    model.loss(X, [0, 1, 2, 0, 1, 2])
    with pytest.raises(ValueError, match="0 to 2"):
        model.loss(2 * X, [0, 1, 2, 0, 1, 3])
    with pytest.raises(RuntimeError, match="nothing to work from"):
        model.backward()


def test_a_forward_in_between_leaves_no_way_back(rng):
    model = net()
    model.loss(X, [0, 1, 2, 0, 1, 2])
    model.forward(2 * X)
    with pytest.raises(RuntimeError, match="nothing to work from"):
        model.backward()


def test_the_message_of_a_backward_without_forward():
    for act in (
        lambda: Linear(2, 3).backward(np.ones((1, 3))),
        lambda: Linear(2, 3).backward_parameters(np.ones((1, 3))),
    ):
        refused(act, RuntimeError, "Linear(2, 3)", "backward()", "forward()", "training mode")
    refused(lambda: net().backward(), RuntimeError, "SoftmaxCrossEntropy()", "training mode")


def test_the_mean_of_no_loss():
    refused(lambda: MeanSquaredError().mean(), RuntimeError, "MeanSquaredError()", "forward()")


@pytest.mark.parametrize("name", ["predict_proba", "predict_classes"])
def test_no_classes(name):
    model = Model([Linear(4, 1)], MeanSquaredError())
    refused(
        lambda: getattr(model, name)(X), TypeError, "MeanSquaredError()", "no classes", "predict()"
    )


def test_layers_half_written():
    class Half(Layer):
        pass

    refused(lambda: Half().forward(X), NotImplementedError, "Half", "forward(x)")
    refused(lambda: Half().backward(X), NotImplementedError, "Half", "backward(grad)")


def test_whole_numbers_of_numpy_are_whole_numbers():
    sizes = np.array([4, 8])
    layer = Linear(*sizes)
    assert repr(layer) == "Linear(4, 8)"
    model = Model([layer], MeanSquaredError(), seed=np.int64(3))
    assert "seed=3" in repr(model)
    assert str(model.summary(np.int64(4))) == str(model.summary(4))
