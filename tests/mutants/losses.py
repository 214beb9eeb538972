"""Softmax and losses with their usual mistakes."""

import numpy as np

from mutants.registry import wrong

LABELS = np.array([0, 2, 1, 2])
ONE_HOT = np.eye(3)[LABELS]
TARGETS = np.random.default_rng(9).standard_normal((4, 3))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@wrong("softmax_diagonal_only")
class SoftmaxAsASigmoid:
    def forward(self, x):
        self.y = softmax(x)
        return self.y

    def backward(self, grad):
        return grad * self.y * (1 - self.y)


@wrong("softmax_diagonal_only")
class SoftmaxWithoutTheSum:
    def forward(self, x):
        self.y = softmax(x)
        return self.y

    def backward(self, grad):
        return grad * self.y


@wrong("overflow")
class NaiveSoftmax:
    def forward(self, x):
        self.y = np.exp(x) / np.exp(x).sum(axis=1)[:, None]
        return self.y

    def backward(self, grad):
        return self.y * (grad - (grad * self.y).sum(axis=1)[:, None])


@wrong("scaled_by_batch", y=TARGETS)
class SquaredErrorSummed:
    def forward(self, outputs, targets):
        self.difference = outputs - targets
        return (self.difference**2).mean(axis=1)

    def backward(self):
        return 2 * self.difference / self.difference.shape[1]


@wrong("constant_factor", y=TARGETS)
class SquaredErrorWithoutTwo:
    def forward(self, outputs, targets):
        self.difference = outputs - targets
        return (self.difference**2).mean(axis=1)

    def backward(self):
        return self.difference / self.difference.size


@wrong("constant_factor", y=TARGETS)
class SquaredErrorNotOverOutputs:
    def forward(self, outputs, targets):
        self.difference = outputs - targets
        return (self.difference**2).mean(axis=1)

    def backward(self):
        return 2 * self.difference / len(self.difference)


def cross_entropy(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - (targets * shifted).sum(axis=1)


@wrong("overflow", y=ONE_HOT)
class CrossEntropyOfTheLogarithm:
    def forward(self, outputs, targets):
        self.p, self.t = softmax(outputs), targets
        return -(targets * np.log(self.p)).sum(axis=1)

    def backward(self):
        return (self.p - self.t) / len(self.p)


@wrong("sign", y=ONE_HOT)
class CrossEntropyTheOtherWay:
    def forward(self, outputs, targets):
        self.p, self.t = softmax(outputs), targets
        return cross_entropy(outputs, targets)

    def backward(self):
        return (self.t - self.p) / len(self.p)


@wrong("scaled_by_batch", y=ONE_HOT)
class CrossEntropyMeanOfTheMean:
    def forward(self, outputs, targets):
        self.p, self.t = softmax(outputs), targets
        return cross_entropy(outputs, targets)

    def backward(self):
        return (self.p - self.t) / len(self.p) ** 2
