"""PyTorch's state dicts: written from a model, and read into one. No tensor is needed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.interop.extras import needs
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.pytorch.arrays import as_array
from chainrule.pytorch.places import Place, places_of
from chainrule.pytorch.rules import OPTIONAL, read, why_not, write
from chainrule.storage import one_line

__all__ = ["load_state_dict", "read_into", "to_state_dict"]


def to_state_dict(
    model: Model,
    *,
    names: Mapping[str, str] | None = None,
    input_shape: Sequence[int] | None = None,
    arrays: bool = False,
) -> dict[str, Any]:
    """Return the parameters and state of a model as PyTorch has them.

    A model is named as the ``torch.nn.Sequential`` of the same layers is: ``"0.weight"``.

    Parameters
    ----------
    model : Model
        The net.
    names : dict of str to str, optional
        Where PyTorch's module has names of its own: from these to ours, as ``{"conv1": "0",
        "classifier": "6"}``. :func:`module_names` finds them.
    input_shape : sequence of int, optional
        The shape of a sample, where flattened images do not tell how many channels they have.
    arrays : bool
        Whether to return NumPy arrays, which needs no PyTorch, and not tensors.

    Raises
    ------
    TypeError
        If PyTorch has no module of the kind of a layer; all are named.
    ValueError
        If a name is of no layer, or the channels of flattened images are not known.
    ModuleNotFoundError
        If tensors are asked for and PyTorch is not installed.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError, Model
    >>> net = Model([Linear(4, 8)], MeanSquaredError())
    >>> list(to_state_dict(net, names={"out": "0"}, arrays=True))
    ['out.weight', 'out.bias']
    """
    places = _places("to_state_dict", model, names, input_shape)
    _check("to_state_dict", places)
    state = {  # copies: the arrays are the caller's
        (f"{place.prefix}.{name}" if place.prefix else name): np.array(array, order="C")
        for place in places
        for name, array in write(place).items()
    }
    if arrays:
        return state
    with needs("chainrule.pytorch.to_state_dict(arrays=False)", "torch", "torch"):
        import torch
    return {name: torch.from_numpy(array) for name, array in state.items()}


def load_state_dict(
    model: Model,
    state_dict: Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
    input_shape: Sequence[int] | None = None,
) -> None:
    """Write the weights of a PyTorch module into a model of the same layers.

    Every array must be there, none may be left over, and the shapes must fit; else the model stays
    as it is.

    Parameters
    ----------
    model : Model
        The net.
    state_dict : dict of str to tensor or array
        What ``module.state_dict()`` returns, or ``safetensors.numpy.load_file(path)``.
    names, input_shape
        As of :func:`to_state_dict`.

    Raises
    ------
    TypeError
        If it is no dict, or PyTorch has no module of the kind of a layer.
    ValueError
        If arrays are missing, unknown, of another shape or no floats; all are named.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model
    >>> net = Model([Linear(4, 8)], MeanSquaredError())
    >>> load_state_dict(net, {"0.weight": np.zeros((8, 4)), "bias": np.zeros(8)})
    Traceback (most recent call last):
    ValueError: load_state_dict: missing: 0.bias; unknown: bias.
    """
    if not isinstance(state_dict, Mapping):
        hint = ""
        if hasattr(state_dict, "state_dict"):
            hint = " Write module.state_dict()."
        elif isinstance(state_dict, (str, bytes)) or hasattr(state_dict, "__fspath__"):
            hint = " Read the file first, as by safetensors.numpy.load_file(path)."
        raise TypeError(
            f"load_state_dict: needs a dict of arrays, got {type(state_dict).__name__}.{hint}"
        )
    places = _places("load_state_dict", model, names, input_shape)
    read_into("load_state_dict", places, state_dict)


def _places(
    owner: str,
    model: Model,
    names: Mapping[str, str] | None,
    input_shape: Sequence[int] | None,
) -> list[Place]:
    if not isinstance(model, Model):
        raise TypeError(f"{owner}: needs a chainrule.Model, got {type(model).__name__}.")
    return places_of(model._net, names, input_shape)[0]


def read_into(owner: str, places: Sequence[Place], state_dict: Mapping[str, Any]) -> None:
    """Write a state dict into the layers at their places, all or nothing."""
    _check(owner, places)
    left = dict(state_dict)
    given: list[tuple[Place, dict[str, Array]]] = []
    missing: list[str] = []
    wrong: list[str] = []
    for place in places:
        found: dict[str, Array] = {}
        for name, own in write(place).items():
            key = f"{place.prefix}.{name}" if place.prefix else name
            if key not in left:
                if not name.startswith(OPTIONAL):
                    missing.append(key)
                continue
            try:
                array = as_array(left.pop(key))
            except (TypeError, ValueError) as error:
                wrong.append(f"{key} is {one_line(error, 80)}")
                continue
            if array.dtype.kind != "f" and not name.startswith(OPTIONAL):
                wrong.append(f"{key} holds {array.dtype}, no floats")
            elif array.shape != own.shape:
                wrong.append(f"{key} has shape {array.shape}, needs {own.shape}")
            found[name] = array
        given.append((place, found))
    parts = []
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    if left:
        parts.append(f"unknown: {', '.join(map(str, left))}")
    parts += wrong
    if parts:
        raise ValueError(f"{owner}: {one_line('; '.join(parts), 2000)}.")
    for place, found in given:
        read(place, found)


def _check(owner: str, places: Sequence[Place]) -> None:
    problems = [f"{place.path}: {why}" for place in places if (why := why_not(place.layer))]
    if problems:
        raise TypeError(f"{owner}: PyTorch has no such module: {'; '.join(problems)}.")
