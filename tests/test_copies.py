"""Copies of models and layers: equal, independent, and small."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from cases import LAYERS, LOSSES, layer_input
from chainrule import *

by_name = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
loss_by_name = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)


def through_pickle(thing):
    return pickle.loads(pickle.dumps(thing))


every_copy = pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, through_pickle])


def net(**options):
    return Model(
        [Linear(4, 6), Dropout(0.3), Residual([Linear(6, 6), Tanh()]), Linear(6, 2)],
        SoftmaxCrossEntropy(class_weights=[1, 2]),
        **options,
    )


def step(model, rng):
    losses = model.loss(rng.standard_normal((5, 4)), rng.integers(0, 2, 5))
    model.backward()
    return losses


def assert_in_one_piece(model):
    """The layers' arrays are views of the model's own vectors, one after the other."""
    start = 0
    for _, array in model.named_parameters():
        assert array.base is model.parameters
        np.testing.assert_array_equal(array.ravel(), model.parameters[start : start + array.size])
        start += array.size
    assert start == model.parameters.size
    for part in model._net.walk():
        for name, gradient in part.parameters.items():
            if name in part.parameter_shapes():
                assert getattr(part, gradient).base is model.gradients


@every_copy
def test_copying_leaves_the_model_in_one_piece(twin, rng):
    model = net()
    step(model, rng)
    before = model.parameters.copy()
    other = twin(model)
    for each in (model, other):
        assert_in_one_piece(each)
        np.testing.assert_array_equal(each.parameters, before)
    model.parameters -= 1
    model.layers[0].weights -= 1
    np.testing.assert_array_equal(other.parameters, before)
    assert not np.shares_memory(model.parameters, other.parameters)
    assert_in_one_piece(model)


@every_copy
def test_a_copy_learns_as_the_first_would_have(twin):
    """The state of the dropout comes along, and is the copy's own from there on."""
    model = net(seed=3)
    step(model, np.random.default_rng(0))
    other, third = twin(model), twin(model)
    first = [step(model, np.random.default_rng(i)) for i in range(3)]
    second = [step(other, np.random.default_rng(i)) for i in range(3)]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(step(third, np.random.default_rng(0)), first[0])


@pytest.mark.parametrize("twin", [lambda m: m.astype("float32"), copy.deepcopy, through_pickle])
def test_nothing_that_changes_is_shared(twin, rng):
    model = net()
    model.metadata["note"] = ["a"]
    other = twin(model)
    other.metadata["note"].append("b")
    assert model.metadata == {"note": ["a"]}
    state = model.rng.bit_generator.state
    step(other, rng)
    assert model.rng.bit_generator.state == state
    assert other.rng is not model.rng
    assert all(part.rng is other.rng for part in other._net.walk())
    assert other.cost is not model.cost


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_astype(dtype, rng):
    model = net()
    other = model.astype(dtype)
    assert_in_one_piece(other)
    assert_in_one_piece(model)
    assert other.dtype == other.parameters.dtype == other.gradients.dtype == dtype
    assert step(other, rng).dtype == dtype
    assert f"dtype='{dtype}'" in repr(other) or dtype == "float32"
    np.testing.assert_allclose(
        other.predict(np.ones((2, 4))), model.predict(np.ones((2, 4))), rtol=1e-2, atol=1e-2
    )


@pytest.mark.parametrize("dtype", [int, "bool", complex, "S3", "object"])
def test_a_model_computes_in_floats_alone(dtype):
    with pytest.raises(ValueError, match=r"Model: dtype must be a float type, as float32, got"):
        net(dtype=dtype)
    with pytest.raises(ValueError, match="float type"):
        net().astype(dtype)


def test_no_dtype_is_not_double():
    """numpy.dtype(None) is float64: a slip that would double the memory without a word."""
    with pytest.raises((TypeError, ValueError), match="dtype"):
        net(dtype=None)


@every_copy
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_along(twin, training):
    model = net()
    model.training = training
    other = twin(model)
    assert other.training == training
    other.training = not training
    assert model.training == training


