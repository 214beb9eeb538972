"""One rule for every picture: it takes axes by name, draws there alone, and returns them."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib import style
from matplotlib.figure import Figure

from chainrule import *
from chainrule import plots
from chainrule.training import LearningRates


def drawn(axes, tmp_path):
    axes.figure.savefig(tmp_path / "a.png")
    return (tmp_path / "a.png").stat().st_size


@pytest.fixture
def data(rng):
    return rng.standard_normal((30, 4)), rng.integers(0, 3, 30)


def net_of_three():
    return Model([Linear(4, 8), ReLU(), Linear(8, 3)], SoftmaxCrossEntropy())


def calls(rng):
    """How to call each function of chainrule.plots, but for ``ax``."""
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    net, monitor = net_of_three(), MonitorGradients()
    history = train(net, 0.1, 2, (x, y), validation_split=0.3, callbacks=[monitor], verbose=False)
    profile = train(net, 0.1, 9, (x, y), profile=True, verbose=False).profile
    rates = np.geomspace(1e-4, 10, 30)
    return {
        "activations": ((net, x), {}),
        "compare": (({"a": history},), {}),
        "confusion": (([[3, 1], [0, 2]],), {}),
        "curves": ((history,), {}),
        "decision_boundary": ((net, x, y), {"resolution": 20}),
        "gradient_flow": ((monitor,), {}),
        "learning_rate": ((LearningRates(rates, rates, rates, 0.1, 0.1, diverged=False),), {}),
        "mistakes": ((rng.random((30, 5, 5)), y, net.predict_proba(x)), {}),
        "net": ((net,), {}),
        "predicted": ((x[:, 0], x[:, 1]), {}),
        "profile": ((profile,), {}),
        "saliency": ((net, x, y), {"image_shape": (2, 2)}),
        "weights": ((net,), {"image_shape": (2, 2)}),
    }


def test_each_takes_axes_by_name_and_returns_them(rng, tmp_path):
    rows = calls(rng)
    assert set(rows) == set(plots.__all__), "a picture needs a row here"
    for name, (arguments, options) in rows.items():
        function = getattr(plots, name)
        parameter = inspect.signature(function).parameters["ax"]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
        assert parameter.default is None
        figure = Figure(figsize=(9, 7))
        given, other = figure.subplots(1, 2)
        before = set(figure.axes)
        assert function(*arguments, **options, ax=given) is given, name
        # Beside a colour bar nothing is drawn outside of what was given.
        assert len(set(figure.axes) - before - set(given.child_axes)) <= 1, name
        assert not other.has_data()
        figure.savefig(tmp_path / "given.png")
        own = function(*arguments, **options)
        assert own.figure is not figure
        assert drawn(own, tmp_path) > 2000


def test_pictures_follow_a_dark_style(rng, tmp_path):
    from PIL import Image

    for name, (arguments, options) in calls(rng).items():
        with style.context("dark_background"):
            dark = getattr(plots, name)(*arguments, **options)
            drawn(dark, tmp_path)
        image = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
        assert image[0, 0] == 0, name
        assert image.max() > 200, name  # its words are light
        light = getattr(plots, name)(*arguments, **options)
        drawn(light, tmp_path)
        image = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
        assert image[0, 0] == 255
        assert image.min() < 60, name


@pytest.mark.parametrize("missing", ["matplotlib", "networkx"])
def test_what_is_not_installed_is_named(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from chainrule import *\n"
        "Model([Linear(2, 1)], MeanSquaredError()).plot()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"ModuleNotFoundError: Pictures need {missing}: pip install 'chainrule[plots]'."
    )
    assert "During handling" not in done.stderr


def test_every_picture_names_what_is_not_installed(rng, monkeypatch):
    rows = calls(rng)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name, (arguments, options) in rows.items():
        with pytest.raises(ModuleNotFoundError, match="Pictures need matplotlib: pip install"):
            getattr(plots, name)(*arguments, **options)
    with pytest.raises(ModuleNotFoundError, match="Pictures need matplotlib: pip install"):
        plots.weights(np.ones((3, 2)))


@pytest.mark.parametrize(
    "name", ["activations", "mistakes", "net", "profile", "saliency", "weights"]
)
@pytest.mark.parametrize("most", [0, -1, 2.5, "all"])
def test_a_number_to_draw_that_makes_no_sense(name, most, rng):
    arguments, options = calls(rng)[name]
    with pytest.raises(ValueError, match=f"{name}: most must be a whole number, at least"):
        getattr(plots, name)(*arguments, **options | {"most": most})


@pytest.mark.parametrize("shape", [3, (4,), (-2, -2), (0, 4), "ab", (2.0, 2.0)])
def test_shapes_of_images_that_make_no_sense(shape, rng):
    rows = calls(rng)
    for name in ("saliency", "weights"):
        arguments, _ = rows[name]
        with pytest.raises(ValueError, match=rf"{name}: image_shape must be \(height, width\)"):
            getattr(plots, name)(*arguments, image_shape=shape)


@pytest.mark.parametrize("matrix", [[["a"]], [[np.nan, 1], [0, 1]], [[1j]]])
def test_a_confusion_of_no_numbers(matrix):
    with pytest.raises(ValueError, match="confusion: needs a matrix of numbers"):
        plots.confusion(matrix)


def test_a_boundary_that_makes_no_sense(rng):
    (net, x, y), _ = calls(rng)["decision_boundary"]
    for resolution in (0, 1, -1, 2.5):
        with pytest.raises(ValueError, match="resolution must be a whole number, at least 2"):
            plots.decision_boundary(net, x, y, resolution=resolution)
    with pytest.raises(ValueError, match="features must be two different numbers"):
        plots.decision_boundary(net, x, y, features=(0.0, 1.0))


def test_bytes_do_not_wrap_around():
    axes = plots.predicted(np.array([3, 4], np.uint8), np.array([4, 3], np.uint8))
    assert axes.get_title() == "RMSE 1"


def test_mistakes_of_a_net_that_says_yes_or_no(rng, tmp_path):
    probabilities = np.array([[0.9], [0.2], [0.7]])
    axes = plots.mistakes(rng.random((3, 4, 4)), np.array([1, 1, 0]), probabilities)
    assert axes.get_title().startswith("2 mistakes among 3 images")
    assert drawn(axes, tmp_path) > 2000


def test_methods_draw_what_the_functions_draw(data):
    history = train(net_of_three(), 0.1, 2, data, verbose=False)
    assert history.plot().get_title() == plots.curves(history).get_title()
    axes = Figure().subplots()
    assert history.plot(ax=axes) is axes
    with pytest.raises(ValueError, match="no epoch yet"):
        History().plot()


def test_curves_with_nan(tmp_path):
    history = History()
    for epoch, value in enumerate([0.5, float("nan"), None, 0.7], 1):
        history.append({"epoch": epoch, "loss": value, "validation_accuracy": value})
    axes = plots.curves(history)
    assert "at best 70.00 %" in axes.child_axes[1].get_title()
    assert drawn(axes, tmp_path) > 5000
    only = History()
    only.append({"epoch": 1, "loss": float("nan"), "validation_accuracy": float("nan")})
    assert drawn(plots.curves(only), tmp_path) > 3000


def test_a_dollar_is_no_formula(rng, tmp_path):
    """matplotlib would read what stands between two of them as mathematics, and fail."""
    odd = r"$\frac{$ <script>"

    class Odd(ReLU):
        def __repr__(self):
            return odd

    x, y = rng.random((9, 4)), np.arange(9) % 2
    net = Model([Linear(4, 2), Odd()], SoftmaxCrossEntropy())
    monitor = MonitorGradients()
    history = train(net, 0.1, 1, (x, y), callbacks=[monitor], verbose=False)
    monitor.layers = [odd]
    probabilities = net.predict_proba(x)
    images = x.reshape(9, 2, 2)
    for axes in (
        net.plot(),
        plots.activations(net, x),
        plots.activations(net, x, 1),
        plots.compare({odd: history}),
        plots.confusion([[3, 1], [0, 2]], [odd, "b"]),
        plots.decision_boundary(net, x, y, names=[odd] * 4, classes=[odd, "b"], resolution=9),
        plots.gradient_flow(monitor),
        plots.mistakes(images, y, probabilities, [odd, "b"]),
        plots.predicted(y, y, odd),
        plots.saliency(net, x, y, names=[odd] * 4),
        plots.saliency(net, x, y, names=[odd] * 2, image_shape=(2, 2)),
    ):
        assert drawn(axes, tmp_path) > 2000
