"""The plain recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array
from chainrule.layers.recurrent import Recurrent

__all__ = ["RNN"]


class RNN(Recurrent):
    r"""The plain recurrent layer: each state is a function of the input and of the state before.

    .. math:: h_t = f(x_t W + h_{t-1} U + b)

    Backward through time: :math:`g_t`, the gradient of :math:`h_t`, is what comes from the output
    at step t plus what comes back from step t + 1:

    .. math::
        a_t = g_t \cdot f', \qquad
        g_t = \frac{\partial L}{\partial y_t} + a_{t+1} U^T, \qquad
        \frac{\partial L}{\partial x_t} = a_t W^T

    .. math::
        \frac{\partial L}{\partial W} = \sum_t x_t^T a_t, \qquad
        \frac{\partial L}{\partial U} = \sum_t h_{t-1}^T a_t, \qquad
        \frac{\partial L}{\partial b} = \sum_t \sum_{samples} a_t

    Parameters
    ----------
    n_in : int
        Features of each step.
    n_hidden : int
        Length of the state, which is the output.
    activation : str
        The function :math:`f`: "tanh" or "relu".
    all_steps : bool
        Whether to return the outputs of all steps, or that of the last real step alone.
    truncate : int, optional
        Cut the way back: the state that enters step k, 2k, 3k, ... (counted from 0; k is this
        number) is taken as a constant. By default the gradient flows through all steps.
    padding : float, optional
        A step whose features all equal this number is padding: the state passes over it unchanged,
        its output is this number again (so that layers may be stacked), and no gradient flows from
        or to it. With ReLU choose a negative one: a real output may be all 0.

    Attributes
    ----------
    weights : array, shape (n_in, n_hidden)
        Drawn by Glorot's rule.
    recurrent_weights : array, shape (n_hidden, n_hidden)
        Drawn orthogonal.
    biases : array, shape (n_hidden,)
        0 at first.
    grad_w, grad_u, grad_b : arrays
        Their gradients, after ``backward``.
    final_state : array, shape (samples, n_hidden)
        After ``forward``: the state after the last real step. Hand it to the next
        ``forward(x, initial_state)`` to go on where this one stopped.
    grad_initial_state : array, shape (samples, n_hidden)
        After ``backward``: the gradient of the initial state.

    Notes
    -----
    Shapes: (samples, steps, n_in) to (samples, steps, n_hidden), or to (samples, n_hidden) with
    ``all_steps=False``.

    Source: Elman, Finding Structure in Time, 1990; Werbos, Backpropagation Through Time, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import RNN
    >>> layer = RNN(1, 1, activation="relu")
    >>> layer.weights, layer.recurrent_weights = np.array([[1.0]]), np.array([[0.5]])
    >>> layer.forward(np.array([[[8.0], [0.0], [2.0]]]))
    array([[[8.],
            [4.],
            [4.]]], dtype=float32)
    >>> layer.backward(np.array([[[0.0], [0.0], [1.0]]]))
    array([[[0.25],
            [0.5 ],
            [1.  ]]], dtype=float32)
    """

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        *,
        activation: str = "tanh",
        all_steps: bool = True,
        truncate: int | None = None,
        padding: float | None = None,
    ) -> None:
        super().__init__(n_in, n_hidden, all_steps=all_steps, truncate=truncate, padding=padding)
        if activation not in ("tanh", "relu"):
            raise ValueError(
                f'RNN({n_in}, {n_hidden}): activation is "tanh" or "relu", got {activation!r}.'
            )
        self.activation = activation

    def step(
        self, blocks: Array, recurrent: Array, before: Sequence[Array], after: Sequence[Array]
    ) -> None:
        """Compute ``h = f(x W + h U + b)``."""
        (a,), (h,) = blocks, after
        a += recurrent[0]
        if self.activation == "tanh":
            np.tanh(a, out=h)
        else:
            np.maximum(a, 0, out=h)

    def step_back(
        self,
        grad_blocks: Array,
        grads: Sequence[Array],
        blocks: Array,
        before: Sequence[Array],
        after: Sequence[Array],
    ) -> Array | None:
        """Multiply by the slope: 1 - h² of tanh, 1 or 0 of ReLU."""
        (grad_a,), (grad_h,), (h,) = grad_blocks, grads, after
        if self.activation == "tanh":
            np.multiply(h, h, out=grad_a)
            np.subtract(1, grad_a, out=grad_a)
            grad_a *= grad_h
        else:
            np.multiply(grad_h, h > 0, out=grad_a)
        return None
