"""In scikit-learn's pipelines, searches and files."""

import os
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import chainrule as cr
from chainrule.sklearn import NeuralNetClassifier, NeuralNetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return scale(x), y


def quick(**options):
    return NeuralNetClassifier(8, **{"max_iter": 5, "random_state": 0, **options})


# -- pipelines and searches -----------------------------------------------------------------------


def test_cross_val_score_in_a_pipeline():
    x, y = load_iris(return_X_y=True)
    net = NeuralNetClassifier(20, learning_rate_init=0.05, random_state=0, max_iter=100)
    scores = cross_val_score(make_pipeline(StandardScaler(), net), x, y, cv=3)
    assert scores.mean() > 0.9
    assert not hasattr(net, "coefs_")  # copies were fitted


def test_grid_search_over_parameters_of_scikit_learn_and_objects_of_ours(iris):
    x, y = iris
    grid = {
        "net__solver": ["adam", cr.SGD(0.5, 0.9), cr.LBFGS(20)],
        "net__hidden_layer_sizes": [(5,), (5, 5)],
        "net__activation": ["tanh", ["relu"], cr.LeakyReLU(0.2)],
    }
    del grid["net__activation"][1]
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("net", quick())]), grid, cv=2, error_score="raise"
    ).fit(x, y)
    assert search.best_score_ > 0.9
    assert isinstance(search.best_params_["net__solver"], (cr.SGD, cr.LBFGS))
    assert grid["net__solver"][1].steps == 0


