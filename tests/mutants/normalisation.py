"""Normalisation layers that forget where the statistics come from."""

import numpy as np

from mutants.registry import wrong


class Normalise:
    axes: tuple[int, ...] = (0,)

    def __init__(self, n=3):
        self.scale = np.linspace(0.5, 1.5, n)
        self.shift = np.linspace(-1, 1, n)

    def forward(self, x):
        self.deviation = np.sqrt(x.var(axis=self.axes, keepdims=True) + 1e-5)
        self.x_hat = (x - x.mean(axis=self.axes, keepdims=True)) / self.deviation
        return self.scale * self.x_hat + self.shift

    def parameters_of(self, grad):
        samples = tuple(range(grad.ndim - 1))
        self.grad_scale = (grad * self.x_hat).sum(axis=samples)
        self.grad_shift = grad.sum(axis=samples)
        return grad * self.scale

    def mean_term(self, g):
        return g.mean(axis=self.axes, keepdims=True)

    def variance_term(self, g):
        return self.x_hat * (g * self.x_hat).mean(axis=self.axes, keepdims=True)


@wrong("missing_mean_term", (8, 3))
class BatchNormWithoutMeanTerm(Normalise):
    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.variance_term(g)) / self.deviation


@wrong("missing_variance_term", (8, 3))
class BatchNormWithoutVarianceTerm(Normalise):
    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.mean_term(g)) / self.deviation


@wrong("missing_mean_term", (8, 3), also=("missing_variance_term",))
class BatchNormOfConstants(Normalise):
    def backward(self, grad):
        return self.parameters_of(grad) / self.deviation


@wrong("missing_mean_term", (4, 7), 7)
class LayerNormWithoutMeanTerm(Normalise):
    axes = (-1,)

    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.variance_term(g)) / self.deviation


@wrong("missing_variance_term", (4, 7), 7)
class LayerNormWithoutVarianceTerm(Normalise):
    axes = (-1,)

    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.mean_term(g)) / self.deviation


@wrong("missing_variance_term", (3, 4, 4, 2), 2)
class BatchNormOfImages(Normalise):
    axes = (0, 1, 2)

    def backward(self, grad):
        g = self.parameters_of(grad)
        return (g - self.mean_term(g)) / self.deviation


@wrong("missing_variance_term", (4, 6))
class RMSNormOfAConstant:
    def forward(self, x):
        self.rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
        return x / self.rms

    def backward(self, grad):
        return grad / self.rms


@wrong("missing_mean_term", (6, 4), also=("missing_residual_path",))
class CentringForgotten:
    def forward(self, x):
        return x - x.mean(axis=0)

    def backward(self, grad):
        return grad


@wrong("not_reduced", (3, 5, 4), 4)
class LayerNormScaleNotReduced(Normalise):
    axes = (-1,)

    def backward(self, grad):
        g = self.parameters_of(grad)
        self.grad_scale = (grad * self.x_hat).sum(axis=0)
        return (g - self.mean_term(g) - self.variance_term(g)) / self.deviation
