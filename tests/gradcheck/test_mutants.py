"""The checker is itself checked: wrong layers must fail by name, right ones must pass."""

from pathlib import Path

import pytest

from cases import LAYERS, LOSSES, drawn, layer_input
from chainrule import Linear, Model, ReLU, SoftmaxCrossEntropy, check_gradients
from chainrule.gradcheck import MISTAKES
from mutants import RIGHT, WRONG
from mutants.table import readme

README = Path(__file__).parents[2] / "src" / "chainrule" / "gradcheck" / "README.md"


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_a_wrong_layer_fails_and_its_mistake_is_named(entry):
    report = check_gradients(entry.build(), entry.x, entry.y)
    assert not report.ok
    assert set(report.mistakes) == {entry.mistake, *entry.also}
    text = report.text()
    assert MISTAKES[entry.mistake].sentence in text
    assert "Remedy: " in text


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_layer_passes(entry, seed):
    report = check_gradients(entry.build(), entry.x, entry.y, seed=seed)
    assert report.ok, report.text()
    assert report.max_error < 1e-5
    assert report.mistakes == ()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_no_seed_lets_a_wrong_layer_pass(entry, seed):
    report = check_gradients(entry.build(), entry.x, entry.y, seed=seed)
    assert not report.ok
    assert entry.mistake in report.mistakes


def test_every_mistake_is_made_and_there_are_enough():
    assert {entry.mistake for entry in WRONG} == set(MISTAKES)
    assert len(WRONG) >= 45
    assert len(RIGHT) >= 30


def test_the_table_in_the_readme_is_of_today():
    assert README.read_text() == readme()


@pytest.mark.parametrize(
    ("case", "shape"),
    [pytest.param(c, s, id=f"{c.name}-{s}") for c in LAYERS for s in c.shapes],
)
@pytest.mark.parametrize("training", [True, False])
def test_the_library_s_layers(case, shape, training, rng):
    layer = drawn(case)
    layer.set_modes(training=training, keeping=True)
    report = check_gradients(layer, layer_input(case, shape, rng))
    assert report.ok, report.text()


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_the_library_s_losses(case, rng):
    report = check_gradients(case.build(), case.outputs(rng), case.targets(rng))
    assert report.ok, report.text()


def test_a_model(rng):
    net = Model([Linear(6, 5), ReLU(), Linear(5, 3)], SoftmaxCrossEntropy())
    report = check_gradients(net, rng.standard_normal((7, 6)), rng.integers(0, 3, 7))
    assert report.ok, report.text()
    assert [f.name for f in report.findings] == [
        "input", "0.weights", "0.biases", "2.weights", "2.biases",
    ]  # fmt: skip
