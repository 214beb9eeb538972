"""Linear layers, biases and scales, as a student may get them wrong."""

import numpy as np

import chainrule
from mutants.registry import wrong


def drawn(*shape):
    return np.random.default_rng(3).standard_normal(shape)


class Linear:
    def __init__(self, n_in=3, n_out=5):
        self.weights = drawn(n_in, n_out)
        self.biases = drawn(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.biases

    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        self.grad_b = grad.sum(axis=0)
        return grad @ self.weights.T


@wrong("sign")
class WeightsWithAMinus(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = -self.x.T @ grad
        return back


@wrong("scaled_by_batch")
class MeanInsteadOfSum(Linear):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad / len(self.x)
        self.grad_b = grad.mean(axis=0)
        return grad @ self.weights.T


@wrong("scaled_by_batch", (2, 3))
class MeanOfTwoSamples(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = grad.mean(axis=0)
        return back


@wrong("constant_factor")
class MeanOverOutputs(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = self.x.T @ grad / self.weights.shape[1]
        return back


@wrong("transposed", (4, 3), 3, 3)
class TransposedSquareGradient(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = grad.T @ self.x
        return back


@wrong("transposed")
class TransposedGradient(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = grad.T @ self.x
        return back


@wrong("ignores_upstream")
class BiasOfOnes(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = np.full(len(self.biases), float(len(grad)))
        return back


@wrong("ignores_upstream")
class WeightsWithoutGrad(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = self.x.T @ np.ones_like(grad)
        return back


@wrong("stale_cache")
class KeepsTheFirstInput(Linear):
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x @ self.weights + self.biases


@wrong("stale_cache")
class KeepsAListOfInputs(Linear):
    def __init__(self):
        super().__init__()
        self.inputs = []

    def forward(self, x):
        self.inputs.append(x)
        return x @ self.weights + self.biases

    def backward(self, grad):
        self.x = self.inputs[0]
        return super().backward(grad)


@wrong("accumulates")
class AddsUp(Linear):
    def __init__(self):
        super().__init__()
        self.grad_w = np.zeros_like(self.weights)
        self.grad_b = np.zeros_like(self.biases)

    def backward(self, grad):
        self.grad_w += self.x.T @ grad
        self.grad_b += grad.sum(axis=0)
        return grad @ self.weights.T


@wrong("accumulates")
class AddsUpInOurs(chainrule.Layer):
    parameters = {"scale": "grad_scale"}  # noqa: RUF012  # as a reader would write it

    def __init__(self):
        self.scale = drawn(3)

    def forward(self, x):
        self.x = x
        return x * self.scale

    def backward(self, grad):
        self.grad_scale += (grad * self.x).sum(axis=0)
        return grad * self.scale


class OursLinear(chainrule.Layer):
    parameters = {"weights": "grad_w", "biases": "grad_b"}  # noqa: RUF012
    keeps = ("x",)

    def __init__(self):
        self.weights = drawn(3, 5)
        self.biases = drawn(5)

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.biases


@wrong("not_reduced")
class OursBiasesNotSummed(OursLinear):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        self.grad_b = grad
        return grad @ self.weights.T


@wrong("transposed")
class OursTransposed(OursLinear):
    def backward(self, grad):
        self.grad_w = grad.T @ self.x
        self.grad_b = grad.sum(axis=0)
        return grad @ self.weights.T


@wrong("missing_gradient")
class OursForgetsTheBiases(OursLinear):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        return grad @ self.weights.T


@wrong("missing_gradient")
class ForgetsTheBiases(Linear):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        return grad @ self.weights.T


@wrong("missing_gradient")
class BiasesStayZero(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = np.zeros_like(self.biases)
        return back


@wrong("missing_gradient")
class ReturnsNothing(Linear):
    def backward(self, grad):
        super().backward(grad)


@wrong("wrong_shape")
class BiasesAsAColumn(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = grad.sum(axis=0)[:, None]
        return back


@wrong("not_reduced")
class BiasesNotSummed(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = grad
        return back


@wrong("not_reduced", (4, 2, 3))
class ScaleSummedOverSamplesOnly:
    def __init__(self):
        self.scale = drawn(3)

    def forward(self, x):
        self.x = x
        return x * self.scale

    def backward(self, grad):
        self.grad_scale = (grad * self.x).sum(axis=0)
        return grad * self.scale


@wrong("wrong_axis")
class BiasesSummedOverOutputs(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = grad.sum(axis=1)
        return back


@wrong("wrong_axis", (5, 3))
class BiasesSummedOverOutputsOfASquare(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = grad.sum(axis=1)
        return back


@wrong("wrong_axis")
class BiasesAllTheSame(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_b = np.full_like(self.biases, grad.sum())
        return back


@wrong("uses_updated_weights")
class UpdatesInBackward(Linear):
    def backward(self, grad):
        self.grad_w = self.x.T @ grad
        self.grad_b = grad.sum(axis=0)
        self.weights -= 0.1 * self.grad_w
        self.biases -= 0.1 * self.grad_b
        return grad @ self.weights.T


@wrong("aliased_buffers")
class ReusesItsOutput(Linear):
    def forward(self, x):
        self.x = x
        if getattr(self, "out", None) is None:
            self.out = np.empty((len(x), len(self.biases)))
        self.out[:] = x @ self.weights + self.biases
        return self.out


@wrong("aliased_buffers")
class ReusesItsGradient(Linear):
    def __init__(self):
        super().__init__()
        self.back = np.empty((4, 3))

    def backward(self, grad):
        super().backward(grad)
        self.back[:] = grad @ self.weights.T
        return self.back


@wrong("float32_inside")
class RoundsItsOutput(Linear):
    def forward(self, x):
        self.x = x
        return (x @ self.weights + self.biases).astype(np.float32)


@wrong("float32_inside")
class RoundsItsGradient(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = (self.x.T @ grad).astype("float32")
        return back


@wrong("integer_division_or_truncation", 10 * drawn(4, 3))
class WholeNumbers(Linear):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = np.zeros(self.weights.shape, dtype=int)
        self.grad_w[...] = self.x.T @ grad
        return back


@wrong("integer_division_or_truncation", 10 * drawn(4, 3))
class FloorDivision(Linear):
    def backward(self, grad):
        super().backward(grad)
        return (grad @ self.weights.T) // 1
