"""scikit-learn's nets, exported by skl2onnx: with their labels, dictionaries and preparations."""

import numpy as np
import pytest
import skl2onnx
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import chainrule as cr
from onnx_reading.exported import assert_same, assert_trains, loaded, quiet

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def classifier(**options):
    return MLPClassifier(hidden_layer_sizes=(8, 6), max_iter=60, random_state=0, **options)


def regressor(**options):
    return MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0, **options)


CASES = {
    "three": (classifier(), Y),
    "two": (make_pipeline(StandardScaler(), classifier(activation="tanh")), Y > 0),
    "names": (make_pipeline(MinMaxScaler(), classifier()), np.array(["a", "b", "c"])[Y]),
    "number": (make_pipeline(StandardScaler(), regressor(activation="logistic")), X[:, 0]),
    "labels": (classifier(), np.eye(3, dtype=int)[Y]),
}


def converted(name, path, **options):
    model, y = CASES[name]
    quiet(model.fit, X, y)
    path.write_bytes(quiet(skl2onnx.to_onnx, model, X[:1], **options).SerializeToString())
    return model


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("name", ["three", "two", "names"])
def test_classifiers(name, dictionary, tmp_path):
    path = tmp_path / "net.onnx"
    theirs = converted(name, path, options={"zipmap": dictionary})
    model = loaded(path)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(theirs.classes_[model.predict_classes(X)], theirs.predict(X))
    if dictionary:
        assert model.metadata["onnx"]["classes"] == theirs.classes_.tolist()
    else:
        assert_same(model, path, X, "probabilities")
    assert isinstance(model.cost, cr.CrossEntropy)
    assert_trains(model, X)
    logits = loaded(path, logits=True)
    assert isinstance(logits.cost, cr.SoftmaxCrossEntropy)
    np.testing.assert_allclose(logits.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    assert_trains(logits, X)


def test_regressors(tmp_path):
    path = tmp_path / "net.onnx"
    theirs = converted("number", path)
    model = loaded(path)
    wanted = theirs.predict(X).reshape(len(X), -1)
    np.testing.assert_allclose(model.predict(X), wanted, rtol=1e-5, atol=1e-5)
    assert isinstance(model.cost, cr.MeanSquaredError)
    assert_trains(model, X)


def test_several_labels(tmp_path):
    path = tmp_path / "net.onnx"
    theirs = converted("labels", path, options={"zipmap": False})
    model = loaded(path, logits=True)
    assert isinstance(model.cost, cr.BinaryCrossEntropy)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_what_prepares_the_inputs_is_fixed(tmp_path):
    """Standardisation stands before every parameter: training does not touch it."""
    path = tmp_path / "net.onnx"
    theirs = converted("two", path)
    model = loaded(path)
    assert isinstance(model.layers[0], cr.Rescale)
    net = theirs.steps[-1][1]
    assert model.parameters.size == sum(a.size for a in (*net.coefs_, *net.intercepts_))


def test_double_inputs(tmp_path):
    model, y = CASES["three"]
    quiet(model.fit, X, y)
    path = tmp_path / "net.onnx"
    wide = X.astype(np.float64)
    path.write_bytes(quiet(skl2onnx.to_onnx, model, wide[:1]).SerializeToString())
    np.testing.assert_allclose(loaded(path).predict_proba(X), model.predict_proba(X), atol=1e-5)
