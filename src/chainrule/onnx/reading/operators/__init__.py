"""The operators, one family a file. Each file registers its converters when it is imported."""

from chainrule.onnx.reading.operators import (
    activations,
    arithmetic,
    convolutions,
    joining,
    linear,
    normalizations,
    parts,
    patterns,
    pooling,
    recurrent,
    reductions,
    shapes,
)

__all__ = ["FAMILIES"]

FAMILIES = (
    activations, arithmetic, convolutions, joining, linear, normalizations, parts, patterns,
    pooling, recurrent, reductions, shapes,
)  # fmt: skip
