"""How well a model does on data that it does not learn from."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.metrics import accuracy
from chainrule.model import Model

__all__ = ["evaluate"]


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


def _batches(data: Any, batch_size: int) -> Iterator[tuple[Array, Array]]:
    if isinstance(data, tuple) and len(data) == 2:
        x, y = np.asarray(data[0]), np.asarray(data[1])
        if len(x) != len(y):
            raise ValueError(f"evaluate: {len(x)} inputs but {len(y)} targets.")
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]
        return
    if not isinstance(data, Iterable):
        raise TypeError(f"evaluate: the data must be (x, y) or mini-batches, got {type(data)}.")
    for batch in data:
        yield batch[0], batch[1]
