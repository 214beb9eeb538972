"""Dropout."""

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Dropout", "SpatialDropout"]


class Dropout(Layer):
    r"""Dropout: in training, set each value to 0 with probability ``p``, and scale up the rest.

    .. math:: y = x \cdot m, \qquad m = \frac{1}{1 - p} \text{ with probability } 1 - p,
        \text{ else } 0

    The scale keeps the expected output equal to the input, so that outside training the layer does
    nothing. Backward: :math:`\partial L / \partial x = g \cdot m`, with the same mask.

    Parameters
    ----------
    p : float
        Probability that a value is dropped, from 0 to 1.

    Notes
    -----
    Shapes: any to the same. Source: Srivastava et al., Dropout: A Simple Way to Prevent Neural
    Networks from Overfitting, 2014 (there the scale is applied at inference instead).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Dropout
    >>> layer = Dropout(0.5)
    >>> sorted(set(layer.forward(np.ones(1000)).tolist()))
    [0.0, 2.0]
    >>> layer.training = False
    >>> layer.forward(np.ones(3))
    array([1., 1., 1.])
    """

    keeps = ("mask",)

    mask: Array | float

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout({p}): p is a probability, from 0 to 1.")
        self.p = p

    def forward(self, x: Array) -> Array:
        """Return ``x`` times a fresh mask; outside training, ``x``."""
        if not self.training:
            self.mask = 1.0
            return x
        shape = self.mask_shape(x)
        mask = self.buffer("mask", shape, x.dtype if x.dtype.kind == "f" else None)
        # NumPy draws float32 and float64 only; other types get float32 draws.
        draw_type = np.float64 if mask.dtype == np.float64 else np.float32
        kept = self.rng.random(shape, draw_type) >= self.p
        np.multiply(kept, 1 / (1 - self.p) if self.p < 1 else 0.0, out=mask, casting="same_kind")
        self.mask = mask
        return np.multiply(x, mask, out=self.buffer_like("y", x))

    def mask_shape(self, x: Array) -> tuple[int, ...]:
        """Return the shape of the mask: here, a value of its own for each value of ``x``."""
        return x.shape

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` times the mask of the last forward."""
        return np.multiply(grad, self.mask, out=self.buffer_like("grad_x", grad))


class SpatialDropout(Dropout):
    r"""Dropout of whole channels: in training, a channel of a sample is kept or dropped as one.

    .. math:: y_{n, \dots, c} = x_{n, \dots, c} \cdot m_{n, c}

    with :math:`m` as in ``Dropout``. Neighbouring places of a channel say nearly the same, so that
    dropping single ones takes away little.

    Parameters
    ----------
    p : float
        Probability that a channel is dropped, from 0 to 1.

    Notes
    -----
    Shapes: (samples, ..., channels) to the same. Source: Tompson et al., Efficient Object
    Localization Using Convolutional Networks, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import SpatialDropout
    >>> y = SpatialDropout(0.5).forward(np.ones((1, 4, 4, 8)))
    >>> bool((y == y[:, :1, :1]).all())
    True
    """

    def mask_shape(self, x: Array) -> tuple[int, ...]:
        """Return (samples, 1, ..., channels): one value for a whole channel."""
        return (len(x), *(1,) * (x.ndim - 2), x.shape[-1])
