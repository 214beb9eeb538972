"""For each of PyTorch's modules, our layers with the same settings; their weights come later."""

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.layer import Layer
from chainrule.pytorch.arrays import as_array
from chainrule.pytorch.chain import Chain

__all__ = ["RULES"]

# Takes the chain, the module, and a dict for the names of parts of the module that become parts of
# what it returns; returns layers.
Rule = Callable[[Chain, Any, dict[str, str]], list[Layer]]


def refuse(chain: Chain, **options: bool) -> None:
    """Say no if one of the options is set."""
    unlike = [name for name, is_set in options.items() if is_set]
    if unlike:
        chain.no(f"ours has no {' and no '.join(unlike)}")


def one(value: Any) -> Any:
    """Return a pair of equal numbers as one, for a shorter repr; a tuple of one as its number."""
    values = [int(n) for n in np.atleast_1d(value)]
    return values[0] if len(set(values)) == 1 else values


# -- linear layers, tables, activations, shapes -------------------------------------------------


def linear(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    chain.vectors()
    has_bias = module.bias is not None
    return [layers.Linear(module.in_features, module.out_features, bias=has_bias)]


def embedding(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    refuse(
        chain,
        max_norm=module.max_norm is not None,
        scale_grad_by_freq=module.scale_grad_by_freq,
        sparse=module.sparse,
    )
    padding = module.padding_idx
    if padding is not None and as_array(module.weight)[padding].any():
        chain.no(f"the row of its padding_idx {padding} is not 0, as it is in ours")
    chain.vectors(1)
    return [layers.Embedding(module.num_embeddings, module.embedding_dim, padding=padding)]


def plain(cls: Callable[[], Layer]) -> Rule:
    """Return the rule of a layer without settings."""
    return lambda chain, module, names: [cls()]


def leaky_relu(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    return [layers.LeakyReLU(module.negative_slope)]


def elu(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    return [layers.ELU(module.alpha)]


def gelu(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    return [layers.GELU(module.approximate)]


def softplus(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    # Above the threshold PyTorch returns x itself, which there is the same to rounding.
    refuse(chain, beta=module.beta != 1, threshold=module.threshold < 20)
    return [layers.Softplus()]


def softmax(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    chain.last_axis(module.dim)
    return [layers.Softmax() if type(module).__name__ == "Softmax" else layers.LogSoftmax()]


def dropout(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    return [layers.Dropout(module.p)]


def spatial_dropout(axes: int) -> Rule:
    """Return the rule of dropout of whole channels."""

    def rule(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
        chain.images(axes)
        return [layers.SpatialDropout(module.p)]

    return rule


def flatten(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    if module.start_dim != 1 or module.end_dim != -1:
        chain.no("ours flattens all axes but the samples")
    return chain.flattened()


def unflatten(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    shape = module.unflattened_size
    lengths = [int(n) for n in shape] if not isinstance(shape[0], tuple) else []
    if module.dim not in (1, -1) or chain.first or len(lengths) not in (2, 3):
        chain.no("ours reshapes a vector into (channels, length) or (channels, height, width)")
    axes = len(lengths) - 1
    chain.first, chain.axes = True, axes
    return [layers.Reshape(lengths), layers.Transpose([*range(2, axes + 2), 1])]


# -- convolutions and pooling -------------------------------------------------------------------


def convolution(axes: int) -> Rule:
    """Return the rule of a convolution over that many axes."""

    def rule(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
        chain.images(axes)
        if module.padding_mode != "zeros":
            chain.no(f"ours pads with zeros, it has padding_mode={module.padding_mode!r}")
        padding = module.padding if isinstance(module.padding, str) else one(module.padding)
        cls = layers.Conv1d if axes == 1 else layers.Conv2d
        layer = cls(
            module.in_channels, module.out_channels, one(module.kernel_size),
            stride=one(module.stride), padding="valid" if padding == 0 else padding,
            dilation=one(module.dilation), groups=module.groups, bias=module.bias is not None,
        )  # fmt: skip
        return [layer]

    return rule


def transposed(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    chain.images(2)
    padding = one(module.padding)
    try:
        layer = layers.ConvTranspose2d(
            module.in_channels, module.out_channels, one(module.kernel_size),
            stride=one(module.stride), padding="valid" if padding == 0 else padding,
            output_padding=one(module.output_padding), dilation=one(module.dilation),
            groups=module.groups, bias=module.bias is not None,
        )  # fmt: skip
    except ValueError as error:
        chain.no(str(error))
    return [layer]


def pooling(axes: int, kind: str) -> Rule:
    """Return the rule of max or average pooling over that many axes."""

    def rule(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
        chain.images(axes)
        cls = getattr(layers, f"{kind}Pool{axes}d")
        kernel, stride = one(module.kernel_size), one(module.stride)
        options: dict[str, Any] = {"padding": one(module.padding)}
        if kind == "Max":
            refuse(
                chain,
                dilation=one(module.dilation) != 1,
                return_indices=module.return_indices,
                ceil_mode=module.ceil_mode,
            )
        else:
            divisor = getattr(module, "divisor_override", None)
            refuse(chain, ceil_mode=module.ceil_mode, divisor_override=divisor is not None)
            options["count_padding"] = module.count_include_pad
        return [cls(kernel, None if stride == kernel else stride, **options)]

    return rule


def adaptive(axes: int) -> Rule:
    """Return the rule of average pooling to a given size."""

    def rule(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
        chain.images(axes)
        size = module.output_size
        if size is None or (isinstance(size, (tuple, list)) and None in size):
            chain.no("ours needs a number for each axis")
        cls = layers.AdaptiveAvgPool1d if axes == 1 else layers.AdaptiveAvgPool2d
        return [cls(one(size))]

    return rule


# -- normalisation ------------------------------------------------------------------------------


def batch_norm(axes: int | None) -> Rule:
    """Return the rule of batch normalisation; over vectors or sequences if None."""

    def rule(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
        if axes is not None:
            chain.images(axes)
        elif not chain.first and (chain.axes or 0) > 0:
            if chain.axes != 1 or chain._begun:
                chain.no("it takes the channels on axis 1, and here they are last")
            chain.images(1)
        refuse(
            chain,
            track_running_stats=not module.track_running_stats,
            momentum=module.momentum is None or not 0 < module.momentum <= 1,
        )
        return [
            layers.BatchNorm(
                module.num_features, momentum=module.momentum, epsilon=module.eps,
                affine=module.affine,
            )
        ]  # fmt: skip

    return rule


def layer_norm(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    chain.vectors()
    if len(module.normalized_shape) != 1:
        chain.no("ours normalises the last axis alone")
    affine = module.elementwise_affine
    if type(module).__name__ == "RMSNorm":
        if module.eps is None:
            chain.no("it has eps=None, an epsilon of its float type; ours needs a number")
        return [layers.RMSNorm(module.normalized_shape[0], epsilon=module.eps, affine=affine)]
    has_bias = not affine or module.bias is not None
    return [
        layers.LayerNorm(
            module.normalized_shape[0], epsilon=module.eps, affine=affine, bias=has_bias
        )
    ]


def group_norm(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    if not chain.first and (chain.axes or 0) > 0:
        chain.no("it takes the channels on axis 1, and here they are last")
    return [
        layers.GroupNorm(
            module.num_groups, module.num_channels, epsilon=module.eps, affine=module.affine
        )
    ]


# -- recurrent layers and attention -------------------------------------------------------------


def sequences(chain: Chain, module: Any) -> None:
    """Check that samples come first, then the steps, then the features."""
    if not module.batch_first:
        chain.no("it takes (steps, samples, features), ours (samples, ...). Set batch_first=True")
    if chain.axes not in (1, None):
        chain.no("it takes sequences")
    chain.vectors(1)


def recurrent(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    sequences(chain, module)
    refuse(chain, proj_size=getattr(module, "proj_size", 0) > 0)
    cls = {"RNN": layers.RNN, "GRU": layers.GRU, "LSTM": layers.LSTM}[type(module).__name__]
    options = {"activation": module.nonlinearity} if cls is layers.RNN else {}
    found: list[Layer] = []
    for level in range(module.num_layers):
        if level and module.dropout:
            found.append(layers.Dropout(module.dropout))
        width = module.hidden_size * (2 if module.bidirectional else 1)
        layer = cls(module.input_size if level == 0 else width, module.hidden_size, **options)
        found.append(layers.Bidirectional(layer) if module.bidirectional else layer)
    return found


def attention(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    sequences(chain, module)
    refuse(
        chain,
        kdim=not module._qkv_same_embed_dim,
        add_bias_kv=module.bias_k is not None,
        add_zero_attn=module.add_zero_attn,
    )
    return [
        layers.MultiHeadAttention(
            module.embed_dim, module.num_heads, bias=module.in_proj_bias is not None,
            dropout=module.dropout,
        )
    ]  # fmt: skip


def activation_of(chain: Chain, module: Any) -> Layer:
    """Return the activation inside an encoder layer."""
    from functools import partial

    import torch

    function = module.activation
    if isinstance(function, partial) and function.func is torch.nn.functional.gelu:
        return layers.GELU(*function.args, **function.keywords)
    named: dict[Any, Callable[[], Layer]] = {
        torch.nn.functional.relu: layers.ReLU,
        torch.relu: layers.ReLU,
        torch.nn.functional.gelu: layers.GELU,
        torch.nn.functional.silu: layers.SiLU,
    }
    if isinstance(function, torch.nn.GELU):
        return layers.GELU(function.approximate)
    if isinstance(function, (torch.nn.ReLU, torch.nn.SiLU)):
        return layers.ReLU() if isinstance(function, torch.nn.ReLU) else layers.SiLU()
    try:
        return named[function]()
    except (KeyError, TypeError):
        chain.no(f"its activation {function!r} is none of ours")
        raise


def encoder_layer(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    """Return the layer as a TransformerBlock where it is one, else put together from parts."""
    attend = attention(chain, module.self_attn, {})[0]
    norms = [layer_norm(chain, norm, {})[0] for norm in (module.norm1, module.norm2)]
    act = activation_of(chain, module)
    first, second = linear(chain, module.linear1, {})[0], linear(chain, module.linear2, {})[0]
    p, inner_p, p2 = module.dropout1.p, module.dropout.p, module.dropout2.p
    width, hidden = module.linear1.in_features, module.linear1.out_features
    assert isinstance(attend, layers.MultiHeadAttention)
    usual = all(norm.epsilon == 1e-5 and norm.bias for norm in norms)  # type: ignore[attr-defined]
    usual = usual and isinstance(act, layers.GELU) and act.approximate == "tanh"
    if usual and module.norm_first and module.linear1.bias is not None and p == p2 == inner_p == 0:
        return [layers.TransformerBlock(width, attend.heads, hidden=hidden)]

    def part(*found: Layer) -> list[Layer]:
        return [f for f in found if not (isinstance(f, layers.Dropout) and f.p == 0)]

    taken = part(attend, layers.Dropout(p))
    made = part(first, act, layers.Dropout(inner_p), second, layers.Dropout(p2))
    last = made.index(second)
    names.clear()
    if module.norm_first:
        names |= {
            "norm1": "0.inner.0", "self_attn": "0.inner.1", "norm2": "1.inner.0",
            "linear1": "1.inner.1", "linear2": f"1.inner.{1 + last}",
        }  # fmt: skip
        return [layers.Residual([norms[0], *taken]), layers.Residual([norms[1], *made])]
    names |= {
        "self_attn": "0.inner.0", "norm1": "1", "linear1": "2.inner.0",
        "linear2": f"2.inner.{last}", "norm2": "3",
    }  # fmt: skip
    return [layers.Residual(taken), norms[0], layers.Residual(made), norms[1]]


def encoder(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    names.clear()
    found: list[Layer] = []
    for i, child in enumerate(module.layers):
        inner: dict[str, str] = {"": ""}
        parts = encoder_layer(chain, child, inner)
        found.append(parts[0] if len(parts) == 1 else layers.Sequential(parts))
        for theirs, ours in inner.items():
            key = ".".join(filter(None, ["layers", str(i), theirs]))
            names[key] = ".".join(filter(None, [str(i), ours]))
    if module.norm is not None:
        names["norm"] = str(len(found))
        found += layer_norm(chain, module.norm, {})
    if len(found) == 1:  # it takes the place of the whole, with no chain around it
        for key, value in names.items():
            names[key] = value.partition(".")[2]
    return found


RULES: dict[str, Rule] = {
    "Identity": lambda chain, module, names: [],
    "Linear": linear,
    "Embedding": embedding,
    "ReLU": plain(layers.ReLU),
    "SiLU": plain(layers.SiLU),
    "Sigmoid": plain(layers.Sigmoid),
    "Tanh": plain(layers.Tanh),
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "GELU": gelu,
    "Softplus": softplus,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "Dropout": dropout,
    "Dropout1d": spatial_dropout(1),
    "Dropout2d": spatial_dropout(2),
    "Flatten": flatten,
    "Unflatten": unflatten,
    "Conv1d": convolution(1),
    "Conv2d": convolution(2),
    "ConvTranspose2d": transposed,
    "MaxPool1d": pooling(1, "Max"),
    "MaxPool2d": pooling(2, "Max"),
    "AvgPool1d": pooling(1, "Avg"),
    "AvgPool2d": pooling(2, "Avg"),
    "AdaptiveAvgPool1d": adaptive(1),
    "AdaptiveAvgPool2d": adaptive(2),
    "BatchNorm1d": batch_norm(None),
    "BatchNorm2d": batch_norm(2),
    "LayerNorm": layer_norm,
    "RMSNorm": layer_norm,
    "GroupNorm": group_norm,
    "RNN": recurrent,
    "GRU": recurrent,
    "LSTM": recurrent,
    "MultiheadAttention": attention,
    "TransformerEncoderLayer": encoder_layer,
    "TransformerEncoder": encoder,
}
