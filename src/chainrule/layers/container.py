"""Layers made of layers. Their backward is the chain rule over their parts."""

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Residual", "Sequential"]


class Sequential(Layer):
    r"""A chain of layers: the output of each is the input of the next.

    .. math:: y = f_n(\dots f_2(f_1(x)))

    The backward is the chain rule: from the last layer to the first, each turns the gradient of its
    output into the gradient of its input.

    Parameters
    ----------
    layers : sequence of Layer
        At least one.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, ReLU, Sequential
    >>> net = Sequential([Linear(4, 8), ReLU(), Linear(8, 2)])
    >>> net.forward(np.zeros((5, 4), dtype=np.float32)).shape
    (5, 2)
    >>> net.backward(np.ones((5, 2), dtype=np.float32)).shape
    (5, 4)
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = _checked(type(self).__name__, layers)
        self.takes_integers = self.layers[0].takes_integers
        # Below the first layer with parameters, nobody asks for a gradient in training.
        self._learns = [any(part.parameters for part in layer.walk()) for layer in self.layers]
        # One source for all, until a model gives its own: two equal layers must not draw the same.
        self.rng = np.random.default_rng(0)

    def children(self) -> dict[str, Layer]:
        """Return the layers, named by position."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: Array) -> Array:
        """Return the output of the last layer."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad: Array) -> Array:
        """Return d(loss)/d(input) of the first layer."""
        return self._back(self.layers, grad)

    def backward_parameters(self, grad: Array) -> None:
        """Go back as far as there are parameters that are not frozen, and no further."""
        first = 0
        while first < len(self.layers) and (not self._learns[first] or self.layers[first].frozen):
            first += 1
        grad = self._back(self.layers[first + 1 :], grad)
        for layer in self.layers[first : first + 1]:
            layer.backward_parameters(grad)

    def _back(self, layers: Sequence[Layer], grad: Array) -> Array:
        """Hand the gradient back through the layers, and its memory on to those that need some.

        When a layer has made its gradient, nobody needs the one above it any more: its memory is
        lent to the layer below. So a chain of any length goes back in two arrays of a size.
        """
        above: Layer | None = None
        free = self._lent
        for layer in reversed(layers):
            own = None if layer._buffers is None else layer._buffers.get("grad_x")
            if own is not None and np.may_share_memory(own, grad):
                # What came is in the memory that the layer is about to write into.
                del layer._buffers["grad_x"]  # type: ignore[union-attr]  # it was in there
                free = None
            layer._lent = free
            used, grad = grad, layer.backward(grad)
            # Only what a layer above wrote into its buffer is ours to lend; and not a view of it.
            buffers = None if above is None else above._buffers
            buffer = None if buffers is None else buffers.get("grad_x")
            mine = buffer is not None and np.may_share_memory(buffer, used)
            free = used if mine and not np.may_share_memory(used, grad) else None
            above = layer
        return grad


class Residual(Layer):
    r"""Residual connection: layers beside a path that carries the input past them.

    .. math:: y = s(x) + f(x), \qquad
        \frac{\partial L}{\partial x} = g \frac{\partial s}{\partial x} +
        g \frac{\partial f}{\partial x}

    Parameters
    ----------
    layers : sequence of Layer
        The chain :math:`f`.
    shortcut : Layer, optional
        The path :math:`s`, where the shapes of input and output differ; the input itself if None.

    Notes
    -----
    Source: He et al., Deep Residual Learning for Image Recognition, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ReLU, Residual
    >>> block = Residual([ReLU()])
    >>> block.forward(np.array([[1.0, -1.0]]))
    array([[ 2., -1.]])
    >>> block.backward(np.array([[1.0, 1.0]]))
    array([[2., 1.]])
    """

    def __init__(self, layers: Sequence[Layer], shortcut: Layer | None = None) -> None:
        self.inner = Sequential(_checked(type(self).__name__, layers))
        self.layers = self.inner.layers
        self.shortcut = None if shortcut is None else _checked("Residual: shortcut", [shortcut])[0]
        self.rng = self.inner.rng

    def children(self) -> dict[str, Layer]:
        """Return the chain as ``inner``, and ``shortcut`` if there is one."""
        children: dict[str, Layer] = {"inner": self.inner}
        if self.shortcut is not None:
            children["shortcut"] = self.shortcut
        return children

    def forward(self, x: Array) -> Array:
        """Return the sum of the two paths.

        Raises
        ------
        ValueError
            If the two paths give different shapes.
        """
        past = x if self.shortcut is None else self.shortcut.forward(x)
        through = self.inner.forward(x)
        if past.shape != through.shape:
            raise ValueError(
                f"{self!r}: the layers give shape {through.shape}, the path past them "
                f"{past.shape}. Map one to the other, as by shortcut=Linear(...)."
            )
        return np.add(past, through, out=self.buffer_like("y", through))

    def backward(self, grad: Array) -> Array:
        """Return the sum of what comes back through the two paths."""
        past = grad if self.shortcut is None else self.shortcut.backward(grad)
        through = self.inner.backward(grad)
        return np.add(past, through, out=self.buffer_like("grad_x", through))

    def backward_parameters(self, grad: Array) -> None:
        """Store the gradients of both paths."""
        if self.shortcut is not None:
            self.shortcut.backward_parameters(grad)
        self.inner.backward_parameters(grad)


def _checked(owner: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers as a tuple, or say which one is none."""
    if isinstance(layers, Layer) or not isinstance(layers, Sequence):
        raise TypeError(f"{owner}: needs a list of layers, got {layers!r}. Write [layer, layer].")
    if not layers:
        raise ValueError(f"{owner}: needs at least one layer, got an empty list.")
    for i, layer in enumerate(layers):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{owner}: layer {i} is the class {layer.__name__}. Write {layer.__name__}()."
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{owner}: layer {i} is {layer!r}, which is no layer. "
                "Derive its class from chainrule.Layer."
            )
    return tuple(layers)
