"""Adam and its family: steps scaled by running averages of the gradient and of its square."""

import math
from typing import ClassVar

import numpy as np

from chainrule.layer import Array
from chainrule.optimizers.base import Optimizer

__all__ = ["Adam", "AdamW", "Betas", "NAdam", "RAdam"]


class Betas(Optimizer):
    """An optimiser with two averages, which forget at the rates ``betas``.

    The first is that of the gradient: its beta is the momentum.
    """

    def __init__(
        self,
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
        epsilon: float | None = None,
    ) -> None:
        super().__init__(learning_rate)
        name = type(self).__name__
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: betas are two numbers from 0 to below 1, got {betas}.")
        self.betas = (float(betas[0]), float(betas[1]))
        self.weight_decay = weight_decay
        if epsilon is not None:
            if not epsilon > 0:
                raise ValueError(f"{name}: epsilon must be greater than 0, got {epsilon}.")
            self.epsilon = float(epsilon)

    @property
    def momentum(self) -> float:
        """The first of the betas."""
        return self.betas[0]

    @momentum.setter
    def momentum(self, momentum: float) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(
                f"{type(self).__name__}: the momentum must be from 0 to below 1, got {momentum}."
            )
        self.betas = (float(momentum), self.betas[1])

    def average(self, g: Array, state: dict[str, Array]) -> None:
        """Take the gradient into its average, and its square into that of the squares."""
        mean, mean_square, scratch = state["mean"], state["mean_square"], state["scratch"]
        beta1, beta2 = self.betas
        mean *= beta1
        mean += np.multiply(g, 1 - beta1, out=scratch)
        np.multiply(g, g, out=scratch)
        scratch *= 1 - beta2
        mean_square *= beta2
        mean_square += scratch


class Adam(Betas):
    r"""Adam: steps scaled by running averages of the gradient and of its square.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        s \leftarrow \beta_2 s + (1 - \beta_2) g^2

    .. math::
        w \leftarrow w - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    betas : pair of float
        :math:`\beta_1, \beta_2`, each from 0 to below 1.
    epsilon : float
        :math:`\epsilon`, keeps the divisor away from 0.
    weight_decay : float
        :math:`\lambda`; here added to the gradient as :math:`\lambda w`. See ``AdamW``.

    Notes
    -----
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Adam
    >>> w = np.array([1.0, 2.0])
    >>> Adam(0.1).step(w, np.array([5.0, -0.01]))
    >>> w.round(4)
    array([0.9, 2.1])
    """

    averages = ("mean", "mean_square")

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, betas, weight_decay, epsilon)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        self._move(parameters, gradients, state)

    def _move(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        self.average(g, state)
        beta1, beta2 = self.betas
        move = state["scratch"]
        # The two corrections for the start from 0, folded into the divisor and the step.
        root = math.sqrt(1 - beta2**self.steps)
        np.sqrt(state["mean_square"], out=move)
        move += self.epsilon * root
        np.divide(state["mean"], move, out=move)
        move *= self.learning_rate * root / (1 - beta1**self.steps)
        w -= move


class AdamW(Adam):
    r"""Adam with decoupled weight decay: the pull towards 0 bypasses the averages.

    .. math:: w \leftarrow (1 - \eta \lambda) w, \text{ then as Adam}

    Parameters
    ----------
    learning_rate, betas, epsilon
        As ``Adam``.
    weight_decay : float
        :math:`\lambda`.

    Notes
    -----
    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import AdamW
    >>> w = np.array([1.0])
    >>> AdamW(0.1, weight_decay=0.5).step(w, np.array([0.0]))
    >>> w
    array([0.95])
    """

    decoupled = True

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon=epsilon, weight_decay=weight_decay)


