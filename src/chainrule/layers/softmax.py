"""Softmax and its logarithm, over the last axis."""

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.rows import row_max, row_sum

__all__ = ["LogSoftmax", "Softmax"]


class Softmax(Layer):
    r"""Softmax: turn the logits of the last axis into probabilities.

    .. math:: y_i = \frac{e^{x_i}}{\sum_k e^{x_k}}

    Each output depends on every input of its row: :math:`\partial y_i / \partial x_j =
    y_i (\delta_{ij} - y_j)`. So the chain rule gives, for :math:`g = \partial L / \partial y`:

    .. math:: \frac{\partial L}{\partial x_j} = y_j \Big( g_j - \sum_i g_i y_i \Big)

    Shapes: (samples, ..., classes) to the same.

    Source: J. Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs,
    1990. The greatest logit of each row is subtracted first: that changes no output, and no
    exponential overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Softmax
    >>> layer = Softmax()
    >>> layer.forward(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    >>> layer.backward(np.array([[1.0, 0.0], [0.0, 0.0]]))
    array([[ 0.25, -0.25],
           [ 0.  ,  0.  ]])
    """

    keeps = ("y",)

    y: Array

    def forward(self, x: Array) -> Array:
        """Return the probabilities; each row sums to 1."""
        x = self.floats(x)
        y = self.buffer_like("y", x)
        np.subtract(x, row_max(x), out=y)
        np.exp(y, out=y)
        y /= row_sum(y)
        self.y = y
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``y (g - sum(g y))``."""
        y = self.y
        grad_x = self.buffer_like("grad_x", y)
        np.subtract(grad, np.vecdot(grad, y)[..., None], out=grad_x)
        grad_x *= y
        return grad_x


class LogSoftmax(Layer):
    r"""Logarithm of the softmax, exact also where a probability is too small for a float.

    .. math:: y_i = x_i - \log \sum_k e^{x_k}

    .. math:: \frac{\partial L}{\partial x_j} = g_j - e^{y_j} \sum_i g_i

    Shapes: (samples, ..., classes) to the same.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LogSoftmax
    >>> LogSoftmax().forward(np.array([[1000.0, 0.0]]))
    array([[    0., -1000.]])
    """

    keeps = ("y",)

    y: Array

    def forward(self, x: Array) -> Array:
        """Return the log-probabilities."""
        x = self.floats(x)
        y = self.buffer_like("y", x)
        np.subtract(x, row_max(x), out=y)
        y -= np.log(row_sum(np.exp(y)))
        self.y = y
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``g - exp(y) sum(g)``."""
        grad_x = self.buffer_like("grad_x", self.y)
        np.exp(self.y, out=grad_x)
        grad_x *= row_sum(grad)
        return np.subtract(grad, grad_x, out=grad_x)
