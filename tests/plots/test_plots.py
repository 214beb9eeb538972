"""The pictures show what they are given."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from chainrule import History, plots


def history(epochs, accuracy=True):
    made = History()
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "loss": 1 / epoch}
        if accuracy:
            row |= {"validation_loss": 2 / epoch, "validation_accuracy": 1 - 0.5 / epoch}
        made.append(row)
    return made


def drawn(axes, tmp_path):
    axes.figure.savefig(tmp_path / "a.png")
    return (tmp_path / "a.png").stat().st_size


@pytest.mark.parametrize("epochs", [1, 2, 40])
@pytest.mark.parametrize("accuracy", [False, True])
def test_curves(epochs, accuracy, tmp_path):
    axes = plots.curves(history(epochs, accuracy))
    lines = [line for ax in (axes, *axes.child_axes) for line in ax.get_lines()]
    np.testing.assert_allclose(lines[0].get_ydata(), 1 / np.arange(1, epochs + 1))
    if accuracy:
        assert any(f"{100 - 50 / epochs:.2f} %" in ax.get_title() for ax in axes.child_axes)
    assert drawn(axes, tmp_path) > 5000
    with pytest.raises(ValueError, match="no epoch"):
        plots.curves(History())


def test_given_axes_are_drawn_into():
    ax = Figure().subplots()
    assert plots.curves(history(3, accuracy=False), ax=ax) is ax
    assert plots.confusion(np.eye(3, dtype=int), ax=ax) is ax


def test_confusion(tmp_path):
    matrix = np.array([[5, 1], [0, 4]])
    axes = plots.confusion(matrix, ["cat", "dog"])
    assert [text.get_text() for text in axes.texts] == ["5", "1", "4"]
    assert axes.get_title() == "9 of 10 right (90.00 %)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert drawn(axes, tmp_path) > 5000
    assert drawn(plots.confusion(np.zeros((30, 30), int)), tmp_path) > 5000


def test_mistakes_are_the_worst_first(rng, tmp_path):
    images = rng.random((4, 5, 5))
    targets = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.99, 0.01], [0.6, 0.4], [0.8, 0.2]])
    axes = plots.mistakes(images, targets, probabilities)
    assert "2 mistakes among 4" in axes.get_title()
    first, second = axes.child_axes
    assert first.get_title() == "1 → 0  99 %"
    np.testing.assert_array_equal(first.images[0].get_array(), images[1])
    np.testing.assert_array_equal(second.images[0].get_array(), images[2])
    assert drawn(axes, tmp_path) > 5000


def test_no_mistake_is_said(rng, tmp_path):
    axes = plots.mistakes(rng.random((2, 5, 5)), np.array([0, 0]), np.array([[1, 0], [0.7, 0.3]]))
    assert axes.get_title().startswith("No mistake among 2")
    assert axes.child_axes[0].get_title() == "0 → 0  70 %"
    assert drawn(axes, tmp_path) > 5000


def test_weights(rng, tmp_path):
    weights = rng.standard_normal((12, 130))
    weights[:, 7] *= 100
    axes = plots.weights(weights, (3, 4))
    assert len(axes.child_axes) == 100
    assert "130 units, the 100 strongest" in axes.get_title()
    image = axes.child_axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), weights[:, 7].reshape(3, 4))
    assert image.norm.vmin == -image.norm.vmax
    assert drawn(axes, tmp_path) > 5000
    heat = plots.weights(np.zeros((3, 2)))
    assert heat.get_xlabel() == "unit"
    assert drawn(heat, tmp_path) > 2000
    with pytest.raises(ValueError, match="no image of shape"):
        plots.weights(weights, (5, 5))


def test_matplotlib_s_settings_are_left_alone(rng):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plots.weights(rng.standard_normal((4, 3)), (2, 2))
    plots.curves(history(3))
    assert dict(mpl.rcParams) == before