@by_name
@pytest.mark.parametrize("twin", [copy.deepcopy, through_pickle])
def test_every_layer_in_a_model(case, twin, rng):
    model = Model([case.build()], MeanSquaredError(), seed=5)
    x = layer_input(case, case.shapes[-1], rng)
    y = rng.standard_normal(model.forward(x).shape)
    model.loss(x, y)
    model.backward()
    other = twin(model)
    assert repr(other) == repr(model)
    np.testing.assert_array_equal(other.gradients, model.gradients)
    for _ in range(2):
        np.testing.assert_array_equal(other.loss(x, y), model.loss(x, y))
        other.backward()
        model.backward()
        np.testing.assert_array_equal(other.gradients, model.gradients)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


@loss_by_name
@pytest.mark.parametrize("twin", [copy.deepcopy, through_pickle])
def test_every_loss(case, twin, rng):
    loss, outputs, targets = case.build(), case.outputs(rng), case.targets(rng)
    expected = loss.forward(outputs, targets)
    other = twin(loss)
    with pytest.raises(RuntimeError, match="nothing to work from"):
        other.backward()
    np.testing.assert_array_equal(other.forward(outputs, targets), expected)


@by_name
def test_a_pickle_holds_parameters_and_no_more(case, rng):
    """Gradients with them; but neither buffers nor a mini-batch of 2000 samples."""
    model = Model([case.build()], MeanSquaredError())
    x = layer_input(case, (2000, *case.shapes[-1][1:]), rng)
    y = np.zeros_like(model.forward(x))
    model.loss(x, y)
    model.backward()
    model.predict(x)
    assert len(pickle.dumps(model)) < 2 * model.parameters.nbytes + 4000


@pytest.mark.parametrize("call", ["predict", "predict_proba", "predict_classes", "input_gradient"])
def test_a_mini_batch_dies_when_an_answer_was_asked_for(call, rng):
    """In training the last mini-batch is kept for the way back; a prediction lets go of it."""
    x = rng.standard_normal((6, 4)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 6)]
    weights = np.ones(6, np.float32)
    model = net()
    model.loss(x, y, weights)
    model.backward()
    alive = [weakref.ref(array) for array in (x, y, weights)]
    other = np.ones((3, 4), np.float32)
    getattr(model, call)(other, *([np.zeros(3, int)] if call == "input_gradient" else []))
    del x, y, weights
    gc.collect()
    assert [ref() is None for ref in alive] == [True, True, True]


def test_evaluation_lets_go_of_everything(rng):
    x, y = rng.standard_normal((6, 4)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 3]
    model = net()
    model.loss(x, y)
    alive = [weakref.ref(array) for array in (x, y)]
    evaluate(model, (np.ones((2, 4)), np.array([0, 1])))
    del x, y
    gc.collect()
    assert [ref() is None for ref in alive] == [True, True]


@pytest.mark.parametrize("options", [{"profile": True}, {"detect_anomalies": True}])
def test_a_copy_of_what_is_watched_has_its_own_methods(options, rng):
    """Made in the middle of a training that looks over the layers' shoulders."""
    copies, model, optimizer = [], net(), Adam(0.01)

    def take(run):
        if run.step == 2:
            for twin in (copy.deepcopy, through_pickle):
                copies.extend([twin(model), twin(optimizer)])
            copies.extend([model.astype("float64"), copy.copy(model.layers[0])])

    data = Batches(rng.standard_normal((20, 4)), rng.integers(0, 2, 20), 5)
    train(model, None, 1, data, optimizer=optimizer, callbacks=[Hook(on_step_end=take)],
          verbose=False, **options)  # fmt: skip
    for one in copies:
        for part in (one, *(one._functions() if isinstance(one, Model) else ())):
            methods = [name for name in vars(part) if callable(getattr(type(part), name, None))]
            assert [name for name in methods if callable(vars(part)[name])] == []
