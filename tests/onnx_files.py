"""Models as ONNX files, and what onnxruntime makes of them."""

import numpy as np
import pytest

import chainrule as cr


def shaken(layers, dtype="float32", cost=None):
    """Return a model whose biases, scales and running statistics are not those of the start."""
    model = cr.Model(layers, cost or cr.MeanSquaredError(), dtype=dtype)
    rng = np.random.default_rng(5)
    model.parameters += (0.1 * rng.standard_normal(model.parameters.shape)).astype(dtype)
    for _, array in model.named_state():
        array[...] = rng.uniform(0.5, 2, array.shape)
    return model


class Exported:
    """A model and the file that it was exported to."""

    def __init__(self, model, path, input_shape, **options):
        import onnx

        import chainrule.onnx

        chainrule.onnx.export(model, path, input_shape, **options)
        onnx.checker.check_model(str(path), full_check=True)
        self.model, self.path = model, path
        self.channels_first = options.get("channels_first", False)
        self.document = onnx.load(path)
        self.nodes = list(self.document.graph.node)
        self.operators = [node.op_type for node in self.nodes]

    def run(self, x):
        """Return what onnxruntime answers, in the order of our axes."""
        onnxruntime = pytest.importorskip("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(self.path, options)
        (first,) = session.get_inputs()
        x = np.moveaxis(x, -1, 1) if self.channels_first and x.ndim > 2 else x
        (y,) = session.run(None, {first.name: np.ascontiguousarray(x)})
        return np.moveaxis(y, 1, -1) if self.channels_first and y.ndim > 2 else y

    def agrees(self, x, tolerance=1e-5):
        """Hold the answer against the model's, relative to the greatest one above 1."""
        x = x if x.dtype.kind == "i" else x.astype(self.model.dtype)
        wanted, y = self.model.predict(x), self.run(x)
        assert y.dtype == wanted.dtype
        assert y.shape == wanted.shape
        most = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(
            y.astype(np.float64), wanted.astype(np.float64), rtol=0, atol=tolerance * most
        )
