"""Convolutions, pooling and sequences with their usual mistakes."""

import numpy as np

from mutants.registry import wrong


class Conv1d:
    """Slides a kernel (positions, channels in, channels out) along axis 1, no padding."""

    def __init__(self, k=3, n_in=2, n_out=2):
        rng = np.random.default_rng(8)
        self.weights = rng.standard_normal((k, n_in, n_out))

    def forward(self, x):
        self.x = x
        length = x.shape[1] - len(self.weights) + 1
        return sum(x[:, i : i + length] @ w for i, w in enumerate(self.weights))

    def backward(self, grad):
        length = grad.shape[1]
        self.grad_w = np.stack([
            np.einsum("nti,nto->io", self.x[:, i : i + length], grad)
            for i in range(len(self.weights))
        ])  # fmt: skip
        back = np.zeros_like(self.x)
        for i, w in enumerate(self.weights):
            back[:, i : i + length] += grad @ w.T
        return back


@wrong("off_by_one_window", (2, 7, 2))
class ConvLeavesOutTheLastTap(Conv1d):
    def backward(self, grad):
        super().backward(grad)
        back = np.zeros_like(self.x)
        for i in range(len(self.weights) - 1):
            back[:, i : i + grad.shape[1]] += grad @ self.weights[i].T
        return back


@wrong("off_by_one_window", (2, 7, 2))
class ConvKernelLeavesOutTheLastTap(Conv1d):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w[-1] = 0
        return back


@wrong("off_by_one_window", (2, 9, 2))
class ConvShiftedByOne(Conv1d):
    def backward(self, grad):
        back = super().backward(grad)
        shifted = np.zeros_like(back)
        shifted[:, 1:] = back[:, :-1]
        return shifted


@wrong("off_by_one_window", (2, 9, 3))
class MaxPoolBesideTheMaximum:
    def forward(self, x):
        self.shape = x.shape
        windows = x.reshape(len(x), 3, 3, x.shape[2])
        self.at = windows.argmax(axis=2)
        return windows.max(axis=2)

    def backward(self, grad):
        back = np.zeros((self.shape[0], self.shape[1] + 1, self.shape[2]))
        n, w, c = np.indices(grad.shape)
        back[n, 3 * w + self.at + 1, c] = grad
        return back[:, :-1]


@wrong("wrong_flip", (2, 7, 2))
class ConvKernelNotFlipped(Conv1d):
    def backward(self, grad):
        super().backward(grad)
        back = np.zeros_like(self.x)
        for i, w in enumerate(self.weights[::-1]):
            back[:, i : i + grad.shape[1]] += grad @ w.T
        return back


@wrong("wrong_flip", (2, 7, 2))
class ConvKernelGradientFlipped(Conv1d):
    def backward(self, grad):
        back = super().backward(grad)
        self.grad_w = self.grad_w[::-1].copy()
        return back


class TransposedConv1d:
    def __init__(self):
        self.weights = np.random.default_rng(8).standard_normal((3, 2, 2))

    def forward(self, x):
        self.x = x
        y = np.zeros((len(x), x.shape[1] + 2, 2))
        for i, w in enumerate(self.weights):
            y[:, i : i + x.shape[1]] += x @ w
        return y

    def backward(self, grad):
        length = self.x.shape[1]
        self.grad_w = np.stack(
            [np.einsum("nti,nto->io", self.x, grad[:, i : i + length]) for i in range(3)]
        )
        return sum(grad[:, i : i + length] @ w.T for i, w in enumerate(self.weights))


@wrong("wrong_flip", (2, 5, 2))
class TransposedConvNotFlipped(TransposedConv1d):
    def backward(self, grad):
        super().backward(grad)
        length = self.x.shape[1]
        flipped = self.weights[::-1]
        return sum(grad[:, i : i + length] @ w.T for i, w in enumerate(flipped))


class RNN:
    """h = tanh(x W + h U + b), all steps returned; axis 1 is time."""

    def __init__(self, n_in=3, n=4):
        rng = np.random.default_rng(2)
        self.weights = rng.standard_normal((n_in, n))
        self.recurrent = 0.5 * rng.standard_normal((n, n))
        self.biases = rng.standard_normal(n)

    def forward(self, x):
        self.x = x
        h = np.zeros((len(x), len(self.biases)))
        self.h = [h]
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ self.weights + h @ self.recurrent + self.biases)
            self.h.append(h)
        return np.stack(self.h[1:], axis=1)

    def steps(self, grad):
        """Yield (t, gradient of the sum inside tanh) from the last step to the first."""
        later = np.zeros_like(self.h[0])
        for t in reversed(range(self.x.shape[1])):
            inside = (grad[:, t] + later) * (1 - self.h[t + 1] ** 2)
            later = inside @ self.recurrent.T
            yield t, inside

    def backward(self, grad):
        self.grad_w = np.zeros_like(self.weights)
        self.grad_recurrent = np.zeros_like(self.recurrent)
        self.grad_b = np.zeros_like(self.biases)
        back = np.empty_like(self.x)
        for t, inside in self.steps(grad):
            self.grad_w += self.x[:, t].T @ inside
            self.grad_recurrent += self.h[t].T @ inside
            self.grad_b += inside.sum(axis=0)
            back[:, t] = inside @ self.weights.T
        return back


@wrong("last_step_only", (2, 5, 3))
class RNNOverwritesTheWeights(RNN):
    def backward(self, grad):
        back = super().backward(grad)
        for t, inside in self.steps(grad):
            self.grad_w = self.x[:, t].T @ inside
        return back


@wrong("last_step_only", (2, 5, 3))
class RNNLastStepOnly(RNN):
    def backward(self, grad):
        back = super().backward(grad)
        t, inside = next(self.steps(grad))
        self.grad_w = self.x[:, t].T @ inside
        return back


@wrong("last_step_only", (2, 5, 3))
class RNNBiasesOfOneStep(RNN):
    def backward(self, grad):
        back = super().backward(grad)
        for _, inside in self.steps(grad):
            self.grad_b = inside.sum(axis=0)
        return back
