"""Activations: functions that act on each value alone.

For y = f(x) the chain rule is one product: d(loss)/dx = grad * f'(x). Each class keeps whichever
of x and y gives f' at the least cost.
"""

import math

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.normal import normal

__all__ = [
    "ELU",
    "GELU",
    "LeakyReLU",
    "ReLU",
    "Relu",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]


def sigmoid(x: Array, out: Array) -> Array:
    """Write 1 / (1 + exp(-x)) into ``out``; right for any ``x``: an overflow gives 1 / inf = 0."""
    with np.errstate(over="ignore"):
        np.exp(-x, out=out)
        out += 1
        return np.divide(1, out, out=out)


class ReLU(Layer):
    r"""Rectified linear unit.

    .. math:: y = \max(x, 0), \qquad f'(x) = 1 \text{ if } x > 0, \text{ else } 0

    ``Relu`` is the same class. Shapes: any to the same. Source: Nair and Hinton, Rectified Linear
    Units Improve Restricted Boltzmann Machines, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ReLU
    >>> layer = ReLU()
    >>> layer.forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> layer.backward(np.array([5.0, 5.0]))
    array([0., 5.])
    """

    keeps = ("y",)

    y: Array

    def forward(self, x: Array) -> Array:
        """Return ``max(x, 0)``."""
        self.y = y = np.maximum(x, 0, out=self.buffer_like("y", x))
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` where the output was positive, else 0."""
        positive = np.greater(self.y, 0, out=self.buffer("positive", self.y.shape, bool))
        return np.multiply(grad, positive, out=self.buffer_like("grad_x", grad))


Relu = ReLU


class LeakyReLU(Layer):
    r"""ReLU with a small slope below 0, so that no unit dies.

    .. math:: y = x \text{ if } x > 0, \text{ else } s x, \qquad
        f'(x) = 1 \text{ if } x > 0, \text{ else } s

    Parameters
    ----------
    slope : float
        The slope :math:`s` below 0.

    Notes
    -----
    Shapes: any to the same. Source: Maas et al., Rectifier Nonlinearities Improve Neural Network
    Acoustic Models, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LeakyReLU
    >>> LeakyReLU(0.1).forward(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    keeps = ("slopes",)

    slopes: Array

    def __init__(self, slope: float = 0.01) -> None:
        if not math.isfinite(slope):
            raise ValueError(f"LeakyReLU(slope={slope}): the slope must be a finite number.")
        self.slope = float(slope)

    def forward(self, x: Array) -> Array:
        """Return ``x`` where positive, else ``slope * x``."""
        slopes = self.buffer_like("slopes", x)
        slopes[...] = np.where(x > 0, 1, self.slope)
        self.slopes = slopes
        return np.multiply(x, slopes, out=self.buffer_like("y", x))

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` times the slope at each place."""
        return np.multiply(grad, self.slopes, out=self.buffer_like("grad_x", grad))


class ELU(Layer):
    r"""Exponential linear unit: goes smoothly to :math:`-\alpha` below 0.

    .. math:: y = x \text{ if } x > 0, \text{ else } \alpha (e^x - 1), \qquad
        f'(x) = 1 \text{ if } x > 0, \text{ else } y + \alpha

    Parameters
    ----------
    alpha : float
        Minus the limit for very negative inputs; greater than 0.

    Notes
    -----
    Shapes: any to the same. Source: Clevert et al., Fast and Accurate Deep Network Learning by
    Exponential Linear Units, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ELU
    >>> ELU().forward(np.array([-100.0, 2.0]))
    array([-1.,  2.])
    """

    keeps = ("x",)

    x: Array

    def __init__(self, alpha: float = 1.0) -> None:
        if not alpha > 0:
            raise ValueError(f"ELU(alpha={alpha}): alpha must be greater than 0.")
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """Return ``x`` where positive, else ``alpha (exp(x) - 1)``."""
        x = self.floats(x)
        self.x = x
        y = self.buffer_like("y", x)
        np.minimum(x, 0, out=y)
        np.expm1(y, out=y)
        y *= self.alpha
        y += np.maximum(x, 0)  # one of the two terms is 0 at every place
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` where ``x`` was positive, else ``grad * alpha exp(x)``."""
        grad_x = self.buffer_like("grad_x", grad)
        # alpha exp(x) rather than y + alpha: the sum would lose the small digits of exp(x).
        np.exp(np.minimum(self.x, 0), out=grad_x)
        grad_x *= np.where(self.x > 0, 1, self.alpha)
        grad_x *= grad
        return grad_x


