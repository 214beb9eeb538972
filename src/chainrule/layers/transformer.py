"""The block that a transformer stacks: attention, and a small net for each step."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.activation import GELU
from chainrule.layers.attention import MultiHeadAttention, check_padding, real_steps
from chainrule.layers.container import Sequential
from chainrule.layers.dropout import Dropout
from chainrule.layers.linear import Linear
from chainrule.layers.normalization import LayerNorm

__all__ = ["TransformerBlock"]


class TransformerBlock(Layer):
    r"""Attention over the steps and a small net on each, both beside a path that passes them by.

    .. math::
        u = x + \operatorname{attention}(\operatorname{norm}_1(x)), \qquad
        y = u + W_2 \operatorname{gelu}(W_1 \operatorname{norm}_2(u))

    Backward: what comes back is added up where the paths parted.

    .. math::
        \bar u = \bar y + \operatorname{net}'(\bar y), \qquad
        \bar x = \bar u + \operatorname{attention}'(\bar u)

    Parameters
    ----------
    width : int
        Length of the input's last axis.
    heads : int
        How many heads the attention has.
    hidden : int, optional
        Units of the small net; four times the width if None.
    causal, key_value_heads, positions, padding
        As of ``MultiHeadAttention``. With ``padding``, steps of padding come out as padding.
    dropout : float
        Probability that a weight of the attention, or a value that either part adds, is dropped.

    Attributes
    ----------
    attention : MultiHeadAttention
    norm_1, norm_2 : LayerNorm
    net : Sequential

    Notes
    -----
    Shapes: (samples, steps, width) to the same. Source: Vaswani et al., Attention Is All You Need,
    2017; with the norms before the parts: Xiong et al., On Layer Normalization in the Transformer
    Architecture, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import TransformerBlock
    >>> block = TransformerBlock(8, heads=2)
    >>> block.forward(np.zeros((3, 5, 8), dtype=np.float32)).shape
    (3, 5, 8)
    """

    keeps = ("real",)

    real: Array | None

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        causal: bool = False,
        key_value_heads: int | None = None,
        positions: str | None = None,
        dropout: float = 0.0,
        padding: float | None = None,
    ) -> None:
        check_padding(f"TransformerBlock({width!r}, {heads!r})", padding)
        self.width = width
        self.heads = heads
        self.hidden = hidden
        self.causal = causal
        self.key_value_heads = key_value_heads
        self.positions = positions
        self.dropout = dropout
        self.padding = padding
        self.attention = MultiHeadAttention(
            width, heads, key_value_heads=key_value_heads, causal=causal, positions=positions,
            dropout=dropout,
        )  # fmt: skip
        inner = 4 * width if hidden is None else hidden
        self.norm_1, self.norm_2 = LayerNorm(width), LayerNorm(width)
        self.drop_1, self.drop_2 = Dropout(dropout), Dropout(dropout)
        self.net = Sequential([Linear(width, inner), GELU("tanh"), Linear(inner, width)])
        self.rng = np.random.default_rng(0)

    def children(self) -> dict[str, Layer]:
        """Return the parts, by the names of their attributes."""
        parts: dict[str, Layer] = {
            "norm_1": self.norm_1,
            "attention": self.attention,
            "norm_2": self.norm_2,
            "net": self.net,
        }
        if self.dropout > 0:
            parts |= {"drop_1": self.drop_1, "drop_2": self.drop_2}
        return parts

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Return the output, shape (samples, steps, width).

        Parameters
        ----------
        x : array, shape (samples, steps, width)
            The sequences.
        mask : boolean array, shape (samples, steps), optional
            True where a step is real, and no padding; taken from ``padding`` if None.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        x = self.floats(x)
        self.real = real = real_steps(self, x, mask) if x.ndim == 3 else None
        taken = self.attention.forward(self.norm_1.forward(x), real)
        if self.dropout > 0:
            taken = self.drop_1.forward(taken)
        u = np.add(x, taken, out=self.buffer_like("u", x))
        made = self.net.forward(self.norm_2.forward(u))
        if self.dropout > 0:
            made = self.drop_2.forward(made)
        y = np.add(u, made, out=self.buffer_like("y", x))
        if real is not None:
            y[~real] = self.padding or 0
        return y

    def backward(self, grad: Array) -> Array:
        """Store the gradients of the parts; return d(loss)/d(x)."""
        if self.real is not None:  # the output of padding is a constant
            grad = grad * self.real[..., None]
        back = self.drop_2.backward(grad) if self.dropout > 0 else grad
        back = self.norm_2.backward(self.net.backward(back))
        grad_u = np.add(grad, back, out=self.buffer_like("grad_u", grad))
        back = self.drop_1.backward(grad_u) if self.dropout > 0 else grad_u
        back = self.norm_1.backward(self.attention.backward(back))
        return np.add(grad_u, back, out=self.buffer_like("grad_x", grad))
