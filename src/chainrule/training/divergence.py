"""Whether a training diverges; and if so: where it began, and what to try."""

import contextlib
import copy
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.model import Model
from chainrule.state import State
from chainrule.training.anomalies import AnomalyError, Watch, statistics
from chainrule.training.run import Run

__all__ = ["Divergence", "explain", "explain_parameters"]

MOST = sys.float_info.max  # of all that is finite
LARGE = 1e3  # inputs from which on it is worth a word


class Divergence:
    """How high the loss may rise before it is no use to go on.

    Parameters
    ----------
    factor : float
        Times the loss of the first mini-batch, or times 1 if that was lower.

    Attributes
    ----------
    first : float or None
        The loss of the first mini-batch; None before it.
    highest : float
        Above it, the training diverges.
    """

    def __init__(self, factor: float = 1e6) -> None:
        self.factor = factor
        self.first: float | None = None
        self.highest = MOST

    def begin(self, loss: float) -> None:
        """Take the loss of the first mini-batch as the measure."""
        self.first = loss
        self.highest = min(self.factor * max(1.0, loss), MOST)

    def get_state(self) -> State:
        """Return the measure."""
        return {"first": self.first}

    def set_state(self, state: State) -> None:
        """Go on with that measure.

        Raises
        ------
        ValueError
            If it is no number.
        """
        first = state.get("first")
        if first is not None and (isinstance(first, bool) or not isinstance(first, (int, float))):
            raise ValueError(f"the first loss of a training must be a number, got {first!r:.40}.")
        self.first, self.highest = None, MOST
        if first is not None:
            self.begin(first)

    def explain(self, model: Model, x: Any, y: Any, weights: Sequence[Any], run: Run) -> str:
        """Return what an error says about the loss that ``model.cost`` found last."""
        loss = model.cost.mean()
        if math.isfinite(loss) and self.first is not None:
            return _of_growth(loss, self.first, model, x, run)
        return explain(model, x, y, weights, run)


def explain(model: Model, x: Any, y: Any, weights: Sequence[Any], run: Run) -> str:
    """Return in words why the last loss of a model is no finite number, and what to try.

    The mini-batch goes through a copy of the model once more; the model stays as it is.

    Parameters
    ----------
    model : Model
        With the parameters that gave the loss.
    x, y, weights
        The mini-batch that gave it: inputs, targets, and sample weights if there are some.
    run : Run
        The training.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import SGD, Linear, MeanSquaredError, Model
    >>> from chainrule.training import Run
    >>> net = Model([Linear(2, 1)], MeanSquaredError())
    >>> x, y = np.array([[1.0, 2.0], [3.0, np.nan]]), np.zeros((2, 1))
    >>> _ = net.loss(x, y)
    >>> print(explain(net, x, y, (), Run(net, SGD(0.1), 1, epoch=1, step=1)))
    train: the loss is nan at step 1 (epoch 1). The inputs have 1 NaN and 0 infinite of 4 values
    (shape (2, 2)); the finite ones are 1 to 3, mean 2; the first is in sample 1 of the mini-batch.
    Fill or drop such samples before the training.
    """
    at = f"train: the loss is {model.cost.mean()} at step {run.step} (epoch {run.epoch})"
    try:
        with np.errstate(all="ignore"):
            why = (
                _of_data(model, x, y)
                or _of_parameters(model, run)
                or _of_the_way_forward(model, x, y, weights, run)
            )
    except Exception:  # as of a layer of one's own that cannot be copied: the loss is still told
        why = ""
    return f"{at}. {why or 'Look for NaN in the data. ' + _advice(model, x, run)}".rstrip()


def explain_parameters(model: Model, run: Run) -> str:
    """Return in words which parameters the last step of an epoch has spoiled, and what to try."""
    after = replace(run, step=run.step + 1)  # the advice is that of one who comes after it
    why = _of_parameters(model, after, f"this step (step {run.step})")
    return f"train: the parameters are spoiled after step {run.step} (epoch {run.epoch}). {why}"


def _of_growth(loss: float, first: float, model: Model, x: Any, run: Run) -> str:
    largest = _largest_parameter(model)
    return (
        f"train: the loss diverges: it is {loss:.4g} at step {run.step} (epoch {run.epoch}), and "
        f"was {first:.4g} at the first. {largest}{_advice(model, x, run)}"
    )


def _of_data(model: Model, x: Any, y: Any) -> str:
    """Say which samples are no numbers."""
    for what, values in (("inputs", x), ("targets", y)):
        array = np.asarray(values)
        if array.dtype.kind != "f":
            continue
        bad = ~np.isfinite(array)
        if bad.any():
            return (
                f"The {what} have {statistics(array)}; the first is in sample {_sample(bad)} of "
                "the mini-batch. Fill or drop such samples before the training."
            )
        bad = ~np.isfinite(array.astype(model.dtype, copy=False))
        if bad.any():
            return (
                f"The {what} reach {np.abs(array).max():.4g}, and the model's {model.dtype} ends "
                f"at {np.finfo(model.dtype).max:.4g}; the first such value is in sample "
                f'{_sample(bad)} of the mini-batch. Normalise the data, or use dtype="float64".'
            )
    return ""


