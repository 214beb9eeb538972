"""The rows of convolutions, and what PyTorch calls them."""

from collections.abc import Callable
from typing import Any

import chainrule as cr


def first(tensor: Any) -> Any:
    """Return the tensor with its last axis, the channels, after the samples."""
    return tensor.movedim(-1, 1).contiguous()


def conv(torch: Any, layer: Any) -> Callable[..., Any]:
    """Return PyTorch's convolution of the layer's options, channels last as ours."""
    axes = layer.axes

    def forward(x: Any, p: Any) -> Any:
        weights = p["weights"].permute(axes + 1, axes, *range(axes)).contiguous()
        options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
        x = first(x)
        if layer.padding == "same":
            # PyTorch knows "same" for stride 1 only: the zeros by hand, the odd one at the end.
            lengths, stride, dilation = (
                x.shape[2:],
                pair(layer.stride, axes),
                pair(layer.dilation, axes),
            )
            missing = [
                max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
                for n, s, d, k in zip(lengths, stride, dilation, weights.shape[2:], strict=True)
            ]
            pads = [side for m in reversed(missing) for side in (m // 2, m - m // 2)]
            x = torch.nn.functional.pad(x, pads)
        elif layer.padding != "valid":
            options["padding"] = layer.padding
        function = getattr(torch.nn.functional, f"conv{axes}d")
        return function(x, weights, p.get("biases"), **options).movedim(1, -1)

    return forward


def conv_transpose(torch: Any, layer: Any) -> Callable[..., Any]:
    """Return PyTorch's transposed convolution of the layer's options, channels last as ours."""

    def forward(x: Any, p: Any) -> Any:
        # PyTorch's weights are (in, out / groups, ...), ours (..., in / groups, out).
        height, width, n, n_out = p["weights"].shape
        blocks = p["weights"].reshape(height, width, n, layer.groups, n_out // layer.groups)
        weights = blocks.permute(3, 2, 4, 0, 1).flatten(0, 1).contiguous()
        y = torch.nn.functional.conv_transpose2d(
            first(x),
            weights,
            stride=layer.stride,
            padding=0 if isinstance(layer.padding, str) else layer.padding,
            output_padding=layer.output_padding,
            dilation=layer.dilation,
            groups=layer.groups,
        ).movedim(1, -1)
        if layer.padding == "same":  # cut to length * stride, or lengthen where nothing is written
            lengths = zip(y.shape[1:3], x.shape[1:3], pair(layer.stride, 2), strict=True)
            (top, bottom), (left, right) = (
                (extra // 2, extra - extra // 2) if extra > 0 else (0, extra)
                for extra in (length - n * s for length, n, s in lengths)
            )
            y = torch.nn.functional.pad(y, (0, 0, -left, -right, -top, -bottom))
        return y + p["biases"] if "biases" in p else y

    return forward


def pair(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


# Name, how to build it, shapes of inputs, and what PyTorch calls it: the arguments of LayerCase.
ROWS: list[tuple[Any, ...]] = [
    ("Conv2d", lambda: cr.Conv2d(2, 3, (3, 2)), ((1, 3, 2, 2), (2, 4, 4, 2)), conv),
    (
        "Conv2d-one-channel",
        lambda: cr.Conv2d(1, 2, 3, bias=False, initializer="glorot"),
        ((1, 4, 3, 1), (3, 5, 4, 1)),
        conv,
    ),
    (
        "Conv2d-same",
        lambda: cr.Conv2d(2, 2, (4, 3), padding="same"),
        ((1, 1, 3, 2), (2, 3, 4, 2)),
        conv,
    ),
    (
        "Conv2d-same-stride",
        lambda: cr.Conv2d(2, 3, 3, padding="same", stride=(2, 3)),
        ((1, 3, 2, 2), (2, 5, 4, 2)),
        conv,
    ),
    (
        "Conv2d-everything",
        lambda: cr.Conv2d(4, 6, (2, 3), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
        ((1, 3, 4, 4), (2, 3, 4, 4)),
        conv,
    ),
    ("Conv2d-pointwise", lambda: cr.Conv2d(3, 2, 1), ((1, 1, 1, 3), (2, 3, 2, 3)), conv),
    (
        "Conv2d-depthwise",
        lambda: cr.Conv2d(3, 3, 2, groups=3, padding=1),
        ((1, 2, 2, 3), (2, 3, 4, 3)),
        conv,
    ),
    (
        "Conv2d-depthwise-twice",
        lambda: cr.Conv2d(2, 4, 2, groups=2, padding=(0, 1)),
        ((1, 2, 2, 2), (2, 3, 3, 2)),
        conv,
    ),
    ("Conv1d", lambda: cr.Conv1d(2, 3, 3, padding="same"), ((1, 1, 2), (2, 5, 2)), conv),
    (
        "Conv1d-everything",
        lambda: cr.Conv1d(4, 2, 3, stride=2, padding=3, dilation=3, groups=2),
        ((1, 4, 4), (2, 6, 4)),
        conv,
    ),
    (
        "ConvTranspose2d",
        lambda: cr.ConvTranspose2d(2, 3, (3, 2)),
        ((1, 1, 1, 2), (2, 3, 2, 2)),
        conv_transpose,
    ),
    (
        "ConvTranspose2d-same",
        lambda: cr.ConvTranspose2d(2, 1, 3, stride=2, padding="same"),
        ((1, 1, 2, 2), (2, 2, 3, 2)),
        conv_transpose,
    ),
    (
        "ConvTranspose2d-everything",
        lambda: cr.ConvTranspose2d(
            4,
            2,
            3,
            stride=2,
            padding=(2, 1),
            output_padding=(0, 1),
            dilation=(3, 1),
            groups=2,
            bias=False,
        ),
        ((1, 2, 2, 4), (2, 3, 2, 4)),
        conv_transpose,
    ),
    (
        "ConvTranspose2d-depthwise",
        lambda: cr.ConvTranspose2d(2, 2, 3, stride=2, groups=2),
        ((1, 1, 2, 2), (2, 2, 2, 2)),
        conv_transpose,
    ),
]
