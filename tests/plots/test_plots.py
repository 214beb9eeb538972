"""The pictures show what they are given."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from chainrule import History, Linear, plots
from chainrule.training import LearningRates
from chainrule.training.profile import Profile, ProfileRow


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


def test_given_axes_are_drawn_into(tmp_path):
    figure = Figure(figsize=(16, 9))
    cells = figure.subplots(2, 3).ravel()
    images, targets, answers = np.zeros((2, 4, 4)), np.array([0, 1]), np.eye(2)
    made = [
        plots.curves(history(3), ax=cells[0]),
        plots.curves(history(3, accuracy=False), ax=cells[1]),
        plots.confusion(np.eye(3, dtype=int), ax=cells[2]),
        plots.mistakes(images, targets, answers, ax=cells[3]),
        plots.weights(Linear(16, 5), (4, 4), ax=cells[4]),
        plots.weights(Linear(16, 5), ax=cells[5]),
    ]
    assert made == list(cells)
    assert drawn(cells[0], tmp_path) > 20_000


def test_confusion(tmp_path):
    matrix = np.array([[5, 1], [0, 4]])
    axes = plots.confusion(matrix, ["cat", "dog"])
    assert [text.get_text() for text in axes.texts] == ["5", "1", "4"]
    assert axes.get_title() == "Confusion matrix: 9 of 10 right (90.00 %)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert drawn(axes, tmp_path) > 5000
    assert drawn(plots.confusion(np.zeros((30, 30), int)), tmp_path) > 5000
    many = plots.confusion(np.eye(1000, dtype=int))  # still a picture that can be opened
    assert max(many.figure.get_size_inches()) < 15
    assert len(many.get_xticks()) <= 30
    for wrong in (np.zeros((2, 3)), np.zeros((0, 0)), np.zeros(3)):
        with pytest.raises(ValueError, match="square matrix"):
            plots.confusion(wrong)
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        plots.confusion(matrix, ["cat"])


def test_few_mistakes_differ_in_colour_from_none():
    axes = plots.confusion(np.array([[995, 5], [0, 1000]]))
    image = axes.images[0]
    red, none = (image.cmap(image.norm(share)) for share in (0.005, 0.0))
    assert np.abs(np.subtract(red, none)).max() > 0.1


def test_mistakes_are_the_worst_first(rng, tmp_path):
    images = rng.random((4, 5, 5))
    targets = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.99, 0.01], [0.6, 0.4], [0.8, 0.2]])
    axes = plots.mistakes(images, targets, probabilities)
    assert axes.get_title().startswith("2 mistakes among 4 images\n")
    first, second = axes.child_axes
    assert first.get_title() == "1 → 0  99 %"
    np.testing.assert_array_equal(first.images[0].get_array(), images[1])
    np.testing.assert_array_equal(second.images[0].get_array(), images[2])
    assert drawn(axes, tmp_path) > 5000


def test_mistakes_that_are_left_out_are_counted(rng):
    images, targets, answers = (
        rng.random((50, 3, 3)),
        np.zeros(50, int),
        np.tile([0.2, 0.8], (50, 1)),
    )
    axes = plots.mistakes(images, targets, answers, ["cat", "elephant"], most=9)
    assert axes.get_title().startswith("50 mistakes among 50 images: the 9 worst\n")
    assert len(axes.child_axes) == 9
    assert axes.child_axes[0].get_title() == "cat → elephant\n80 %"
    with pytest.raises(ValueError, match="50 images, 49 targets"):
        plots.mistakes(images, targets[1:], answers)
    with pytest.raises(ValueError, match="at least one"):
        plots.mistakes(images[:0], targets[:0], answers[:0])


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
    with pytest.raises(ValueError, match="needs a matrix"):
        plots.weights(weights[0])


def profile(layers, step=1e-3):
    rows = [
        ProfileRow("data", other=0.1 * step),
        *(
            ProfileRow(
                f"{i}", f"Linear({i}, 2)", (i + 1) * step, 2 * step, 0.0, 4096 * i, 512, step
            )
            for i in range(layers)
        ),
    ]
    total = sum(row.time for row in rows)
    return Profile(tuple(rows), total, total, total, 20, 64, None, 1e-6)


@pytest.mark.parametrize("step", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("layers", [0, 1, 6])
def test_profile(layers, step, tmp_path):
    made = profile(layers, step)
    axes = plots.profile(made)
    times, memory = axes.child_axes
    names = [label.get_text() for label in times.get_yticklabels()]
    assert names == [row.label for row in made.rows]
    ends = {round(bar.get_x() + bar.get_width(), 6) for bar in times.patches}
    per_second = 1e3 if "ms" in times.get_xlabel() else 1e6
    for row in made.rows:
        assert round(per_second * row.time, 6) in ends
        assert per_second * row.time < 0.8 * times.get_xlim()[1]  # room for the figures
    shares = [float(text.get_text().split(", ")[1].removesuffix(" %")) for text in times.texts]
    assert sum(shares) == pytest.approx(100, abs=len(shares) / 2)
    assert [text.get_text() for text in memory.texts] == [
        f"{(4096 * i + 512) / 1024:.1f} KiB" for i in range(layers)
    ]
    legend = [text.get_text() for text in times.get_legend().get_texts()]
    only_data = layers == 0
    assert legend == (["neither"] if only_data else ["forward", "backward", "neither",
                                                     "matrix products alone"])  # fmt: skip
    assert drawn(axes, tmp_path) > 5000


def test_a_profile_of_many_layers_shows_the_longest(tmp_path):
    axes = plots.profile(profile(200))
    names = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]
    assert names == [f"{i}: Linear({i}, 2)" for i in range(170, 200)]
    assert axes.child_axes[0].get_title().endswith("the 30 longest parts")
    assert axes.figure.get_size_inches()[1] < 12
    assert drawn(axes, tmp_path) > 20_000


def test_weights_of_a_layer():
    layer = Linear(4, 3)
    axes = plots.weights(layer, (2, 2))
    drawn_ones = {tuple(cell.images[0].get_array().ravel().tolist()) for cell in axes.child_axes}
    assert drawn_ones == {tuple(column.tolist()) for column in layer.weights.T}


def test_matplotlib_s_settings_are_left_alone(rng):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plots.weights(rng.standard_normal((4, 3)), (2, 2))
    plots.curves(history(3))
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("diverges", [True, False])
def test_learning_rate(diverges, tmp_path):
    rates = np.geomspace(1e-4, 10, 30)
    losses = 1 / (1 + rates) + diverges * rates**2 / 30
    found = LearningRates(rates, losses, losses, 0.05, 0.1, diverged=diverges)
    axes = plots.learning_rate(found)
    np.testing.assert_array_equal(axes.get_lines()[1].get_xdata(), rates)
    assert "a tenth of the least loss's: 0.1" in axes.get_legend().get_texts()[3].get_text()
    assert drawn(axes, tmp_path) > 5000
