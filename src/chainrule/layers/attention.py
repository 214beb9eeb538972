"""Attention: each step of a sequence looks at the others, and takes from those that matter."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from chainrule.initializers import INITIALIZERS
from chainrule.layer import Array, Layer
from chainrule.layers.positions import rotated, rotations
from chainrule.layers.rows import row_max, row_sum

__all__ = ["MultiHeadAttention", "check_padding", "real_steps"]


class MultiHeadAttention(Layer):
    r"""Self-attention with several heads.

    Every step has a query :math:`q`, a key :math:`k` and a value :math:`v`, three linear maps of
    it. In each head a step takes the mean of all values, weighted by how well their keys fit its
    query:

    .. math::
        S = \frac{Q K^T}{\sqrt{d}}, \qquad P = \operatorname{softmax}(S), \qquad C = P V, \qquad
        y = [C_1, \dots, C_h] W_o + b_o

    Backward, with :math:`\bar C = \partial L / \partial C`, and so on for the others:

    .. math::
        \bar V = P^T \bar C, \qquad \bar P = \bar C V^T, \qquad
        \bar S = P \cdot (\bar P - \textstyle\sum_j P_{ij} \bar P_{ij}), \qquad
        \bar Q = \frac{\bar S K}{\sqrt{d}}, \qquad \bar K = \frac{\bar S^T Q}{\sqrt{d}}

    Parameters
    ----------
    width : int
        Length of the input's last axis; a multiple of ``heads``.
    heads : int
        How many heads; each has the width :math:`d` = ``width / heads``.
    key_value_heads : int, optional
        How many heads of keys and values there are, each shared by ``heads / key_value_heads``
        heads of queries; as many as ``heads`` if None.
    causal : bool
        Whether a step sees only itself and those before it.
    positions : {None, "rotary"}
        Whether queries and keys are turned by an angle that grows with the step, so that their
        product tells how far apart they are.
    bias : bool
        Whether the linear maps have biases.
    dropout : float
        Probability that a weight of :math:`P` is dropped in training.
    padding : float, optional
        Steps whose values all equal this are padding: nobody looks at them, and their output is
        this value again.
    initializer : str
        How the weights are drawn: a name of :mod:`chainrule.initializers`.

    Attributes
    ----------
    weights : array, shape (width, width + 2 d key_value_heads)
        The maps to queries, keys and values, side by side.
    output_weights : array, shape (width, width)
    biases, output_biases : arrays
    grad_w, grad_output_w, grad_b, grad_output_b : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, steps, width) to the same. Sources: Vaswani et al., Attention Is All You Need,
    2017; shared keys and values: Ainslie et al., GQA, 2023; rotary positions: Su et al., RoFormer,
    2021.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MultiHeadAttention
    >>> layer = MultiHeadAttention(8, heads=2, causal=True)
    >>> x = np.random.default_rng(0).standard_normal((3, 5, 8))
    >>> y = layer.forward(x)
    >>> y.shape
    (3, 5, 8)
    >>> bool(np.allclose(layer.forward(x[:, :2]), y[:, :2]))  # the later steps are not seen
    True
    """

    parameters: ClassVar = {
        "weights": "grad_w",
        "biases": "grad_b",
        "output_weights": "grad_output_w",
        "output_biases": "grad_output_b",
    }
    keeps = ("x", "q", "k", "v", "p", "dropped", "joined", "real")

    weights: Array
    biases: Array
    output_weights: Array
    output_biases: Array
    grad_w: Array
    grad_b: Array
    grad_output_w: Array
    grad_output_b: Array
    x: Array
    q: Array
    k: Array
    v: Array
    p: Array
    dropped: Array | None
    joined: Array
    real: Array | None

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        key_value_heads: int | None = None,
        causal: bool = False,
        positions: str | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        padding: float | None = None,
        initializer: str = "glorot",
    ) -> None:
        owner = f"MultiHeadAttention({width!r}, {heads!r})"
        shared = heads if key_value_heads is None else key_value_heads
        for name, n in (("width", width), ("heads", heads), ("key_value_heads", shared)):
            if not isinstance(n, (int, np.integer)) or n < 1:
                raise ValueError(f"{owner}: {name} must be a whole number, at least 1, got {n!r}.")
        if width % heads:
            raise ValueError(f"{owner}: the width must be a multiple of the number of heads.")
        if heads % shared:
            raise ValueError(f"{owner}: heads must be a multiple of key_value_heads={shared}.")
        if positions not in (None, "rotary"):
            raise ValueError(f'{owner}: positions must be None or "rotary", got {positions!r}.')
        if positions == "rotary" and width // heads % 2:
            raise ValueError(f"{owner}: rotary positions turn pairs; width / heads must be even.")
        if not 0 <= dropout < 1:
            raise ValueError(f"{owner}: dropout is a probability below 1, got {dropout}.")
        check_padding(owner, padding)
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"{owner}: unknown initializer {initializer!r}. There are: "
                f"{', '.join(INITIALIZERS)}."
            )
        self.width = width
        self.heads = heads
        self.key_value_heads = key_value_heads
        self.causal = causal
        self.positions = positions
        self.bias = bias
        self.dropout = dropout
        self.padding = padding
        self.initializer = initializer
        self._depth = width // heads
        self._shared = shared

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights and biases."""
        inner = self.width + 2 * self._shared * self._depth
        shapes: dict[str, tuple[int, ...]] = {"weights": (self.width, inner)}
        if self.bias:
            shapes["biases"] = (inner,)
        shapes["output_weights"] = (self.width, self.width)
        if self.bias:
            shapes["output_biases"] = (self.width,)
        return shapes

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the weights from ``rng``, each of the four maps for itself; set biases to 0."""
        draw, inner = INITIALIZERS[self.initializer], self._shared * self._depth
        maps = [draw(rng, (self.width, n)) for n in (self.width, inner, inner)]
        self.weights = np.concatenate(maps, axis=1)
        self.output_weights = draw(rng, (self.width, self.width))
        if self.bias:
            self.biases = np.zeros(self.width + 2 * inner)
            self.output_biases = np.zeros(self.width)

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Return what each step takes from the others, shape (samples, steps, width).

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
        if x.ndim != 3 or x.shape[-1] != self.width:
            raise ValueError(
                f"{self!r}: the input must have shape (samples, steps, {self.width}), got "
                f"{x.shape}."
            )
        self.x = x
        self.real = real = real_steps(self, x, mask)
        inner = self.buffer("inner", (*x.shape[:2], self.weights.shape[1]))
        np.matmul(x, self.weights, out=inner)
        if self.bias:
            self.add_to_rows(inner, self.biases)
        q, k, v = self._split(inner, "q", "k", "v")
        q *= 1 / math.sqrt(self._depth)
        if self.positions:
            self._turn(q, k, direction=1)
        self.q, self.k, self.v = q, k, v

        p = self.buffer("p", (*q.shape[:-1], x.shape[1]))
        np.matmul(q, k.swapaxes(-1, -2), out=p)
        self._hide(p, real)
        p -= row_max(p)
        np.exp(p, out=p)
        p /= row_sum(p)
        self.p = p
        weights = p
        self.dropped = dropped = self._dropped(p)
        if dropped is not None:
            weights = np.multiply(p, dropped, out=self.buffer("dropped_p", p.shape))
        context = np.matmul(weights, v, out=self.buffer("context", q.shape))
        self.joined = joined = self._join(context, x.shape[1])

        y = self.buffer("y", x.shape)
        np.matmul(joined, self.output_weights, out=y)
        if self.bias:
            self.add_to_rows(y, self.output_biases)
        if real is not None:
            y[~real] = self.padding or 0
        return y

    def backward(self, grad: Array) -> Array:
        """Store the parameters' gradients; return d(loss)/d(x), shape (samples, steps, width)."""
        grad_inner = self._backward_inner(grad)
        grad_x = self.buffer("grad_x", self.x.shape)
        return np.matmul(grad_inner, self.weights.T, out=grad_x)

    def backward_parameters(self, grad: Array) -> None:
        """Store the parameters' gradients."""
        self._backward_inner(grad)

    def _backward_inner(self, grad: Array) -> Array:
        """Return d(loss)/d(queries, keys, values), after storing the parameters' gradients."""
        q, k, v, p = self.q, self.k, self.v, self.p
        if self.real is not None:  # the output of padding is a constant
            grad = grad * self.real[..., None]
        self._linear_gradients(self.joined, grad, "output_w", "output_b")
        grad_joined = self.buffer("grad_joined", grad.shape)
        np.matmul(grad, self.output_weights.T, out=grad_joined)
        grad_context = self._heads(grad_joined, self.buffer("grad_context", q.shape))

        grad_p = np.matmul(grad_context, v.swapaxes(-1, -2), out=self.buffer("grad_p", p.shape))
        weights = p
        if self.dropped is not None:
            weights = np.multiply(p, self.dropped, out=self.buffer("dropped_p", p.shape))
            grad_p *= self.dropped
        grad_inner = self.buffer("grad_inner", (*grad.shape[:2], self.weights.shape[1]))
        grad_q, grad_k, grad_v = self._split(grad_inner, "grad_q", "grad_k", "grad_v", fill=False)
        np.matmul(weights.swapaxes(-1, -2), grad_context, out=grad_v)
        grad_p -= np.vecdot(grad_p, p)[..., None]
        grad_p *= p  # now d(loss)/d(scores)
        np.matmul(grad_p, k, out=grad_q)
        np.matmul(grad_p.swapaxes(-1, -2), q, out=grad_k)
        if self.positions:
            self._turn(grad_q, grad_k, direction=-1)
        grad_q *= 1 / math.sqrt(self._depth)
        self._lay_together(grad_inner, grad_q, grad_k, grad_v)
        self._linear_gradients(self.x, grad_inner, "w", "b")
        return grad_inner

    # -- from (samples, steps, heads x depth) to a matrix for each head, and back ----------------

    def _split(self, inner: Array, *names: str, fill: bool = True) -> tuple[Array, Array, Array]:
        """Return queries, keys and values of ``inner``, each a matrix for each head.

        The heads that share keys have their queries in one matrix, one below the other.
        """
        samples, steps, _ = inner.shape
        group = self.heads // self._shared
        shapes = [(samples, self._shared, n * steps, self._depth) for n in (group, 1, 1)]
        q, k, v = (self.buffer(n, s, inner.dtype) for n, s in zip(names, shapes, strict=True))
        if fill:
            ends = (self.width, self.width + self._shared * self._depth)
            for part, out in zip(np.split(inner, ends, axis=-1), (q, k, v), strict=True):
                self._heads(part, out)
        return q, k, v

    def _heads(self, together: Array, out: Array) -> Array:
        """Write (samples, steps, heads x depth) as (samples, heads, steps, depth) into ``out``."""
        samples, steps, _ = together.shape
        heads = together.shape[-1] // self._depth
        parts = together.reshape(samples, steps, heads, self._depth).swapaxes(1, 2)
        out.reshape(parts.shape)[...] = parts
        return out

    def _join(self, context: Array, steps: int) -> Array:
        """Return (samples, heads, steps, depth) as (samples, steps, heads x depth)."""
        joined = self.buffer("joined", (len(context), steps, self.width))
        heads = context.reshape(len(context), self.heads, steps, self._depth)
        joined.reshape(len(context), steps, self.heads, self._depth)[...] = heads.swapaxes(1, 2)
        return joined

    def _lay_together(self, inner: Array, *parts: Array) -> None:
        """Write the matrices of queries, keys and values side by side into ``inner``."""
        samples, steps, _ = inner.shape
        counts = (self.heads, self._shared, self._shared)
        ends = np.cumsum(counts)[:-1] * self._depth
        for part, n, place in zip(parts, counts, np.split(inner, ends, axis=-1), strict=True):
            heads = part.reshape(samples, n, steps, self._depth).swapaxes(1, 2)
            place[...] = heads.reshape(place.shape)

    # -- what stands between the products --------------------------------------------------------

    def _turn(self, q: Array, k: Array, *, direction: int) -> None:
        """Turn queries and keys in place by the angles of their steps, or back."""
        steps = k.shape[-2]
        cosines, sines = rotations(steps, self._depth, q.dtype)
        for part in (q.reshape(len(q), self.heads, steps, self._depth), k):
            rotated(part, cosines, direction * sines)

    def _hide(self, scores: Array, real: Array | None) -> None:
        """Set the scores of what a step may not see so low that their softmax is 0."""
        samples, _, _, steps = scores.shape
        # Finite, so that the softmax of a step that sees nothing is no NaN; its output is not used.
        lowest = np.finfo(scores.dtype).min / 4
        if self.causal:
            later = np.triu(np.ones((steps, steps), bool), 1)
            np.copyto(scores.reshape(samples, self.heads, steps, steps), lowest, where=later)
        if real is not None:
            np.copyto(scores, lowest, where=~real[:, None, None, :])

    def _dropped(self, p: Array) -> Array | None:
        if not self.training or self.dropout == 0:
            return None
        draw_type = np.float64 if p.dtype == np.float64 else np.float32
        kept = self.rng.random(p.shape, draw_type) >= self.dropout
        return np.multiply(
            kept, 1 / (1 - self.dropout), out=self.buffer("dropped", p.shape), casting="same_kind"
        )

    def _linear_gradients(self, x: Array, grad: Array, weights: str, biases: str) -> None:
        grad_rows = grad.reshape(-1, grad.shape[-1])
        np.matmul(x.reshape(-1, x.shape[-1]).T, grad_rows, out=getattr(self, f"grad_{weights}"))
        if self.bias:
            self.sum_rows(grad_rows, out=getattr(self, f"grad_{biases}"))


def check_padding(owner: str, padding: float | None) -> None:
    """Refuse what no step can be compared with.

    Raises
    ------
    ValueError
        If it is no finite number.
    """
    number = isinstance(padding, (int, float, np.number))
    if padding is not None and not (number and math.isfinite(padding)):
        raise ValueError(f"{owner}: padding must be a finite number, got {padding!r}.")


def real_steps(layer: Layer, x: Array, mask: Array | None) -> Array | None:
    """Return which steps are real, shape (samples, steps), or None where all are.

    Raises
    ------
    ValueError
        If the mask has another shape.
    """
    padding = getattr(layer, "padding", None)
    if mask is None:
        return None if padding is None else (x != padding).any(axis=-1)
    mask = np.asarray(mask, bool)
    if mask.shape != x.shape[:2]:
        raise ValueError(
            f"{layer!r}: the mask must have shape {x.shape[:2]} (samples, steps), got {mask.shape}."
        )
    return mask
