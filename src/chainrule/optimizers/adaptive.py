"""A step of its own length for each parameter, by the squares of its gradients so far."""

import numpy as np

from chainrule.layer import Array
from chainrule.optimizers.base import Optimizer
from chainrule.optimizers.sgd import Velocity

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Velocity):
    r"""RMSprop: the gradient over the root of the running average of its square.

    .. math::
        s \leftarrow \rho s + (1 - \rho) g^2, \qquad
        w \leftarrow w - \eta \frac{g}{\sqrt s + \epsilon}

    Centred, the average :math:`m` of the gradient is taken off: :math:`\sqrt{s - m^2}`. With a
    momentum the steps add up: :math:`v \leftarrow \mu v + g / (\sqrt s + \epsilon)`,
    :math:`w \leftarrow w - \eta v`.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    rho : float
        :math:`\rho`, how slowly the average forgets, from 0 to below 1.
    momentum : float
        :math:`\mu`, from 0 to below 1.
    centered : bool
        Whether to divide by the deviation, not by the root of the mean square.
    epsilon : float
        :math:`\epsilon`, keeps the divisor away from 0.
    weight_decay : float
        The pull of the weights towards 0.

    Notes
    -----
    Sources: Tieleman and Hinton, lecture 6.5 of Neural Networks for Machine Learning, 2012; Graves,
    Generating Sequences With Recurrent Neural Networks, 2013 (centred).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import RMSprop
    >>> w = np.array([1.0, 2.0])
    >>> RMSprop(0.01).step(w, np.array([5.0, -0.01]))
    >>> w.round(4)
    array([0.9, 2.1])
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        rho: float = 0.99,
        *,
        momentum: float = 0.0,
        centered: bool = False,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.averages = ("mean_square", "mean") if centered else ("mean_square",)
        super().__init__(learning_rate, momentum)
        self.rho = _share("RMSprop", "rho", rho)
        self.centered = centered
        self.epsilon = _positive("RMSprop", "epsilon", epsilon)
        self.weight_decay = weight_decay

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        scratch = state["scratch"]
        spread = _average_square(state["mean_square"], gradients, self.rho, scratch)
        if self.centered:
            mean = state["mean"]
            mean *= self.rho
            mean += (1 - self.rho) * gradients
            # Rounding can take the difference below 0.
            spread = np.maximum(spread - mean * mean, 0)
        divisor = np.sqrt(spread, out=scratch)
        divisor += self.epsilon
        move = np.divide(gradients, divisor, out=scratch)
        if self.momentum:
            velocity = state["velocity"]
            velocity *= self.momentum
            velocity += move
            move = velocity
        parameters -= np.multiply(move, self.learning_rate, out=scratch)


class Adagrad(Optimizer):
    r"""Adagrad: the gradient over the root of the sum of all its squares.

    .. math::
        s \leftarrow s + g^2, \qquad
        w \leftarrow w - \frac{\eta}{1 + (t - 1) \gamma} \frac{g}{\sqrt s + \epsilon}

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    learning_rate_decay : float
        :math:`\gamma`, how fast the steps get shorter besides.
    epsilon : float
        :math:`\epsilon`, keeps the divisor away from 0.
    weight_decay : float
        The pull of the weights towards 0.

    Notes
    -----
    Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Adagrad
    >>> w = np.array([1.0, 2.0])
    >>> Adagrad(0.1).step(w, np.array([5.0, -0.01]))
    >>> w.round(4)
    array([0.9, 2.1])
    """

    averages = ("sum_of_squares",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        learning_rate_decay: float = 0.0,
        epsilon: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        if not learning_rate_decay >= 0:
            raise ValueError(
                f"Adagrad: learning_rate_decay must be 0 or more, got {learning_rate_decay}."
            )
        self.learning_rate_decay = float(learning_rate_decay)
        self.epsilon = _positive("Adagrad", "epsilon", epsilon)
        self.weight_decay = weight_decay

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        total, scratch = state["sum_of_squares"], state["scratch"]
        total += np.multiply(gradients, gradients, out=scratch)
        divisor = np.sqrt(total, out=scratch)
        divisor += self.epsilon
        move = np.divide(gradients, divisor, out=scratch)
        move *= self.learning_rate / (1 + (self.steps - 1) * self.learning_rate_decay)
        parameters -= move


class Adadelta(Optimizer):
    r"""Adadelta: the step is as long as those before it, relative to the gradients before it.

    .. math::
        s \leftarrow \rho s + (1 - \rho) g^2, \qquad
        d = \frac{\sqrt{u + \epsilon}}{\sqrt{s + \epsilon}} g, \qquad
        u \leftarrow \rho u + (1 - \rho) d^2, \qquad w \leftarrow w - \eta d

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`; 1 in the paper.
    rho : float
        :math:`\rho`, how slowly the averages forget, from 0 to below 1.
    epsilon : float
        :math:`\epsilon`; the first steps are short as its root.
    weight_decay : float
        The pull of the weights towards 0.

    Notes
    -----
    Source: Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Adadelta
    >>> w = np.array([1.0, 2.0])
    >>> Adadelta().step(w, np.array([5.0, -0.01]))
    >>> w.round(4)
    array([0.9968, 2.003 ])
    """

    averages = ("mean_square", "mean_square_step")

    def __init__(
        self,
        learning_rate: float = 1.0,
        rho: float = 0.9,
        *,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        self.rho = _share("Adadelta", "rho", rho)
        self.epsilon = _positive("Adadelta", "epsilon", epsilon)
        self.weight_decay = weight_decay

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        steps, scratch = state["mean_square_step"], state["scratch"]
        squares = _average_square(state["mean_square"], gradients, self.rho, scratch)
        move = np.sqrt((steps + self.epsilon) / (squares + self.epsilon)) * gradients
        _average_square(steps, move, self.rho, scratch)
        move *= self.learning_rate
        parameters -= move


def _average_square(average: Array, values: Array, rho: float, scratch: Array) -> Array:
    """Take the squares of the values into their running average, and return it."""
    np.multiply(values, values, out=scratch)
    scratch *= 1 - rho
    average *= rho
    average += scratch
    return average


def _share(owner: str, name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{owner}: {name} must be from 0 to below 1, got {value}.")
    return float(value)


def _positive(owner: str, name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{owner}: {name} must be greater than 0, got {value}.")
    return float(value)
