"""What a node of a graph does that joins several values: each with its formula and its way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array, Function

__all__ = ["JOINS", "Concatenated", "Join", "MatrixProduct", "Product", "Sum"]


class Join(Function):
    """Makes one value of several, and parts the gradient again; it keeps nothing of its own."""

    def forward(self, values: Sequence[Array]) -> Array:
        """Return the value that is made of others.

        Raises
        ------
        ValueError
            If their shapes do not fit.
        """
        raise NotImplementedError

    def backward(self, grad: Array, values: Sequence[Array]) -> list[Array]:
        """Return d(loss)/d(value) for each of the values that were joined."""
        raise NotImplementedError


class Sum(Join):
    r"""The sum of values, place by place.

    .. math:: y = \sum_j v_j

    Backward, each is handed the gradient as it is, added up where a length of 1 was repeated:

    .. math:: \bar v_j = g
    """

    def forward(self, values: Sequence[Array]) -> Array:
        """Return the sum."""
        y = np.add(values[0], values[1])
        for value in values[2:]:
            y = np.add(y, value)
        return y

    def backward(self, grad: Array, values: Sequence[Array]) -> list[Array]:
        """Return the gradient for each value."""
        return [_unrepeated(grad, value.shape) for value in values]


class Product(Join):
    r"""The product of values, place by place.

    .. math:: y = \prod_j v_j

    Backward, the gradient of each is multiplied by the other factors:

    .. math:: \bar v_j = g \prod_{k \ne j} v_k
    """

    def forward(self, values: Sequence[Array]) -> Array:
        """Return the product."""
        return _product(values)

    def backward(self, grad: Array, values: Sequence[Array]) -> list[Array]:
        """Return the gradient times the other factors, for each value."""
        backs = []
        for i, value in enumerate(values):
            others = [other for k, other in enumerate(values) if k != i]
            back = np.multiply(grad, _product(others))  # not y / value: that may be 0
            backs.append(_unrepeated(back, value.shape))
        return backs


class MatrixProduct(Join):
    r"""The matrix product of two values, over their last two axes.

    .. math:: y = a b

    .. math:: \bar a = g b^T, \qquad \bar b = a^T g
    """

    def forward(self, values: Sequence[Array]) -> Array:
        """Return the matrix product."""
        if values[0].ndim < 3:
            raise ValueError("a matrix product needs two axes after the samples")
        return np.matmul(*values)

    def backward(self, grad: Array, values: Sequence[Array]) -> list[Array]:
        """Return the gradients of both factors."""
        a, b = values
        backs = [np.matmul(grad, b.swapaxes(-1, -2)), np.matmul(a.swapaxes(-1, -2), grad)]
        return [_unrepeated(back, v.shape) for back, v in zip(backs, values, strict=True)]


class Concatenated(Join):
    r"""Values side by side along an axis.

    .. math:: y = [v_j, v_k, \dots]

    Backward, the gradient is cut apart again, and each gets its part:

    .. math:: [\bar v_j, \bar v_k, \dots] = g
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, values: Sequence[Array]) -> Array:
        """Return the values side by side."""
        if self.axis % values[0].ndim == 0:
            raise ValueError(f"axis {self.axis} is the samples")
        return np.concatenate(values, axis=self.axis)

    def backward(self, grad: Array, values: Sequence[Array]) -> list[Array]:
        """Return the part of each value."""
        ends = np.cumsum([value.shape[self.axis] for value in values])[:-1]
        return np.split(grad, ends, axis=self.axis)


JOINS: dict[str, type[Join]] = {
    "add": Sum, "multiply": Product, "matmul": MatrixProduct, "concatenate": Concatenated,
}  # fmt: skip


def _product(values: Sequence[Array]) -> Array:
    product = values[0]
    for value in values[1:]:
        product = np.multiply(product, value)
    return product


def _unrepeated(grad: Array, shape: tuple[int, ...]) -> Array:
    """Return the sum over the axes along which a value of ``shape`` was repeated."""
    repeated = tuple(a for a, n in enumerate(shape) if n != grad.shape[a])
    return grad.sum(axis=repeated, keepdims=True) if repeated else grad
