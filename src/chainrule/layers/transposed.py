"""Transposed convolution: the way back of a convolution, used as a forward."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.layer import Array
from chainrule.layers.convolution import Convolution
from chainrule.layers.correlation import correlate, correlate_weights, spread, swapped
from chainrule.layers.windows import Window, numbers, window_of

__all__ = ["ConvTranspose2d"]


class ConvTranspose2d(Convolution):
    r"""Transposed convolution: each input writes a weighted kernel into a larger output.

    It is the backward of a :class:`Conv2d` from the output's size to the input's, used as a
    forward. With input position :math:`(p, q)`, and :math:`\tilde y` the output with its padding:

    .. math:: \tilde y_{n u v o} = b_o +
        \sum_{\substack{p, i:\, s p + d i = u \\ q, j:\, s q + d j = v}} \sum_c
        x_{n p q c}\; w_{i j c o}

    Backward, with :math:`\tilde g = \partial L / \partial \tilde y` (0 in the padding):

    .. math::
        \frac{\partial L}{\partial w_{i j c o}} =
        \sum_{n, p, q} x_{n p q c}\; \tilde g_{n,\, s p + d i,\, s q + d j,\, o}, \qquad
        \frac{\partial L}{\partial x_{n p q c}} =
        \sum_{i, j, o} \tilde g_{n,\, s p + d i,\, s q + d j,\, o}\; w_{i j c o}

    Parameters
    ----------
    n_in, n_out, kernel_size, stride, dilation, groups, bias, initializer
        As for :class:`Conv2d`; here the stride is how far apart the inputs write.
    padding : "valid", "same", int or pair
        How much of the output's border is cut off: nothing; as much as makes the output
        ``length * stride`` long; or that much on both sides of each axis.
    output_padding : int or pair
        How much is added at the end of each axis, less than the stride: several lengths give a
        convolution of that stride the same output, and this chooses among them.

    Attributes
    ----------
    weights : array, shape (kernel height, kernel width, n_in / groups, n_out)
    biases : array, shape (n_out,)
    grad_w, grad_b : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, height, width, n_in) to (samples, height', width', n_out), where
    height' = (height - 1) stride + dilation (kernel height - 1) + 1 - 2 padding + output_padding.

    Source: Zeiler et al., Deconvolutional Networks, 2010; Dumoulin and Visin, A guide to
    convolution arithmetic for deep learning, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ConvTranspose2d
    >>> layer = ConvTranspose2d(1, 1, 2, stride=2)
    >>> layer.weights = np.ones((2, 2, 1, 1))  # each value becomes a square of four
    >>> layer.forward(np.array([[1, 2], [3, 4]], dtype=np.float32).reshape(1, 2, 2, 1))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]], dtype=float32)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = "valid",
        output_padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: str = "he",
    ) -> None:
        super().__init__(
            n_in, n_out, kernel_size, stride=stride, padding=padding, dilation=dilation,
            groups=groups, bias=bias, initializer=initializer,
        )  # fmt: skip
        owner = f"ConvTranspose2d({n_in}, {n_out}, {kernel_size})"
        self._more = numbers(owner, "output_padding", output_padding, self.axes, least=0)
        self.output_padding = output_padding
        if any(more >= s for more, s in zip(self._more, self._stride, strict=True)):
            raise ValueError(
                f"{owner}: output_padding must be less than the stride {stride}, "
                f"got {output_padding}."
            )
        if padding == "same" and any(self._more):
            raise ValueError(
                f'{owner}: padding="same" settles the length of the output. '
                "Leave out output_padding, or give padding as numbers."
            )

    def forward(self, x: Array) -> Array:
        """Return what the inputs write, added up, shape (samples, height', width', n_out).

        Raises
        ------
        ValueError
            If the shape of ``x`` does not fit, or the padding leaves nothing of the output.
        """
        x = self._checked(x)
        self.x = x
        lengths = self._output_lengths(x.shape)
        y = self.buffer("y", (len(x), *lengths, self.n_out))
        spread(x, self.weights, y, self._window(lengths), self.groups, self.buffer)
        self._add_biases(y)
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_w`` and ``grad_b``; return d(loss)/d(x)."""
        self.backward_parameters(grad)
        grad_x = self.buffer("grad_x", self.x.shape)
        window = self._window(grad.shape[1:3])
        back = swapped(self.weights, self.groups)
        correlate(grad, back, grad_x, window, self.groups, self.buffer)
        return grad_x

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_w`` and ``grad_b``."""
        window = self._window(grad.shape[1:3])
        # Seen from the output, which the windows slide over, the input is what comes back.
        back = self.buffer("grad_w", (*self._kernel, self.n_out // self.groups, self.n_in))
        correlate_weights(grad, self.x, back, window, self.groups, self.buffer)
        self.grad_w = swapped(back, self.groups)
        self._store_grad_b(grad)

    def _output_lengths(self, shape: tuple[int, ...]) -> tuple[int, int]:
        window = Window(self._kernel, self._stride, self._dilation)
        if self._pads == "same":
            rows, columns = (n * s for n, s in zip(shape[1:3], self._stride, strict=True))
            return rows, columns
        pads = (0, 0) if isinstance(self._pads, str) else self._pads
        rows, columns = (
            (n - 1) * s + reach - 2 * pad + more
            for n, s, reach, pad, more in zip(
                shape[1:3], self._stride, window.reach, pads, self._more, strict=True
            )
        )
        if min(rows, columns) < 1:
            raise ValueError(
                f"{self!r}: of an input of shape {shape} the padding leaves nothing. Use less."
            )
        return rows, columns

    def _window(self, lengths: Sequence[int]) -> Window:
        """Return the window that slides over the output."""
        return window_of(lengths, self._kernel, self._stride, self._pads, self._dilation)
