"""Optimisers: how the flat parameter vector moves along the flat gradient.

An optimiser sees two vectors and nothing else: all parameters of the net end to end, and all their
gradients. What it remembers from step to step is one vector of the same length for each of its
averages. A step goes through them all a block at a time, so that what one line of arithmetic leaves
is still in the processor's cache for the next.
"""

import math

import numpy as np

from chainrule.description import code
from chainrule.layer import Array

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]

# Values in a block: shorter ones cost more calls, longer ones leave the cache.
BLOCK = 131_072


class Optimizer:
    """The base of every optimiser.

    A subclass names in ``averages`` the vectors that it remembers, and defines ``update``, which
    moves one block of the parameters.

    Parameters
    ----------
    learning_rate : float
        The size of a step.
    """

    averages: tuple[str, ...] = ()

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.steps = 0
        self.size = 0
        self.state: dict[str, Array] = {}

    @property
    def learning_rate(self) -> float:
        """The size of a step: greater than 0, and finite."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        if not 0 < learning_rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: the learning rate must be greater than 0, and finite, "
                f"got {learning_rate}."
            )
        self._learning_rate = float(learning_rate)

    def __repr__(self) -> str:
        return code(self)

    def step(self, parameters: Array, gradients: Array) -> None:
        """Move ``parameters`` in place by one step against ``gradients``, which stay as they are.

        Raises
        ------
        ValueError
            If the two differ in shape, or in length from those of the step before, or are no
            vectors.
        """
        if parameters.shape != gradients.shape:
            raise ValueError(
                f"{self!r}: {parameters.shape} parameters but {gradients.shape} gradients."
            )
        if parameters.ndim != 1:
            raise ValueError(
                f"{self!r}: needs one vector of parameters, got shape {parameters.shape}. Pass "
                "those of a Model, or array.reshape(-1)."
            )
        if self.steps == 0:
            # Averages of float16 would lose what small steps add: float32 at least.
            dtype = np.result_type(parameters, np.float32)
            self.state = {name: np.zeros(parameters.shape, dtype) for name in self.averages}
            self._scratch = np.empty(min(BLOCK, parameters.size), dtype)
            self.size = parameters.size
        elif self.size != parameters.size:
            raise ValueError(
                f"{self!r} has made {self.steps} steps on a net of {self.size} "
                f"parameters, and got one of {parameters.size}. Build a new optimiser."
            )
        self.steps += 1
        for start in range(0, parameters.size, BLOCK):
            block = slice(start, start + BLOCK)
            w, g = parameters[block], gradients[block].astype(self._scratch.dtype, copy=False)
            state = {name: vector[block] for name, vector in self.state.items()}
            state["scratch"] = self._scratch[: w.size]
            self.update(w, g, state)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place; ``steps`` has counted this step already.

        ``state`` has the blocks of the vectors that ``averages`` names, and ``scratch``: as long,
        its content anybody's.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update(parameters, gradients, …)")


class SGD(Optimizer):
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
        :math:`\lambda`, the pull of every parameter towards 0.

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
    ) -> None:
        super().__init__(learning_rate)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: the momentum must be from 0 to below 1, got {momentum}.")
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0.")
        if not 0 <= dampening <= 1:
            raise ValueError(f"SGD: the dampening must be from 0 to 1, got {dampening}.")
        if not weight_decay >= 0:
            raise ValueError(f"SGD: weight_decay must be 0 or more, got {weight_decay}.")
        # Python's numbers: with one of NumPy's, float32 vectors would be reckoned in float64.
        self.momentum = float(momentum)
        self.nesterov = nesterov
        self.dampening = float(dampening)
        self.weight_decay = float(weight_decay)
        self.averages = ("velocity",) if momentum else ()

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        move, scratch = gradients, state["scratch"]
        if self.weight_decay:
            move = np.multiply(parameters, self.weight_decay, out=scratch, dtype=scratch.dtype)
            move += gradients
        if self.momentum:
            velocity = state["velocity"]
            if self.steps == 1:
                velocity[...] = move
            else:
                velocity *= self.momentum
                velocity += move if self.dampening == 0 else (1 - self.dampening) * move
            move = move + self.momentum * velocity if self.nesterov else velocity
        parameters -= np.multiply(move, self.learning_rate, out=scratch)


class Adam(Optimizer):
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
        super().__init__(learning_rate)
        name = type(self).__name__
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: betas are two numbers from 0 to below 1, got {betas}.")
        if not epsilon > 0:
            raise ValueError(f"{name}: epsilon must be greater than 0, got {epsilon}.")
        if not weight_decay >= 0:
            raise ValueError(f"{name}: weight_decay must be 0 or more, got {weight_decay}.")
        self.betas = (float(betas[0]), float(betas[1]))
        self.epsilon = float(epsilon)
        self.weight_decay = float(weight_decay)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        if self.weight_decay:
            decay = np.multiply(parameters, self.weight_decay, dtype=gradients.dtype)
            gradients = gradients + decay
        self._move(parameters, gradients, state)

    def _move(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        mean, mean_square, move = state["mean"], state["mean_square"], state["scratch"]
        beta1, beta2 = self.betas
        mean *= beta1
        mean += np.multiply(g, 1 - beta1, out=move)
        np.multiply(g, g, out=move)
        move *= 1 - beta2
        mean_square *= beta2
        mean_square += move
        # The two corrections for the start from 0, folded into the divisor and the step.
        root = math.sqrt(1 - beta2**self.steps)
        np.sqrt(mean_square, out=move)
        move += self.epsilon * root
        np.divide(mean, move, out=move)
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

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas, epsilon=epsilon, weight_decay=weight_decay)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        parameters *= 1 - self.learning_rate * self.weight_decay
        self._move(parameters, gradients, state)
