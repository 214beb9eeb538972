"""Where the first NaN or infinity comes from: the layer, the pass, the step."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.model import Model
from chainrule.training.standin import StandIn

__all__ = ["AnomalyError", "Watch", "statistics"]


class Place(Protocol):
    """What an error says of where the training is."""

    model: Model
    epoch: int
    step: int


class AnomalyError(FloatingPointError):
    """The first array with NaN or infinity.

    Attributes
    ----------
    thing : Layer or Loss
        Where it is.
    path : str
        The layer's place in the net.
    what, found : str
        Which array of it, and what it has.
    """

    def __init__(self, message: str, thing: Any, path: str, what: str, found: str) -> None:
        super().__init__(message)
        self.thing, self.path, self.what, self.found = thing, path, what, found


class Watch:
    """While it is entered, every layer looks at what it computes.

    Raises
    ------
    AnomalyError
        At the first array with NaN or infinity.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._stand_ins: list[StandIn] = []

    def __enter__(self) -> None:
        model = self.place.model
        for path, layer in named_leaves(model):
            self._watch(layer, "forward", path)
            self._watch(layer, "backward", path)
            self._watch(layer, "backward_parameters", path)
        self._watch(model.cost, "forward", "the loss")
        self._watch(model.cost, "backward", "the loss")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._stand_ins:
            self._stand_ins.pop().leave()

    def _watch(self, thing: Any, method: str, path: str) -> None:
        which = "forward" if method == "forward" else "backward"

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def watched(*arguments: Any, **options: Any) -> Any:
                for name, array in _named_arguments(which, (*arguments, *options.values())):
                    self._look(thing, path, which, name, array)
                if which == "forward" and isinstance(thing, Layer):
                    for name in thing.parameter_shapes():
                        self._look(thing, path, which, f"its {name}", getattr(thing, name))
                result = original(*arguments, **options)
                self._look(thing, path, which, "what it returned", result)
                if which == "backward" and isinstance(thing, Layer):
                    for name in thing.parameter_shapes():
                        gradient = thing.parameters[name]
                        self._look(thing, path, which, f"its {gradient}", getattr(thing, gradient))
                return result

            return watched

        self._stand_ins.append(StandIn(thing, method, around))

    def _look(self, thing: Any, path: str, which: str, what: str, array: Any) -> None:
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            return
        if np.isfinite(array).all():
            return
        found = statistics(array)
        raise AnomalyError(
            f"step {self.place.step} (epoch {self.place.epoch}), {which} of "
            f"{f'layer {path}, ' if path != 'the loss' else 'the loss, '}{thing!r}: {what} has "
            f"{found}.",
            thing, path, what, found,
        )  # fmt: skip


def statistics(array: Array) -> str:
    """Return in words how much of an array is not finite, and what the rest is like.

    Examples
    --------
    >>> import numpy as np
    >>> statistics(np.array([1.0, np.nan, 3.0, np.inf]))
    '1 NaN and 1 infinite of 4 values (shape (4,)); the finite ones are 1 to 3, mean 2'
    """
    finite = array[np.isfinite(array)]
    words = (
        f"{int(np.isnan(array).sum()):,} NaN and {int(np.isinf(array).sum()):,} infinite of "
        f"{array.size:,} values (shape {array.shape})"
    )
    if not finite.size:
        return f"{words}; none is finite"
    low, high, mean = finite.min(), finite.max(), finite.mean(dtype=np.float64)
    return f"{words}; the finite ones are {low:.4g} to {high:.4g}, mean {mean:.4g}"


def named_leaves(model: Model) -> list[tuple[str, Layer]]:
    """Return (path, layer) for every layer that is no container."""
    return [
        (path, part)
        for i, layer in enumerate(model.layers)
        for path, part in layer.named_layers(str(i))
        if not part.children()
    ]


def _named_arguments(which: str, arguments: tuple[Any, ...]) -> list[tuple[str, Any]]:
    names = ["its input", "its targets"] if which == "forward" else ["the gradient from above"]
    return list(zip(names, arguments, strict=False))
