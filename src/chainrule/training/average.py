"""The exponential moving average of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.state import State, check_state
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["WeightAverage"]


class WeightAverage(Callback):
    r"""Keep an average of the weights of the last steps: it often judges better than the weights.

    .. math:: \bar w \leftarrow \beta \bar w + (1 - \beta) w

    from :math:`\bar w = w` after the first step on. The average goes back over about
    :math:`1 / (1 - \beta)` steps.

    Parameters
    ----------
    decay : float
        :math:`\beta`, from 0 to below 1.
    keep : bool
        Whether the model has the averaged weights when the training ends.

    Attributes
    ----------
    parameters : array or None
        The averaged weights, in float32 at least; None before the first step.

    Notes
    -----
    Running statistics of normalisations are not averaged: they are averages already.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, WeightAverage, evaluate, train
    >>> x = np.random.default_rng(0).standard_normal((256, 3))
    >>> net, average = Model([Linear(3, 1)], MeanSquaredError()), WeightAverage(0.9)
    >>> history = train(net, 0.1, 5, (x, x[:, 0]), callbacks=[average], verbose=False)
    >>> with average.applied(net):
    ...     figures = evaluate(net, (x, x[:, 0]))
    >>> figures["loss"] < history["loss"][0]
    True
    """

    def __init__(self, decay: float = 0.999, *, keep: bool = False) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay must be from 0 to below 1, got {decay}.")
        self.decay = decay
        self.keep = keep
        self.parameters: Array | None = None
        self._size = 0

    def on_train_begin(self, run: Run) -> None:
        """Forget the average of an earlier training."""
        self.parameters = None
        self._size = run.model.parameters.size

    def on_step_end(self, run: Run) -> None:
        """Take the step's weights into the average."""
        w = run.model.parameters
        if self.parameters is None:
            self.parameters = w.astype(np.result_type(w, np.float32))
        else:
            self.parameters *= self.decay
            self.parameters += (1 - self.decay) * w

    def get_state(self) -> State:
        """Return the average so far."""
        return {"parameters": None if self.parameters is None else self.parameters.copy()}

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If it is that of another net.
        """
        check_state(state, {"parameters": None}, "WeightAverage")
        average = state["parameters"]
        if average is not None:
            size = self._size or np.size(average)
            if np.shape(average) != (size,) or np.asarray(average).dtype.kind != "f":
                raise ValueError("WeightAverage: the average is that of another net.")
            average = np.array(average)
        self.parameters = average

    def on_train_end(self, run: Run) -> None:
        """Give the average to the model, if asked."""
        if self.keep and self.parameters is not None:
            run.model.parameters = self.parameters

    @contextlib.contextmanager
    def applied(self, model: Model) -> Iterator[None]:
        """While it is entered, the model has the averaged weights; then again its own.

        Raises
        ------
        RuntimeError
            If there is no average yet.
        """
        if self.parameters is None:
            raise RuntimeError("WeightAverage: there is no average before the first step.")
        own = model.parameters.copy()
        model.parameters = self.parameters
        try:
            yield
        finally:
            model.parameters = own
