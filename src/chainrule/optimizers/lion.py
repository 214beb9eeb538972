"""Lion: steps of one length, whose signs alone the gradients decide."""

import numpy as np

from chainrule.layer import Array
from chainrule.optimizers.adam import Betas

__all__ = ["Lion"]


class Lion(Betas):
    r"""Lion (evolved sign momentum): every parameter moves by the learning rate, up or down.

    .. math::
        w \leftarrow (1 - \eta \lambda) w - \eta \operatorname{sign}(\beta_1 m + (1 - \beta_1) g),
        \qquad m \leftarrow \beta_2 m + (1 - \beta_2) g

    It remembers one vector, where Adam remembers two. Its learning rate is a third to a tenth of
    Adam's, its weight decay as many times greater.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    betas : pair of float
        :math:`\beta_1, \beta_2`, each from 0 to below 1.
    weight_decay : float
        :math:`\lambda`, decoupled.

    Notes
    -----
    Source: Chen et al., Symbolic Discovery of Optimization Algorithms, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Lion
    >>> w = np.array([1.0, 2.0])
    >>> Lion(0.1).step(w, np.array([5.0, -0.01]))
    >>> w
    array([0.9, 2.1])
    """

    averages = ("mean",)
    decoupled = True

    def __init__(
        self,
        learning_rate: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        *,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, betas, weight_decay)

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place."""
        mean, scratch = state["mean"], state["scratch"]
        beta1, beta2 = self.betas
        move = np.multiply(mean, beta1, out=scratch)
        move += (1 - beta1) * gradients
        np.sign(move, out=move)
        move *= self.learning_rate
        parameters -= move
        mean *= beta2
        mean += np.multiply(gradients, 1 - beta2, out=scratch)
