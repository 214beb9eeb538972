"""The state of layers: saved, loaded, copied, restored with the parameters, but never trained."""

import copy
import json
import pickle
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

import chainrule as cr


class Centred(cr.Layer):
    """Takes off the mean of all inputs that it has seen in training."""

    persistent = ("mean", "seen")

    def __init__(self, n):
        self.n = n
        self.mean = np.zeros(n)
        self.seen = np.zeros(())

    def forward(self, x):
        if self.training:
            self.seen = self.seen + len(x)
            self.mean = self.mean + (x - self.mean).sum(axis=0) / self.seen
        return x - self.mean

    def backward(self, grad):
        return grad


class Late(Centred):
    """The same, but it knows its shapes before its arrays are there."""

    def __init__(self, n):
        self.n = n

    def state_shapes(self):
        return {"mean": (self.n,), "seen": ()}

    def initialize(self, rng):
        self.mean = np.zeros(self.n)
        self.seen = np.zeros(())


each_class = pytest.mark.parametrize("cls", [Centred, Late])


def net(cls=Centred, **options):
    return cr.Model(
        [cls(3), cr.Residual([cr.Linear(3, 3), cls(3)]), cr.Linear(3, 2)],
        cr.SoftmaxCrossEntropy(),
        **options,
    )


def trained(cls=Centred, **options):
    model = net(cls, **options)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((8, 3)) + 5, rng.integers(0, 2, 8)
    cr.train(model, 0.1, 3, [(x[:5], y[:5]), (x[5:], y[5:])], verbose=False)
    return model


def state(model):
    return {name: array.copy() for name, array in model.named_state()}


def assert_same_state(model, other):
    assert dict(model.named_state()).keys() == dict(other.named_state()).keys()
    for name, array in model.named_state():
        np.testing.assert_array_equal(array, dict(other.named_state())[name])


@each_class
def test_names_and_the_flat_vector(cls):
    model = trained(cls)
    names = ["0.mean", "0.seen", "1.inner.1.mean", "1.inner.1.seen"]
    assert [name for name, _ in model.named_state()] == names
    assert not any("mean" in name for name, _ in model.named_parameters())
    assert model.parameters.size == 12 + 8
    assert model.layers[0].seen == 24
    assert all(array.dtype == np.float32 for _, array in model.named_state())
    assert (model.layers[0].mean > 4).all()


@each_class
def test_predicting_and_input_gradients_leave_it(cls, rng):
    model = trained(cls)
    before = state(model)
    x = rng.standard_normal((4, 3))
    model.predict(x)
    model.input_gradient(x, [0, 1, 0, 1])
    model.summary(3)
    cr.evaluate(model, (x, np.array([0, 1, 0, 1])))
    assert cr.check_gradients(model, x, np.array([0, 1, 0, 1])) is not None
    for name, array in model.named_state():
        np.testing.assert_array_equal(array, before[name])


@each_class
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_saved_and_loaded(cls, dtype, tmp_path, rng):
    model = trained(cls, dtype=dtype)
    model.save(tmp_path / "net.safetensors")
    other = cr.load(tmp_path / "net.safetensors", classes=[cls])
    assert_same_state(model, other)
    own = "float32" if dtype == "float16" else dtype  # averages of half precision stall
    assert all(array.dtype == own for _, array in other.named_state())
    x = rng.standard_normal((4, 3))
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


@each_class
@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_copies_are_their_own(cls, twin, rng):
    model = trained(cls)
    other = twin(model)
    assert_same_state(model, other)
    before = state(model)
    other.loss(rng.standard_normal((4, 3)), [0, 1, 0, 1])
    assert other.layers[0].seen == 28
    for name, array in model.named_state():
        np.testing.assert_array_equal(array, before[name])


@each_class
def test_astype(cls):
    model = trained(cls)
    for thing in (model, model.layers[1]):
        wide = thing.astype("float64")
        for (name, array), (_, held) in zip(wide.named_state(), thing.named_state(), strict=True):
            assert array.dtype == np.float64, name
            assert held.dtype == np.float32
            np.testing.assert_array_equal(array, held)


@each_class
def test_what_was_set_before_the_model_stays(cls):
    layer = cls(3)
    layer.mean = [1.0, 2.0, 3.0]
    model = cr.Model([layer], cr.MeanSquaredError(), dtype="float64")
    assert model.layers[0].mean.tolist() == [1, 2, 3]
    assert model.layers[0].mean.dtype == np.float64
    assert model.layers[0].seen == 0


@each_class
def test_another_shape_is_refused(cls):
    layer = cls(3)
    assert layer.mean.shape == (3,)
    with pytest.raises(ValueError, match=r"\(3\): mean must have shape \(3,\), got \(2,\)"):
        layer.mean = np.zeros(2)


def test_the_best_state_comes_back_with_the_best_parameters(rng):
    """The second epoch is the best; the state of the third would not fit its parameters."""
    model, best = net(), cr.KeepBest()
    run, states = SimpleNamespace(model=model, history={"validation_accuracy": []}), []
    best.on_train_begin(run)
    for epoch, accuracy in enumerate([0.0, 1.0, 0.5], start=1):
        model.loss(rng.standard_normal((8, 3)), [0, 1] * 4)
        states.append(state(model))
        run.epoch = epoch
        run.history["validation_accuracy"].append(accuracy)
        best.on_epoch_end(run)
    best.on_train_end(run)
    assert best.epoch == 2
    assert model.layers[0].seen == 16
    for name, array in model.named_state():
        np.testing.assert_array_equal(array, states[1][name])


# -- files that do not fit ------------------------------------------------------------------------


def rewritten(path, change):
    """Change names, shapes and places in the header of a saved model."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    new = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])


@each_class
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h.update({"0.other": h.pop("0.mean")}), r"the state 0\.mean of .* is missing"),
        (lambda h: h["0.mean"].update(shape=[1, 3]), r"0\.mean has shape \(1, 3\).*needs \(3,\)"),
        (lambda h: h["0.mean"].update(dtype="I32"), r"0\.mean holds int32, no floats"),
    ],
)
def test_files_that_do_not_fit(cls, change, words, tmp_path):
    path = tmp_path / "net.safetensors"
    trained(cls).save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=words):
        cr.load(path, classes=[cls])


def test_state_that_the_net_does_not_have(tmp_path):
    path = tmp_path / "net.safetensors"
    trained().save(path)

    class Centred(cr.Layer):
        """Of that name, but without the state, as an older version of it."""

        def __init__(self, n):
            self.n = n

    with pytest.raises(ValueError, match=r"no parameter 0\.mean, 0\.seen, 1\.inner\.1\.mean"):
        cr.load(path, classes=[Centred])


def test_a_net_without_state_is_saved_as_ever(tmp_path):
    path = tmp_path / "net.safetensors"
    model = cr.Model([cr.Linear(2, 3)], cr.MeanSquaredError())
    model.save(path)
    assert sorted(load_file(path)) == ["0.biases", "0.weights"]
    assert list(cr.load(path).named_state()) == []


def test_a_hidden_state_of_ones_own_is_no_such_state():
    """Recurrent layers call an attribute so."""

    class Recurrent(cr.Layer):
        keeps = ("state",)

        def forward(self, x):
            self.state = x
            return x

    layer = Recurrent()
    layer.forward(np.ones((2, 2)))
    assert list(layer.named_state()) == []
