"""Branches: several layers see the same input, and their outputs are joined."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.container import Sequential

__all__ = ["Add", "Concatenate", "Parallel"]


class _Branches(Layer):
    """What both ways of joining share: each branch sees the input, and their gradients add up."""

    def __init__(self, branches: Sequence[Layer | Sequence[Layer]]) -> None:
        name = type(self).__name__
        if isinstance(branches, Layer) or not isinstance(branches, Sequence) or not branches:
            raise TypeError(
                f"{name}: needs a list of branches, each a layer or a list of layers, "
                f"got {branches!r}."
            )
        self.branches = tuple(
            branch if isinstance(branch, Layer) else Sequential(branch) for branch in branches
        )
        # One source for all, until a model gives its own: two equal layers must not draw the same.
        self.rng = np.random.default_rng(0)

    def children(self) -> dict[str, Layer]:
        """Return the branches, named by position."""
        return {str(i): branch for i, branch in enumerate(self.branches)}

    def outputs(self, x: Array) -> list[Array]:
        """Return the output of each branch."""
        return [branch.forward(x) for branch in self.branches]

    def together(self, grads: Sequence[Array]) -> Array:
        """Return the sum of what comes back through the branches, each with its gradient."""
        backs = [b.backward(g) for b, g in zip(self.branches, grads, strict=True)]
        grad_x = self.buffer_like("grad_x", backs[0])
        grad_x[...] = backs[0]
        for back in backs[1:]:
            grad_x += back
        return grad_x

    def parameters_alone(self, grads: Sequence[Array]) -> None:
        """Let each branch store the gradients of its parameters, and no more."""
        for branch, grad in zip(self.branches, grads, strict=True):
            branch.backward_parameters(grad)


class Concatenate(_Branches):
    r"""Branches whose outputs are laid side by side along an axis.

    .. math:: y = [f_1(x), f_2(x), \dots], \qquad
        \frac{\partial L}{\partial x} = \sum_k g_k \frac{\partial f_k}{\partial x}

    where :math:`g_k` is the part of the gradient that lies over the output of branch k.
    ``Parallel`` is the same class.

    Parameters
    ----------
    branches : sequence of (Layer or sequence of Layer)
        Each sees the input.
    axis : int
        Along which the outputs are laid; not 0, the samples.

    Notes
    -----
    Shapes: the outputs may differ along ``axis`` alone. Source: Szegedy et al., Going Deeper with
    Convolutions, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Concatenate, ReLU, Tanh
    >>> layer = Concatenate([ReLU(), Tanh()])
    >>> layer.forward(np.array([[-1.0, 0.0]])).round(3)
    array([[ 0.   ,  0.   , -0.762,  0.   ]])
    >>> layer.backward(np.ones((1, 4))).round(3)
    array([[0.42, 1.  ]])
    """

    keeps = ("ends",)

    ends: list[int]

    def __init__(self, branches: Sequence[Layer | Sequence[Layer]], axis: int = -1) -> None:
        super().__init__(branches)
        if axis == 0:
            raise ValueError("Concatenate: axis 0 is the samples. Join along another axis.")
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return the outputs side by side.

        Raises
        ------
        ValueError
            If they do not fit beside each other.
        """
        outputs = self.outputs(x)
        try:
            y = np.concatenate(outputs, axis=self.axis)
        except ValueError as error:
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise ValueError(
                f"{self!r}: the outputs of the branches may differ along axis {self.axis} alone, "
                f"got the shapes {shapes}."
            ) from error
        self.ends = np.cumsum([output.shape[self.axis] for output in outputs]).tolist()
        return y

    def backward(self, grad: Array) -> Array:
        """Return the sum of what comes back through the branches."""
        return self.together(np.split(grad, self.ends[:-1], axis=self.axis))

    def backward_parameters(self, grad: Array) -> None:
        """Store the gradients of the branches' parameters."""
        self.parameters_alone(np.split(grad, self.ends[:-1], axis=self.axis))


Parallel = Concatenate


class Add(_Branches):
    r"""Branches whose outputs are added.

    .. math:: y = \sum_k f_k(x), \qquad
        \frac{\partial L}{\partial x} = \sum_k g \frac{\partial f_k}{\partial x}

    Parameters
    ----------
    branches : sequence of (Layer or sequence of Layer)
        Each sees the input.

    Notes
    -----
    Shapes: all outputs have the same. ``Residual`` adds the input itself to one branch. Source: He
    et al., Deep Residual Learning for Image Recognition, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Add, ReLU, Tanh
    >>> Add([ReLU(), Tanh()]).forward(np.array([[-1.0, 0.0]])).round(3)
    array([[-0.762,  0.   ]])
    """

    def forward(self, x: Array) -> Array:
        """Return the sum of the outputs.

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        outputs = self.outputs(x)
        if len({output.shape for output in outputs}) > 1:
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise ValueError(
                f"{self!r}: the outputs of the branches must have one shape, got {shapes}. "
                "Map them to one, as by Linear(...)."
            )
        y = self.buffer_like("y", outputs[0])
        y[...] = outputs[0]
        for output in outputs[1:]:
            y += output
        return y

    def backward(self, grad: Array) -> Array:
        """Return the sum of what comes back through the branches."""
        return self.together([grad] * len(self.branches))

    def backward_parameters(self, grad: Array) -> None:
        """Store the gradients of the branches' parameters."""
        self.parameters_alone([grad] * len(self.branches))
