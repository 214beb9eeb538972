"""What is wrong with gradients is said of nets that have it, of no others, and with its cause."""

import numpy as np
import pytest

from chainrule import LeakyReLU, Linear, Model, ReLU, Sigmoid, SoftmaxCrossEntropy
from chainrule.studio.survey import survey


def deep(rng, part, count, scale=1.0):
    layers = [each for _ in range(count) for each in (Linear(4, 4), part())]
    model = Model([*layers, Linear(4, 3)], SoftmaxCrossEntropy(), seed=1)
    model.parameters *= scale
    x, y = rng.standard_normal((300, 4)).astype(np.float32), rng.integers(0, 3, 300)
    return survey(model, x, y)


@pytest.mark.parametrize("scale", [20, 1e7])
def test_exploding_gradients_are_found_by_what_arrives(rng, scale):
    found = deep(rng, LeakyReLU, 4, scale)
    assert found.sizes["0"] > 1e3 * found.sizes["8"]
    assert np.isfinite(found.sizes["0"])  # float32 has no squares of it
    assert [words for words in found.words if "explode" in words or "vanish" in words] == [
        f"The gradients explode: where they arrive at layer 8 they are about "
        f"{found.sizes['8']:.1g}, at layer 0 about {found.sizes['0']:.1g}. BatchNorm, fewer layers "
        "or, if learning has brought it about, a lower learning rate hold them."
    ]


def test_gradients_that_float32_cannot_square_are_measured(rng):
    found = deep(rng, Sigmoid, 40)
    assert 0 < found.sizes["0"] < 1e-25
    assert found.words[0].startswith("The gradients vanish")


def test_a_layer_that_is_dead_as_a_whole_is_not_called_vanishing(rng):
    model = Model([Linear(4, 4), ReLU(), Linear(4, 4), ReLU(), Linear(4, 3)], SoftmaxCrossEntropy())
    model.layers[2].biases -= 1000
    x, y = rng.standard_normal((300, 4)).astype(np.float32), rng.integers(0, 3, 300)
    found = survey(model, x, y).words
    assert found[-1] == "No gradient gets through layer 3: the layers before it learn nothing more."
    assert not any("vanish" in words for words in found)


def test_of_one_dead_unit_is_spoken_as_of_one(rng):
    model = Model([Linear(4, 4), ReLU(), Linear(4, 3)], SoftmaxCrossEntropy(), seed=1)
    model.layers[0].biases[:] = 3, -1000, 3, 3
    x, y = rng.standard_normal((300, 4)).astype(np.float32), rng.integers(0, 3, 300)
    (words,) = survey(model, x, y).words
    assert "1 of 4 units is dead: it gives 0" in words
