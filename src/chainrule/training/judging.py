"""Figures for a whole set of samples, by name: what ``metrics=`` takes.

scikit-learn computes them where it is installed, else the short forms here; they agree.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.losses import Loss
from chainrule.metrics import labels

__all__ = ["NAMES", "Metric", "as_metrics", "judge"]

Metric = str | Callable[[Array, Array], float]
NAMES = ("accuracy", "precision", "recall", "f1", "auc", "rmse", "r2", "top_5_accuracy")
TOP = re.compile(r"top_([1-9]\d*)_accuracy")


def as_metrics(metrics: Iterable[Metric] | Mapping[str, Metric]) -> dict[str, Metric]:
    """Return the metrics by name, or say which one there is not.

    Raises
    ------
    TypeError
        If one is neither a name nor a function.
    ValueError
        If there is none of that name, or two have one name.
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Mapping):
        pairs = [(m if isinstance(m, str) else _name(m), m) for m in metrics]
        metrics = dict(pairs)
        if len(metrics) < len(pairs):
            raise ValueError(
                f"two metrics have one name, of {', '.join(name for name, _ in pairs)}. Pass a "
                "dictionary: metrics={name: function}."
            )
    if "loss" in metrics:
        raise ValueError("a metric cannot be called 'loss': that is the loss's own name.")
    for metric in metrics.values():
        if isinstance(metric, str) and metric not in NAMES and not TOP.fullmatch(metric):
            raise ValueError(
                f"there is no metric {metric!r}. There are {', '.join(NAMES)} (or another number "
                "than 5), and any function (outputs, targets) -> number."
            )
        if not isinstance(metric, str) and not callable(metric):
            raise TypeError(f"a metric is a name or a function, got {metric!r}.")
    return dict(metrics)


def judge(
    metrics: dict[str, Metric], outputs: Array, targets: Array, cost: Loss
) -> dict[str, float]:
    """Return the figures of outputs, as ``model.predict`` gives them, beside the targets.

    Parameters
    ----------
    metrics : dict
        As :func:`as_metrics` returns them.
    outputs : array, shape (samples, ...)
    targets : array
    cost : Loss
        It knows what the outputs mean: logits, probabilities, values.

    Raises
    ------
    ValueError
        If a metric of classes is asked for, and the loss has none.
    TypeError
        If a function returns no number.
    """
    figures = {}
    for name, metric in metrics.items():
        if isinstance(metric, str):
            figures[name] = _named(metric, outputs, targets, cost)
            continue
        try:
            value = metric(outputs, targets)
        except Exception as error:
            error.add_note(f"Raised by the metric {name!r}.")
            raise
        try:
            figures[name] = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"the metric {name!r} must return a number, got {value!r:.40}."
            ) from error
    return figures


def _name(metric: Any) -> str:
    return str(getattr(metric, "__name__", type(metric).__name__))


def _named(name: str, outputs: Array, targets: Array, cost: Loss) -> float:
    if name in ("rmse", "r2"):
        if np.size(targets) != outputs.size:
            raise ValueError(
                f"the metric {name!r} is for values: it needs as many targets as outputs, got "
                f"shapes {np.shape(targets)} and {outputs.shape}."
            )
        outputs, targets = np.broadcast_arrays(
            outputs.astype(np.float64), np.asarray(targets, np.float64).reshape(outputs.shape)
        )
        return _rmse(outputs, targets) if name == "rmse" else _r2(outputs, targets)
    if not cost.has_classes:
        raise ValueError(f"the metric {name!r} is for classes, and {cost!r} has none.")
    if name == "auc":
        return _auc(_scores(outputs, cost), labels(targets, outputs.ndim - 1))
    if top := TOP.fullmatch(name):
        return _top(outputs, labels(targets, outputs.ndim - 1), int(top[1]))
    predicted = cost.classes(outputs)
    truth = labels(targets, predicted.ndim)
    if name == "accuracy":
        return float((predicted == truth).mean())
    several = outputs.shape[-1] > 1 and predicted.shape == outputs.shape  # labels of their own
    if not several:
        predicted, truth = predicted.ravel(), truth.ravel()
    two = not several and outputs.shape[-1] <= 2
    return _of_classes(name, predicted, truth, "binary" if two else "macro")


