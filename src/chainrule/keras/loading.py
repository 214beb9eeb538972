"""Read a model, or weights into one; every array is held against the net before it is read."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.keras.arrays import KINDS, Item, items_of
from chainrule.keras.chain import Chain
from chainrule.keras.convert import layers_of, loss_of
from chainrule.keras.files import Weights, open_model, open_weights
from chainrule.layer import Layer
from chainrule.losses import Loss
from chainrule.model import Model
from chainrule.storage import one_line

__all__ = ["load", "load_weights"]


def load(path: str | os.PathLike[str], cost: Loss | None = None) -> Model:
    """Load a model that Keras 3 saved as ``.keras``: it predicts the same.

    The net is a ``Sequential``, or a functional one in which each layer takes the output of the one
    before; models inside models are fine. What acts in training alone and has no layer of its own
    (regularisers, constraints, dropout inside a recurrent layer) is not taken over.

    Parameters
    ----------
    path : path
        The file.
    cost : Loss, optional
        The loss to train on with. If None, the one that the model was compiled with if it is one of
        ours, else ``MeanSquaredError()``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, its layers are none of ours (all are named), or arrays are missing,
        unknown or of a wrong shape (all are named).
    ModuleNotFoundError
        If h5py is not installed.

    Examples
    --------
    See ``docs/pytorch-and-keras.md``.
    """
    with open_model(path) as (config, weights):
        chain = Chain(weights)
        found = layers_of(chain, config)
        if chain.problems:
            problems = one_line("; ".join(chain.problems), 2000)
            raise ValueError(f"{path}: no layers for {problems}.")
        if not found:
            raise ValueError(f"{path}: the net has no layers.")
        dtype = _read(path, weights, chain.items)
        if cost is None:
            cost = loss_of(config, found[-1])
        return Model(found, cost, dtype=dtype)


def load_weights(
    model: Model, path: str | os.PathLike[str], *, names: Mapping[str, str] | None = None
) -> None:
    """Write weights that Keras 3 saved as ``.weights.h5`` into a model of the same layers.

    Keras numbers the layers of each kind in the order of the net: ``dense``, ``dense_1``; so are
    ours. Every array must be there, none may be left over, and the shapes must fit; else the model
    stays as it is.

    Parameters
    ----------
    model : Model
        The net. Layers of one kind stand in the order that they have in Keras.
    path : path
        The file.
    names : dict of str to str, optional
        From parts of the file, where they are not named in that way, to the names of our layers, as
        ``{"my_dense": "0", "sequential/layers/dense": "1"}``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If Keras has no layer of the kind of one with weights; all are named.
    ValueError
        If the file is damaged, or arrays are missing, unknown or of a wrong shape; all are named.
    ModuleNotFoundError
        If h5py is not installed.

    Examples
    --------
    See ``docs/pytorch-and-keras.md``.
    """
    if not isinstance(model, Model):
        raise TypeError(f"load_weights: needs a chainrule.Model, got {type(model).__name__}.")
    places = {ours: theirs for theirs, ours in (names or {}).items()}
    items: list[Item] = []
    unknown: list[str] = []
    counts: dict[str, int] = {}
    for place, layer in _owners("", model._net):
        if type(layer) not in KINDS:
            unknown.append(f"{place} = {layer!r}")
            continue
        kind = KINDS[type(layer)]
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        part = places.pop(place, f"{kind}_{number}" if number else kind)
        items += items_of(layer, part)
    if unknown:
        raise TypeError(f"load_weights: Keras has no such layer: {'; '.join(unknown)}.")
    if places:
        raise ValueError(f"names: the net has no layer with weights {', '.join(places)}.")
    with open_weights(path) as weights:
        _read(path, weights, items)


def _owners(path: str, layer: Layer) -> list[tuple[str, Layer]]:
    """Return the layers that have arrays in Keras's file, in order, by name."""
    inside = isinstance(layer, layers.Bidirectional) or not layer.children()
    if inside:
        has_arrays = any(part.owned_shapes() for part in layer.walk())
        return [(path, layer)] if has_arrays else []
    return [
        owner
        for name, child in layer.children().items()
        for owner in _owners(f"{path}.{name}" if path else name, child)
    ]


def _read(path: str | os.PathLike[str], weights: Weights, items: Sequence[Item]) -> np.dtype[Any]:
    """Write the arrays into the layers, after all were found right; return their float type."""
    problems: list[str] = []
    wanted = {item.path for item in items if item.path}
    given = set(weights.paths())
    for item in items:
        if item.path is None or (item.optional and item.path not in given):
            continue
        why = weights.why_not(item.path, item.shape)
        if why is not None and why not in problems:
            problems.append(why)
    problems += [f"{name} is unknown" for name in sorted(given - wanted)]
    if problems:
        raise ValueError(f"{path}: {one_line('; '.join(problems), 2000)}.")
    # All are read before any is written: a damaged file changes nothing.
    values = [
        item.change(weights.array(item.path)) if item.path in given else None for item in items
    ]
    types = {array.dtype for array in values if array is not None}
    for item, array in zip(items, values, strict=True):
        if item.layer._buffers is None and array is not None:
            item.layer.dtype = array.dtype  # it belongs to no model yet, which would say its type
        value = array
        if value is None:
            value = np.full(item.layer.owned_shapes()[item.name], item.value, np.float32)
        setattr(item.layer, item.name, value)
    return np.result_type(*types) if types else np.dtype(np.float32)
