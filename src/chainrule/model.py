"""A model: layers in a chain, and the loss that judges their outputs."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule import flat
from chainrule.description import describe
from chainrule.layer import Array, Function, Layer, attributes_to_copy
from chainrule.layers.container import Sequential
from chainrule.losses import Loss
from chainrule.outline import Outline, checked_shape, shape_of_a_sample, text_table
from chainrule.state import State, generator_state, set_generator_state
from chainrule.storage import write_arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Model"]


class Model:
    r"""Layers in a chain, and the loss that judges their outputs.

    All parameters lie end to end in one flat vector, ``parameters``, and all gradients in another,
    ``gradients``; the layers' attributes are views into them.

    Parameters
    ----------
    layers : sequence of Layer
        In the order of the forward pass.
    cost : Loss
        The loss.
    dtype : dtype
        The float type of parameters and computations.
    seed : int or numpy.random.Generator
        Draws the parameters and, in training, the dropout masks.

    Attributes
    ----------
    layers : tuple of Layer
    cost : Loss
    parameters, gradients : array, shape (number of parameters,)
    metadata : dict
        Anything of yours that JSON can hold; saved and loaded with the model, as how the inputs
        were scaled.

    Raises
    ------
    TypeError
        If something that is no layer or no loss stands in its place.
    ValueError
        If a layer appears twice, or belongs to another model.

    Notes
    -----
    What a method of ``Model`` returns is the caller's: later calls do not change it. One model
    serves one thread at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import CrossEntropy, Linear, Model, ReLU, Softmax
    >>> net = Model([Linear(4, 8), ReLU(), Linear(8, 3), Softmax()], CrossEntropy())
    >>> x, y = np.ones((5, 4)), np.array([0, 1, 2, 0, 1])
    >>> net.loss(x, y).shape
    (5,)
    >>> net.backward()
    >>> net.parameters -= 0.1 * net.gradients
    >>> net.predict_proba(x).shape
    (5, 3)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        cost: Loss,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        if not isinstance(cost, Loss):
            hint = f" Write {cost.__name__}()." if isinstance(cost, type) else ""
            raise TypeError(f"Model: the cost must be a chainrule.Loss, got {cost!r}.{hint}")
        self.dtype = _float_type(dtype)
        self._net = Sequential(layers)
        self.layers = self._net.layers
        self.cost = cost
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.metadata: dict[str, Any] = {}
        self._sample_shape: tuple[int, ...] | None = None  # of the last input
        flat.check_ownership(self._functions())
        try:
            self._lay_out()
        except BaseException:
            for part in self._functions():
                part._buffers = None  # it belongs to no model
            raise

    # -- the two passes -------------------------------------------------------------------------

    def forward(self, x: ArrayLike) -> Array:
        """Return the outputs, shape (samples, ...); in training the layers keep what they need.

        Raises
        ------
        ValueError
            If the shape does not fit the first layer, or the values are not numbers.
        """
        self.cost.forget()  # what it kept belongs to an earlier forward
        return np.array(self._forward(x), dtype=self.dtype)

    def loss(self, x: ArrayLike, y: ArrayLike, sample_weights: ArrayLike | None = None) -> Array:
        """Return the loss of each sample, shape (samples,).

        Parameters
        ----------
        x : array, shape (samples, ...)
            Inputs.
        y : array
            Targets, in a form that the loss takes.
        sample_weights : array, shape (samples,), optional
            How much each sample counts in the mean that ``backward`` derives.

        Raises
        ------
        ValueError
            If the shapes or values do not fit.
        """
        self.cost.forget()  # so that nothing stale is left if this fails
        return self.cost.forward(self._forward(x), y, sample_weights)

    def backward(self) -> None:
        """Store in ``gradients`` the derivative of the mean of the last ``loss``.

        Raises
        ------
        RuntimeError
            If no ``loss`` went before it in training, or a prediction came between.
        """
        self._net.backward_parameters(self.cost.backward())

    def input_gradient(
        self, x: ArrayLike, y: ArrayLike, sample_weights: ArrayLike | None = None
    ) -> Array:
        """Return the derivative of the mean loss by the inputs, in the shape of ``x``.

        Layers behave as in prediction (nothing is dropped out); ``gradients`` stay as they are.

        Raises
        ------
        ValueError
            If the shapes or values do not fit.
        """
        training, gradients = self.training, self.gradients.copy()
        try:
            self._set_modes(training=False, keeping=True)
            self.cost.forward(self._forward(x), y, sample_weights)
            return np.array(self._net.backward(self.cost.backward()), dtype=self.dtype)
        finally:
            self._set_modes(training=training, keeping=training)
            self._net.forget()
            self.cost.forget()
            self.gradients = gradients

    # -- answers --------------------------------------------------------------------------------

    def predict(self, x: ArrayLike, *, batch_size: int = 1024) -> Array:
        """Return the outputs for any number of samples, in the mode of inference.

        Parameters
        ----------
        x : array, shape (samples, ...)
            Inputs.
        batch_size : int
            How many samples go through the net at a time.

        Raises
        ------
        ValueError
            If the shape does not fit the first layer, or the values are not numbers.
        """
        x = _numbers(x)
        if batch_size < 1:
            raise ValueError(f"Model: batch_size must be at least 1, got {batch_size}.")
        training = self.training
        self.training = False
        self.cost.forget()
        try:
            if x.ndim == 0 or len(x) <= batch_size:
                return np.array(self._forward(x), dtype=self.dtype)
            first = self._forward(x[:batch_size])
            outputs = np.empty((len(x), *first.shape[1:]), self.dtype)
            outputs[:batch_size] = first
            for start in range(batch_size, len(x), batch_size):
                chunk = slice(start, start + batch_size)
                outputs[chunk] = self._forward(x[chunk])
            return outputs
        finally:
            self.training = training

    def predict_proba(self, x: ArrayLike, *, batch_size: int = 1024) -> Array:
        """Return the probabilities of the classes.

        That is the softmax or the sigmoid of the outputs where the loss works on logits, the
        outputs themselves where it works on probabilities.

        Raises
        ------
        TypeError
            If the loss has no classes.
        ValueError
            As ``predict``.
        """
        return self.cost.probabilities(self.predict(x, batch_size=batch_size))

    def predict_classes(self, x: ArrayLike, *, batch_size: int = 1024) -> Array:
        """Return the most probable class of each sample, as integers.

        Raises
        ------
        TypeError
            If the loss has no classes.
        ValueError
            As ``predict``.
        """
        return self.cost.classes(self.predict(x, batch_size=batch_size))

    # -- parameters -----------------------------------------------------------------------------

    @property
    def parameters(self) -> Array:
        """All parameters in one vector; assigning writes into it."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: ArrayLike) -> None:
        flat.write(self._parameters, values, "parameters")

    @property
    def gradients(self) -> Array:
        """All gradients in one vector, in the order of ``parameters``."""
        return self._gradients

    @gradients.setter
    def gradients(self, values: ArrayLike) -> None:
        flat.write(self._gradients, values, "gradients")

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) in the order of the flat vector; names are as ``"0.weights"``."""
        return self._net.named_parameters()

    def named_state(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) of what layers keep besides parameters, as running statistics."""
        return self._net.named_state()

    @property
    def training(self) -> bool:
        """Whether the layers behave as in training and keep what ``backward`` needs."""
        return self._net.training

    @training.setter
    def training(self, training: bool) -> None:
        self._set_modes(training=training, keeping=training)

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy that computes in ``dtype``; this model stays as it is."""
        other = copy.deepcopy(self)
        other.dtype = _float_type(dtype)
        other._lay_out()
        return other

    def __copy__(self) -> Self:
        # Two models cannot share layers: each layer's parameters lie in one flat vector.
        return copy.deepcopy(self)

    # -- description and files ------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        options = ""
        if self.dtype != np.float32:
            options += f", dtype={self.dtype.name!r}"
        if self.seed != 0 and isinstance(self.seed, (int, np.integer)):
            options += f", seed={self.seed}"
        return f"Model([\n{lines}], {self.cost!r}{options})"

    def summary(self, input_shape: int | Sequence[int] | None = None) -> str:
        """Return a table of the layers with their output shapes and numbers of parameters.

        Parameters
        ----------
        input_shape : int or sequence of int, optional
            The shape of one sample; if None, that of the last input, if there was one.

        Raises
        ------
        ValueError
            If the shape does not fit.

        Examples
        --------
        >>> from chainrule import Linear, MeanSquaredError, Model, ReLU
        >>> Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError()).summary(4)
        layer         output shape  parameters
        --------------------------------------
        Linear(4, 8)  (8,)                  40
        ReLU()        (8,)                   0
        Linear(8, 1)  (1,)                   9
        --------------------------------------
        total                               49
        """
        return text_table(self.outline(input_shape))

    def outline(self, input_shape: int | Sequence[int] | None = None) -> Outline:
        """Return the layers as a tree of parts, each with its output shape, where that is known.

        Parameters
        ----------
        input_shape : int or sequence of int, optional
            The shape of one sample. If None it is that of the last input; before the first input
            it is known of a net that begins with ``Linear``, or with ``Flatten`` and ``Linear``.

        Raises
        ------
        ValueError
            If the shape does not fit.

        Examples
        --------
        >>> from chainrule import Linear, MeanSquaredError, Model, ReLU
        >>> outline = Model([Linear(4, 8), ReLU()], MeanSquaredError()).outline()
        >>> [(part.path, part.shape, part.size) for part in outline.parts]
        [('0', (8,), 40), ('1', (8,), 0)]
        """
        if input_shape is not None:
            shape = checked_shape("Model", input_shape)
            return Outline.of(self._net, self._as_input(np.zeros((1, *shape))))
        known = self._sample_shape or shape_of_a_sample(self._net)
        if known is not None:
            with contextlib.suppress(Exception):  # a guess, and layers of anybody's
                return Outline.of(self._net, self._as_input(np.zeros((1, *known))))
        return Outline.of(self._net, None)

    def plot(
        self, input_shape: int | Sequence[int] | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw the net as a graph: see :func:`chainrule.plots.net`.

        Examples
        --------
        >>> from chainrule import Linear, MeanSquaredError, Model, ReLU
        >>> Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError()).plot().get_title()
        '49 parameters'
        """
        from chainrule import plots

        return plots.net(self, input_shape, ax=ax)

    def _repr_html_(self) -> str:
        outline = self.outline()
        foot = f"{self.cost!r}, {self.dtype.name}"
        if outline.input_shape is not None:
            foot = f"input {outline.input_shape}, {foot}"
        return outline.html(foot)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the net, parameters and state into one safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; what was there before is still there.
        TypeError
            If a layer has an argument that is no number, text, list or layer, or ``metadata`` holds
            something that JSON does not.
        """
        description = {
            "layers": [describe(layer) for layer in self.layers],
            "cost": describe(self.cost),
            "dtype": self.dtype.name,
            "metadata": self.metadata,
        }
        write_arrays(path, dict([*self.named_parameters(), *self.named_state()]), description)

    def get_state(self) -> State:
        """Return what training changes: parameters, statistics, generator, and what is frozen."""
        return {
            "parameters": self._parameters.copy(),
            "state": {name: array.copy() for name, array in self.named_state()},
            "generator": generator_state(self.rng),
            "frozen": [layer.frozen for layer in self._net.walk()],
        }

    def set_state(self, state: State) -> None:
        """Set what :meth:`get_state` returned.

        Raises
        ------
        ValueError
            If it is the state of another net.
        """
        own = dict(self.named_state())
        found = {name: np.shape(array) for name, array in state["state"].items()}
        if found != {name: array.shape for name, array in own.items()}:
            raise ValueError("Model: the running statistics are those of another net.")
        layers = list(self._net.walk())
        if len(state["frozen"]) != len(layers):
            raise ValueError("Model: it says of another number of layers whether they are frozen.")
        self.parameters = state["parameters"]
        for layer, frozen in zip(layers, state["frozen"], strict=True):
            layer.frozen = bool(frozen)
        for name, array in own.items():
            array[...] = state["state"][name]
        set_generator_state(self.rng, state["generator"])

    # -- inner parts ----------------------------------------------------------------------------

    def _forward(self, x: ArrayLike) -> Array:
        x = self._as_input(x)
        self._sample_shape = x.shape[1:]
        return self._net.forward(x)

    def _as_input(self, x: ArrayLike) -> Array:
        x = _numbers(x)
        if x.ndim == 0:
            raise ValueError("Model: the inputs need an axis of samples, got a single number.")
        if self._net.takes_integers and x.dtype.kind in "iu":
            return x  # indices: a float type may be too narrow for them
        return x.astype(self.dtype, copy=False)

    def _functions(self) -> Iterator[Function]:
        yield from self._net.walk()
        yield from self.cost.walk()

    def _set_modes(self, *, training: bool, keeping: bool) -> None:
        for part in self._parts:
            part.set_own_modes(training=training, keeping=keeping)

    def _lay_out(self) -> None:
        """Give all parts float type and buffers; lay parameters and gradients into flat vectors."""
        self._parts = tuple(self._functions())  # walking anew costs as much as a prediction
        for part in self._parts:
            part.dtype = self.dtype
            part._buffers = {}
        self._net.rng = self.rng
        self._net.draw_missing(self.rng)
        self._parameters, self._gradients = flat.lay_out(self._net, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        # The views into the flat vectors would be copied one by one: a copy lays out its own.
        dropped = ("_parameters", "_gradients", "_parts")
        return attributes_to_copy(self, dropped)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lay_out()


def _float_type(dtype: DTypeLike) -> np.dtype[Any]:
    if dtype is None or np.dtype(dtype).kind != "f":
        raise ValueError(f"Model: dtype must be a float type, as float32, got {dtype!r}.")
    return np.dtype(dtype)


def _numbers(x: ArrayLike) -> Array:
    try:
        x = np.asarray(x)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"Model: the inputs must be numbers in one array: {error}.") from error
    if x.dtype.kind not in "fiub":
        raise ValueError(f"Model: the inputs must be numbers, got an array of {x.dtype}.")
    return x
