"""The solvers that scikit-learn names: its forms of momentum and of Adam, on the flat vector.

They differ from ``SGD`` and ``Adam`` in two places where it shows, and both are kept, so that the
same ``random_state`` gives the same net as ``MLPClassifier`` and ``MLPRegressor``.
"""

import copy
import math

import numpy as np

from chainrule.layer import Array
from chainrule.optimizers import Adam, Optimizer

__all__ = ["Momentum", "PlainAdam", "solver_of"]


class Momentum(Optimizer):
    r"""Gradient descent whose velocity has the learning rate in it.

    .. math:: v \leftarrow \mu v - \eta g, \qquad w \leftarrow w + v

    and with Nesterov's form :math:`w \leftarrow w + \mu v - \eta g`. While :math:`\eta` stays, it
    is ``SGD``; when it falls, what is under way keeps its speed.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    momentum : float
        :math:`\mu`, from 0 to 1.
    nesterov : bool
        Whether to look ahead.

    Notes
    -----
    Source: Sutskever et al., On the importance of initialization and momentum in deep learning,
    2013.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> Momentum(0.1, 0.9).step(w, np.array([1.0, -1.0]))
    >>> w
    array([0.9, 2.1])
    """

    averages = ("velocity",)

    def __init__(
        self, learning_rate: float, momentum: float = 0.9, *, nesterov: bool = False
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = float(momentum)
        self.nesterov = nesterov

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        velocity = state["velocity"]
        step = np.multiply(gradients, self.learning_rate, out=state["scratch"])
        velocity *= self.momentum
        velocity -= step
        if self.nesterov:
            parameters -= step
            parameters += np.multiply(velocity, self.momentum, out=step)
        else:
            parameters += velocity


class PlainAdam(Adam):
    r"""Adam whose :math:`\epsilon` is added before the squares' average is corrected.

    .. math::
        w \leftarrow w - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
        \frac{m}{\sqrt{s} + \epsilon}

    Parameters
    ----------
    learning_rate, betas, epsilon
        As ``Adam``.

    Notes
    -----
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2014, the end of section 2.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> PlainAdam(0.1).step(w, np.array([5.0, -0.01]))
    >>> w.round(4)
    array([0.9, 2.1])
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon=epsilon)
        self.plain_epsilon = self.epsilon

    def begin_step(self) -> None:
        """Undo the correction that ``Adam`` makes to its epsilon."""
        self.epsilon = self.plain_epsilon / math.sqrt(1 - self.betas[1] ** self.steps)


def solver_of(
    solver: str | Optimizer,
    *,
    learning_rate_init: float,
    momentum: float,
    nesterovs_momentum: bool,
    betas: tuple[float, float],
    epsilon: float,
) -> Optimizer:
    """Return the optimiser of that name, or a fresh copy of the one that is given."""
    if isinstance(solver, Optimizer):
        return copy.deepcopy(solver).reset()
    if solver == "adam":
        return PlainAdam(learning_rate_init, betas, epsilon=epsilon)
    return Momentum(learning_rate_init, momentum, nesterov=nesterovs_momentum)
