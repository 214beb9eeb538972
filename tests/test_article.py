"""The article's program, verbatim on our classes; and its own formulas beside ours."""

import numpy as np
import pytest

from chainrule import *


# fmt: off
def article_train(model,lr,nb_epoch,data):
    for epoch in range(nb_epoch):
        running_loss = 0.
        num_inputs = 0
        for mini_batch in data:
            inputs,targets = mini_batch
            num_inputs += inputs.shape[0]
            #Forward pass + compute loss
            running_loss += model.loss(inputs,targets).sum()
            #Back propagation
            model.backward()
            #Update of the parameters
            for layer in model.layers:
                if type(layer) == Linear:
                    layer.weights -= lr * layer.grad_w
                    layer.biases -= lr * layer.grad_b
        print(f'Epoch {epoch+1}/{nb_epoch}: loss = {running_loss/num_inputs}')
# fmt: on


class PlainNet:
    """The formulas of the article for its net, one after the other."""

    def __init__(self, weights):
        self.w1, self.b1, self.w2, self.b2 = (array.copy() for array in weights)

    def step(self, x, y, lr):
        h = x @ self.w1 + self.b1
        a = np.clip(h, 0, None)
        z = a @ self.w2 + self.b2
        p = np.exp(z) / np.exp(z).sum(axis=1)[:, None]
        clipped = p.clip(min=1e-8, max=None)
        loss = np.where(y == 1, -np.log(clipped), 0).sum(axis=1)

        grad = np.where(y == 1, -1 / clipped, 0)
        grad = p * (grad - (grad * p).sum(axis=1)[:, None])
        grad_b2 = grad.mean(axis=0)
        grad_w2 = np.matmul(a[:, :, None], grad[:, None, :]).mean(axis=0)
        grad = grad @ self.w2.T
        grad = np.where(h > 0, grad, 0)
        grad_b1 = grad.mean(axis=0)
        grad_w1 = np.matmul(x[:, :, None], grad[:, None, :]).mean(axis=0)

        self.w1 -= lr * grad_w1
        self.b1 -= lr * grad_b1
        self.w2 -= lr * grad_w2
        self.b2 -= lr * grad_b2
        return loss


def data(rng, sizes):
    return [(rng.standard_normal((n, 784)), np.eye(10)[rng.integers(0, 10, n)]) for n in sizes]


def test_the_program_runs_verbatim(rng, capsys):
    net = Model([Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy())
    batches = data(rng, [64, 64, 17])
    article_train(net, 0.1, 5, batches)
    lines = capsys.readouterr().out.splitlines()
    losses = [float(line.partition("loss = ")[2]) for line in lines]
    assert [line.partition(":")[0] for line in lines] == [f"Epoch {i}/5" for i in range(1, 6)]
    assert losses[-1] < 0.5 * losses[0]


def test_five_steps_equal_the_formulas_of_the_article(rng):
    net = Model(
        [Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy(), dtype="float64"
    )
    first, _, second, _ = net.layers
    plain = PlainNet([first.weights, first.biases, second.weights, second.biases])
    for x, y in data(rng, [64, 64, 64, 64, 17]):
        losses = net.loss(x, y)
        net.backward()
        for layer in net.layers:
            if type(layer) == Linear:
                layer.weights -= 0.1 * layer.grad_w
                layer.biases -= 0.1 * layer.grad_b
        np.testing.assert_allclose(losses, plain.step(x, y, 0.1), rtol=1e-12)
        np.testing.assert_allclose(first.weights, plain.w1, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(second.weights, plain.w2, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(first.biases, plain.b1, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(second.biases, plain.b2, rtol=1e-12, atol=1e-14)


def test_the_loop_of_the_library_does_the_same(rng, capsys):
    batches = data(rng, [64, 32])
    nets = [
        Model([Linear(784, 100), Relu(), Linear(100, 10), Softmax()], CrossEntropy())
        for _ in range(2)
    ]
    article_train(nets[0], 0.1, 2, batches)
    train(nets[1], 0.1, 2, batches)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-6, atol=1e-7)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("Epoch 1/2: loss = ")
    assert float(lines[2].rpartition(" ")[2]) == pytest.approx(
        float(lines[0].rpartition(" ")[2]), abs=1e-4
    )
