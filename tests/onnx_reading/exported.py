"""What the tests of reading share: export quietly, run by onnxruntime, compare, train on."""

import warnings

import numpy as np

import chainrule as cr
import chainrule.onnx
from chainrule.optimizers import Adam


def quiet(export, *args, **options):
    """Call an exporter, whose warnings are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export(*args, **options)


def by_onnxruntime(path, x):
    """Return all outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {entry.name: x}), strict=True))


def loaded(path, **options):
    """Load; that weights are shared between places is no fault of the test's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*used in several places")
        return chainrule.onnx.load(path, **options)


def assert_same(model, path, x, output=None, tolerance=1e-5):
    """Hold the model's predictions against onnxruntime's."""
    outputs = by_onnxruntime(path, x)
    wanted = outputs[output] if output else next(iter(outputs.values()))
    y = model.predict(x)
    if wanted.shape == y.shape[:-1]:
        wanted = wanted[..., None]
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)


def assert_trains(model, x):
    """Take steps on random targets; the loss must fall, and every parameter move."""
    outputs = model.predict(x)
    rng = np.random.default_rng(1)
    if model.cost.has_classes and not isinstance(model.cost, cr.BinaryCrossEntropy):
        y = rng.integers(0, outputs.shape[-1], outputs.shape[:-1])
    else:
        y = rng.random(outputs.shape).astype(outputs.dtype)
    before, first = model.parameters.copy(), model.loss(x, y).mean()
    optimizer = Adam(learning_rate=0.003)
    for _ in range(20):
        model.loss(x, y)
        model.backward()
        optimizer.step(model.parameters, model.gradients)
    assert model.loss(x, y).mean() < first
    assert np.isfinite(model.parameters).all()
    still = [
        name
        for (name, array), (_, old) in zip(
            model.named_parameters(), named(model, before), strict=True
        )
        if (array == old).all() and array.size > 1
    ]
    assert not still


def named(model, parameters):
    start = 0
    for name, array in model.named_parameters():
        yield name, parameters[start : start + array.size].reshape(array.shape)
        start += array.size
