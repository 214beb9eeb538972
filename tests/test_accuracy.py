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
    data = load_minibatches(64)
    net = Model([Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy())

    class Shuffle(Callback):
        def on_epoch_begin(self, run):
            data.shuffle()

    train(net, 0.1, 5, data, callbacks=[Shuffle()], verbose=False)
    test = load_minibatches(1000, split="test", shuffle=False)
    answers = [net.predict_classes(x) == y.argmax(axis=1) for x, y in test]
    assert np.concatenate(answers).mean() >= 0.973
