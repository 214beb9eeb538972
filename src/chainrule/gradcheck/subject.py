"""The thing under test, as a pure function of its arrays.

The checker never touches what it was given: it works on float64 copies, hands every call arrays of
its own, and sets all sources of randomness back before each forward, so that the same arrays give
the same outputs.
"""

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.gradcheck.parts import (
    Parameter,
    find_parameters,
    generators,
    is_float_array,
    parts,
    set_state,
    state_of,
)
from chainrule.layer import Array, Layer
from chainrule.losses import Loss
from chainrule.model import Model

__all__ = ["INPUT", "Analytic", "Subject", "UserError"]

INPUT = "input"


class UserError(Exception):
    """The code under test raised: which call, and what."""

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"{call} raised {type(error).__name__}: {error}")
        self.call = call
        self.error = error


@dataclass
class Analytic:
    """What one forward and one backward gave."""

    output: Array
    gradients: dict[str, Any]  # of the input and of each parameter; None where there is none


class Subject:
    """A layer, loss or model with the input (and targets) that it is checked on.

    Parameters
    ----------
    thing : object
        Has ``forward`` and ``backward``. It is left as it is.
    x : array
        The input.
    y : array, optional
        The targets, for a loss or a model.
    parameters : mapping, optional
        Name of each parameter, and name of its gradient, for a layer that is not ours.
    dtype : dtype
        The float type of the copies.
    """

    def __init__(
        self,
        thing: Any,
        x: Any,
        y: Any = None,
        parameters: Mapping[str, str] | None = None,
        dtype: Any = np.float64,
    ) -> None:
        self.original = thing
        self.dtype = np.dtype(dtype)
        self.kind = _kind(thing, y)
        self.x = np.array(x)
        _check_input(self.x)
        indices = self.x
        takes_integers = getattr(getattr(thing, "_net", thing), "takes_integers", False)
        if not (takes_integers and indices.dtype.kind in "iu"):
            self.x = self.x.astype(self.dtype)
        self.y = None if y is None else np.array(y)
        self.pairs = dict(parameters or {})
        self._base = _as_float(copy.deepcopy(thing), self.dtype)
        self._hold_global = False
        self._fresh_each_time = False
        self._generators: list[tuple[Any, Any]] = []
        self.use(copy.deepcopy(self._base))
        try:
            first = self.call_forward(self.x.copy())  # some layers make their parameters only here
        except UserError:
            if indices.dtype.kind == "f":
                raise
            self.x = indices  # whole numbers that are no values but indices, as of an embedding
            first = self.call_forward(self.x.copy())
        self.differentiable_input = self.x.dtype.kind == "f"
        self._one_number = np.ndim(first) == 0
        self.parameters = find_parameters(self.thing, self.pairs)
        self.use(copy.deepcopy(self._base))
        self.values = {p.label: self._read(p) for p in self.parameters}

    # -- copies ---------------------------------------------------------------------------------

    def use(self, thing: Any) -> None:
        """Work on ``thing`` from now on."""
        self.thing = thing
        for _, part in parts(thing):
            if isinstance(part, Layer):
                part.takes_any_shape = True
        # A thing set to inference is checked as it behaves there, which needs a way back too.
        if isinstance(thing, Model):
            thing._set_modes(training=thing.training, keeping=True)
        elif isinstance(thing, (Layer, Loss)):
            thing.set_modes(training=thing.training, keeping=True)
        self._generators = [(g, copy.deepcopy(state_of(g))) for g in generators(thing)]

    def fresh(self) -> None:
        """Work on a new copy, as it was before any forward."""
        self.use(copy.deepcopy(self._base))
        for parameter in getattr(self, "parameters", []):
            self._write(parameter, self.values[parameter.label])

    def hold_still(self) -> bool:
        """Make equal calls give equal outputs; return False if nothing helps."""
        if self._two_forwards_agree():
            return True
        self._hold_global = True  # numpy.random functions and the random module
        if self._two_forwards_agree():
            return True
        self._fresh_each_time = True  # a layer that carries a state from call to call
        return self._two_forwards_agree()

    def _two_forwards_agree(self) -> bool:
        first, second = self.output(), self.output()
        return first.shape == second.shape and np.array_equal(first, second, equal_nan=True)

    # -- calls ----------------------------------------------------------------------------------

    def call_forward(self, x: Array) -> Any:
        """Call the thing's forward (or loss) once, with arrays handed over as they are."""
        for generator, state in self._generators:
            set_state(generator, copy.deepcopy(state))
        if self._hold_global:
            np.random.seed(0)  # noqa: NPY002  # a user's layer may draw from it: hold it still
            if "random" in sys.modules:
                sys.modules["random"].seed(0)
        with np.errstate(all="ignore"):
            if self.kind == "layer":
                return guarded("forward", self.thing.forward, x)
            targets = np.array(self.y)
            call = self.thing.loss if self.kind == "model" else self.thing.forward
            return guarded("loss" if self.kind == "model" else "forward", call, x, targets)

    def call_backward(self, upstream: Array | None) -> Any:
        """Call the thing's backward once."""
        with np.errstate(all="ignore"):
            if self.kind == "layer":
                return guarded("backward", self.thing.backward, upstream)
            return guarded("backward", self.thing.backward)

    def output(self, x: Array | None = None, values: Mapping[str, Array] | None = None) -> Array:
        """Return the output for the given input and parameters (by default, its own)."""
        if self._fresh_each_time:
            self.fresh()
        if values is not None:
            for parameter in self.parameters:
                self._write(parameter, values.get(parameter.label, self.values[parameter.label]))
        out = np.array(self.call_forward(np.array(self.x if x is None else x)))
        if values is not None:
            for parameter in self.parameters:
                self._write(parameter, self.values[parameter.label])
        return out

    def share(self) -> Array | float:
        """Return the weight of each output in the scalar that a loss's backward derives."""
        if self._one_number:
            return 1.0
        loss = self.thing.cost if self.kind == "model" and hasattr(self.thing, "cost") else None
        loss = self.thing if self.kind == "loss" else loss
        totals = getattr(loss, "sample_totals", None)
        if totals is not None:
            return np.asarray(totals / totals.sum())
        return 1 / max(1, len(self.x))

    def analytic(
        self,
        upstream: Array | None,
        x: Array | None = None,
        values: Mapping[str, Array] | None = None,
        *,
        fresh: bool = True,
    ) -> Analytic:
        """Return the output and the gradients of one forward and one backward."""
        if fresh:
            self.fresh()
        for parameter in self.parameters:
            if values is not None and parameter.label in values:
                self._write(parameter, values[parameter.label])
        x = np.array(self.x if x is None else x)
        output = np.array(self.call_forward(x))
        returned = self.call_backward(None if upstream is None else np.array(upstream))
        gradients: dict[str, Any] = {}
        if self.differentiable_input:
            gradients[INPUT] = self._input_gradient(x, returned)
        for parameter in self.parameters:
            gradients[parameter.label] = _copied(
                getattr(parameter.owner(self.thing), parameter.gradient, None)
            )
        return Analytic(output, gradients)

    def _input_gradient(self, x: Array, returned: Any) -> Any:
        if isinstance(self.thing, Model):
            # Not input_gradient(): that is of inference, the outputs may be of training.
            return _copied(self.thing._net.backward(self.thing.cost.backward()))
        if self.kind == "model" and hasattr(self.thing, "input_gradient"):
            return self.thing.input_gradient(x, np.array(self.y))
        return _copied(returned)

    def current(self) -> dict[str, Array]:
        """Return the parameters as they are now, after whatever calls were made."""
        return {p.label: self._read(p) for p in self.parameters}

    # -- parameters -----------------------------------------------------------------------------

    def _read(self, parameter: Parameter) -> Array:
        return np.array(getattr(parameter.owner(self.thing), parameter.name), dtype=self.dtype)

    def _write(self, parameter: Parameter, value: Array) -> None:
        owner = parameter.owner(self.thing)
        held = getattr(owner, parameter.name)
        if isinstance(held, np.ndarray) and held.shape == np.shape(value):
            held[...] = value
        else:
            setattr(owner, parameter.name, float(value) if np.ndim(value) == 0 else np.array(value))


