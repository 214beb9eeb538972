"""How well a model does on data that it does not learn from."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np

from chainrule.distributed.workers import Workers
from chainrule.layer import Array
from chainrule.metrics import accuracy
from chainrule.model import Model
from chainrule.training.judging import Metric, as_metrics, judge

__all__ = ["checked_batches", "evaluate", "is_arrays", "length_of"]


def evaluate(
    model: Model,
    data: Any,
    *,
    batch_size: int = 1024,
    metrics: Iterable[Metric] | Mapping[str, Metric] = (),
    workers: Workers | None = None,
) -> dict[str, float]:
    """Return the mean loss over ``data`` and, where the loss has classes, the accuracy.

    Parameters
    ----------
    model : Model
        It is left as it was.
    data : pair of arrays (x, y), or iterable of mini-batches (x, y)
        The samples.
    batch_size : int
        How many samples of a pair of arrays go through the net at a time.
    metrics : sequence, or dict by name
        What else to measure: names among ``accuracy``, ``top_5_accuracy`` (or another number),
        ``precision``, ``recall``, ``f1``, ``auc``, ``rmse`` and ``r2``, and functions
        ``(outputs, targets) -> number``. Precision, recall and F1 are those of class 1 where there
        are two classes, else the mean over the classes; AUC is then that of each class against the
        rest. scikit-learn computes them where it is installed.
    workers : Workers, optional
        Who shares the work: each judges a part, and gets the figures of all samples.

    Returns
    -------
    dict
        ``loss`` and perhaps ``accuracy`` (0 to 1), and the metrics, each over all samples.

    Raises
    ------
    ValueError
        If there is no sample, the shapes do not fit, or there is no metric of that name.

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
    wanted, workers = as_metrics(metrics), workers or Workers()
    total = right = 0.0
    count = 0
    kept: list[tuple[Array, Array]] = []
    training = model.training
    model.training = False
    try:
        mine = itertools.islice(_batches(data, batch_size), workers.rank, None, workers.size)
        for x, y in mine:
            with np.errstate(over="ignore", invalid="ignore"):  # the figures will say it: NaN
                outputs = model.forward(x)
                total += float(model.cost.forward(outputs, y).sum())
            if model.cost.has_classes:
                right += accuracy(model.cost.classes(outputs), y) * len(outputs)
            if wanted:
                kept.append((outputs, np.asarray(y).copy()))
            count += len(outputs)
    finally:
        model.training = training
    if workers.size > 1:
        sums = np.array([total, right, count], np.float64)
        workers.sum(sums)
        total, right, count = float(sums[0]), float(sums[1]), round(float(sums[2]))
        kept = _of_all(kept, workers) if wanted else []
    if count == 0:
        used_up = " A generator can be gone through once: pass a list of mini-batches, or arrays."
        raise ValueError(
            "evaluate: there is no sample in the data." + used_up * hasattr(data, "__next__")
        )
    figures = {"loss": total / count}
    if model.cost.has_classes:
        figures["accuracy"] = right / count
    if wanted:
        outputs, targets = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
        figures |= judge(wanted, outputs, targets, model.cost)
    return figures


def _of_all(kept: list[tuple[Array, Array]], workers: Workers) -> list[tuple[Array, Array]]:
    """Return the outputs and targets of all workers' mini-batches, in the order of the data."""
    lengths = [a.tolist() for a in workers.gather(np.array([len(y) for _, y in kept], np.int64))]
    columns = []
    for column in ([x for x, _ in kept], [y for _, y in kept]):
        own = np.concatenate(column) if column else np.empty(0)
        parts = [
            np.split(array, np.cumsum(counts)[:-1]) if counts else []
            for array, counts in zip(workers.gather(own), lengths, strict=True)
        ]
        longest = max(map(len, parts))
        columns.append([part[i] for i in range(longest) for part in parts if i < len(part)])
    return list(zip(*columns, strict=True))


def is_arrays(data: Any) -> bool:
    """Whether the data are arrays (x, y) or (x, y, weights), rather than mini-batches.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> is_arrays((x, y)), is_arrays((x, y, y)), is_arrays(([x, y], [x, y]))
    (True, True, False)
    """
    if not isinstance(data, tuple) or len(data) not in (2, 3) or isinstance(data[0], tuple):
        return False
    return not (isinstance(data[0], list) and any(isinstance(a, np.ndarray) for a in data[0]))


def length_of(data: Any) -> int | None:
    """Return how many samples or mini-batches the data have; None if they do not say."""
    if is_arrays(data):
        return len(data[0])
    return len(data) if isinstance(data, Sized) else None


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
    if is_arrays(data) and len(data) == 3:
        raise ValueError("evaluate: what is judged has no weights. Pass the arrays (x, y).")
    if not is_arrays(data):
        yield from checked_batches("evaluate", data, 2)
        return
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(f"evaluate: needs arrays, got shapes {x.shape} and {y.shape}.")
    if len(x) != len(y):
        raise ValueError(f"evaluate: {len(x)} inputs but {len(y)} targets.")
    for start in range(0, len(x), batch_size):
        yield x[start : start + batch_size], y[start : start + batch_size]
