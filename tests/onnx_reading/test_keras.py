"""Keras's nets, exported by Keras itself with PyTorch beneath it."""

import os

import numpy as np
import pytest

from onnx_reading.exported import assert_same, assert_trains, loaded, quiet

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported
torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
L = keras.layers

if keras.backend.backend() != "torch":
    pytest.skip("Keras has another backend here", allow_module_level=True)

NETS = {
    "dense": [L.Input((4,)), L.Dense(8, activation="relu"), L.Dropout(0.3),
              L.Dense(3, activation="softmax")],
    "images": [L.Input((16, 16, 3)), L.Conv2D(8, 3, padding="same", activation="relu"),
               L.BatchNormalization(), L.MaxPooling2D((2, 2)),
               L.Conv2D(8, 3, strides=2, padding="same"), L.Flatten(), L.Dense(5)],
    "separable": [L.Input((16, 16, 3)), L.SeparableConv2D(8, 3, padding="same"),
                  L.BatchNormalization(), L.Activation("swish"), L.AveragePooling2D((2, 2)),
                  L.Flatten(), L.Dense(1, activation="sigmoid")],
    "pooled": [L.Input((12, 12, 3)), L.Conv2D(8, 3), L.LeakyReLU(), L.GlobalAveragePooling2D(),
               L.Dense(3, activation="elu")],
    "causal": [L.Input((12, 3)), L.Conv1D(8, 3, padding="causal", activation="relu"),
               L.MaxPooling1D(2), L.Flatten(), L.Dense(2, activation="softmax")],
    "words": [L.Input((7,), dtype="int32"), L.Embedding(10, 4), L.GlobalAveragePooling1D(),
              L.Dense(2)],
    "lstm": [L.Input((4, 3)), L.LSTM(5), L.Dense(3)],
    "gru": [L.Input((4, 3)), L.GRU(5, return_sequences=True), L.Dense(2)],
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_same_numbers_and_trains_on(name, tmp_path):
    keras.utils.set_random_seed(0)
    net = keras.Sequential(NETS[name])
    rng = np.random.default_rng(0)
    shape = (3, *net.input_shape[1:])
    words = name == "words"
    x = rng.integers(0, 10, shape, np.int32) if words else rng.standard_normal(shape, np.float32)
    with torch.no_grad():
        wanted = quiet(net, x).numpy()
    path = tmp_path / "net.onnx"
    quiet(net.export, str(path), format="onnx", verbose=False)
    model = loaded(path)
    assert_same(model, path, x)
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-5, atol=1e-5)
    assert "Transpose" not in repr(model) or name == "gru"  # Keras has the channels last, as we do
    assert_trains(model, x)