def test_grid_search_in_two_processes_over_layers(iris, tmp_path):
    x, y = iris
    grid = {"layers": [[cr.Linear(4, 3)], [cr.Linear(4, 9), cr.ReLU(), cr.Linear(9, 3)]]}
    path = str(tmp_path / "fits")

    def count(run):  # told in whichever process it is
        with open(path, "a", encoding="utf-8") as file:
            file.write("x")

    net = quick(callbacks=[cr.Hook(on_train_begin=count)])
    one = GridSearchCV(net, grid, cv=2, n_jobs=1).fit(x, y)
    two = GridSearchCV(net, grid, cv=2, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert (tmp_path / "fits").read_text() == "x" * 10


def test_it_stands_inside_other_estimators(iris):
    x, y = iris
    assert BaggingClassifier(quick(max_iter=200), 3, random_state=0).fit(x, y).score(x, y) > 0.7
    voting = VotingClassifier([("a", quick()), ("b", quick(solver="lbfgs"))], voting="soft")
    assert voting.fit(x, y).score(x, y) > 0.7
    rows = np.column_stack([y > 0, y > 1]).astype(int)
    assert ClassifierChain(quick()).fit(x, rows).predict(x).shape == rows.shape
    a, b = load_diabetes(return_X_y=True)
    scaled = TransformedTargetRegressor(
        NeuralNetRegressor(random_state=0, max_iter=100, learning_rate_init=0.01),
        transformer=StandardScaler(),
    ).fit(scale(a), b)
    assert scaled.score(scale(a), b) > 0.5
    importance = permutation_importance(scaled, scale(a), b, n_repeats=2, random_state=0)
    assert importance.importances_mean.shape == (10,)


def test_set_output_and_names_of_features(iris):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    x, y = iris
    frame = pandas.DataFrame(x, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler(), quick()).set_output(transform="pandas")
    pipe.fit(frame, y)
    assert list(pipe[-1].feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        pipe.predict(frame[["b", "a", "c", "d"]])


def test_a_frame_of_polars(iris):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    x, y = iris
    frame = polars.DataFrame(x, schema=list("abcd"))
    net = quick().fit(frame, polars.Series(y))
    theirs = MLPClassifier(8, max_iter=5).fit(frame, y)
    names = getattr(theirs, "feature_names_in_", None)  # scikit-learn reads them since 1.8
    assert list(getattr(net, "feature_names_in_", ())) == list(() if names is None else names)
    assert (net.predict(frame) == quick().fit(x, y).predict(x)).all()


# -- metadata routing -----------------------------------------------------------------------------


def test_weights_and_validation_data_are_routed(iris):
    x, y = iris
    weights = np.linspace(0, 2, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        net = quick().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        net.set_score_request(sample_weight=True)
        pipe = Pipeline(
            [("scale", StandardScaler().set_fit_request(sample_weight=False)), ("net", net)],
            transform_input=["X_val"],
        ).fit(x * 10, y, sample_weight=weights, X_val=x * 10, y_val=y)
        # The validation data went through the scaler.
        assert pipe.score(x * 10, y) == pipe[-1].validation_scores_[-1]
        assert pipe.score(x * 10, y, sample_weight=weights) != pipe.score(x * 10, y)
        plain = quick().fit(pipe[0].transform(x * 10), y, weights)
        np.testing.assert_array_equal(plain.coefs_[0], pipe[-1].coefs_[0])
        weighted = (
            quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        )
        found = cross_validate(
            weighted, x, y, cv=2, params={"sample_weight": weights}, return_estimator=True,
            return_indices=True,
        )  # fmt: skip
        for fitted, part in zip(found["estimator"], found["indices"]["train"], strict=True):
            own = quick().fit(x[part], y[part], weights[part])
            np.testing.assert_array_equal(fitted.coefs_[0], own.coefs_[0])
        partial = quick().set_partial_fit_request(sample_weight=True, classes=True)
        assert partial.get_metadata_routing().partial_fit.requests["classes"] is True
        search = GridSearchCV(weighted, {"alpha": [0, 1]}, cv=2).fit(x, y, sample_weight=weights)
        assert search.n_features_in_ == 4


# -- copies and files -----------------------------------------------------------------------------


def test_a_clone_is_unfitted_and_of_the_same_parameters(iris):
    layers = [cr.Linear(4, 6), cr.Dropout(0.5), cr.Linear(6, 3)]
    net = quick(layers=layers, solver=cr.Adam(0.01), callbacks=[cr.MonitorLearningRate()])
    net.fit(*iris)
    copy = clone(net)
    assert not hasattr(copy, "coefs_")
    assert list(copy.get_params()) == list(net.get_params())
    assert repr(copy.layers) == repr(layers)
    assert copy.callbacks[0] is not net.callbacks[0]
    assert copy.layers[0] is not layers[0]
    assert (copy.fit(*iris).coefs_[0] == net.coefs_[0]).all()


@pytest.mark.parametrize("options", [
    {}, {"solver": "sgd", "learning_rate": "invscaling"}, {"batch_norm": True, "dropout": 0.2},
    {"layers": [cr.Linear(4, 5), cr.Tanh(), cr.Linear(5, 3)], "solver": cr.NAdam(0.01)},
    {"solver": "lbfgs"}, {"early_stopping": True},
])  # fmt: skip
def test_a_pickle_predicts_the_same_and_goes_on_the_same(iris, options, tmp_path):
    x, y = iris
    net = quick(**options).fit(x, y)
    joblib.dump(net, tmp_path / "net.joblib")
    for copy in (pickle.loads(pickle.dumps(net)), joblib.load(tmp_path / "net.joblib")):
        assert (copy.predict_proba(x) == net.predict_proba(x)).all()
        assert copy.coefs_[0] is next(
            layer.weights for layer in copy.model_.layers if "weights" in layer.parameter_shapes()
        )
        if hasattr(copy, "partial_fit") and not copy.early_stopping:
            own = pickle.loads(pickle.dumps(net)).partial_fit(x, y)
            assert (copy.partial_fit(x, y).coefs_[0] == own.coefs_[0]).all()
    assert len(pickle.dumps(quick().fit(x, y))) < 20_000  # each array once


def test_the_model_can_be_saved_as_a_file_of_ours(iris, tmp_path):
    x, y = iris
    net = quick().fit(x, y)
    net.model_.save(tmp_path / "net.safetensors")
    loaded = cr.load(tmp_path / "net.safetensors")
    np.testing.assert_allclose(loaded.predict_proba(x), net.predict_proba(x))


def test_memory_mapped_inputs_that_are_read_only(tmp_path):
    x, y = load_digits(return_X_y=True)
    joblib.dump((x, y), tmp_path / "data")
    mapped, labels = joblib.load(tmp_path / "data", mmap_mode="r")
    assert not mapped.flags.writeable
    for options in ({}, {"shuffle": False, "batch_size": 1797}, {"solver": "lbfgs"}):
        net = quick(**options).fit(mapped, labels)
        assert net.predict(mapped).shape == (1797,)
    with pytest.warns(UserWarning, match="`batch_size` 2000, larger than sample size 1797"):
        quick(batch_size=2000).fit(mapped, labels)


def test_predictions_in_several_threads(iris):
    x, y = iris
    net = quick().fit(x, y)
    right, wrong = net.predict_proba(x), []

    def ask(start):
        part = slice(start, start + 40)
        found = [net.predict_proba(x[part]) for _ in range(50)]
        wrong.extend(start for p in found if not np.allclose(p, right[part], atol=1e-12))

    threads = [threading.Thread(target=ask, args=(10 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_page_of_a_notebook(iris):
    net = quick(layers=[cr.Linear(4, 3)])
    assert "NeuralNetClassifier" in net._repr_html_()
    assert "Linear(4, 3)" in net.fit(*iris)._repr_html_()


# -- what else is to be right ---------------------------------------------------------------------


def test_what_is_said_is_what_mlp_says(iris, capsys):
    x, y = iris
    quick(verbose=True, early_stopping=True, max_iter=50, tol=0.5, n_iter_no_change=2).fit(x, y)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Iteration 1, loss = ")
    assert said[1].startswith("Validation score: ")
    assert said[-1] == "Validation score did not improve more than tol=0.500000 for 2 " + (
        "consecutive epochs. Stopping."
    )


def test_a_fit_that_has_not_converged_warns_where_it_was_called(iris):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached") as caught:
        quick().fit(*iris)
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 2 iter") as caught:
        quick(solver="lbfgs", max_iter=2).fit(*iris)
    assert caught[0].filename == __file__


def test_ctrl_c_leaves_what_was_fitted(iris):
    x, y = iris

    def interrupt(run):
        if run.epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net = quick(callbacks=[cr.Hook(on_epoch_end=interrupt)]).fit(x, y)
    assert net.n_iter_ == 3
    assert net.predict(x).shape == (150,)


def test_solvers_and_stopping_may_change_between_warm_fits(iris):
    x, y = iris
    net = quick(warm_start=True, solver="lbfgs").fit(x, y)
    assert not hasattr(net, "loss_curve_")
    for options in ({"solver": "adam"}, {"early_stopping": True}, {"early_stopping": False}):
        net.set_params(**options).fit(x, y)
        assert (net.best_loss_ is None) == net.early_stopping
        assert len(net.loss_curve_) == 5
    net.set_params(warm_start=False, solver="lbfgs").fit(x, y)
    assert not hasattr(net, "loss_curve_")  # not those of a fit before


def test_partial_fit_holds_to_what_it_was_begun_with(iris):
    x, y = iris
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        quick().partial_fit(x, y)
    net = quick().partial_fit(x[:50], y[:50], classes=[0, 1, 2])
    assert net.partial_fit(x, y).n_iter_ == 1
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        net.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        net.partial_fit(x, y + 1)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        net.partial_fit(x, np.column_stack([y > 0, y > 1]).astype(int))
    values = NeuralNetRegressor(max_iter=2).partial_fit(x, y)
    with pytest.raises(ValueError, match="y has 2 outputs, but NeuralNetRegressor is expecting 1"):
        values.partial_fit(x, np.column_stack([y, y]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": cr.AdamW}, "The 'solver' parameter of NeuralNetClassifier must be"),
        ({"activation": cr.ReLU}, "The 'activation' parameter of NeuralNetClassifier must be"),
        ({"dropout": 1.0}, "The 'dropout' parameter of NeuralNetClassifier must be"),
        ({"dropout": [1.0]}, "dropout: a share is a number from 0 to less than 1, got"),
        ({"dropout": ["much"]}, "dropout: a share is a number"),
        ({"class_weight": "balance"}, "The 'class_weight' parameter"),
        ({"layers": 3}, "The 'layers' parameter"),
        ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes must be whole numbers"),
        ({"hidden_layer_sizes": ("many",)}, "hidden_layer_sizes must be whole numbers"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be > 0"),
    ],
)
def test_parameters_that_make_no_sense(iris, options, message):
    with pytest.raises(ValueError, match=message):
        NeuralNetClassifier(**options).fit(*iris)


def test_targets_that_make_no_sense(iris):
    x, y = iris
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        quick().fit(x, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        quick().fit(x, y + 0.5)
    with pytest.raises(ValueError, match="negative, which loss='poisson'"):
        NeuralNetRegressor("poisson").fit(x, y - 1.0)


def test_a_fit_that_diverges_says_so(iris):
    x, y = iris
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        NeuralNetRegressor().fit(x * 1e200, y)
    wild = NeuralNetRegressor(solver="sgd", learning_rate_init=0.1, random_state=0)
    with pytest.raises(ValueError, match=r"diverged: the loss rose to .* Lower") as how:
        wild.fit(x * 100, y)
    assert "the loss diverges" in str(how.value.__cause__)
    wild.set_params(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="diverged in iteration .* best one before is kept"):
        wild.fit(x * 100, y)
    assert len(wild.validation_scores_) == len(wild.loss_curve_) == wild.n_iter_
    assert np.isfinite(wild.predict(x)).all()


def test_a_warm_start_keeps_the_best_net_of_all_fits(iris):
    x, y = iris
    net = quick(early_stopping=True, warm_start=True, max_iter=60, learning_rate_init=0.05)
    net.fit(x, y)
    best, kept = net.best_validation_score_, net.coefs_[0].copy()
    net.set_params(learning_rate_init=10.0, solver="sgd", max_iter=3).fit(x, y)  # it makes it worse
    assert net.best_validation_score_ == best
    assert (net.coefs_[0] == kept).all()


def test_without_scikit_learn_the_error_names_the_command():
    code = "import sys; sys.modules['sklearn'] = None; import chainrule.sklearn"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: chainrule.sklearn needs sklearn: pip install 'chainrule[sklearn]'"
    )
