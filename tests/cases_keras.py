"""Makes models in Keras, and saves them with an input and what they predict.

interop/test_keras.py runs it: python cases_keras.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np

IMAGES, STEPS, VECTORS = (7, 6, 2), (9, 4), (5,)

# Name, layers, shape of a sample.
CASES = [
    ("dense", "L.Dense(3), L.Dense(2, use_bias=False)", VECTORS),
    ("dense-steps", "L.Dense(3)", STEPS),
    *((f"activation-{name}", f"L.Dense(4, activation='{name}')", VECTORS)
      for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax", "elu", "gelu", "silu",
                   "softplus", "leaky_relu", "linear")),
    ("activations", "L.Activation('tanh'), L.ReLU(), L.ELU(0.7), L.LeakyReLU(negative_slope=0.3), "
     "L.Softmax()", STEPS),
    ("relu-slope", "L.ReLU(negative_slope=0.2)", VECTORS),
    ("activation-layer", "L.Dense(3, activation=L.LeakyReLU(negative_slope=0.4))", VECTORS),
    ("conv2d", "L.Conv2D(3, 3), L.Conv2D(4, (2, 3), activation='relu', use_bias=False)", IMAGES),
    ("conv2d-same", "L.Conv2D(3, (4, 3), padding='same')", IMAGES),
    ("conv2d-same-stride", "L.Conv2D(3, 3, strides=2, padding='same')", IMAGES),
    ("conv2d-same-stride-3", "L.Conv2D(3, (2, 4), strides=3, padding='same')", IMAGES),
    ("conv2d-dilation", "L.Conv2D(4, 2, dilation_rate=(2, 1), groups=2)", IMAGES),
    ("conv1d", "L.Conv1D(3, 3, strides=2), L.Conv1D(2, 4, padding='same')", STEPS),
    ("conv1d-same-stride", "L.Conv1D(3, 4, strides=2, padding='same')", STEPS),
    ("transposed", "L.Conv2DTranspose(3, 3)", IMAGES),
    ("transposed-stride", "L.Conv2DTranspose(3, 3, strides=2)", IMAGES),
    ("transposed-gaps", "L.Conv2DTranspose(3, 1, strides=(2, 3))", IMAGES),
    ("transposed-same", "L.Conv2DTranspose(3, 4, strides=2, padding='same')", IMAGES),
    ("transposed-same-1", "L.Conv2DTranspose(3, 3, padding='same')", IMAGES),
    ("max-pool", "L.MaxPooling2D(), L.MaxPooling2D((2, 1), strides=1)", IMAGES),
    ("max-pool-same", "L.MaxPooling2D(3, strides=2, padding='same')", (7, 5, 2)),
    ("max-pool-same-fits", "L.Conv2D(2, 2), L.MaxPooling2D(2, padding='same')", (7, 5, 2)),
    ("max-pool-1d", "L.MaxPooling1D(3, strides=2)", STEPS),
    ("average-pool", "L.AveragePooling2D((2, 3), strides=(1, 2))", IMAGES),
    ("average-pool-same", "L.AveragePooling2D(3, strides=2, padding='same')", (7, 5, 2)),
    ("average-pool-1d", "L.AveragePooling1D(2)", STEPS),
    ("global", "L.GlobalAveragePooling2D()", IMAGES),
    ("global-1d", "L.GlobalAveragePooling1D()", STEPS),
    ("batch-norm", "L.BatchNormalization(), L.BatchNormalization(epsilon=0.1)", IMAGES),
    ("batch-norm-scale", "L.BatchNormalization(center=False)", VECTORS),
    ("batch-norm-center", "L.BatchNormalization(scale=False)", VECTORS),
    ("batch-norm-plain", "L.BatchNormalization(scale=False, center=False)", VECTORS),
    ("layer-norm", "L.LayerNormalization(), L.LayerNormalization(center=False)", STEPS),
    ("layer-norm-center", "L.LayerNormalization(scale=False)", STEPS),
    ("rms-norm", "L.RMSNormalization()", STEPS),
    ("group-norm", "L.GroupNormalization(2), L.GroupNormalization(-1, scale=False)", STEPS),
    ("dropout", "L.Dropout(0.3), L.Dense(2), L.Dropout(0.5)", VECTORS),
    ("dropout-channels", "L.SpatialDropout2D(0.3)", IMAGES),
    ("dropout-channels-1d", "L.SpatialDropout1D(0.3)", STEPS),
    ("flatten", "L.Conv2D(3, 2), L.Flatten(), L.Dense(2)", IMAGES),
    ("reshape", "L.Reshape((2, 18)), L.Reshape((-1, 6)), L.Permute((2, 1))", STEPS),
    ("embedding", "L.Embedding(9, 3), L.Flatten()", (5,)),
    ("rnn", "L.SimpleRNN(3, return_sequences=True), L.SimpleRNN(2, activation='relu')", STEPS),
    ("gru", "L.GRU(3, return_sequences=True), L.GRU(2, use_bias=False)", STEPS),
    ("lstm", "L.LSTM(3, return_sequences=True), L.LSTM(2, use_bias=False, dropout=0.2)", STEPS),
    ("both-ways", "L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2))",
     STEPS),
    ("distributed", "L.TimeDistributed(L.Dense(3, activation='relu'))", STEPS),
    ("eleven", "*[L.Dense(3) for _ in range(12)]", VECTORS),
    ("nested", "K.Sequential([L.Dense(3), L.Dense(4)]), K.Sequential([L.Dense(2)]), L.Dense(1)",
     VECTORS),
    ("identity", "L.Identity(), L.Dense(2, name='my own name')", VECTORS),
    ("float64", "L.Dense(2, dtype='float64')", VECTORS),
    ("mixed", "L.Dense(2, dtype='mixed_bfloat16', activation='softmax')", VECTORS),
]  # fmt: skip

# What is refused: name, layers, shape, and words of the error.
REFUSED = [
    ("several", "L.Lambda(lambda x: x), L.Conv2D(1, 1), L.UpSampling2D(), L.ZeroPadding2D()",
     IMAGES,
     r"Lambda: it holds Python code.*UpSampling2D: there is no such.*ZeroPadding2D"),
    ("pool-odd", "L.MaxPooling2D(2, padding='same')", (7, 6, 2), "one side of the length 7 more"),
    ("channels", "L.MaxPooling2D(2, data_format='channels_first')", IMAGES, "data_format"),
    ("causal", "L.Conv1D(2, 3, padding='causal')", STEPS, "padding='causal'"),
    ("after", "L.GRU(2, reset_after=False)", STEPS, "reset_after=False"),
    ("hard", "L.LSTM(2, recurrent_activation='hard_sigmoid')", STEPS, "recurrent_activation"),
    ("mask", "L.Embedding(4, 2, mask_zero=True), L.LSTM(2)", (5,), "mask_zero=True"),
    ("sum", "L.Bidirectional(L.LSTM(2), merge_mode='sum')", STEPS, "merge_mode='sum'"),
    ("axis", "L.BatchNormalization(axis=1)", STEPS, "axis 1|axis .1"),
    ("most", "L.ReLU(max_value=6)", VECTORS, "max_value=6"),
    ("activation", "L.Dense(2, activation='hard_sigmoid')", VECTORS, "'hard_sigmoid' is none"),
    ("backwards", "L.LSTM(2, go_backwards=True)", STEPS, "go_backwards"),
    ("kept", "L.GlobalAveragePooling1D(keepdims=True)", STEPS, "keepdims"),
    ("own", "Own()", VECTORS, "class of its author's own"),
    ("own-activation", "L.Dense(2, activation=own)", VECTORS, "is none of ours"),
]  # fmt: skip


def main(folder: Path) -> None:
    import keras as K  # noqa: N812  # the cases are long enough
    from keras import layers as L  # noqa: N812  # as above

    class Own(L.Layer):
        def call(self, x):
            return x

    def own(x):
        return x

    space = {"K": K, "L": L, "Own": Own, "own": own}
    rng = np.random.default_rng(7)
    for name, code, shape, *_ in CASES + REFUSED:
        K.utils.set_random_seed(3)
        model = K.Sequential([K.Input(shape), *eval(f"[{code}]", space)])
        for array in model.weights:
            if "seed" not in array.path:
                array.assign(array + 0.1 * rng.random(array.shape))
        save(folder, name, model, rng)
    functional(folder, K, L, rng)


def save(folder, name, model, rng):
    shape = (3, *model.input_shape[1:])
    first = type(model.layers[0]).__name__
    x = rng.integers(0, 9, shape) if first == "Embedding" else rng.standard_normal(shape)
    x = x if first == "Embedding" else x.astype(np.float32)
    model.save(folder / f"{name}.keras")
    model.save_weights(folder / f"{name}.weights.h5")
    if not name.startswith("branch"):
        y = model(x % 4 if name == "mask" else x, training=False).detach().double().numpy()
        np.savez(folder / f"{name}.npz", x=x, y=y)


def functional(folder, K, L, rng):
    x = K.Input((6, 5, 2))
    y = L.Dense(3)(L.Flatten()(L.Conv2D(2, 3, activation="relu")(x)))
    model = K.Model(x, y)
    model.compile(loss=K.losses.SparseCategoricalCrossentropy(from_logits=True))
    save(folder, "chain", model, rng)
    y = L.Add()([L.Dense(3)(x), L.Dense(3)(x)])
    save(folder, "branch", K.Model(x, y), rng)
    y = L.Dense(3)(x)
    save(folder, "branch-inside", K.Model(x, L.Add()([y, L.Dense(3)(y)])), rng)
    save(folder, "branch-ends", K.Model(x, [y, L.Dense(2)(y)]), rng)
    model = K.Sequential([K.Input((4,)), L.Dense(3, activation="softmax")])
    for name, loss in [
        ("loss-classes", "sparse_categorical_crossentropy"), ("loss-squares", "mse"),
        ("loss-none", None), ("loss-absolute", "mean_absolute_error"),
        ("loss-binary", K.losses.BinaryCrossentropy(from_logits=True)),
        ("loss-mae", "mae"), ("loss-huber", K.losses.Huber()), ("loss-short", "huber"),
        ("loss-smooth", K.losses.CategoricalCrossentropy(label_smoothing=0.2)),
        ("loss-class", "MeanAbsoluteError"), ("loss-other", "kl_divergence"),
    ]:  # fmt: skip
        if loss is not None:
            model.compile(loss=loss)
        save(folder, name, model, rng)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
