"""Which arrays of a file belong to which of our layers, and how they lie there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.layer import Array, Layer

__all__ = ["KINDS", "Item", "items_of"]

Change = Callable[[Array], Array]


@dataclass(frozen=True)
class Item:
    """One of our arrays, and where it is in the file.

    Attributes
    ----------
    layer, name : Layer, str
        Whose attribute it is.
    path : str or None
        In the file; None for zeros or ones of ours that the file has not.
    shape : tuple of int
        In the file.
    change : function, optional
        From the file's array to ours.
    optional : bool
        Whether it is 0 where it is not in the file.
    """

    layer: Layer
    name: str
    path: str | None
    shape: tuple[int, ...] = ()
    change: Change = lambda array: array
    optional: bool = False
    value: float = 0.0


# What Keras calls a layer of ours in a file of weights.
KINDS: dict[type, str] = {
    layers.Linear: "dense",
    layers.Conv1d: "conv1d",
    layers.Conv2d: "conv2d",
    layers.ConvTranspose2d: "conv2d_transpose",
    layers.Embedding: "embedding",
    layers.BatchNorm: "batch_normalization",
    layers.LayerNorm: "layer_normalization",
    layers.RMSNorm: "rms_normalization",
    layers.GroupNorm: "group_normalization",
    layers.RNN: "simple_rnn",
    layers.GRU: "gru",
    layers.LSTM: "lstm",
    layers.Bidirectional: "bidirectional",
}


def items_of(layer: Any, path: str, **options: bool) -> Iterator[Item]:
    """Yield the arrays of a layer whose part of the file is ``path``.

    ``options`` are Keras's own where it may have fewer arrays than we: ``scale``, ``center``.
    """
    if isinstance(layer, layers.Bidirectional):
        yield from items_of(layer.layer, f"{path}/forward_layer")
        yield from items_of(layer.twin, f"{path}/backward_layer")
    elif isinstance(layer, (layers.RNN, layers.GRU, layers.LSTM)):
        yield from _recurrent(layer, f"{path}/cell/vars")
    elif isinstance(layer, layers.Embedding):
        yield Item(layer, "weights", f"{path}/vars/0", (layer.n_tokens, layer.width))
    elif isinstance(layer, (layers.BatchNorm, layers.LayerNorm, layers.GroupNorm)):
        yield from _normalization(layer, f"{path}/vars", **options)
    else:
        yield from _weighted(layer, f"{path}/vars")


def _weighted(layer: Any, path: str) -> Iterator[Item]:
    shape = layer.parameter_shapes()["weights"]
    if isinstance(layer, layers.ConvTranspose2d):  # (height, width, out, in)
        swapped = (*shape[:2], shape[3], shape[2])
        yield Item(layer, "weights", f"{path}/0", swapped, lambda a: a.swapaxes(2, 3))
    else:
        yield Item(layer, "weights", f"{path}/0", shape)
    if layer.bias:
        yield Item(layer, "biases", f"{path}/1", (layer.n_out,))


def _normalization(
    layer: Any, path: str, scale: bool = True, center: bool = True
) -> Iterator[Item]:
    """Yield gamma, beta, mean and variance, those of them that there are, numbered in order."""
    there = {"scale": scale, "shift": center}
    number = 0
    for name in layer.owned_shapes():
        if there.get(name, True):
            yield Item(layer, name, f"{path}/{number}", (layer.n,))
            number += 1
        else:
            yield Item(layer, name, None, (layer.n,), value=1.0 if name == "scale" else 0.0)


def _recurrent(layer: Any, path: str) -> Iterator[Item]:
    n, gates = layer.n_hidden, layer.n_gates
    # Keras has i, f, g, o where we have i, f, o, g, and z, r, n where we have r, z, n.
    order = {layers.LSTM: [0, 1, 3, 2], layers.GRU: [1, 0, 2]}.get(type(layer), [0])

    def ordered(columns: Array) -> Array:
        by_gate = columns.reshape(*columns.shape[:-1], gates, n)[..., order, :]
        return by_gate.reshape(columns.shape)

    yield Item(layer, "weights", f"{path}/0", (layer.n_in, gates * n), ordered)
    yield Item(layer, "recurrent_weights", f"{path}/1", (n, gates * n), ordered)
    if not isinstance(layer, layers.GRU):
        yield Item(layer, "biases", f"{path}/2", (gates * n,), ordered, optional=True)
        return

    def joined(both: Array) -> Array:
        # The two rows are added up, but for the candidate's, where the second is apart.
        inputs, hidden = ordered(both)
        return np.concatenate([inputs[: 2 * n] + hidden[: 2 * n], inputs[2 * n :]])

    yield Item(layer, "biases", f"{path}/2", (2, 3 * n), joined, optional=True)
    yield Item(
        layer, "recurrent_biases", f"{path}/2", (2, 3 * n), lambda both: both[1, 2 * n :],
        optional=True,
    )  # fmt: skip
