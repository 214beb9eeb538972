"""The main job, on real digits."""

import numpy as np
import pytest

from chainrule import *


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_embedded_digits(seed):
    x, y = load_digits("train")
    held_x, held_y = load_digits("test")
    mean, deviation = x.mean(), x.std()
    net = Model(
        [Flatten(), Linear(64, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy(), seed=seed
    )
    train(net, 0.1, 50, Batches((x - mean) / deviation, y, seed=seed), verbose=False)
    assert evaluate(net, ((held_x - mean) / deviation, held_y))["accuracy"] >= 0.96


def test_mnist_with_the_article_s_net(mnist_folder):
    """The last of five epochs at this learning rate varies with the seed: judge by the median."""
    test, accuracies = load_minibatches(1000, split="test", shuffle=False), []
    for seed in range(5):
        data = load_minibatches(64, seed=seed)
        net = Model(
            [Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy(), seed=seed
        )
        train(net, 0.1, 5, data, verbose=False)
        accuracies.append(evaluate(net, test)["accuracy"])
    assert np.median(accuracies) >= 0.973, accuracies
