"""The LSTM."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.layer import Array
from chainrule.layers.recurrent import Recurrent

__all__ = ["LSTM"]


class LSTM(Recurrent):
    r"""Long short-term memory: a cell that is written to, kept and read through gates.

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \tanh(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \cdot c_{t-1} + i_t \cdot g_t \\
        h_t &= o_t \cdot \tanh(c_t)

    Backward through time, with :math:`\bar h_t, \bar c_t` the gradients of the two states and
    :math:`\bar i, \dots` those of the terms inside the four functions:

    .. math::
        \bar c_t &\mathrel{+}= \bar h_t \cdot o_t \cdot (1 - \tanh^2 c_t) \\
        \bar i_t &= \bar c_t \cdot g_t \cdot i_t (1 - i_t), \qquad
        \bar f_t = \bar c_t \cdot c_{t-1} \cdot f_t (1 - f_t) \\
        \bar o_t &= \bar h_t \cdot \tanh(c_t) \cdot o_t (1 - o_t), \qquad
        \bar g_t = \bar c_t \cdot i_t \cdot (1 - g_t^2) \\
        \bar c_{t-1} &= \bar c_t \cdot f_t, \qquad
        \bar h_{t-1} = [\bar i_t, \bar f_t, \bar o_t, \bar g_t]\, U^T + \partial L/\partial y_{t-1}

    Parameters
    ----------
    n_in : int
        Features of each step.
    n_hidden : int
        Length of the state h, which is the output, and of the cell c.
    all_steps : bool
        Whether to return the outputs of all steps, or that of the last real step alone.
    truncate : int, optional
        Cut the way back: the state that enters step k, 2k, 3k, ... (counted from 0; k is this
        number) is taken as a constant. By default the gradient flows through all steps.
    padding : float, optional
        A step whose features all equal this number is padding: the state passes over it unchanged,
        its output is this number again (so that layers may be stacked), and no gradient flows from
        or to it. After ``Embedding(..., padding=index)`` it is 0.

    Attributes
    ----------
    weights : array, shape (n_in, 4 * n_hidden)
        The gates side by side in the order i, f, o, g (input, forget, output, candidate); PyTorch
        has i, f, g, o. Drawn by Glorot's rule, each gate for itself.
    recurrent_weights : array, shape (n_hidden, 4 * n_hidden)
        Each gate's part is drawn orthogonal.
    biases : array, shape (4 * n_hidden,)
        At first 0, and 1 for the forget gate, so that the cell keeps what it has until it learns
        otherwise.
    grad_w, grad_u, grad_b : arrays
        Their gradients, after ``backward``.
    final_state : pair of array, shape (samples, n_hidden)
        After ``forward``: (h, c) after the last real step. Hand it to the next
        ``forward(x, initial_state)`` to go on where this one stopped.
    grad_initial_state : pair of array, shape (samples, n_hidden)
        After ``backward``: the gradients of the initial h and c.

    Notes
    -----
    Shapes: (samples, steps, n_in) to (samples, steps, n_hidden), or to (samples, n_hidden) with
    ``all_steps=False``.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; the forget gate: Gers et al.,
    Learning to Forget, 2000; its bias of 1: Jozefowicz et al., An Empirical Exploration of
    Recurrent Network Architectures, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LSTM
    >>> layer = LSTM(3, 2)
    >>> layer.biases
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    >>> x = np.ones((5, 4, 3), np.float32)
    >>> y = layer.forward(x)
    >>> y.shape
    (5, 4, 2)
    >>> layer.backward(np.ones_like(y)).shape
    (5, 4, 3)
    >>> h, c = layer.final_state
    >>> bool((h == y[:, -1]).all())
    True
    """

    n_gates = 4
    n_blocks = 5  # i, f, o, g and tanh(c)
    n_grad_blocks = 4
    input_blocks: ClassVar = (0, 1, 2, 3)
    n_states = 2

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the weights; set the forget gate's biases to 1, the others to 0."""
        super().initialize(rng)
        self.biases[self.n_hidden : 2 * self.n_hidden] = 1

    def step(
        self, blocks: Array, recurrent: Array, before: Sequence[Array], after: Sequence[Array]
    ) -> None:
        """Compute the gates, the cell and the output."""
        (_, c_before), (h, c) = before, after
        i, f, o, g, squashed = blocks
        gates, sigmoids = blocks[:4], blocks[:3]
        gates += recurrent
        # sigmoid(a) = (1 + tanh(a / 2)) / 2, so that one call of tanh does all four gates.
        sigmoids *= 0.5
        np.tanh(gates, out=gates)
        sigmoids *= 0.5
        sigmoids += 0.5
        np.multiply(f, c_before, out=c)
        c += np.multiply(i, g, out=h)  # h is free until the last line
        np.tanh(c, out=squashed)
        np.multiply(o, squashed, out=h)

    def step_back(
        self,
        grad_blocks: Array,
        grads: Sequence[Array],
        blocks: Array,
        before: Sequence[Array],
        after: Sequence[Array],
    ) -> Array | None:
        """Go back through the output, the cell and the gates."""
        (grad_h, grad_c), (_, c_before), (h, _) = grads, before, after
        i, f, o, g, squashed = blocks
        grad_i, grad_f, grad_o, grad_g = grad_blocks
        # h = o tanh(c), so grad_h h is grad_h tanh(c) o: the slope o (1 - o) lacks (1 - o) only.
        np.multiply(grad_h, h, out=grad_o)
        grad_c -= np.multiply(grad_o, squashed, out=grad_g)  # grad_g is free as yet
        grad_c += np.multiply(grad_h, o, out=grad_g)
        # c = f c_before + i g, in the same way; the slope of g is 1 - g².
        np.multiply(grad_c, i, out=grad_g)
        np.multiply(grad_g, g, out=grad_i)
        grad_c *= f
        np.multiply(grad_c, c_before, out=grad_f)
        products = self.buffer("products", (3, *h.shape))
        grad_g -= np.multiply(grad_i, g, out=products[0])
        grad_blocks[:3] -= np.multiply(grad_blocks[:3], blocks[:3], out=products)
        return None
