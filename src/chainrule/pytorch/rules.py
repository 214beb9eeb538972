"""For each layer, what PyTorch calls its arrays, and how they lie there.

``write`` gives a layer's arrays as PyTorch has them, ``read`` takes them back. Which arrays there
are, and their shapes, is known from ``write`` alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.layer import Array, Layer
from chainrule.pytorch.places import Place

__all__ = ["OPTIONAL", "read", "why_not", "write"]

# What a state dict may lack: a count that nothing of ours needs.
OPTIONAL = ("num_batches_tracked",)

Arrays = dict[str, Array]


def write(place: Place) -> Arrays:
    """Return the arrays of a layer as PyTorch has them, by PyTorch's names."""
    return _rule(place.layer)[0](place.layer, place)


def read(place: Place, arrays: Arrays) -> None:
    """Write PyTorch's arrays, which fit, into a layer."""
    _rule(place.layer)[1](place.layer, place, arrays)


def why_not(layer: Layer) -> str | None:
    """Return why PyTorch has no module for a layer, or None if it has one."""
    if isinstance(layer, layers.TransformerBlock):
        return why_not(layer.attention)
    if isinstance(layer, layers.MultiHeadAttention):
        if layer.key_value_heads not in (None, layer.heads):
            return f"{layer!r} shares keys between heads"
        return None
    return None if type(layer) in RULES else f"{layer!r}"


# -- the order of flattened images --------------------------------------------------------------


def channels_first(rows: Array, channels: int) -> Array:
    """Return rows of flattened channels-last images in the order of channels-first ones."""
    if channels == 1:
        return rows
    return rows.reshape(-1, channels, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)


def channels_last(rows: Array, channels: int) -> Array:
    """Return rows of flattened channels-first images in the order of channels-last ones."""
    if channels == 1:
        return rows
    return rows.reshape(channels, -1, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)


# -- linear layers, tables, convolutions --------------------------------------------------------


def write_linear(layer: layers.Linear, place: Place) -> Arrays:
    weights = channels_first(layer.weights, place.flat)
    weights = channels_first(weights.T, place.unflat)
    arrays = {"weight": weights}
    if layer.bias:
        arrays["bias"] = channels_first(layer.biases, place.unflat)
    return arrays


def read_linear(layer: layers.Linear, place: Place, arrays: Arrays) -> None:
    weights = channels_last(arrays["weight"], place.unflat)
    layer.weights = channels_last(weights.T, place.flat)
    if layer.bias:
        layer.biases = channels_last(arrays["bias"], place.unflat)


def write_table(layer: Any, place: Place) -> Arrays:
    return {"weight": layer.table if isinstance(layer, layers.LearnedPositions) else layer.weights}


def read_table(layer: Any, place: Place, arrays: Arrays) -> None:
    name = "table" if isinstance(layer, layers.LearnedPositions) else "weights"
    setattr(layer, name, arrays["weight"])


def write_convolution(layer: Any, place: Place) -> Arrays:
    # (kernel..., in, out) to (out, in, kernel...)
    arrays = {"weight": np.moveaxis(layer.weights, (-1, -2), (0, 1))}
    return arrays | ({"bias": layer.biases} if layer.bias else {})


def read_convolution(layer: Any, place: Place, arrays: Arrays) -> None:
    layer.weights = np.moveaxis(arrays["weight"], (0, 1), (-1, -2))
    if layer.bias:
        layer.biases = arrays["bias"]