def _sample(bad: Array) -> int:
    return int(np.unravel_index(int(bad.argmax()), bad.shape)[0])


def _of_parameters(model: Model, run: Run, culprit: str = "") -> str:
    """Say which parameters are no numbers any more, and what the last step has to do with it."""
    arrays = dict(model.named_parameters())
    found = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if not found:
        return ""
    first = found[0]
    text = (
        f"Of the {len(arrays)} arrays of parameters {len(found)} are not finite: {first} of "
        f"{_layer_of(model, first)!r} has {statistics(arrays[first])}"
    )
    if not culprit and (run.step <= 1 or not model.gradients.any()):
        return f"{text}. They were so before this training: load or build the model anew."
    culprit = culprit or f"the step before this one (step {run.step - 1})"
    text += f". It came with {culprit}: "
    for path, layer in reversed(_layers(model).items()):  # as the gradient comes
        for name in layer.parameter_shapes():
            gradient = getattr(layer, layer.parameters[name])
            if not np.isfinite(gradient).all():
                return (
                    f"{text}its loss was finite, but after the backward of layer {path}, "
                    f"{layer!r}, {layer.parameters[name]} had {statistics(gradient)}. They came "
                    "from there, or from a layer nearer the loss: look at roots, logarithms and "
                    f"divisions at 0. {_advice(model, None, run)}"
                )
    largest = float(np.abs(model.gradients).max())
    return (
        f"{text}its gradients were finite, up to {largest:.4g}, and it was too long. "
        f"{_advice(model, None, run)}"
    )


@dataclass
class _Place:
    """Where a training is, for a copy of its model."""

    model: Model
    epoch: int
    step: int


def _of_the_way_forward(model: Model, x: Any, y: Any, weights: Sequence[Any], run: Run) -> str:
    """Say in which layer, or in the loss, the first number was lost."""
    twin = copy.deepcopy(model)
    twin.training = True
    try:
        with Watch(_Place(twin, run.epoch, run.step)):
            twin.loss(x, y, *weights)
    except AnomalyError as anomaly:
        return f"{_of_anomaly(anomaly)}. {_largest_parameter(model)}{_advice(model, x, run)}"
    return (
        "Done once more, it is finite: what is random in the net (as dropout) fell otherwise. "
        f"{_largest_parameter(model)}{_advice(model, x, run)}"
    )


def _of_anomaly(anomaly: AnomalyError) -> str:
    thing = anomaly.thing
    if isinstance(thing, Layer):
        where = f"In the forward of layer {anomaly.path}, {thing!r}, {anomaly.what} has"
        if type(thing).__module__.partition(".")[0] != "chainrule":  # a layer of one's own
            return f"{where} {anomaly.found}: look at exponentials, logarithms and divisions in it"
        return f"{where} {anomaly.found}"
    return f"In the loss, {thing!r}, {anomaly.what} has {anomaly.found}"


def _largest_parameter(model: Model) -> str:
    """Say how large the parameters are: those of a net that learns well are rarely above 10."""
    sizes = {name: float(np.abs(a).max()) for name, a in model.named_parameters() if a.size}
    name = max(sizes, key=lambda name: sizes[name], default="")
    if not name:
        return ""
    return f"The parameters reach {sizes[name]:.4g}, in {name} of {_layer_of(model, name)!r}. "


def _layer_of(model: Model, parameter: str) -> Layer:
    return _layers(model)[parameter.rpartition(".")[0]]


def _layers(model: Model) -> dict[str, Layer]:
    return {
        path: part
        for i, layer in enumerate(model.layers)
        for path, part in layer.named_layers(str(i))
    }


def _advice(model: Model, x: Any, run: Run) -> str:
    remedies = "; ".join(_remedies(model, x, run))
    return f"Try: {remedies}." if remedies else ""


def _remedies(model: Model, x: Any, run: Run) -> Iterator[str]:
    rate = run.optimizer.learning_rate
    largest = 0.0
    with contextlib.suppress(TypeError, ValueError):
        largest = float(np.abs(np.asarray(x, dtype=np.float64)).max())
    if largest > LARGE:
        yield f"normalise the data (the inputs reach {largest:.4g})"
    if run.step > 1 and rate > 0:  # at the first step nothing has been learned yet
        yield f"a lower learning rate, as {rate / 10:.2g} (it is {rate:.4g})"
        yield "clip_norm=1"
    if model.dtype == np.float16:
        yield 'dtype="float32" (float16 ends at 65504)'
    elif model.dtype == np.float32 and math.isinf(model.cost.mean()):
        yield 'dtype="float64", if numbers this large are right'
