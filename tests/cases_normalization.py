"""The rows of tests/cases.py for normalisation."""

from collections.abc import Callable
from typing import Any

import chainrule as cr


def channels_first(function: str, *before: Any) -> Callable[[Any, Any], Callable[..., Any]]:
    """Return PyTorch's function of that name, which wants the channels on axis 1."""

    def build(torch: Any, layer: Any) -> Callable[..., Any]:
        last = {"training": True} if function == "batch_norm" else {}
        return lambda x, p: getattr(torch.nn.functional, function)(
            x.movedim(-1, 1), *before, weight=p.get("scale"), bias=p.get("shift"),
            eps=layer.epsilon, **last,
        ).movedim(1, -1)  # fmt: skip

    return build


def layer_norm(torch: Any, layer: Any) -> Callable[..., Any]:
    return lambda x, p: torch.nn.functional.layer_norm(
        x, (layer.n,), p.get("scale"), p.get("shift"), eps=layer.epsilon
    )


def rms_norm(torch: Any, layer: Any) -> Callable[..., Any]:
    return lambda x, p: torch.nn.functional.rms_norm(
        x, (layer.n,), p.get("scale"), eps=layer.epsilon
    )


def rows(case: Callable[..., Any]) -> list[Any]:
    """Return the rows; ``case`` is LayerCase."""
    usual = ((1, 6), (4, 6), (3, 2, 6), (2, 1, 3, 6))
    several = ((4, 6), (3, 2, 6), (1, 2, 2, 6), (2, 1, 3, 6))  # values a channel
    unlike = ((2, 3, 6), (3, 2, 6))  # what has no parameters and two axes, the tests feed 1 channel
    batch, group = channels_first("batch_norm", None, None), channels_first
    return [
        case("BatchNorm", lambda: cr.BatchNorm(6), several, batch),
        case("BatchNorm-plain", lambda: cr.BatchNorm(6, epsilon=0.1, affine=False), unlike, batch),
        case("BatchNorm-one", lambda: cr.BatchNorm(1, momentum=1), ((3, 1), (4, 2, 1)), batch),
        case("LayerNorm", lambda: cr.LayerNorm(6), usual, layer_norm),
        case("LayerNorm-no-bias", lambda: cr.LayerNorm(6, bias=False), usual, layer_norm),
        case("LayerNorm-plain", lambda: cr.LayerNorm(6, epsilon=0.1, affine=False), unlike,
             layer_norm),
        case("RMSNorm", lambda: cr.RMSNorm(6), usual, rms_norm),
        case("RMSNorm-plain", lambda: cr.RMSNorm(6, epsilon=0.1, affine=False), unlike, rms_norm),
        case("GroupNorm", lambda: cr.GroupNorm(2, 6), usual, group("group_norm", 2)),
        case("GroupNorm-one", lambda: cr.GroupNorm(1, 6), usual, group("group_norm", 1)),
        case("GroupNorm-each", lambda: cr.GroupNorm(6, 6), ((1, 2, 6), (2, 2, 3, 6)),
             group("group_norm", 6)),
        case("GroupNorm-plain", lambda: cr.GroupNorm(3, 6, epsilon=0.1, affine=False), unlike,
             group("group_norm", 3)),
    ]  # fmt: skip
