"""A PyTorch module of layers in a chain, as a model of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.interop.extras import needs
from chainrule.layer import Array
from chainrule.layers import Sequential
from chainrule.losses import Loss, MeanSquaredError
from chainrule.model import Model
from chainrule.pytorch.arrays import as_array
from chainrule.pytorch.chain import Chain, Converter
from chainrule.pytorch.places import places_of
from chainrule.pytorch.state import read_into
from chainrule.storage import one_line

__all__ = ["from_module", "module_names"]

# How far outputs may be apart, relative to the greatest: sums are taken in another order.
TOLERANCE = {2: 2e-2, 4: 1e-4, 8: 1e-10}


def from_module(
    module: Any,
    cost: Loss | None = None,
    *,
    example: Any = None,
    converters: Mapping[type, Converter] | None = None,
    untie: bool = False,
) -> Model:
    """Return a model with the layers and weights of a PyTorch module; it predicts the same.

    The module is a ``torch.nn.Sequential``, nested as deep as need be, or one of the modules that
    may stand in one. Another module, with a ``forward`` of its own, is taken as the chain of its
    children in the order in which they were set, if an ``example`` proves it to be that.

    The model takes what the module takes, but images as (samples, height, width, channels) and what
    convolutions over sequences take as (samples, steps, channels); its outputs are so as well. A
    module that flattens images before anything else does not tell that they are images: then give
    an ``example``, or the model flattens what it is given as the module does.

    Parameters
    ----------
    module : torch.nn.Module
        Is not changed.
    cost : Loss, optional
        The loss to train on with; ``MeanSquaredError()`` if None. Predicting does not need it.
    example : tensor or array, optional
        An input of the module, axis 0 the samples; of random values, so that equal outputs prove
        something. The outputs of both for it are compared.
    converters : dict of type to function, optional
        For modules of one's own: from the class to a function that takes the module and returns a
        layer of ours, or a list of layers, with their weights.
    untie : bool
        Whether weights that several modules share may become weights of each: the model predicts
        the same, but training would move them apart.

    Returns
    -------
    Model
        In the float type of the module's weights; bfloat16 becomes float32.

    Raises
    ------
    TypeError
        If parts of the module have no layer of ours; all are named, with the reason.
    ValueError
        If weights are shared, or the outputs for the example differ.
    ModuleNotFoundError
        If PyTorch is not installed.

    Examples
    --------
    See ``docs/pytorch-and-keras.md``.
    """
    torch = _torch("from_module", module)
    if not untie:
        _refuse_shared(module)
    example = None if example is None else _tensor(torch, example, module)
    chain, net = _build(module, example, converters)
    model = Model(net.layers, MeanSquaredError() if cost is None else cost, dtype=_dtype(module))
    if example is not None:
        _compare(torch, module, model, chain, example)
    return model


def module_names(
    module: Any, *, example: Any = None, converters: Mapping[type, Converter] | None = None
) -> dict[str, str]:
    """Return the ``names`` of :func:`to_state_dict` that bring a model back into its module.

    Parameters
    ----------
    module, example, converters
        As given to :func:`from_module`.

    Returns
    -------
    dict of str to str
        From the name of each part of the module to that of the model's layer.

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        As :func:`from_module`.
    """
    _torch("module_names", module)
    chain, _ = _build(module, example, converters)
    return chain.names


def _torch(owner: str, module: Any) -> Any:
    """Return PyTorch, after a look at what should be its module."""
    with needs(f"chainrule.pytorch.{owner}", "torch", "torch"):
        import torch
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"{owner}: needs a torch.nn.Module, got {type(module).__name__}. "
            "For a state dict build the net, and use load_state_dict."
        )
    return torch


def _build(
    module: Any, example: Any, converters: Mapping[type, Converter] | None
) -> tuple[Chain, Sequential]:
    """Return the chain and its layers with the module's weights."""
    for transposed in (False, True):
        chain = Chain(converters or {}, transposed, known=example is not None)
        chain.start(None if example is None else tuple(example.shape))
        found = chain.layers_of(module)
        if chain.problems:
            raise TypeError(f"from_module: no layers for {'; '.join(chain.problems)}.")
        if not found:
            raise TypeError(f"from_module: {type(module).__name__} has no layers.")
        if chain.minds_order and not transposed:
            continue
        net = Sequential(found)
        places, ends_flat = places_of(net, chain.names, chain.input_shape)
        if not ends_flat:
            break
        # Flattened images meet no linear layer, whose weights could be laid in our order: the
        # images are transposed before they are flattened.
    else:
        raise ValueError(
            "from_module: whether it is images that are flattened is not known. Give an example."
        )
    own = {id(part) for layer in chain.own for part in layer.walk()}
    places = [place for place in places if id(place.layer) not in own]
    state = {name: value for name, value in module.state_dict().items() if not chain.is_own(name)}
    for place in places:
        for part in place.layer.walk():
            part.dtype = np.dtype(np.float64)
    read_into("from_module", places, _with_biases(places, state))
    return chain, net