def _of_classes(name: str, predicted: Array, truth: Array, average: str) -> float:
    if sklearn := _sklearn():
        score = getattr(sklearn, f"{name}_score")
        return float(score(truth, predicted, average=average, zero_division=0))
    return of_classes(name, predicted, truth, average)


def of_classes(name: str, predicted: Array, truth: Array, average: str) -> float:
    """Return precision, recall or F1: of class 1, or the mean over classes."""
    if predicted.ndim == 2:  # a yes or no in each column
        yes = [(predicted[:, i] == 1, truth[:, i] == 1) for i in range(predicted.shape[1])]
    else:
        classes = [1] if average == "binary" else np.union1d(predicted, truth).tolist()
        yes = [(predicted == c, truth == c) for c in classes]
    figures = []
    for said, true in yes:
        hits = float((said & true).sum())
        of = {"precision": said.sum(), "recall": true.sum(), "f1": (said.sum() + true.sum()) / 2}
        figures.append(hits / of[name] if of[name] else 0.0)
    return float(np.mean(figures))


def _scores(outputs: Array, cost: Loss) -> Array:
    probabilities = cost.probabilities(outputs).reshape(len(outputs), -1)
    return probabilities[:, -1] if probabilities.shape[1] <= 2 else probabilities


def _auc(scores: Array, truth: Array) -> float:
    truth = truth.reshape(len(truth), -1)
    if scores.ndim == 1:
        columns = [(scores, truth[:, 0] == 1)]
    elif truth.shape[1] > 1:  # a yes or no in each column
        columns = [(scores[:, i], truth[:, i] == 1) for i in range(scores.shape[1])]
    else:
        columns = [(scores[:, i], truth[:, 0] == i) for i in range(scores.shape[1])]
    if not all(0 < yes.sum() < len(yes) for _, yes in columns):
        return float("nan")  # there is nothing to tell apart
    if not np.isfinite(scores).all():
        return float("nan")
    if sklearn := _sklearn():
        return float(np.mean([sklearn.roc_auc_score(yes, score) for score, yes in columns]))
    return float(np.mean([auc(score, yes) for score, yes in columns]))


def auc(scores: Array, yes: Array) -> float:
    """Return how often a sample with yes has a greater score than one without.

    Source: Mann and Whitney, On a Test of Whether one of Two Random Variables is Stochastically
    Larger than the Other, 1947.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # equal scores share their ranks
    n_yes, n_no = float(yes.sum()), float((~yes).sum())
    return float((rank[place][yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def _top(outputs: Array, truth: Array, k: int) -> float:
    """Return how often the true class is among the ``k`` of the greatest scores."""
    rows, truth = outputs.reshape(-1, outputs.shape[-1]), truth.ravel()
    greater = (rows > np.take_along_axis(rows, truth[:, None], axis=1)).sum(axis=1)
    return float((greater < k).mean())


def _rmse(outputs: Array, targets: Array) -> float:
    return float(np.sqrt(((outputs - targets) ** 2).mean()))


def _r2(outputs: Array, targets: Array) -> float:
    outputs, targets = outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1)
    if len(targets) < 2 or not (np.isfinite(outputs).all() and np.isfinite(targets).all()):
        return float("nan")
    if sklearn := _sklearn():
        return float(sklearn.r2_score(targets, outputs))
    return r2(outputs, targets)


def r2(outputs: Array, targets: Array) -> float:
    """Return the share of the variance that the outputs explain, the mean over the columns."""
    left = ((targets - outputs) ** 2).sum(axis=0)
    whole = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    constant = np.where(left == 0, 1.0, 0.0)
    return float(np.where(whole > 0, 1 - left / np.where(whole > 0, whole, 1), constant).mean())


def _sklearn() -> Any:
    try:
        import sklearn.metrics
    except ImportError:
        return None
    return sklearn.metrics
