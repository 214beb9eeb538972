"""What the names of measured figures mean."""

__all__ = ["greater_is_better"]

GREATER = ("accuracy", "precision", "recall", "f1", "auc", "r2")


def greater_is_better(name: str) -> bool:
    """Whether a greater value of a figure is better: of an accuracy it is, of a loss it is not.

    Examples
    --------
    >>> greater_is_better("validation_accuracy"), greater_is_better("loss")
    (True, False)
    """
    return name.endswith(GREATER)
