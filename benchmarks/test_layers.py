"""Each layer's forward and backward alone, inside a model's buffers.

Run: pytest benchmarks/test_layers.py -p no:cacheprovider -o addopts= --benchmark-group-by=func
"""

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("pytest_benchmark", reason="make bench installs it")

ROWS = (64, 512)
LAYERS = [
    (cr.Linear(512, 512), ROWS),
    (cr.ReLU(), ROWS),
    (cr.LeakyReLU(), ROWS),
    (cr.ELU(), ROWS),
    (cr.GELU(), ROWS),
    (cr.GELU("tanh"), ROWS),
    (cr.SiLU(), ROWS),
    (cr.Softplus(), ROWS),
    (cr.Sigmoid(), ROWS),
    (cr.Tanh(), ROWS),
    (cr.Dropout(0.5), ROWS),
    (cr.Softmax(), (64, 10)),
    (cr.LogSoftmax(), (64, 10)),
    (cr.Residual([cr.ReLU()]), ROWS),
]
each = pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[repr(each) for each, _ in LAYERS])


def ready(layer, shape):
    cr.Model([layer], cr.MeanSquaredError()) if layer._buffers is None else None
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return x, layer.forward(x)


@each
def test_forward(benchmark, layer, shape):
    x, _ = ready(layer, shape)
    benchmark(layer.forward, x)


@each
def test_backward(benchmark, layer, shape):
    _, y = ready(layer, shape)
    grad = np.random.default_rng(1).standard_normal(y.shape, dtype=np.float32)
    benchmark(layer.backward, grad)
