"""Each row of tests/cases.py: ONNX's checker passes the graph, onnxruntime gives our outputs."""

import numpy as np
import pytest

import chainrule as cr
from cases import LAYERS, drawn, layer_input

pytest.importorskip("onnx", reason="needs the extra: pip install 'chainrule[onnx]'")
pytest.importorskip("onnxruntime")

# Each row with each of its shapes; with the channels first too, where there are places.
EACH = [
    pytest.param(case, shape, first, id=f"{case.name}-{'x'.join(map(str, shape))}-{order}")
    for case in LAYERS
    for shape in case.shapes
    for first, order in ((False, "last"), (True, "first"))
    if len(shape) > 2 or not first
]


def model_of(case, dtype):
    model = cr.Model([drawn(case, dtype)], cr.MeanSquaredError(), dtype=dtype)
    rng = np.random.default_rng(3)
    for _, array in model.named_state():
        array[...] = rng.uniform(0.5, 2, array.shape)
    return model


def compare(exported, case, shape, dtype, tolerance=1e-5, **options):
    one = exported(model_of(case, dtype), shape[1:], **options)
    rng = np.random.default_rng(4)
    for samples in {1, shape[0], 5}:
        x = layer_input(case, (samples, *shape[1:]), rng)
        one.agrees(x.astype(np.int64) if x.dtype.kind in "iu" else x, tolerance)


@pytest.mark.parametrize(("case", "shape", "channels_first"), EACH)
def test_every_row_gives_the_same_outputs(case, shape, channels_first, exported):
    compare(exported, case, shape, "float32", channels_first=channels_first)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_every_row_in_float64(case, exported):
    compare(exported, case, case.shapes[-1], "float64")


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_every_row_in_float16(case, exported):
    compare(exported, case, case.shapes[-1], "float16", tolerance=5e-3)


@pytest.mark.parametrize("opset", [21, 23])
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_every_row_with_newer_operators(case, opset, exported):
    onnx = pytest.importorskip("onnx")
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("the onnx installed here is older")
    compare(exported, case, case.shapes[-1], "float32", opset=opset)


def test_no_row_is_left_out():
    tried = {type(layer) for case in LAYERS for layer in case.build().walk()}
    assert tried >= {getattr(cr.layers, name) for name in cr.layers.__all__}


# What ONNX's own evaluator, which is written to be read, does not do, or does otherwise.
NOT_EVALUATED = {
    "ConvTranspose2d-everything": "takes the wrong weights for groups",
    "ConvTranspose2d-depthwise": "takes the wrong weights for groups",
    "RNN-relu": "another activation than tanh",
    "Tokens-GRU": "lengths of sequences",
    "Tokens-Bidirectional": "lengths of sequences",
}


@pytest.mark.parametrize(
    "case", [c for c in LAYERS if c.name not in NOT_EVALUATED], ids=lambda case: case.name
)
def test_another_runtime_gives_the_same_outputs(case, exported):
    from onnx.reference import ReferenceEvaluator

    shape = case.shapes[-1]
    one = exported(model_of(case, "float32"), shape[1:])
    x = layer_input(case, (3, *shape[1:]), np.random.default_rng(4))
    x = x.astype(np.int64 if x.dtype.kind in "iu" else np.float32)
    (y,) = ReferenceEvaluator(one.document).run(None, {"input": x})
    np.testing.assert_allclose(y, one.model.predict(x), rtol=0, atol=1e-5)