def write_transposed(layer: layers.ConvTranspose2d, place: Place) -> Arrays:
    # (height, width, in / groups, out) to (in, out / groups, height, width)
    height, width, n, n_out = layer.weights.shape
    blocks = layer.weights.reshape(height, width, n, layer.groups, n_out // layer.groups)
    weights = blocks.transpose(3, 2, 4, 0, 1).reshape(layer.n_in, -1, height, width)
    return {"weight": weights} | ({"bias": layer.biases} if layer.bias else {})


def read_transposed(layer: layers.ConvTranspose2d, place: Place, arrays: Arrays) -> None:
    height, width, n, n_out = layer.weights.shape
    blocks = arrays["weight"].reshape(layer.groups, n, n_out // layer.groups, height, width)
    layer.weights = blocks.transpose(3, 4, 1, 0, 2).reshape(layer.weights.shape)
    if layer.bias:
        layer.biases = arrays["bias"]


# -- normalisation ------------------------------------------------------------------------------

NORMAL = {
    "scale": "weight",
    "shift": "bias",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}


def write_normalization(layer: Any, place: Place) -> Arrays:
    arrays = {
        NORMAL[name]: channels_first(getattr(layer, name), max(place.flat, place.unflat))
        for name in layer.owned_shapes()
    }
    if isinstance(layer, layers.BatchNorm):
        arrays["num_batches_tracked"] = np.array(0)
    return arrays


def read_normalization(layer: Any, place: Place, arrays: Arrays) -> None:
    for name in layer.owned_shapes():
        array = arrays[NORMAL[name]]
        setattr(layer, name, channels_last(array, max(place.flat, place.unflat)))


# -- recurrent layers ---------------------------------------------------------------------------

# PyTorch's i, f, g, o from our i, f, o, g, and back: the same exchange. The others' are the same.
ORDER = {layers.LSTM: [0, 1, 3, 2]}


def _gates(layer: Any, columns: Array) -> Array:
    """Return the gates, side by side on the last axis, in the order of the other."""
    if type(layer) not in ORDER:
        return columns
    gates = columns.reshape(*columns.shape[:-1], layer.n_gates, layer.n_hidden)
    return gates[..., ORDER[type(layer)], :].reshape(columns.shape)


def write_recurrent(layer: Any, place: Place, ending: str = "") -> Arrays:
    name = f"l{place.level}{ending}"
    arrays = {
        f"weight_ih_{name}": _gates(layer, layer.weights).T,
        f"weight_hh_{name}": _gates(layer, layer.recurrent_weights).T,
        f"bias_ih_{name}": _gates(layer, layer.biases),
        f"bias_hh_{name}": np.zeros_like(layer.biases),
    }
    if isinstance(layer, layers.GRU):
        arrays[f"bias_hh_{name}"][-layer.n_hidden :] = layer.recurrent_biases
    return arrays


def read_recurrent(layer: Any, place: Place, arrays: Arrays, ending: str = "") -> None:
    name = f"l{place.level}{ending}"
    layer.weights = _gates(layer, arrays[f"weight_ih_{name}"].T)
    layer.recurrent_weights = _gates(layer, arrays[f"weight_hh_{name}"].T)
    inputs, hidden = arrays[f"bias_ih_{name}"], arrays[f"bias_hh_{name}"].copy()
    if isinstance(layer, layers.GRU):  # there the candidate's second bias is apart
        layer.recurrent_biases = hidden[-layer.n_hidden :].copy()
        hidden[-layer.n_hidden :] = 0
    layer.biases = _gates(layer, inputs + hidden)


def write_bidirectional(layer: layers.Bidirectional, place: Place) -> Arrays:
    return write_recurrent(layer.layer, place) | write_recurrent(layer.twin, place, "_reverse")


def read_bidirectional(layer: layers.Bidirectional, place: Place, arrays: Arrays) -> None:
    read_recurrent(layer.layer, place, arrays)
    read_recurrent(layer.twin, place, arrays, "_reverse")


# -- attention ----------------------------------------------------------------------------------


def write_attention(layer: layers.MultiHeadAttention, place: Place) -> Arrays:
    arrays = {"in_proj_weight": layer.weights.T, "out_proj.weight": layer.output_weights.T}
    if layer.bias:
        arrays |= {"in_proj_bias": layer.biases, "out_proj.bias": layer.output_biases}
    return arrays


def read_attention(layer: layers.MultiHeadAttention, place: Place, arrays: Arrays) -> None:
    layer.weights = arrays["in_proj_weight"].T
    layer.output_weights = arrays["out_proj.weight"].T
    if layer.bias:
        layer.biases, layer.output_biases = arrays["in_proj_bias"], arrays["out_proj.bias"]


def _parts(block: layers.TransformerBlock) -> dict[str, Place]:
    """Return the parts of a block by PyTorch's names."""
    parts: dict[str, Layer] = {
        "self_attn": block.attention,
        "linear1": block.net.layers[0],
        "linear2": block.net.layers[2],
        "norm1": block.norm_1,
        "norm2": block.norm_2,
    }
    return {name: Place(part, name, name) for name, part in parts.items()}


def write_block(layer: layers.TransformerBlock, place: Place) -> Arrays:
    return {
        f"{name}.{inner}": array
        for name, part in _parts(layer).items()
        for inner, array in write(part).items()
    }


def read_block(layer: layers.TransformerBlock, place: Place, arrays: Arrays) -> None:
    for name, part in _parts(layer).items():
        start = f"{name}."
        read(part, {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)})


Rule = tuple[Callable[[Any, Place], Arrays], Callable[[Any, Place, Arrays], None]]

RULES: dict[type, Rule] = {
    layers.Linear: (write_linear, read_linear),
    layers.Embedding: (write_table, read_table),
    layers.LearnedPositions: (write_table, read_table),
    layers.Conv1d: (write_convolution, read_convolution),
    layers.Conv2d: (write_convolution, read_convolution),
    layers.ConvTranspose2d: (write_transposed, read_transposed),
    layers.BatchNorm: (write_normalization, read_normalization),
    layers.LayerNorm: (write_normalization, read_normalization),
    layers.RMSNorm: (write_normalization, read_normalization),
    layers.GroupNorm: (write_normalization, read_normalization),
    layers.RNN: (write_recurrent, read_recurrent),
    layers.GRU: (write_recurrent, read_recurrent),
    layers.LSTM: (write_recurrent, read_recurrent),
    layers.Bidirectional: (write_bidirectional, read_bidirectional),
    layers.MultiHeadAttention: (write_attention, read_attention),
    layers.TransformerBlock: (write_block, read_block),
}


def _rule(layer: Layer) -> Rule:
    return RULES[type(layer)]