def guarded(call: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the code under test; whatever it raises becomes a :class:`UserError`."""
    try:
        return function(*arguments)
    except Exception as error:
        raise UserError(call, error) from error


def _kind(thing: Any, y: Any) -> str:
    for method in ("forward", "backward"):
        if not callable(getattr(thing, method, None)):
            what = f"the class {thing.__name__}" if isinstance(thing, type) else repr(thing)
            raise TypeError(
                f"check_gradients: needs an object with forward and backward, got {what}."
            )
    if isinstance(thing, type):
        raise TypeError(
            f"check_gradients: got the class {thing.__name__}. Pass an object: {thing.__name__}()."
        )
    if isinstance(thing, Model) or (hasattr(thing, "loss") and hasattr(thing, "layers")):
        kind = "model"
    elif isinstance(thing, Loss) or y is not None:
        kind = "loss"
    else:
        return "layer"
    if y is None:
        raise TypeError(f"check_gradients: a {kind} needs targets: check_gradients(thing, x, y).")
    return kind


def _check_input(x: Array) -> None:
    if x.dtype.kind not in "fiub" or x.ndim == 0 or x.size == 0:
        raise ValueError(
            "check_gradients: the input must be numbers with at least one sample, got "
            f"{x.dtype} of shape {x.shape}."
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("check_gradients: the input has NaN or infinite values. Choose another.")


def _as_float(thing: Any, dtype: np.dtype[Any]) -> Any:
    """Turn a copy of the thing into one that computes in ``dtype``."""
    if isinstance(thing, (Model, Layer)):
        return thing.astype(dtype)
    for _, part in parts(thing):
        if isinstance(part, Layer):
            continue
        for name, value in list(getattr(part, "__dict__", {}).items()):
            if is_float_array(value):
                part.__dict__[name] = value.astype(dtype)
    if isinstance(thing, Loss):
        thing.dtype = dtype
    return thing


def _copied(value: Any) -> Any:
    return np.array(value) if isinstance(value, (np.ndarray, np.generic, float, int)) else value
