"""The rows of tests/cases.py for pooling."""

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw values so far apart that no step of a difference changes which is the greatest."""
    return rng.permutation(np.prod(shape)).reshape(shape) / 10 - 2


def channels_last(function: str, **options: Any) -> Callable[[Any, Any], Callable[..., Any]]:
    """Return PyTorch's function of that name, which wants the channels on axis 1."""
    return lambda torch, layer: (
        lambda x, p: getattr(torch.nn.functional, function)(x.movedim(-1, 1), **options).movedim(
            1, -1
        )
    )


def rows(case: Callable[..., Any]) -> list[Any]:
    """Return the rows; ``case`` is LayerCase. The second shape of each leaves no input unseen."""
    images, sequences = (
        ((1, 4, 4, 2), (2, 4, 6, 1), (2, 5, 7, 3)),
        ((1, 4, 2), (3, 6, 1), (2, 7, 3)),
    )
    wide = ((1, 5, 5, 1), (1, 5, 7, 2), (2, 6, 7, 3))
    long = ((1, 5, 1), (2, 7, 2), (2, 8, 3))
    return [
        case("MaxPool2d", lambda: cr.MaxPool2d(2), images,
             channels_last("max_pool2d", kernel_size=2), inputs=distinct),
        case("MaxPool2d-overlap", lambda: cr.MaxPool2d(3, 2, padding=1), wide,
             channels_last("max_pool2d", kernel_size=3, stride=2, padding=1), inputs=distinct),
        case("MaxPool2d-oblong", lambda: cr.MaxPool2d((2, 1), (1, 1)), images,
             channels_last("max_pool2d", kernel_size=(2, 1), stride=1), inputs=distinct),
        case("MaxPool1d", lambda: cr.MaxPool1d(2), sequences,
             channels_last("max_pool1d", kernel_size=2), inputs=distinct),
        case("MaxPool1d-overlap", lambda: cr.MaxPool1d(3, 2, padding=1), long,
             channels_last("max_pool1d", kernel_size=3, stride=2, padding=1), inputs=distinct),
        case("AvgPool2d", lambda: cr.AvgPool2d(2), images,
             channels_last("avg_pool2d", kernel_size=2)),
        case("AvgPool2d-overlap", lambda: cr.AvgPool2d((3, 2), (2, 1), padding=1), wide,
             channels_last("avg_pool2d", kernel_size=(3, 2), stride=(2, 1), padding=1)),
        case("AvgPool2d-inside", lambda: cr.AvgPool2d(3, 2, padding=1, count_padding=False), wide,
             channels_last("avg_pool2d", kernel_size=3, stride=2, padding=1,
                           count_include_pad=False)),
        case("AvgPool1d", lambda: cr.AvgPool1d(2), sequences,
             channels_last("avg_pool1d", kernel_size=2)),
        case("AvgPool1d-inside", lambda: cr.AvgPool1d(3, 2, padding=1, count_padding=False), long,
             channels_last("avg_pool1d", kernel_size=3, stride=2, padding=1,
                           count_include_pad=False)),
        case("GlobalAvgPool", cr.GlobalAvgPool, ((1, 1, 2), (3, 4, 2), (2, 2, 1, 3, 2)),
             lambda torch, layer: lambda x, p: x.flatten(1, -2).mean(1)),
        case("AdaptiveAvgPool2d", lambda: cr.AdaptiveAvgPool2d((2, 3)), images,
             channels_last("adaptive_avg_pool2d", output_size=(2, 3))),
        case("AdaptiveAvgPool1d", lambda: cr.AdaptiveAvgPool1d(3), sequences,
             channels_last("adaptive_avg_pool1d", output_size=3)),
    ]  # fmt: skip
