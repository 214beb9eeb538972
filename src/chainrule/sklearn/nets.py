"""The nets: the layers that the parameters of an estimator describe, and their first values."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.layer import Layer
from chainrule.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dropout,
    LeakyReLU,
    Linear,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from chainrule.losses import MeanSquaredError
from chainrule.model import Model

__all__ = [
    "ACTIVATIONS",
    "draw_as_mlp",
    "given_layers",
    "has_batch_norm",
    "hidden_sizes",
    "holding",
    "mlp_layers",
]

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
}


def hidden_sizes(sizes: Any) -> list[int]:
    """Return the widths of the hidden layers as a list.

    Raises
    ------
    ValueError
        If one is no whole number greater than 0.
    """
    widths = list(sizes) if np.iterable(sizes) else [sizes]
    if not all(isinstance(width, (int, np.integer)) for width in widths):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {widths}.")
    if any(width <= 0 for width in widths):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return [int(width) for width in widths]


def each(name: str, value: Any, count: int) -> list[Any]:
    """Return a value for each hidden layer: the one that is given, or a list of as many.

    Raises
    ------
    ValueError
        If the list has another length.
    """
    if isinstance(value, (str, Layer)) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} values for {count} hidden layers. Give one for each, or "
            "one for all."
        )
    return values


def mlp_layers(
    sizes: Sequence[int], activation: Any, *, dropout: Any, batch_norm: bool
) -> list[Layer]:
    """Return linear layers of these widths, from input to output, with what goes between them."""
    hidden = len(sizes) - 2
    activations = each("activation", activation, hidden)
    shares = each("dropout", dropout, hidden)
    if not all(isinstance(share, (int, float, np.number)) and 0 <= share < 1 for share in shares):
        raise ValueError(f"dropout: a share is a number from 0 to less than 1, got {shares}.")
    layers: list[Layer] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers.append(Linear(n_in, n_out, initializer="glorot"))
        if i == hidden:
            break
        if batch_norm:
            layers.append(BatchNorm(n_out))
        layers += activation_layer(activations[i])
        if shares[i]:
            layers.append(Dropout(shares[i]))
    return layers


def activation_layer(activation: Any) -> list[Layer]:
    """Return the layer of that name, or a copy of the one that is given; none for the identity.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if isinstance(activation, Layer):
        return [copy.deepcopy(activation)]
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: there is no {activation!r}. There are {', '.join(ACTIVATIONS)}, and any "
            "layer, as LeakyReLU(0.1)."
        )
    kind = ACTIVATIONS[activation]
    return [] if kind is None else [kind()]


def draw_as_mlp(model: Model, activation: Any, random: np.random.RandomState) -> None:
    """Draw weights and biases as MLPClassifier draws them: the same numbers, in the same order.

    Source: Glorot and Bengio, 2010; for the logistic function a third of the variance.
    """
    layers = holding(model, "weights")
    names = each("activation", activation, len(layers) - 1)
    names.append(names[-1] if names else activation)
    for layer, name in zip(layers, names, strict=True):
        n_in, n_out = layer.weights.shape
        bound = np.sqrt(
            (2.0 if isinstance(name, str) and name == "logistic" else 6.0) / (n_in + n_out)
        )
        layer.weights = random.uniform(-bound, bound, (n_in, n_out))
        layer.biases = random.uniform(-bound, bound, n_out)


def given_layers(layers: Any, sample: Any, n_outputs: int) -> tuple[list[Layer], tuple[int, ...]]:
    """Return a copy of the user's layers, and the shape of what they give for one sample.

    Parameters
    ----------
    layers : sequence of Layer, or function (input_shape, n_outputs) -> sequence of Layer
    sample : array, shape (1, ...)
    n_outputs : int
        How many outputs are needed.
    """
    if callable(layers):
        layers = layers(sample.shape[1:], n_outputs)
    probe = Model(copy.deepcopy(layers), MeanSquaredError())
    return list(copy.deepcopy(layers)), probe.predict(sample).shape[1:]


def holding(model: Model, name: str) -> list[Any]:
    """Return the layers that have a parameter of that name, those inside others included."""
    return [
        layer
        for outer in model.layers
        for layer in outer.walk()
        if name in layer.parameter_shapes()
    ]


def has_batch_norm(model: Model) -> bool:
    """Whether some layer takes the variance of a mini-batch, and so needs two samples."""
    return any(isinstance(part, BatchNorm) for outer in model.layers for part in outer.walk())
