"""The operators, one family a file. Each file registers its converters when it is imported."""

from chainrule.onnx.reading.operators import (
    activations,
    arithmetic,
    convolutions,
    linear,
    normalizations,
    patterns,
    pooling,
    recurrent,
    shapes,
)

__all__ = ["FAMILIES"]

FAMILIES = (
    activations, arithmetic, convolutions, linear, normalizations, patterns,
    pooling, recurrent, shapes,
)  # fmt: skip
