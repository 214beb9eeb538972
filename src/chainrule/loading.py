"""Load a saved model: every part of the file is held against the rest before it is believed."""

import os
from collections.abc import Sequence

import numpy as np

import chainrule.layers
import chainrule.losses
from chainrule.description import build
from chainrule.layer import Array
from chainrule.layers.container import Sequential
from chainrule.model import Model
from chainrule.storage import one_line, read_arrays

__all__ = ["load"]


def load(path: str | os.PathLike[str], *, classes: Sequence[type] = ()) -> Model:
    """Load a model that ``Model.save`` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.
    classes : sequence of type
        Layers and losses of your own that the model is made of.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, foreign or of a newer format, or a parameter (or state,
        as running statistics) is missing, unknown or of a wrong shape.

    Examples
    --------
    >>> import tempfile, os
    >>> from chainrule import Linear, MeanSquaredError, Model, load
    >>> net = Model([Linear(2, 1)], MeanSquaredError(), seed=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.safetensors"))
    ...     same = load(os.path.join(folder, "net.safetensors"))
    >>> bool((same.parameters == net.parameters).all())
    True
    """
    arrays, description = read_arrays(path)
    known = {name: getattr(chainrule.layers, name) for name in chainrule.layers.__all__}
    known |= {name: getattr(chainrule.losses, name) for name in chainrule.losses.__all__}
    known |= {cls.__name__: cls for cls in classes}
    try:
        net = Sequential([build(layer, known) for layer in description["layers"]])
        cost = build(description["cost"], known)
        dtype = np.dtype(description["dtype"])
        metadata = dict(description["metadata"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    _fill(path, net, arrays)
    try:
        model = Model(net.layers, cost, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    model.metadata = metadata
    return model


def _fill(path: str | os.PathLike[str], net: Sequential, arrays: dict[str, Array]) -> None:
    """Set parameters and state from the file; the shapes are compared before memory is taken."""
    left = dict(arrays)
    for place, layer in net.named_layers():
        for name, shape in layer.owned_shapes().items():
            key = f"{place}.{name}"
            if key not in left:
                what = "parameter" if name in layer.parameters else "state"
                raise ValueError(f"{path}: the {what} {key} of {one_line(layer)} is missing.")
            array = left.pop(key)
            if array.shape != shape:
                raise ValueError(
                    f"{path}: {key} has shape {array.shape}, {one_line(layer)} needs {shape}."
                )
            if array.dtype.kind != "f":
                raise ValueError(f"{path}: {key} holds {array.dtype}, no floats.")
            layer.dtype = array.dtype
            setattr(layer, name, array)
    if left:
        names = one_line(", ".join(sorted(left)))
        raise ValueError(f"{path}: the net has no parameter {names}.")


def _damaged(path: str | os.PathLike[str], error: Exception) -> ValueError:
    return ValueError(f"{path}: the description of the model is damaged: {one_line(error)}")
