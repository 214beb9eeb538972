"""Reading a sequence in both directions."""

from __future__ import annotations

import numpy as np

from chainrule.description import arguments
from chainrule.layer import Array, Layer
from chainrule.layers.recurrent import Recurrent, State

__all__ = ["Bidirectional"]


class Bidirectional(Layer):
    r"""A recurrent layer and its twin, which reads the sequence from its end; outputs side by side.

    .. math:: y_t = [\, a(x_1, \dots, x_t),\; b(x_T, \dots, x_t) \,]

    Backward: each gets its half of the gradient; the gradient of the input is the sum of theirs.

    Parameters
    ----------
    layer : RNN, GRU or LSTM
        Reads from the first step; its twin has the same arguments and parameters of its own.

    Attributes
    ----------
    layer : Recurrent
    twin : Recurrent
    final_state, grad_initial_state : pair
        Those of ``layer`` and ``twin``.

    Notes
    -----
    Shapes: (samples, steps, n_in) to (samples, steps, 2 n_hidden), or to (samples, 2 n_hidden) with
    ``all_steps=False``: then each half is the output after the last step that its layer reads, the
    twin's at the first step of the sequence. Padding is passed over in both directions, and
    ``truncate`` counts the steps in the order in which each layer reads them.

    Source: Schuster and Paliwal, Bidirectional Recurrent Neural Networks, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LSTM, Bidirectional
    >>> layer = Bidirectional(LSTM(3, 4))
    >>> layer.forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 5, 8)
    >>> [name for name, _ in layer.named_parameters()][2:4]
    ['layer.biases', 'twin.weights']
    """

    def __init__(self, layer: Recurrent) -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"Bidirectional: needs an RNN, GRU or LSTM, got {layer!r}.")
        self.layer = layer
        self.twin = type(layer)(**arguments(layer))
        self.rng = np.random.default_rng(0)  # one for both: they must not draw the same

    def children(self) -> dict[str, Layer]:
        """Return the two layers."""
        return {"layer": self.layer, "twin": self.twin}

    @property
    def final_state(self) -> tuple[State | None, State | None]:
        """The final states of the two layers."""
        return self.layer.final_state, self.twin.final_state

    @property
    def grad_initial_state(self) -> tuple[State | None, State | None]:
        """The gradients of the two initial states."""
        return self.layer.grad_initial_state, self.twin.grad_initial_state

    def forward(
        self,
        x: Array,
        initial_state: tuple[State | None, State | None] = (None, None),
        mask: Array | None = None,
    ) -> Array:
        """Return the outputs of the two layers side by side.

        Parameters
        ----------
        x : array, shape (samples, steps, n_in)
            The sequences.
        initial_state : pair, optional
            The states before the first step that each layer reads.
        mask : array of bool, shape (samples, steps), optional
            True where a step is real.

        Raises
        ------
        ValueError
            If a shape does not fit.
        """
        ahead = self.layer.forward(x, initial_state[0], mask)
        back = self.twin.forward(
            x[:, ::-1], initial_state[1], None if mask is None else np.asarray(mask)[:, ::-1]
        )
        y = self.buffer("y", (*ahead.shape[:-1], 2 * self.layer.n_hidden))
        return np.concatenate([ahead, self._turned(back)], axis=-1, out=y)

    def backward(self, grad: Array) -> Array:
        """Return the sum of what comes back from the two layers."""
        ahead, back = self._halves(grad)
        grad_x = self.layer.backward(ahead)
        turned = self.twin.backward(back)[:, ::-1]
        return np.add(grad_x, turned, out=self.buffer_like("grad_x", grad_x))

    def backward_parameters(self, grad: Array) -> None:
        """Store the gradients of both layers' parameters."""
        ahead, back = self._halves(grad)
        self.layer.backward_parameters(ahead)
        self.twin.backward_parameters(back)

    def _halves(self, grad: Array) -> tuple[Array, Array]:
        n = self.layer.n_hidden
        return grad[..., :n], self._turned(grad[..., n:])

    def _turned(self, y: Array) -> Array:
        """Return the steps in the opposite order; a last step alone as it is."""
        return y[:, ::-1] if self.layer.all_steps else y
