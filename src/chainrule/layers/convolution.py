"""Convolutions. The products themselves are in ``correlation.py``."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.initializers import INITIALIZERS
from chainrule.layer import Array, Layer
from chainrule.layers.correlation import correlate, correlate_weights, spread, swapped
from chainrule.layers.windows import Window, numbers, pads_of, window_of

__all__ = ["Conv1d", "Conv2d", "Convolution"]

# Named where what came in tells which axis is missing or misplaced.
AXES = {1: ("steps",), 2: ("height", "width")}


class Convolution(Layer):
    """What convolutions share, the transposed one too: arguments, parameters and checks."""

    parameters: ClassVar = {"weights": "grad_w", "biases": "grad_b"}
    keeps = ("x",)
    axes: ClassVar[int] = 2

    weights: Array
    biases: Array
    grad_w: Array
    grad_b: Array
    x: Array

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: str = "he",
    ) -> None:
        owner = f"{type(self).__name__}({n_in!r}, {n_out!r}, {kernel_size!r})"
        for name, value in (("n_in", n_in), ("n_out", n_out), ("groups", groups)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(
                    f"{owner}: {name} must be a whole number, at least 1, got {value!r}."
                )
        if n_in % groups or n_out % groups:
            raise ValueError(
                f"{owner}: groups={groups} must divide both numbers of channels, {n_in} and "
                f"{n_out}."
            )
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"{owner}: unknown initializer {initializer!r}. "
                f"There are: {', '.join(INITIALIZERS)}."
            )
        self._kernel = numbers(owner, "kernel_size", kernel_size, self.axes)
        self._stride = numbers(owner, "stride", stride, self.axes)
        self._pads = pads_of(owner, padding, self.axes)
        self._dilation = numbers(owner, "dilation", dilation, self.axes)
        self.n_in = n_in
        self.n_out = n_out
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.bias = bias
        self.initializer = initializer

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of ``weights`` and ``biases``."""
        kernel = self._kernel[-self.axes :]
        shapes: dict[str, tuple[int, ...]] = {
            "weights": (*kernel, self.n_in // self.groups, self.n_out)
        }
        if self.bias:
            shapes["biases"] = (self.n_out,)
        return shapes

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw ``weights`` from ``rng``; set ``biases`` to 0."""
        self.weights = INITIALIZERS[self.initializer](rng, self.parameter_shapes()["weights"])
        if self.bias:
            self.biases = np.zeros(self.n_out)

    def _checked(self, x: Array) -> Array:
        """Return the input as floats, or say what is wrong with its shape."""
        wanted = f"(samples, {', '.join(AXES[self.axes])}, {self.n_in})"
        if x.ndim == self.axes + 2 and x.shape[-1] == self.n_in:
            return self.floats(x)
        message = f"{self!r}: the input must have shape {wanted}, got {x.shape}."
        if x.ndim == self.axes + 2 and x.shape[1] == self.n_in:
            order = (0, *range(2, x.ndim), 1)
            raise ValueError(f"{message} Channels come last: use x.transpose{order}.")
        if x.ndim == self.axes + 1 and x.shape[-1] == self.n_in:
            raise ValueError(f"{message} The axis of samples is missing: use x[None].")
        if x.ndim == self.axes + 1 and self.n_in == 1:
            raise ValueError(f"{message} The axis of channels is missing: use x[..., None].")
        raise ValueError(message)

    def _window(self, lengths: Sequence[int]) -> Window:
        """Return the window for images of that height and width."""
        window = window_of(lengths, self._kernel, self._stride, self._pads, self._dilation)
        if min(window.steps(lengths)) < 1:
            raise ValueError(
                f"{self!r}: the kernel spans {list(window.reach[-self.axes :])}, the input with "
                f"its padding only {list(window.padded(lengths)[-self.axes :])}. "
                'Use a smaller kernel or padding="same".'
            )
        return window

    def _add_biases(self, y: Array) -> None:
        if self.bias:
            # Line by line of the image: NumPy adds a few long runs sooner than many short ones.
            width = y.shape[-2]
            self.add_to_rows(y.reshape(-1, width * self.n_out), np.tile(self.biases, width))

    def _store_grad_b(self, grad: Array) -> None:
        if self.bias:
            # As above: the lines first, which are long, then what is left along one of them.
            line = self.buffer("line", (grad.shape[-2] * self.n_out,), grad.dtype)
            self.sum_rows(grad.reshape(-1, line.size), out=line)
            np.sum(line.reshape(-1, self.n_out), axis=0, out=self.grad_b)


class Conv2d(Convolution):
    r"""Convolution: the same small kernel looks at every place of an image.

    With position :math:`(p, q)` of the output, :math:`(i, j)` of the kernel, stride :math:`s`,
    dilation :math:`d` and the image :math:`\tilde x`, which is :math:`x` with zeros round it:

    .. math:: y_{n p q o} = b_o +
        \sum_{i, j, c} \tilde x_{n,\, s p + d i,\, s q + d j,\, c}\; w_{i j c o}

    Backward, with :math:`g = \partial L / \partial y`: each weight gathers from all the places that
    it was used at, each input from all the windows that saw it.

    .. math::
        \frac{\partial L}{\partial w_{i j c o}} =
        \sum_{n, p, q} \tilde x_{n,\, s p + d i,\, s q + d j,\, c}\; g_{n p q o}, \qquad
        \frac{\partial L}{\partial b_o} = \sum_{n, p, q} g_{n p q o}, \qquad
        \frac{\partial L}{\partial \tilde x_{n u v c}} =
        \sum_{\substack{p, i:\, s p + d i = u \\ q, j:\, s q + d j = v}} \sum_o
        g_{n p q o}\; w_{i j c o}

    Parameters
    ----------
    n_in, n_out : int
        Channels of the input and of the output.
    kernel_size : int or pair
        Height and width of the kernel.
    stride : int or pair
        How far the kernel moves from one output to the next.
    padding : "valid", "same", int or pair
        Zeros round the image: none; as many as make the output ``ceil(length / stride)`` long, the
        odd one at the end; or that many on both sides of each axis.
    dilation : int or pair
        How far apart the positions of the kernel are.
    groups : int
        The channels fall into that many blocks, and each block of the output sees one block of the
        input. ``groups=n_in`` is a depthwise convolution.
    bias : bool
        Whether to add ``biases``.
    initializer : str
        How the weights are drawn: a name of :mod:`chainrule.initializers`. Biases start at 0.

    Attributes
    ----------
    weights : array, shape (kernel height, kernel width, n_in / groups, n_out)
    biases : array, shape (n_out,)
    grad_w, grad_b : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, height, width, n_in) to (samples, height', width', n_out), where
    height' = (height + padding above and below - dilation (kernel height - 1) - 1) // stride + 1.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998; dilation:
    Yu and Koltun, Multi-Scale Context Aggregation by Dilated Convolutions, 2016; groups:
    Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Conv2d
    >>> layer = Conv2d(1, 1, (1, 2))
    >>> layer.weights = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)  # the step to the right
    >>> image = np.array([[1, 2, 4], [0, 0, 5]], dtype=np.float32)
    >>> layer.forward(image.reshape(1, 2, 3, 1))[0, :, :, 0]
    array([[1., 2.],
           [0., 5.]], dtype=float32)
    >>> layer.backward(np.ones((1, 2, 2, 1), dtype=np.float32))[0, :, :, 0]
    array([[-1.,  0.,  1.],
           [-1.,  0.,  1.]], dtype=float32)
    >>> layer.grad_w[0, :, 0, 0]  # sums of the left three columns' values, and of the right
    array([ 3., 11.], dtype=float32)
    """

    def forward(self, x: Array) -> Array:
        """Return the sums over each window, shape (samples, height', width', n_out).

        Raises
        ------
        ValueError
            If the shape of ``x`` does not fit, or it is smaller than the kernel.
        """
        x = self._checked(x)
        self.x = x
        window = self._window(x.shape[1:3])
        y = self.buffer("y", (len(x), *window.steps(x.shape[1:3]), self.n_out))
        correlate(x, self.weights, y, window, self.groups, self.buffer)
        self._add_biases(y)
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_w`` and ``grad_b``; return d(loss)/d(x)."""
        self.backward_parameters(grad)
        window = self._window(self.x.shape[1:3])
        grad_x = self.buffer("grad_x", self.x.shape)
        back = swapped(self.weights, self.groups)
        spread(grad, back, grad_x, window, self.groups, self.buffer)
        return grad_x

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_w`` and ``grad_b``."""
        window = self._window(self.x.shape[1:3])
        correlate_weights(self.x, grad, self.grad_w, window, self.groups, self.buffer)
        self._store_grad_b(grad)


class Conv1d(Convolution):
    r"""Convolution along the steps of a sequence: :class:`Conv2d` of an image with one row.

    .. math:: y_{n p o} = b_o + \sum_{i, c} \tilde x_{n,\, s p + d i,\, c}\; w_{i c o}

    Backward, with :math:`g = \partial L / \partial y`:

    .. math::
        \frac{\partial L}{\partial w_{i c o}} = \sum_{n, p} \tilde x_{n,\, s p + d i,\, c}\;
        g_{n p o}, \qquad
        \frac{\partial L}{\partial \tilde x_{n u c}} = \sum_{p, i:\, s p + d i = u} \sum_o
        g_{n p o}\; w_{i c o}

    Parameters
    ----------
    n_in, n_out, kernel_size, stride, padding, dilation, groups, bias, initializer
        As for :class:`Conv2d`, with one number where it has two.

    Attributes
    ----------
    weights : array, shape (kernel_size, n_in / groups, n_out)
    biases : array, shape (n_out,)
    grad_w, grad_b : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, steps, n_in) to (samples, steps', n_out), where
    steps' = (steps + padding before and after - dilation (kernel_size - 1) - 1) // stride + 1.

    Source: Waibel et al., Phoneme Recognition Using Time-Delay Neural Networks, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Conv1d
    >>> layer = Conv1d(1, 1, 3, padding="same")
    >>> layer.weights = np.ones((3, 1, 1))  # each value with its two neighbours
    >>> layer.forward(np.array([[[1.0], [2.0], [3.0], [4.0]]], dtype=np.float32))[0, :, 0]
    array([3., 6., 9., 7.], dtype=float32)
    """

    axes: ClassVar[int] = 1

    def forward(self, x: Array) -> Array:
        """Return the sums over each window, shape (samples, steps', n_out).

        Raises
        ------
        ValueError
            If the shape of ``x`` does not fit, or it is shorter than the kernel.
        """
        x = self._checked(x)
        self.x = x
        window = self._window((1, x.shape[1]))
        y = self.buffer("y", (len(x), window.steps((1, x.shape[1]))[1], self.n_out))
        correlate(x[:, None], self.weights[None], y[:, None], window, self.groups, self.buffer)
        self._add_biases(y)
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_w`` and ``grad_b``; return d(loss)/d(x)."""
        self.backward_parameters(grad)
        grad_x = self.buffer("grad_x", self.x.shape)
        window = self._window((1, grad_x.shape[1]))
        back = swapped(self.weights[None], self.groups)
        spread(grad[:, None], back, grad_x[:, None], window, self.groups, self.buffer)
        return grad_x

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_w`` and ``grad_b``."""
        window = self._window((1, self.x.shape[1]))
        correlate_weights(
            self.x[:, None], grad[:, None], self.grad_w[None], window, self.groups, self.buffer
        )
        self._store_grad_b(grad)
