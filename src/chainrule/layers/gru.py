"""The GRU."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.layer import Array
from chainrule.layers.recurrent import Recurrent

__all__ = ["GRU"]


class GRU(Recurrent):
    r"""Gated recurrent unit: the state moves towards a candidate, as far as a gate lets it.

    .. math::
        r_t, z_t &= \sigma(x_t W_{r,z} + h_{t-1} U_{r,z} + b_{r,z}) \\
        s_t &= h_{t-1} U_n + b' \\
        n_t &= \tanh(x_t W_n + b_n + r_t \cdot s_t) \\
        h_t &= n_t + z_t \cdot (h_{t-1} - n_t)

    This is PyTorch's variant, which is cuDNN's: the reset gate r acts on the product
    :math:`h_{t-1} U_n`, so that one product serves all three gates. In the first paper it acts on
    :math:`h_{t-1}` before the product.

    Backward through time, with :math:`\bar h_t` the gradient of the state and :math:`\bar r, \dots`
    those of the terms inside the functions:

    .. math::
        \bar n_t &= \bar h_t \cdot (1 - z_t) \cdot (1 - n_t^2), \qquad
        \bar s_t = \bar n_t \cdot r_t \\
        \bar z_t &= \bar h_t \cdot (h_{t-1} - n_t) \cdot z_t (1 - z_t), \qquad
        \bar r_t = \bar n_t \cdot s_t \cdot r_t (1 - r_t) \\
        \bar h_{t-1} &= \bar h_t \cdot z_t + [\bar r_t, \bar z_t, \bar s_t]\, U^T
        + \partial L/\partial y_{t-1}, \qquad
        \bar x_t = [\bar r_t, \bar z_t, \bar n_t]\, W^T

    Parameters
    ----------
    n_in : int
        Features of each step.
    n_hidden : int
        Length of the state, which is the output.
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
    weights : array, shape (n_in, 3 * n_hidden)
        The gates side by side in the order r, z, n (reset, update, candidate), as in PyTorch.
        Drawn by Glorot's rule, each gate for itself.
    recurrent_weights : array, shape (n_hidden, 3 * n_hidden)
        Each gate's part is drawn orthogonal.
    biases : array, shape (3 * n_hidden,)
        0 at first.
    recurrent_biases : array, shape (n_hidden,)
        The bias :math:`b'` inside the reset gate's product; 0 at first.
    grad_w, grad_u, grad_b, grad_rb : arrays
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

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import GRU
    >>> layer = GRU(3, 2, all_steps=False)
    >>> x = np.ones((5, 4, 3), np.float32)
    >>> y = layer.forward(x)
    >>> y.shape
    (5, 2)
    >>> layer.backward(np.ones_like(y)).shape
    (5, 4, 3)
    """

    parameters: ClassVar = {**Recurrent.parameters, "recurrent_biases": "grad_rb"}

    n_gates = 3
    n_blocks = 4  # r, z, n and s
    n_grad_blocks = 4  # of r, z, s and n: the first three go to h U, all but s to x W
    input_blocks: ClassVar = (0, 1, 3)

    recurrent_biases: Array
    grad_rb: Array

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters."""
        return {**super().parameter_shapes(), "recurrent_biases": (self.n_hidden,)}

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the weights; set the biases to 0."""
        super().initialize(rng)
        self.recurrent_biases = np.zeros(self.n_hidden)

    def step(
        self, blocks: Array, recurrent: Array, before: Sequence[Array], after: Sequence[Array]
    ) -> None:
        """Compute the gates, the candidate and the state."""
        (h_before,), (h,) = before, after
        r, z, n, s = blocks
        sigmoids = blocks[:2]
        sigmoids += recurrent[:2]
        # sigmoid(a) = (1 + tanh(a / 2)) / 2: NumPy's tanh is faster than its exp and a division.
        sigmoids *= 0.5
        np.tanh(sigmoids, out=sigmoids)
        sigmoids *= 0.5
        sigmoids += 0.5
        np.add(recurrent[2], self.recurrent_biases, out=s)
        n += np.multiply(r, s, out=h)  # h is free until the last lines
        np.tanh(n, out=n)
        np.subtract(h_before, n, out=h)
        h *= z
        h += n

    def step_back(
        self,
        grad_blocks: Array,
        grads: Sequence[Array],
        blocks: Array,
        before: Sequence[Array],
        after: Sequence[Array],
    ) -> Array | None:
        """Go back through the state, the candidate and the gates."""
        (grad_h,), (h_before,) = grads, before
        r, z, n, s = blocks
        grad_r, grad_z, grad_s, grad_n = grad_blocks
        # h = n + z (h_before - n)
        np.subtract(h_before, n, out=grad_z)
        grad_z *= grad_h
        np.subtract(1, z, out=grad_n)
        grad_n *= grad_h
        # n = tanh(... + r s)
        np.multiply(n, n, out=grad_s)
        np.subtract(1, grad_s, out=grad_s)
        grad_n *= grad_s  # grad_s is free until the next line
        np.multiply(grad_n, r, out=grad_s)
        np.multiply(grad_n, s, out=grad_r)
        # The slope s - s² of the two sigmoids.
        slopes = self.buffer("slopes", (2, *grad_h.shape))
        np.multiply(blocks[:2], blocks[:2], out=slopes)
        np.subtract(blocks[:2], slopes, out=slopes)
        grad_blocks[:2] *= slopes
        direct: Array = np.multiply(grad_h, z, out=self.buffer("direct", z.shape))
        return direct

    def _store_gradients(self, grad_blocks: Array) -> None:
        super()._store_gradients(grad_blocks)
        np.sum(grad_blocks[2], axis=0, out=self.grad_rb)
