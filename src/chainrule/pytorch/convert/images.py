"""Convolutions and pooling, over images and over sequences."""

from typing import Any

from chainrule import layers
from chainrule.layer import Layer
from chainrule.pytorch.chain import Chain
from chainrule.pytorch.convert.settings import Rule, one, refuse

__all__ = ["RULES"]


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


RULES: dict[str, Rule] = {
    "Conv1d": convolution(1),
    "Conv2d": convolution(2),
    "ConvTranspose2d": transposed,
    "MaxPool1d": pooling(1, "Max"),
    "MaxPool2d": pooling(2, "Max"),
    "AvgPool1d": pooling(1, "Avg"),
    "AvgPool2d": pooling(2, "Avg"),
    "AdaptiveAvgPool1d": adaptive(1),
    "AdaptiveAvgPool2d": adaptive(2),
}