def _with_biases(places: Sequence[Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return the state with zeros for the biases that recurrent modules were built without."""
    from chainrule.pytorch.rules import write

    added = dict(state)
    for place in places:
        for name, own in write(place).items():
            key = f"{place.prefix}.{name}" if place.prefix else name
            if name.startswith(("bias_ih_l", "bias_hh_l")):
                added.setdefault(key, np.zeros(own.shape))
    return added


def _refuse_shared(module: Any) -> None:
    """Say which parameters are one and the same."""
    by_place: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        by_place.setdefault(id(parameter), []).append(name)
    shared = [" = ".join(names) for names in by_place.values() if len(names) > 1]
    if shared:
        raise ValueError(
            f"from_module: {'; '.join(shared)} are shared, and a model has weights for each layer. "
            "Give untie=True if that is all right: training would move them apart."
        )


def _dtype(module: Any) -> np.dtype[Any]:
    """Return the widest float type of the module's arrays; float32 if it has none."""
    types = {str(t.dtype): t for t in module.state_dict().values() if t.is_floating_point()}
    found = [
        np.dtype(np.float32) if name == "torch.bfloat16" else as_array(tensor.ravel()[:0]).dtype
        for name, tensor in types.items()
    ]
    return np.result_type(*found) if found else np.dtype(np.float32)


def _tensor(torch: Any, example: Any, module: Any) -> Any:
    """Return the example as a tensor of the module's type and device; indices as they are."""
    tensor = torch.as_tensor(example).detach()
    if tensor.ndim == 0:
        raise ValueError("from_module: the example needs an axis of samples.")
    first = next(iter(module.parameters()), None)
    if first is None:
        return tensor
    return tensor.to(first.device, first.dtype if tensor.is_floating_point() else None)


def _compare(torch: Any, module: Any, model: Model, chain: Chain, example: Any) -> None:
    """Hold the outputs for the example beside each other."""
    modes = [(part, part.training) for part in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # it takes any GELU for the exact one
    try:
        with torch.no_grad():
            theirs = chain.call(module, example)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise ValueError(
            f"from_module: the module does not take the example: {one_line(error)}"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, training in modes:
            part.training = training
    if not isinstance(theirs, torch.Tensor) or not theirs.is_floating_point():
        raise ValueError(
            f"from_module: for the example the module returns {type(theirs).__name__}, no floats."
        )
    expected = _ours(as_array(theirs), chain.first)
    if not np.isfinite(expected).any():
        raise ValueError("from_module: the outputs for the example hold no number to compare.")
    try:
        found = model.predict(_ours(as_array(example), chain.input_first))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"from_module: the layers do not take the example as a chain: {error} {HINT}"
        ) from error
    sizes = (model.dtype.itemsize, theirs.element_size())
    greatest = float(np.abs(expected).max(initial=0))
    tolerance = max(TOLERANCE.get(size, 1e-4) for size in sizes) * max(1.0, greatest)
    if found.shape != expected.shape:
        what = f"the shapes {found.shape} here and {expected.shape} there"
    elif np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
        return
    else:
        what = f"up to {np.nanmax(np.abs(found - expected)):.2g} apart, the greatest {greatest:.2g}"
    raise ValueError(f"from_module: the outputs for the example differ: {what}. {HINT}")


HINT = (
    "Its forward does more than hand each child's output to the next: relu, flatten and view "
    "written as functions are not seen. Make them modules of a torch.nn.Sequential."
)


def _ours(array: Array, first: bool) -> Array:
    """Return channels-first arrays channels-last."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if first else array
