"""Stochastic gradient descent."""

import numpy as np

from chainrule.layer import Array
from chainrule.optimizers.base import Optimizer

__all__ = ["SGD", "Velocity"]


class Velocity(Optimizer):
    """An optimiser that remembers a velocity if it is built with a momentum."""

    def __init__(self, learning_rate: float, momentum: float) -> None:
        super().__init__(learning_rate)
        if momentum:
            self.averages = (*self.averages, "velocity")
        self.momentum = momentum

    @property
    def momentum(self) -> float:
        """How much of the velocity stays at a step, from 0 to below 1."""
        return self._momentum

    @momentum.setter
    def momentum(self, momentum: float) -> None:
        name = type(self).__name__
        if not 0 <= momentum < 1:
            raise ValueError(f"{name}: the momentum must be from 0 to below 1, got {momentum}.")
        if momentum and "velocity" not in self.averages:
            raise ValueError(
                f"{name}: it was built without a momentum, and remembers no velocity. Build it "
                f"with one: {name}(momentum={momentum})."
            )
        # A Python number: with one of NumPy's, float32 vectors would be reckoned in float64.
        self._momentum = float(momentum)


class SGD(Velocity):
    r"""Stochastic gradient descent, with momentum if wanted.

    .. math::
        v \leftarrow \mu v + (1 - \delta)(g + \lambda w), \qquad w \leftarrow w - \eta v

    and with Nesterov's form :math:`w \leftarrow w - \eta (g + \lambda w + \mu v)`. The first step
    sets :math:`v = g + \lambda w`.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    momentum : float
        :math:`\mu`, from 0 to below 1; 0 is plain gradient descent, and remembers nothing.
    nesterov : bool
        Whether to look ahead; needs a momentum.
    dampening : float
        :math:`\delta`.
    weight_decay : float
        :math:`\lambda`, the pull of the weights towards 0.
    decoupled : bool
        Whether the pull goes past the velocity: :math:`w \leftarrow (1 - \eta \lambda) w`.

    Notes
    -----
    Sources: Robbins and Monro, A Stochastic Approximation Method, 1951; Polyak, Some methods of
    speeding up the convergence of iteration methods, 1964; Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import SGD
    >>> w = np.array([1.0, 2.0])
    >>> SGD(0.1).step(w, np.array([1.0, -1.0]))
    >>> w
    array([0.9, 2.1])
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, momentum)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0.")
        if not 0 <= dampening <= 1:
            raise ValueError(f"SGD: the dampening must be from 0 to 1, got {dampening}.")
        self.nesterov = nesterov
        self.dampening = float(dampening)
        self.weight_decay = weight_decay
        self.decoupled = decoupled

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        move, scratch, momentum = gradients, state["scratch"], self._momentum
        if momentum:
            velocity = state["velocity"]
            if self.steps == 1:
                velocity[...] = move
            else:
                velocity *= momentum
                velocity += move if self.dampening == 0 else (1 - self.dampening) * move
            move = move + momentum * velocity if self.nesterov else velocity
        parameters -= np.multiply(move, self.learning_rate, out=scratch)
