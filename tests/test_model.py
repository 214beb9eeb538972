"""The model: flat vectors, modes, answers, copies, description."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from cases import LAYERS, LOSSES
from chainrule import *


def net(seed=0, **options):
    return Model(
        [Linear(6, 8), ReLU(), Dropout(0.2), Residual([Linear(8, 8), Tanh()]), Linear(8, 3)],
        SoftmaxCrossEntropy(),
        seed=seed,
        **options,
    )


@pytest.fixture
def batch(rng):
    return rng.standard_normal((7, 6)), rng.integers(0, 3, 7)


def step(model, batch):
    losses = model.loss(*batch)
    model.backward()
    return losses


def test_layers_are_views_of_the_flat_vectors(batch):
    model = net()
    step(model, batch)
    for _, array in model.named_parameters():
        assert array.base is model.parameters
    flat = np.concatenate([array.ravel() for _, array in model.named_parameters()])
    np.testing.assert_array_equal(flat, model.parameters)
    first = model.layers[0]
    np.testing.assert_array_equal(first.grad_w.ravel(), model.gradients[: first.grad_w.size])
    model.parameters -= model.parameters
    assert not first.weights.any()
    model.parameters = np.ones_like(model.parameters)
    assert (first.weights == 1).all()
    with pytest.raises(ValueError, match="must have shape"):
        model.parameters = np.ones(3)


def test_names_of_parameters():
    names = [name for name, _ in net().named_parameters()]
    assert names == [
        "0.weights", "0.biases", "3.inner.0.weights", "3.inner.0.biases", "4.weights", "4.biases",
    ]  # fmt: skip


def test_what_a_model_returns_stays(batch, rng):
    model = net()
    x, y = batch
    results = [
        model.forward(x),
        model.loss(x, y),
        model.predict(x),
        model.predict_proba(x),
        model.predict_classes(x),
        model.input_gradient(x, y),
    ]
    copies = [result.copy() for result in results]
    for _ in range(2):
        other = rng.standard_normal(x.shape), rng.integers(0, 3, len(x))
        step(model, other)
        model.forward(other[0])
        model.predict(other[0])
        model.predict_proba(other[0])
        model.input_gradient(*other)
    for result, before in zip(results, copies, strict=True):
        np.testing.assert_array_equal(result, before)


def test_a_result_is_never_the_input():
    model = Model([Flatten()], MeanSquaredError())
    x = np.ones((2, 3), np.float32)
    result = model.predict(x)
    x[:] = 5
    assert (result == 1).all()


def test_buffers_are_reused_inside_a_model(batch):
    model = net()
    step(model, batch)
    held = model.layers[0].buffer("y", (7, 8))
    step(model, batch)
    assert model.layers[0].buffer("y", (7, 8)) is held


@given(st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_predictions_do_not_depend_on_the_batch_size(samples, batch_size):
    x = np.random.default_rng(samples).standard_normal((samples, 6))
    model = net(dtype="float64")
    whole = model.predict(x)
    np.testing.assert_allclose(model.predict(x, batch_size=batch_size), whole, rtol=1e-12)


def test_no_samples_give_no_predictions():
    assert net().predict(np.empty((0, 6))).shape == (0, 3)
    assert net().predict_classes(np.empty((0, 6))).shape == (0,)


def test_prediction_does_not_drop_out_and_restores_the_mode(batch):
    model = net()
    np.testing.assert_array_equal(model.predict(batch[0]), model.predict(batch[0]))
    assert model.training
    model.training = False
    model.predict(batch[0])
    assert not model.training
    with pytest.raises(ValueError, match="last axis"):
        model.predict(np.ones((2, 5)))
    model.training = True
    with pytest.raises(ValueError, match="last axis"):
        model.predict(np.ones((2, 5)))
    assert model.training


def test_backward_needs_a_loss_just_before(batch):
    model = net()
    with pytest.raises(RuntimeError, match="training mode"):
        model.backward()
    model.loss(*batch)
    model.predict(batch[0])
    with pytest.raises(RuntimeError, match="predicting in between"):
        model.backward()


def test_input_gradient_is_the_derivative_and_leaves_no_trace(batch):
    model = net(dtype="float64")
    x, y = batch
    step(model, batch)
    gradients = model.gradients.copy()
    found = model.input_gradient(x, y)
    np.testing.assert_array_equal(model.gradients, gradients)
    assert model.training
    model.training = False
    h = 1e-5
    for index in [(0, 0), (3, 2), (6, 5)]:
        moved = x.copy()
        moved[index] += h
        above = model.loss(moved, y).mean()
        moved[index] -= 2 * h
        numerical = (above - model.loss(moved, y).mean()) / (2 * h)
        assert found[index] == pytest.approx(numerical, rel=1e-6)


def test_probabilities_by_loss(rng):
    z = rng.standard_normal((4, 3)).astype(np.float32)
    logits = Model([Flatten()], SoftmaxCrossEntropy())
    np.testing.assert_allclose(logits.predict_proba(z).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(logits.predict_classes(z), z.argmax(axis=1))
    binary = Model([Flatten()], BinaryCrossEntropy())
    np.testing.assert_allclose(binary.predict_proba(z), 1 / (1 + np.exp(-z)), rtol=1e-6)
    np.testing.assert_array_equal(binary.predict_classes(z), z > 0)
    assert binary.predict_classes(z[:, :1]).shape == (4,)
    plain = Model([Softmax()], CrossEntropy())
    np.testing.assert_array_equal(plain.predict_proba(z), plain.predict(z))
    for method in ("predict_proba", "predict_classes"):
        with pytest.raises(TypeError, match="no classes"):
            getattr(Model([Flatten()], MeanSquaredError()), method)(z)


def test_seeds(batch):
    first, same, other = net(3), net(3), net(4)
    np.testing.assert_array_equal(first.parameters, same.parameters)
    assert not np.array_equal(first.parameters, other.parameters)
    for _ in range(3):
        np.testing.assert_array_equal(step(first, batch), step(same, batch))
    np.testing.assert_array_equal(first.gradients, same.gradients)


def test_the_seed_holds_across_processes():
    code = (
        "import numpy as np\nfrom chainrule import *\n"
        "x = np.linspace(-1, 1, 40).reshape(8, 5)\n"
        "n = Model([Linear(5, 9), Dropout(), Linear(9, 2)], SoftmaxCrossEntropy(), seed=5)\n"
        "train(n, 0.1, 3, (x, np.arange(8) % 2), verbose=False)\n"
        "print(n.parameters.tobytes().hex())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


def test_the_same_seed_gives_the_same_net_in_every_type():
    np.testing.assert_array_equal(
        net(dtype="float64").parameters.astype(np.float32), net().parameters
    )


def test_float32_throughout(batch):
    model = net()
    x, y = batch
    assert step(model, batch).dtype == np.float32
    for array in (model.parameters, model.gradients, model.forward(x), model.predict_proba(x)):
        assert array.dtype == np.float32
    assert model.input_gradient(x, y).dtype == np.float32


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(twin, batch):
    model = net()
    step(model, batch)
    other = twin(model)
    np.testing.assert_array_equal(model.parameters, other.parameters)
    np.testing.assert_array_equal(model.gradients, other.gradients)
    assert other.layers[0].weights.base is other.parameters
    np.testing.assert_array_equal(step(model, batch), step(other, batch))
    other.parameters += 1
    assert not np.array_equal(model.parameters, other.parameters)
    assert not np.shares_memory(model.parameters, other.parameters)


def test_a_pickle_holds_no_mini_batch(rng):
    model = net()
    small = len(pickle.dumps(model))
    step(model, (rng.standard_normal((5000, 6)), rng.integers(0, 3, 5000)))
    assert len(pickle.dumps(model)) < small + 5000


def test_a_layer_copied_out_of_a_model_stands_alone(batch):
    model = net()
    layer = copy.deepcopy(model.layers[0])
    first = layer.forward(batch[0].astype(np.float32))
    before = first.copy()
    layer.forward(np.zeros((7, 6), np.float32))
    np.testing.assert_array_equal(first, before)
    layer.weights[...] = 0
    assert model.layers[0].weights.any()


def test_astype_leaves_the_model_as_it_was(batch):
    model = net()
    wide = model.astype(np.float64)
    assert wide.parameters.dtype == np.float64
    assert model.parameters.dtype == np.float32
    np.testing.assert_allclose(wide.predict(batch[0]), model.predict(batch[0]), atol=1e-5)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_the_repr_of_a_layer_builds_it(case):
    layer = case.build()
    assert repr(eval(repr(layer), vars(chainrule))) == repr(layer)


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_the_repr_of_a_loss_builds_it(case):
    loss = case.build()
    assert repr(eval(repr(loss), vars(chainrule))) == repr(loss)


def test_the_repr_of_a_model_builds_it(batch):
    assert repr(Model([ReLU()], Huber())) == "Model([\n    ReLU(),\n], Huber())"
    model = net(seed=11, dtype=np.float64)
    same = eval(repr(model), vars(chainrule))
    assert repr(same) == repr(model)
    np.testing.assert_array_equal(same.predict(batch[0]), model.predict(batch[0]))


@pytest.mark.parametrize("shape", [-4, 0, "ab", (None,), (2.5,), 3.5])
def test_shapes_of_a_sample_that_make_no_sense(shape):
    net = Model([Linear(4, 2)], MeanSquaredError())
    for look in (net.summary, net.outline):
        with pytest.raises(ValueError, match="the shape of one sample: whole numbers, at least 1"):
            look(shape)


def test_summary():
    lines = str(net().summary(6)).splitlines()
    assert lines[2].split() == ["Linear(6,", "8)", "(8,)", "56"]
    assert lines[-1].split() == ["total", "155"]
    assert net().summary((6,)) == net().summary(6)
    with pytest.raises(ValueError, match="last axis"):
        net().summary(5)


def test_layers_that_were_set_keep_their_values():
    layer = Linear(2, 2)
    layer.weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    model = Model([layer], MeanSquaredError())
    np.testing.assert_array_equal(model.parameters, [1, 2, 3, 4, 0, 0])


def test_refusals():
    layer = Linear(2, 2)
    shared = ReLU()
    cost = MeanSquaredError()
    for make, kind, words in [
        (lambda: Model([layer, layer], cost), ValueError, "appears twice"),
        (lambda: Model([Linear(2, 2), shared, Sequential([shared])], cost), ValueError, "twice"),
        (lambda: Model([ReLU], cost), TypeError, r"Write ReLU\(\)"),
        (lambda: Model([ReLU(), "tanh"], cost), TypeError, "layer 1 is 'tanh'"),
        (lambda: Model([], cost), ValueError, "at least one layer"),
        (lambda: Model(ReLU(), cost), TypeError, "list of layers"),
        (lambda: Model([ReLU()], CrossEntropy), TypeError, r"Write CrossEntropy\(\)"),
        (lambda: Model([ReLU()], ReLU()), TypeError, "must be a chainrule.Loss"),
        (lambda: Model([ReLU()], cost, dtype=int), ValueError, "float type"),
    ]:
        with pytest.raises(kind, match=words):
            make()
    inside = Linear(2, 2)
    Model([inside], MeanSquaredError())
    with pytest.raises(ValueError, match="belongs to another model"):
        Model([inside], MeanSquaredError())
    Model([copy.deepcopy(inside)], MeanSquaredError())


@pytest.mark.parametrize("x", [[["a"]], [[1], [2, 3]], 3.0, [[None]]])
def test_inputs_that_are_no_numbers(x):
    with pytest.raises(ValueError, match="Model: the inputs"):
        net().predict(x)


def test_images_and_integers_are_taken(rng):
    model = Model([Flatten(), Linear(16, 2)], SoftmaxCrossEntropy())
    images = rng.integers(0, 255, (5, 4, 4), dtype=np.uint8)
    np.testing.assert_allclose(
        model.predict(images), model.predict(images.astype(np.float32)), rtol=1e-6
    )


def test_the_first_layer_is_not_asked_for_its_input_gradient(batch):
    class Counting(Linear):
        def backward(self, grad):
            raise AssertionError("nobody needs the gradient of the data")

    model = Model([Flatten(), Counting(6, 3)], SoftmaxCrossEntropy())
    step(model, batch)
    assert model.gradients.any()
