"""The contract of a layer: what it computes, keeps, and owns.

A layer has a ``forward`` and a hand-written ``backward``. This file gives it the rest: named
parameters with their gradients, reused buffers, the two modes, and a ``repr`` that reads as code.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import copy
import math
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chainrule.description import code

__all__ = ["Array", "Function", "Layer", "attributes_to_copy", "state_type"]

Array = NDArray[Any]


def state_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the float type of state: averages of half precision stall, variances overflow."""
    return np.result_type(dtype, np.float32)


def attributes_to_copy(thing: object, dropped: Collection[str] = ()) -> dict[str, Any]:
    """Return what a copy of an object has: not what watches the methods of this one."""
    return {
        name: value
        for name, value in vars(thing).items()
        if name not in dropped and not getattr(type(value), "stands_in", False)
    }


class _Kept:
    """An attribute that ``forward`` keeps for ``backward``; outside training it keeps nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def assign(self, owner: Function, value: Any) -> None:
        """Set the attribute."""
        if owner.keeping:
            owner.__dict__[self.name] = value
        else:
            owner.__dict__.pop(self.name, None)

    def __get__(self, owner: Function | None, cls: type) -> Any:
        # Python asks here only for what the instance does not have.
        if owner is None:
            return self
        raise RuntimeError(
            f"{owner!r}: backward() has nothing to work from. Call forward() in training mode "
            "right before it; predicting in between lets go of what was kept."
        )


class _Owned:
    """A parameter, gradient or state: an array with a fixed place; assigning writes into it."""

    def __init__(self, name: str, like: str) -> None:
        self.name = name
        self.like = like  # the parameter (or state: itself) whose shape this array has

    def __get__(self, owner: Layer | None, cls: type) -> Any:
        # As above: only for what is not there yet.
        return self if owner is None else owner._create(self.name, self.like)

    def assign(self, owner: Layer, value: Any) -> None:
        """Write the value into the array."""
        array = owner.__dict__.get(self.name)
        if array is value:  # `layer.weights -= step` has already worked in place
            return
        shape = owner.owned_shapes().get(self.like) if array is None else array.shape
        if shape is None:  # a user's own layer, setting its parameter for the first time
            array = np.array(value)
            owner.__dict__[self.name] = (
                array if array.dtype.kind == "f" else array.astype(owner.dtype)
            )
            return
        if np.shape(value) != shape:
            if owner.takes_any_shape:
                owner.__dict__[self.name] = np.array(value)
                return
            raise ValueError(
                f"{owner!r}: {self.name} must have shape {shape}, got {np.shape(value)}."
            )
        if array is None:
            parameter = owner.__dict__.get(self.like)
            dtype = owner.dtype if parameter is None else parameter.dtype
            if self.name in owner.persistent:
                dtype = state_type(dtype)
            array = owner.__dict__[self.name] = np.empty(shape, dtype)
        array[...] = value


class Function:
    """Something with a ``forward`` and a ``backward``: a layer or a loss.

    Attributes
    ----------
    keeps : tuple of str
        Declared in the class: the attributes that ``forward`` sets for ``backward``. Outside
        training they keep nothing, so that predicting does not hold a mini-batch in memory.
    dtype : numpy.dtype
        The float type it computes in; ``float32`` unless its model says otherwise.
    """

    keeps: ClassVar[tuple[str, ...]] = ()

    # Defaults in the class, so that a layer of one's own need not call super().__init__().
    dtype: np.dtype[Any] = np.dtype(np.float32)
    keeping: bool = True
    _training: bool = True
    _buffers: dict[str, Array] | None = None
    _lent: Array | None = None  # memory of another layer that "grad_x" may lie in
    _rng: np.random.Generator | None = None

    # What is declared in the class and its bases: how each such attribute is set.
    _declared: ClassVar[dict[str, _Kept | _Owned]] = {}
    _kept_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        declared = {name: _Kept(name) for name in cls.__dict__.get("keeps", ())}
        cls._declare(declared)
        kept = (name for base in cls.__mro__ for name in base.__dict__.get("keeps", ()))
        cls._kept_names = tuple(dict.fromkeys(kept))

    @classmethod
    def _declare(cls, declared: Mapping[str, _Kept | _Owned]) -> None:
        for name, attribute in declared.items():
            setattr(cls, name, attribute)
        bases = [base.__dict__.get("_declared", {}) for base in reversed(cls.__mro__)]
        cls._declared = dict(ChainMap(dict(declared), *reversed(bases)))

    def __setattr__(self, name: str, value: Any) -> None:
        attribute = self._declared.get(name)
        if attribute is None:
            object.__setattr__(self, name, value)
        else:
            attribute.assign(self, value)  # type: ignore[arg-type]  # only a Layer has _Owned

    def __repr__(self) -> str:
        return code(self)

    def walk(self) -> Iterator[Function]:
        """Yield this object and everything inside it, outermost first."""
        yield self

    @property
    def training(self) -> bool:
        """Whether it behaves as in training (dropout drops) and keeps what ``backward`` needs."""
        return self._training

    @training.setter
    def training(self, training: bool) -> None:
        self.set_modes(training=training, keeping=training)

    def set_modes(self, *, training: bool, keeping: bool) -> None:
        """Set the behaviour and the keeping apart: a gradient without dropout needs both."""
        for part in self.walk():
            part.set_own_modes(training=training, keeping=keeping)

    def set_own_modes(self, *, training: bool, keeping: bool) -> None:
        """Set them for this object alone, without the layers inside."""
        self.__dict__.update(_training=training, keeping=keeping)

    def forget(self) -> None:
        """Let go of everything that a ``forward`` kept for ``backward``."""
        for part in self.walk():
            for name in part._kept_names:
                part.__dict__.pop(name, None)

    @property
    def rng(self) -> np.random.Generator:
        """The source of randomness: its model's, or one seeded with 0 if it stands alone."""
        if self._rng is None:
            self._rng = np.random.default_rng(0)
        return self._rng

    @rng.setter
    def rng(self, rng: np.random.Generator) -> None:
        for part in self.walk():
            part._rng = rng

    def buffer(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> Array:
        """Return an array to write a result into; its content is undefined.

        Inside a model the same memory serves step after step. Standing alone, each call gives a
        new array, so that what ``forward`` returned earlier stays as it was.
        """
        dtype = self.dtype if dtype is None else dtype
        if self._buffers is None:
            return np.empty(shape, dtype)
        array = self._buffers.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            lent = self._lent if name == "grad_x" else None
            fits = lent is not None and lent.dtype == dtype and lent.size == math.prod(shape)
            array = lent.reshape(shape) if lent is not None and fits else np.empty(shape, dtype)
            self._buffers[name] = array
        return array

    def floats(self, x: Array) -> Array:
        """Return ``x``, whole numbers as floats: -x of small ones wraps, exp(x) rounds."""
        return x if x.dtype.kind == "f" else x.astype(self.dtype)

    def buffer_like(self, name: str, x: Array) -> Array:
        """Return a buffer of the shape and float type of ``x`` (of its own type for integers)."""
        return self.buffer(name, x.shape, x.dtype if x.dtype.kind == "f" else None)

    def add_to_rows(self, rows: Array, row: Array) -> None:
        """Add ``row`` to each row of ``rows``, which is the caller's own."""
        rows += row

    def sum_rows(self, rows: Array, out: Array) -> None:
        """Write the sum of the rows, shape (rows, n), into ``out``.

        It is the product of a row of ones with them, which sums several times faster than ``sum``.
        """
        ones = self.buffer("ones", (len(rows),), rows.dtype)
        ones.fill(1)
        np.matmul(ones, rows, out=out)

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts with its own buffers, and without a forward to go back from.
        dropped = {*self._kept_names, "_buffers", "_lent"}
        return attributes_to_copy(self, dropped)


class Layer(Function):
    """The base of every layer.

    A layer of one's own declares its parameters, each with the name of its gradient, and writes
    ``forward`` and ``backward``:

    - ``forward(x)`` returns the output and keeps only what ``backward`` needs;
    - ``backward(grad)`` takes d(loss)/d(output), stores the gradients of its parameters, and
      returns d(loss)/d(input). Layers sum over the mini-batch; the loss takes the mean.

    Neither writes into an array that it was given. Axis 0 of every array is the samples.

    Attributes
    ----------
    parameters : dict of str to str
        Declared in the class: attribute of each parameter, and attribute of its gradient.
    persistent : tuple of str
        Declared in the class: the state, which are float arrays that the layer changes itself, as
        the running statistics of a normalisation, in float32 at least. They are saved, loaded and
        copied with it, but have no gradient, and no optimiser moves them.
    frozen : bool
        Whether training leaves its parameters as they are, and those of the layers inside it. It is
        not saved: what is frozen is a decision about a training, not a property of the net.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Layer
    >>> class Scale(Layer):
    ...     parameters = {"scale": "grad_scale"}
    ...     keeps = ("x",)
    ...
    ...     def __init__(self, n):
    ...         self.n = n
    ...         self.scale = np.ones(n)
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.scale
    ...
    ...     def backward(self, grad):
    ...         self.grad_scale = (grad * self.x).sum(axis=0)
    ...         return grad * self.scale
    >>> layer = Scale(2)
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    >>> layer.backward(np.ones((2, 2)))
    array([[1., 1.],
           [1., 1.]])
    >>> layer.grad_scale
    array([4., 6.])
    """

    parameters: ClassVar[dict[str, str]] = {}
    persistent: ClassVar[tuple[str, ...]] = ()

    # Whether optimisers leave its parameters, and those of the layers inside it, as they are.
    frozen: bool = False

    # Whether its input may be indices: a model then hands whole numbers on as they are.
    takes_integers: bool = False

    # The checker sets it on its copies: there a wrong shape is a finding, not an error.
    takes_any_shape: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        pairs = cls.__dict__.get("parameters", {}).items()
        owned = {n: _Owned(n, like=name) for name, grad in pairs for n in (name, grad)}
        cls._declare(owned | {n: _Owned(n, like=n) for n in cls.__dict__.get("persistent", ())})

    def forward(self, x: Array) -> Array:
        """Return the output for the input ``x``; axis 0 is the samples."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def backward(self, grad: Array) -> Array:
        """Take d(loss)/d(output), store the parameters' gradients, return d(loss)/d(input)."""
        raise NotImplementedError(f"{type(self).__name__} has no backward(grad)")

    def backward_parameters(self, grad: Array) -> None:
        """Store the parameters' gradients alone: nobody asks the first layer for d(loss)/d(x)."""
        self.backward(grad)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter; here: of those that ``__init__`` has set."""
        return {n: self.__dict__[n].shape for n in self.parameters if n in self.__dict__}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array of the state; here: of those that are set."""
        return {n: self.__dict__[n].shape for n in self.persistent if n in self.__dict__}

    def owned_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what is saved with the layer: its parameters and its state."""
        return {**self.parameter_shapes(), **self.state_shapes()}

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw the parameters anew from ``rng``, and set the state to what it is at first."""

    def children(self) -> dict[str, Layer]:
        """Return the layers inside this one, by name (a container has some)."""
        return {}

    def walk(self) -> Iterator[Layer]:
        """Yield this layer and every layer inside it, outermost first."""
        for _, layer in self.named_layers():
            yield layer

    def named_layers(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) for this layer and every layer inside it, as ``"2.inner.0"``."""
        yield path, self
        for name, child in self.children().items():
            yield from child.named_layers(f"{path}.{name}" if path else name)

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) for every parameter, those of layers inside included."""
        for path, layer in self.named_layers():
            for name in layer.parameter_shapes():
                yield (f"{path}.{name}" if path else name), getattr(layer, name)

    def named_state(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) for every array of the state, those of layers inside included."""
        for path, layer in self.named_layers():
            for name in layer.state_shapes():
                yield (f"{path}.{name}" if path else name), getattr(layer, name)

    def draw_missing(self, rng: np.random.Generator) -> None:
        """Draw the parameters (and the state) not there yet; those that the user has set stay."""
        for layer in self.walk():
            owned = (*layer.parameters, *layer.persistent)
            present = {n: layer.__dict__[n].copy() for n in owned if n in layer.__dict__}
            needed = {
                *(layer.parameter_shapes() or layer.parameters),
                *(layer.state_shapes() or layer.persistent),
            }
            if needed <= set(present):
                continue
            layer.initialize(rng)
            for name, array in present.items():
                layer.__dict__[name][...] = array

    def place(self, name: str, array: Array, gradient: Array) -> None:
        """Move a parameter and its gradient into the given arrays (views of the flat vectors)."""
        array[...] = getattr(self, name)
        gradient_name = self.parameters[name]
        if gradient_name in self.__dict__:
            gradient[...] = self.__dict__[gradient_name]
        self.__dict__[name] = array
        self.__dict__[gradient_name] = gradient

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy that computes in ``dtype``; this layer stays as it is."""
        other = copy.deepcopy(self)
        for layer in other.walk():
            layer.dtype = np.dtype(dtype)
            types = dict.fromkeys((*layer.parameters, *layer.parameters.values()), layer.dtype)
            types |= dict.fromkeys(layer.persistent, state_type(layer.dtype))
            for name, its_type in types.items():
                if name in layer.__dict__:
                    layer.__dict__[name] = layer.__dict__[name].astype(its_type)
        return other

    def _create(self, name: str, like: str) -> Array:
        """Make an array that was asked for before it was set."""
        if name == like:
            self.draw_missing(self.rng)
        elif like in self.parameter_shapes():
            parameter = getattr(self, like)
            self.__dict__[name] = np.zeros(parameter.shape, parameter.dtype)
        if name not in self.__dict__:
            raise AttributeError(
                f"{self!r}: {name} has not been set. Set {like} in __init__, or in initialize(rng)."
            )
        array: Array = self.__dict__[name]
        return array
