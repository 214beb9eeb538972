"""All parameters of a net end to end in one vector, and all gradients in another.

The layers' attributes become views into the two vectors. So a layer, and a loss with it, belongs
to one model at most.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.layer import Array, Function, Layer, state_type

__all__ = ["check_ownership", "lay_out", "write"]


def check_ownership(parts: Iterable[Function]) -> None:
    """Refuse parts of a new model that stand in it twice, or belong to another.

    Raises
    ------
    ValueError
        If there is such a part.
    """
    seen: set[int] = set()
    for part in parts:
        if id(part) in seen:
            raise ValueError(
                f"Model: {part!r} appears twice. Build a layer for each place: each keeps its "
                "own input for the way back."
            )
        if part._buffers is not None:
            raise ValueError(
                f"Model: {part!r} belongs to another model already. Build a new one, or use "
                "copy.deepcopy of it."
            )
        seen.add(id(part))


def lay_out(net: Layer, dtype: DTypeLike) -> tuple[Array, Array]:
    """Move every parameter and gradient of a net into two new vectors, and return these.

    Examples
    --------
    >>> from chainrule import Linear
    >>> layer = Linear(2, 1)
    >>> layer.weights, layer.biases = [[1.0], [2.0]], [3.0]
    >>> parameters, gradients = lay_out(layer, "float32")
    >>> parameters
    array([1., 2., 3.], dtype=float32)
    >>> parameters += 1
    >>> layer.biases
    array([4.], dtype=float32)
    """
    size = sum(array.size for _, array in net.named_parameters())
    parameters, gradients = np.empty(size, dtype), np.zeros(size, dtype)
    start = 0
    for layer in net.walk():
        for name, shape in layer.parameter_shapes().items():
            stop = start + int(np.prod(shape))
            layer.place(
                name, parameters[start:stop].reshape(shape), gradients[start:stop].reshape(shape)
            )
            start = stop
        for name in layer.state_shapes():
            layer.__dict__[name] = getattr(layer, name).astype(state_type(dtype))
    return parameters, gradients


def write(vector: Array, values: ArrayLike, name: str) -> None:
    """Write values into one of the two vectors, where the layers see them.

    Raises
    ------
    ValueError
        If they are not as many.
    """
    if values is vector:  # `model.parameters -= step` has already worked in place
        return
    if np.shape(values) != vector.shape:
        raise ValueError(f"Model: {name} must have shape {vector.shape}, got {np.shape(values)}.")
    vector[...] = values
