"""Linear layers, tables, activations, shapes and normalisation."""

from collections.abc import Callable
from typing import Any

from chainrule import layers
from chainrule.layer import Layer
from chainrule.pytorch.arrays import as_array
from chainrule.pytorch.chain import Chain
from chainrule.pytorch.convert.settings import Rule, refuse

__all__ = ["RULES"]


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
    "BatchNorm1d": batch_norm(None),
    "BatchNorm2d": batch_norm(2),
    "LayerNorm": layer_norm,
    "RMSNorm": layer_norm,
    "GroupNorm": group_norm,
}
