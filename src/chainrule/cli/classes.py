"""Classes as a net gives them: one output for each, or of two classes one output, yes or no."""

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Sigmoid
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SoftmaxCrossEntropy
from chainrule.model import Model

__all__ = ["check_outputs", "class_probabilities", "is_yes_no"]


def is_yes_no(cost: Loss, width: int) -> bool:
    """Whether so many outputs under this loss are one yes or no: class 1 or class 0.

    Examples
    --------
    >>> is_yes_no(BinaryCrossEntropy(), 1), is_yes_no(SoftmaxCrossEntropy(), 2)
    (True, False)
    """
    of_rows = isinstance(cost, (CrossEntropy, SoftmaxCrossEntropy))
    return width == 1 and cost.has_classes and not of_rows


def class_probabilities(cost: Loss, outputs: Array) -> Array:
    """Return a column for each class, also where one output is a yes or no.

    Parameters
    ----------
    cost : Loss
        One with classes.
    outputs : array, shape (samples, outputs)

    Examples
    --------
    >>> class_probabilities(BinaryCrossEntropy(), np.array([[0.0], [40.0]])).round(4).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    found = cost.probabilities(outputs)
    if not is_yes_no(cost, outputs.shape[-1]):
        return found
    # 1 - p is 0 where p rounds to 1; the sigmoid of the negative logit is not.
    logits = isinstance(cost, BinaryCrossEntropy)
    other = cost.probabilities(-outputs) if logits else 1 - found
    return np.concatenate([other, found], axis=-1)


def check_outputs(name: str, model: Model, shape: tuple[int, ...], classes: int) -> None:
    """Refuse a net whose outputs do not tell the classes apart.

    Parameters
    ----------
    name : str
        What the net is called.
    model : Model
    shape : tuple of int
        Of what it gives for a sample.
    classes : int
        How many there are; 0 where a number is predicted.

    Raises
    ------
    ValueError
        If there are other outputs, or another kind of loss, than the target needs.
    """
    cost = model.cost
    last = model.layers[-1] if model.layers else None
    if isinstance(cost, BinaryCrossEntropy) and isinstance(last, Sigmoid):
        raise ValueError(
            f"{name}: the net ends in {last!r}, and {type(cost).__name__} takes logits: it has a "
            f"sigmoid of its own. Leave {last!r} out."
        )
    if shape == (1,) and is_yes_no(cost, 1):
        if classes == 2:
            return
        target = f"{classes} classes" if classes else "a number"
        instead = (
            f"{classes} outputs and SoftmaxCrossEntropy()" if classes else "MeanSquaredError()"
        )
        more = "" if classes else ", or say --task classification if the numbers are classes"
        raise ValueError(
            f"{name}: one output under {cost!r} says yes or no, for targets of two classes, and "
            f"here the target is {target}. Give the net {instead}{more}."
        )
    if shape != (classes or 1,) or cost.has_classes == (not classes):
        kind = "a loss for classes" if classes else "a loss for numbers"
        yes_no = ", or one output and BinaryCrossEntropy()" if classes == 2 else ""
        raise ValueError(
            f"{name}: the net must have {classes or 1} outputs and {kind}{yes_no}, and has outputs "
            f"of shape {shape} and {cost!r}."
        )
