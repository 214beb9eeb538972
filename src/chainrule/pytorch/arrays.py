"""Tensors as arrays, without importing PyTorch."""

from typing import Any

import numpy as np

from chainrule.layer import Array

__all__ = ["as_array"]


def as_array(value: Any) -> Array:
    """Return a tensor or an array as an array of floats; of whole numbers if it has such.

    Raises
    ------
    TypeError
        If it is neither, or holds no numbers.
    """
    if hasattr(value, "detach"):
        tensor = value.detach()
        if tensor.is_meta:
            raise TypeError("a tensor without values (on the device meta)")
        tensor = tensor.cpu()
        if tensor.is_sparse or tensor.is_quantized:
            raise TypeError("a sparse or quantised tensor. Make it dense floats first")
        if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such type
            tensor = tensor.float()
        value = tensor.numpy()
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"of type {array.dtype}, no floats")
    return array