class NAdam(Betas):
    r"""Adam with Nesterov's momentum: the step looks one gradient ahead.

    With :math:`m` and :math:`s` as in ``Adam``, and a momentum that grows to :math:`\beta_1`,
    :math:`\mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi})`:

    .. math::
        w \leftarrow w - \frac{\eta}{\sqrt{s / (1 - \beta_2^t)} + \epsilon} \left(
        \frac{(1 - \mu_t) g}{1 - \prod_{i \le t} \mu_i} +
        \frac{\mu_{t+1} m}{1 - \prod_{i \le t+1} \mu_i} \right)

    Parameters
    ----------
    learning_rate, betas, epsilon
        As ``Adam``.
    weight_decay : float
        The pull of the weights towards 0.
    momentum_decay : float
        :math:`\psi`, how fast the momentum grows.
    decoupled : bool
        Whether weight decay goes past the averages, as in ``AdamW``.

    Notes
    -----
    Source: Dozat, Incorporating Nesterov Momentum into Adam, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import NAdam
    >>> w = np.array([1.0, 2.0])
    >>> NAdam(0.1).step(w, np.array([5.0, -0.01]))
    >>> w.round(3)
    array([0.894, 2.106])
    """

    averages = ("mean", "mean_square")

    numbers: ClassVar = {"momentum_product": 1.0}

    def __init__(
        self,
        learning_rate: float = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, weight_decay, epsilon)
        if not momentum_decay >= 0:
            raise ValueError(f"NAdam: momentum_decay must be 0 or more, got {momentum_decay}.")
        self.momentum_decay = float(momentum_decay)
        self.decoupled = decoupled
        self.momentum_product = 1.0

    def begin_step(self) -> None:
        """Multiply the step's momentum into the product of all."""
        self.momentum_product *= self._momentum_at(self.steps)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        self.average(gradients, state)
        divisor = np.sqrt(state["mean_square"], out=state["scratch"])
        divisor /= math.sqrt(1 - self.betas[1] ** self.steps)
        divisor += self.epsilon
        now, ahead = self._momentum_at(self.steps), self._momentum_at(self.steps + 1)
        move = (1 - now) / (1 - self.momentum_product) * gradients
        move += ahead / (1 - self.momentum_product * ahead) * state["mean"]
        move /= divisor
        move *= self.learning_rate
        parameters -= move

    def _momentum_at(self, step: int) -> float:
        momentum: float = self.betas[0] * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))
        return momentum


class RAdam(Betas):
    r"""Adam that takes plain momentum steps until its average of squares can be trusted.

    With :math:`m` and :math:`s` as in ``Adam``, :math:`\hat m = m / (1 - \beta_1^t)`, and the
    number of gradients that the average of squares amounts to,

    .. math::
        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \qquad
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}

    .. math::
        w \leftarrow w - \eta \hat m \cdot \begin{cases}
        r_t \frac{\sqrt{1 - \beta_2^t}}{\sqrt s + \epsilon} & \rho_t > 5 \\ 1 & \text{else}
        \end{cases}, \qquad
        r_t^2 = \frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}
        {(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}

    Parameters
    ----------
    learning_rate, betas, epsilon
        As ``Adam``.
    weight_decay : float
        The pull of the weights towards 0.
    decoupled : bool
        Whether weight decay goes past the averages, as in ``AdamW``.

    Notes
    -----
    Source: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import RAdam
    >>> w = np.array([1.0, 2.0])
    >>> RAdam(0.1).step(w, np.array([5.0, -0.01]))
    >>> w
    array([0.5  , 2.001])
    """

    averages = ("mean", "mean_square")

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, weight_decay, epsilon)
        self.decoupled = decoupled

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        self.average(gradients, state)
        mean, size = state["mean"], self.learning_rate / (1 - self.betas[0] ** self.steps)
        trust = self._trust()
        if trust is None:
            parameters -= size * mean
            return
        divisor = np.sqrt(state["mean_square"], out=state["scratch"])
        divisor += self.epsilon
        move = np.divide(mean, divisor, out=divisor)
        move *= size * trust * math.sqrt(1 - self.betas[1] ** self.steps)
        parameters -= move

    def _trust(self) -> float | None:
        """Return the factor that makes the adaptive step shorter; None: it is not taken yet."""
        power = self.betas[1] ** self.steps
        most = 2 / (1 - self.betas[1]) - 1
        now = most - 2 * self.steps * power / (1 - power)
        if now <= 5:
            return None
        return math.sqrt((now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now))
