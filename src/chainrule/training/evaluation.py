"""How well a model does on data that it does not learn from."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from chainrule.metrics import accuracy
from chainrule.model import Model

__all__ = ["checked_batches", "evaluate", "is_pair"]


def evaluate(model: Model, data: Any, *, batch_size: int = 1024) -> dict[str, float]:
    """Return the mean loss over ``data`` and, where the loss has classes, the accuracy.

    Parameters
    ----------
    model : Model
        It is left as it was.
    data : pair of arrays (x, y), or iterable of mini-batches (x, y)
        The samples.
    batch_size : int
        How many samples of a pair of arrays go through the net at a time.

    Returns
    -------
    dict
        ``loss`` and perhaps ``accuracy`` (0 to 1), each over all samples.

    Raises
    ------
    ValueError
        If there is no sample, or the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, Model, SoftmaxCrossEntropy, evaluate
    >>> net = Model([Linear(2, 2)], SoftmaxCrossEntropy())
    >>> sorted(evaluate(net, (np.zeros((3, 2)), np.array([0, 1, 1]))))
    ['accuracy', 'loss']
    """
    if batch_size < 1:
        raise ValueError(f"evaluate: batch_size must be at least 1, got {batch_size}.")
    total = right = 0.0
    count = 0
    training = model.training
    model.training = False
    try:
        for x, y in _batches(data, batch_size):
            outputs = model.forward(x)
            total += float(model.cost.forward(outputs, y).sum())
            if model.cost.has_classes:
                right += accuracy(model.cost.classes(outputs), y) * len(outputs)
            count += len(outputs)
    finally:
        model.training = training
    if count == 0:
        raise ValueError("evaluate: there is no sample in the data.")
    figures = {"loss": total / count}
    if model.cost.has_classes:
        figures["accuracy"] = right / count
    return figures


def is_pair(data: Any) -> bool:
    """Whether the data are a pair of arrays (x, y), rather than two mini-batches.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> is_pair((x, y)), is_pair(([x, y], [x, y]))
    (True, False)
    """
    if not isinstance(data, tuple) or len(data) != 2 or isinstance(data[0], tuple):
        return False
    return not (isinstance(data[0], list) and any(isinstance(a, np.ndarray) for a in data[0]))


def checked_batches(owner: str, batches: Any, longest: int) -> Iterator[tuple[Any, ...]]:
    """Yield mini-batches of two to ``longest`` parts, or say what is none."""
    if isinstance(batches, (str, bytes, np.ndarray)) or not isinstance(batches, Iterable):
        raise TypeError(
            f"{owner}: the data must be mini-batches (x, y), got {type(batches).__name__}. "
            "Pass Batches(x, y), or the pair of arrays (x, y)."
        )
    forms = "(inputs, targets)" if longest == 2 else "(inputs, targets) or with weights as third"
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= longest:
            count = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
            raise ValueError(
                f"{owner}: a mini-batch must be {forms}, got {type(batch).__name__}{count}."
            )
        yield tuple(batch)


def _batches(data: Any, batch_size: int) -> Iterator[tuple[Any, ...]]:
    if not is_pair(data):
        yield from checked_batches("evaluate", data, 2)
        return
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(f"evaluate: needs arrays, got shapes {x.shape} and {y.shape}.")
    if len(x) != len(y):
        raise ValueError(f"evaluate: {len(x)} inputs but {len(y)} targets.")
    for start in range(0, len(x), batch_size):
        yield x[start : start + batch_size], y[start : start + batch_size]
