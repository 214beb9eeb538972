"""Right layers that a careless checker would fail: kinks, large values, tiny gradients, states."""

import numpy as np

from mutants.activations import DropoutWithoutMask, ResidualForgetsTheInput, sigmoid
from mutants.linear import Linear
from mutants.losses import ONE_HOT, TARGETS, cross_entropy, softmax
from mutants.normalisation import Normalise
from mutants.registry import right
from mutants.windows import RNN, Conv1d, TransposedConv1d

GRID = np.random.default_rng(1).standard_normal((4, 3))

right()(Linear)
right((1, 3))(Linear)
right((2, 7, 2))(Conv1d)
right((2, 5, 2))(TransposedConv1d)
right((2, 5, 3))(RNN)
right((2, 1, 3))(RNN)
right(1e4 * GRID)(Linear)
right(1e-6 * GRID)(Linear)


class Function:
    """An activation, from its formula and its derivative."""

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, grad):
        return grad * self.derivative(self.x)


@right(np.where(GRID > 1, 0, GRID))
class ReLUWithZeros(Function):
    def f(self, x):
        return np.maximum(x, 0)

    def derivative(self, x):
        return (x > 0).astype(float)


@right(np.array([[0.0, 1e-9, -1e-7, 1.0, -2.0, 3.0, 0.5, 1.5]]))
class ReLUBesideZero(ReLUWithZeros):
    pass


@right()
class Absolute(Function):
    def f(self, x):
        return np.abs(x)

    def derivative(self, x):
        return np.sign(x)


@right(30 * GRID)
class Sigmoid(Function):
    def f(self, x):
        return sigmoid(x)

    def derivative(self, x):
        return sigmoid(x) * sigmoid(-x)


@right(8 * GRID)
class TanhFarOut(Function):
    def f(self, x):
        return np.tanh(x)

    def derivative(self, x):
        return 1 / np.cosh(x) ** 2


@right(1e3 * GRID)
class Cube(Function):
    def f(self, x):
        return x**3

    def derivative(self, x):
        return 3 * x**2


@right(np.abs(GRID) + 1e-3)
class Logarithm(Function):
    def f(self, x):
        return np.log(x)

    def derivative(self, x):
        return 1 / x


@right(np.abs(GRID))
class SquareRoot(Function):
    def f(self, x):
        return np.sqrt(x)

    def derivative(self, x):
        return 0.5 / np.sqrt(x)


@right(20 * GRID)
class Exponential(Function):
    def f(self, x):
        return np.exp(x)

    def derivative(self, x):
        return np.exp(x)


@right(5 * GRID)
class Sine(Function):
    def f(self, x):
        return np.sin(3 * x)

    def derivative(self, x):
        return 3 * np.cos(3 * x)


@right()
class TinySlope(Function):
    def f(self, x):
        return 1 + 1e-7 * np.tanh(x)

    def derivative(self, x):
        return 1e-7 / np.cosh(x) ** 2


@right()
class Negation(Function):
    def f(self, x):
        return -x

    def derivative(self, x):
        return -np.ones_like(x)


@right()
class Constant(Function):
    def f(self, x):
        return np.ones_like(x)

    def derivative(self, x):
        return np.zeros_like(x)


@right(np.round(GRID))
class Rounded(Function):
    """Whole numbers everywhere are no sign of truncation."""

    def f(self, x):
        return 2 * x

    def derivative(self, x):
        return np.full_like(x, 2)


@right((5, 4))
class Softmax:
    def forward(self, x):
        self.y = softmax(x)
        return self.y

    def backward(self, grad):
        return self.y * (grad - (grad * self.y).sum(axis=-1, keepdims=True))


right(100 * GRID)(Softmax)


@right((6, 5))
class Dropout(DropoutWithoutMask):
    def backward(self, grad):
        return grad * self.mask / (1 - self.p)


@right((6, 5))
class DropoutOfGlobalNumPy:
    def forward(self, x):
        self.mask = np.random.rand(*x.shape) >= 0.3  # noqa: NPY002  # as students do
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


@right((8, 3))
class BatchNorm(Normalise):
    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.mean_term(g) - self.variance_term(g)) / self.deviation


@right((4, 7), 7)
class LayerNorm(BatchNorm):
    axes = (-1,)


@right((3, 4, 4, 2), 2)
class BatchNormOfImages(BatchNorm):
    axes = (0, 1, 2)


@right()
class RunningStatistics(BatchNorm):
    """Carries a state from call to call, which no output depends on."""

    def forward(self, x):
        self.running = 0.9 * getattr(self, "running", 0) + 0.1 * x.mean(axis=0)
        return super().forward(x)


@right()
class Residual(ResidualForgetsTheInput):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        return grad + grad @ self.weights.T


@right((2, 9, 3))
class MaxPool:
    def forward(self, x):
        self.shape = x.shape
        windows = x.reshape(len(x), 3, 3, x.shape[2])
        self.at = windows.argmax(axis=2)
        return windows.max(axis=2)

    def backward(self, grad):
        back = np.zeros(self.shape)
        n, w, c = np.indices(grad.shape)
        back[n, 3 * w + self.at, c] = grad
        return back


@right(np.array([[[1.0], [1.0], [0.0], [2.0], [1.0], [0.5], [0.3], [0.1], [0.2]]]))
class MaxPoolWithATie(MaxPool):
    pass


@right()
class Threshold:
    """A parameter with a kink, and a single number as a parameter."""

    def __init__(self):
        self.slope = 0.25

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, grad):
        self.grad_slope = float((grad * self.x * (self.x <= 0)).sum())
        return grad * np.where(self.x > 0, 1, self.slope)


@right(y=TARGETS)
class SquaredError:
    def forward(self, outputs, targets):
        self.difference = outputs - targets
        return (self.difference**2).mean(axis=1)

    def backward(self):
        return 2 * self.difference / self.difference.size


@right(y=TARGETS)
class SquaredErrorAsOneNumber:
    def forward(self, outputs, targets):
        self.difference = outputs - targets
        return (self.difference**2).mean()

    def backward(self):
        return 2 * self.difference / self.difference.size


@right(y=ONE_HOT)
class CrossEntropy:
    def forward(self, outputs, targets):
        self.p, self.t = softmax(outputs), targets
        return cross_entropy(outputs, targets)

    def backward(self):
        return (self.p - self.t) / len(self.p)
