"""How large the gradients of each layer are as a training goes on."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Layer
from chainrule.model import Model
from chainrule.state import State
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.run import Run

__all__ = ["MonitorGradients"]


class MonitorGradients(Callback):
    r"""Note how large the gradients of each layer are, step by step.

    The size is the root of the mean square over all parameters of the layer,

    .. math:: \sqrt{\frac{1}{n} \sum_{i=1}^{n} g_i^2}

    so that large and small layers can be compared. The gradients are those that the optimiser was
    given: joined over mini-batches, and clipped. ``plots.gradient_flow(monitor)`` draws them.

    Parameters
    ----------
    every : int
        Note every so many steps.
    most : int
        How many steps to remember, at least 2: of a longer training every second, every fourth, …

    Attributes
    ----------
    layers : list of str
        The layers with parameters, as ``"0: Linear(3, 1)"``.
    steps : list of int
        The steps that are remembered, counted from 1.
    sizes : list of list of float
        For each of these steps a size for each layer; NaN where the layer is frozen.

    Raises
    ------
    ValueError
        If ``every`` or ``most`` is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, MonitorGradients, train
    >>> net, monitor = Model([Linear(3, 1)], MeanSquaredError()), MonitorGradients()
    >>> data = np.ones((4, 3)), np.ones((4, 1))
    >>> history = train(net, 0.1, 5, data, callbacks=[monitor], verbose=False)
    >>> monitor.layers, monitor.steps
    (['0: Linear(3, 1)'], [1, 2, 3, 4, 5])
    >>> monitor.sizes[-1][0] < monitor.sizes[0][0]
    True
    """

    def __init__(self, every: int = 1, most: int = 1000) -> None:
        if every < 1 or most < 2:
            raise ValueError(
                f"MonitorGradients: every must be at least 1 and most at least 2, got {every} "
                f"and {most}."
            )
        self.every = every
        self.most = most
        self._forget()

    def _forget(self) -> None:
        self.layers: list[str] = []
        self.steps: list[int] = []
        self.sizes: list[list[float]] = []
        self._stride = self.every

    def on_train_begin(self, run: "Run") -> None:
        """Begin anew."""
        self._forget()
        self.layers = [f"{path}: {layer!r}" for path, layer, _ in _with_parameters(run.model)]

    def on_step_end(self, run: "Run") -> None:
        """Note the sizes of this step."""
        if run.step % self._stride:
            return
        self.steps.append(run.step)
        self.sizes.append([
            math.nan if frozen else _size(layer)
            for _, layer, frozen in _with_parameters(run.model)
        ])  # fmt: skip
        if len(self.steps) > self.most:
            self._stride *= 2
            kept = [i for i, step in enumerate(self.steps) if step % self._stride == 0]
            self.steps = [self.steps[i] for i in kept]
            self.sizes = [self.sizes[i] for i in kept]

    def get_state(self) -> State:
        """Return what was noted."""
        return {
            "steps": list(self.steps),
            "sizes": [list(row) for row in self.sizes],
            "stride": self._stride,
        }

    def set_state(self, state: State) -> None:
        """Go on from there."""
        self.steps = list(state["steps"])
        self.sizes = [list(row) for row in state["sizes"]]
        self._stride = state["stride"]


def _with_parameters(model: Model) -> Iterator[tuple[str, Layer, bool]]:
    """Yield (path, layer, whether it is frozen) for every layer with parameters of its own."""
    for i, layer in enumerate(model.layers):
        yield from _inside(str(i), layer, frozen=False)


def _inside(path: str, layer: Layer, *, frozen: bool) -> Iterator[tuple[str, Layer, bool]]:
    frozen = frozen or layer.frozen  # what is frozen is so with all that is in it
    if layer.parameter_shapes():
        yield path, layer, frozen
    for name, child in layer.children().items():
        yield from _inside(f"{path}.{name}", child, frozen=frozen)


def _size(layer: Layer) -> float:
    total, count = 0.0, 0
    for name in layer.parameter_shapes():
        gradient = getattr(layer, layer.parameters[name]).ravel()
        if gradient.itemsize < 4:  # a sum of half-precision squares would overflow
            gradient = gradient.astype(np.float32)
        total += float(np.dot(gradient, gradient))
        count += gradient.size
    return math.sqrt(total / max(count, 1))