class GELU(Layer):
    r"""Gaussian error linear unit: the input times the probability of a smaller normal value.

    .. math:: y = x \Phi(x), \qquad f'(x) = \Phi(x) + x \varphi(x)

    with the distribution function :math:`\Phi` and the density :math:`\varphi` of the normal
    distribution; or, with ``approximate="tanh"``,

    .. math:: y = \tfrac{x}{2} (1 + \tanh u), \quad
        u = \sqrt{2 / \pi} (x + 0.044715 x^3), \qquad
        f'(x) = \tfrac{1}{2} (1 + \tanh u) + \tfrac{x}{2} (1 - \tanh^2 u) u'

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Which of the two forms.

    Notes
    -----
    Shapes: any to the same. Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import GELU
    >>> GELU().forward(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.1587,  0.    ,  1.9545])
    >>> GELU(approximate="tanh").forward(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.1588,  0.    ,  1.9546])
    """

    keeps = ("slope",)

    slope: Array

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate must be "none" or "tanh", got {approximate!r}.')
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        """Return ``x Phi(x)``."""
        x = self.floats(x)
        y = self.buffer_like("y", x)
        exact = self.approximate == "none"
        factor, derivative = normal(x) if exact else self._tanh_form(x)
        if self.keeping:  # f'(x) shares its costly terms with y
            self.slope = derivative * x + factor
        return np.multiply(x, factor, out=y)

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` times the derivative at each place."""
        return np.multiply(grad, self.slope, out=self.buffer_like("grad_x", grad))

    @staticmethod
    def _tanh_form(x: Array) -> tuple[Array, Array]:
        """Return the factor of ``x`` and its derivative."""
        root, cubic = math.sqrt(2 / math.pi), 0.044715
        x = np.clip(x, -20, 20)  # beyond, the tanh is 1 in any float type, and x^3 may overflow
        tanh = np.tanh(root * x * (1 + cubic * x * x))
        return 0.5 * (1 + tanh), 0.5 * (1 - tanh * tanh) * root * (1 + 3 * cubic * x * x)


class SiLU(Layer):
    r"""Sigmoid linear unit, also called swish.

    .. math:: y = x \sigma(x), \qquad f'(x) = \sigma(x) (1 + x (1 - \sigma(x)))

    Shapes: any to the same. Source: Elfwing et al., Sigmoid-Weighted Linear Units for Neural
    Network Function Approximation in Reinforcement Learning, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import SiLU
    >>> SiLU().forward(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """

    keeps = ("x", "sigmoid")

    x: Array
    sigmoid: Array

    def forward(self, x: Array) -> Array:
        """Return ``x sigmoid(x)``."""
        x = self.floats(x)
        self.x = x
        factor = sigmoid(x, out=self.buffer_like("sigmoid", x))
        self.sigmoid = factor
        return np.multiply(x, factor, out=self.buffer_like("y", x))

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` times the derivative at each place."""
        grad_x = self.buffer_like("grad_x", grad)
        np.subtract(1, self.sigmoid, out=grad_x)
        grad_x *= self.x
        grad_x += 1
        grad_x *= self.sigmoid
        grad_x *= grad
        return grad_x


class Softplus(Layer):
    r"""A smooth ReLU, whose derivative is the sigmoid.

    .. math:: y = \log(1 + e^x), \qquad f'(x) = \sigma(x)

    Shapes: any to the same. Source: Dugas et al., Incorporating Second-Order Functional Knowledge
    for Better Option Pricing, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Softplus
    >>> Softplus().forward(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+03])
    """

    keeps = ("x",)

    x: Array

    def forward(self, x: Array) -> Array:
        """Return ``log(1 + exp(x))``, as ``max(x, 0) + log(1 + exp(-|x|))``: no overflow."""
        x = self.floats(x)
        self.x = x
        y = np.abs(x, out=self.buffer_like("y", x))
        np.negative(y, out=y)
        np.exp(y, out=y)
        np.log1p(y, out=y)
        y += np.maximum(x, 0)
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad * sigmoid(x)``."""
        grad_x = sigmoid(self.x, out=self.buffer_like("grad_x", grad))
        grad_x *= grad
        return grad_x


class Sigmoid(Layer):
    r"""Logistic sigmoid: squeezes any value into (0, 1).

    .. math:: y = \frac{1}{1 + e^{-x}}, \qquad f'(x) = y (1 - y)

    Shapes: any to the same.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Sigmoid
    >>> layer = Sigmoid()
    >>> layer.forward(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    >>> layer.backward(np.array([1.0, 1.0, 1.0]))
    array([0.  , 0.25, 0.  ])
    """

    keeps = ("y",)

    y: Array

    def forward(self, x: Array) -> Array:
        """Return ``1 / (1 + exp(-x))``."""
        x = self.floats(x)
        self.y = y = sigmoid(x, out=self.buffer_like("y", x))
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad * y (1 - y)``."""
        grad_x = self.buffer_like("grad_x", grad)
        np.subtract(1, self.y, out=grad_x)
        grad_x *= self.y
        grad_x *= grad
        return grad_x


class Tanh(Layer):
    r"""Hyperbolic tangent: squeezes any value into (-1, 1).

    .. math:: y = \tanh x, \qquad f'(x) = 1 - y^2

    Shapes: any to the same.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Tanh
    >>> layer = Tanh()
    >>> layer.forward(np.array([-1000.0, 0.0]))
    array([-1.,  0.])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([0., 1.])
    """

    keeps = ("y",)

    y: Array

    def forward(self, x: Array) -> Array:
        """Return ``tanh(x)``."""
        x = self.floats(x)
        self.y = y = np.tanh(x, out=self.buffer_like("y", x))
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad * (1 - y^2)``."""
        grad_x = self.buffer_like("grad_x", grad)
        np.multiply(self.y, self.y, out=grad_x)
        np.subtract(1, grad_x, out=grad_x)
        grad_x *= grad
        return grad_x
