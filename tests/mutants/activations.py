"""Activations, dropout and residual connections with their usual mistakes."""

import numpy as np

from mutants.registry import wrong


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@wrong("sign")
class TanhWithAMinus:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, grad):
        return grad * (self.y**2 - 1)


@wrong("constant_factor")
class SquareWithoutTwo:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, grad):
        return grad * self.x


@wrong("ignores_upstream")
class SigmoidAlone:
    def forward(self, x):
        self.y = sigmoid(x)
        return self.y

    def backward(self, grad):
        return self.y * (1 - self.y)


@wrong("ignores_upstream")
class ReLUAlone:
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, grad):
        return np.where(self.x > 0, 1.0, 0.0)


@wrong("derivative_at_output")
class SigmoidOfTheOutput:
    def forward(self, x):
        self.y = sigmoid(x)
        return self.y

    def backward(self, grad):
        s = sigmoid(self.y)
        return grad * s * (1 - s)


@wrong("derivative_at_output")
class SigmoidFormulaOfTheInput:
    def forward(self, x):
        self.x = x
        return sigmoid(x)

    def backward(self, grad):
        return grad * self.x * (1 - self.x)


@wrong("derivative_at_output")
class TanhFormulaOfTheInput:
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, grad):
        return grad * (1 - self.x**2)


@wrong("derivative_at_output")
class SoftplusOfTheOutput:
    def forward(self, x):
        self.y = np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)
        return self.y

    def backward(self, grad):
        return grad * sigmoid(self.y)


@wrong("stale_cache")
class TanhKeepsTheFirstOutput:
    y = None

    def forward(self, x):
        y = np.tanh(x)
        if self.y is None or self.y.shape != y.shape:
            self.y = y
        return y

    def backward(self, grad):
        return grad * (1 - self.y**2)


@wrong("mutates_input")
class ReLUInPlace:
    def forward(self, x):
        x[x < 0] = 0
        self.x = x
        return x.copy()

    def backward(self, grad):
        return grad * (self.x > 0)


@wrong("mutates_input")
class NormalisesInPlace:
    def forward(self, x):
        x -= x.mean(axis=0)
        return x.copy()

    def backward(self, grad):
        return grad - grad.mean(axis=0)


@wrong("mutates_upstream")
class ReLUOnTheGradient:
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, grad):
        grad[self.x <= 0] = 0
        return grad


@wrong("mutates_upstream")
class ScalesTheGradient:
    def forward(self, x):
        return 3 * x

    def backward(self, grad):
        grad *= 3
        return grad


@wrong("mask_lost")
class ReLUWithoutMask:
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, grad):
        return grad


@wrong("mask_lost", (6, 5))
class DropoutWithoutMask:
    def __init__(self, p=0.4):
        self.p = p
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) >= self.p
        return x * self.mask / (1 - self.p)

    def backward(self, grad):
        return grad / (1 - self.p)


@wrong("mask_lost", (6, 5))
class DropoutMaskTwice(DropoutWithoutMask):
    def forward(self, x):
        self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask * self.mask


@wrong("scale_lost", (6, 5))
class DropoutWithoutScale(DropoutWithoutMask):
    def backward(self, grad):
        return grad * self.mask


@wrong("scale_lost", (6, 5))
class DropoutOfGlobalRandomness:
    def forward(self, x):
        self.mask = np.random.rand(*x.shape) >= 0.3  # noqa: NPY002  # as students do
        return x * self.mask / 0.7

    def backward(self, grad):
        return grad * self.mask


@wrong("missing_residual_path")
class ResidualForgetsTheInput:
    def __init__(self):
        self.weights = np.random.default_rng(1).standard_normal((3, 3))

    def forward(self, x):
        self.x = x
        return x + x @ self.weights

    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        return grad @ self.weights.T


@wrong("missing_residual_path")
class ResidualForgetsTheFunction(ResidualForgetsTheInput):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        return grad


@wrong("missing_residual_path")
class ResidualOfTanh:
    def forward(self, x):
        self.t = np.tanh(x)
        return x + self.t

    def backward(self, grad):
        return grad * (1 - self.t**2)


@wrong("float32_inside", (5, 4))
class SigmoidInFloat32:
    def forward(self, x):
        self.y = sigmoid(x.astype(np.float32))
        return self.y.astype(np.float64)

    def backward(self, grad):
        return grad * self.y * (1 - self.y)


@wrong("overflow")
class NaiveSoftplus:
    def forward(self, x):
        self.x = x
        return np.log(1 + np.exp(x))

    def backward(self, grad):
        return grad * sigmoid(self.x)


@wrong("overflow")
class SigmoidAsARatio:
    def forward(self, x):
        self.y = np.exp(x) / (1 + np.exp(x))
        return self.y

    def backward(self, grad):
        return grad * self.y * (1 - self.y)


@wrong("not_deterministic")
class NoiseFromOutside:
    def forward(self, x):
        import secrets

        return x * (1 + secrets.randbelow(10**6) / 10**6)

    def backward(self, grad):
        return grad
