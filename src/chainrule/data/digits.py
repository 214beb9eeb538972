"""The embedded data set: 1,797 handwritten digits of 8 by 8 pixels."""

from pathlib import Path

import numpy as np

from chainrule.data.batches import train_validation_split
from chainrule.data.idx import read_idx
from chainrule.layer import Array

__all__ = ["load_digits"]


def load_digits(split: str = "all") -> tuple[Array, Array]:
    """Return the embedded handwritten digits; needs no network.

    Parameters
    ----------
    split : {"all", "train", "test"}
        All of them, or the fixed four fifths to train on, or the fifth held out: every digit has
        its share in both.

    Returns
    -------
    images : array of uint8, shape (samples, 8, 8)
        Grey values, 0 to 16.
    labels : array of int64, shape (samples,)
        The digits, 0 to 9.

    Raises
    ------
    ValueError
        If there is no such split.

    Notes
    -----
    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998 (CC BY 4.0), as scikit-learn ships it; see ``DIGITS.md`` beside this file.

    Examples
    --------
    >>> from chainrule import load_digits
    >>> images, labels = load_digits()
    >>> images.shape, images.max(), labels[:5]
    ((1797, 8, 8), np.uint8(16), array([0, 1, 2, 3, 4]))
    """
    if split not in ("all", "train", "test"):
        raise ValueError(f'load_digits: split must be "all", "train" or "test", got {split!r}.')
    folder = Path(__file__).parent
    images = read_idx(folder / "digits-images.idx.gz")
    labels = read_idx(folder / "digits-labels.idx.gz").astype(np.int64)
    if split == "all":
        return images, labels
    parts = train_validation_split(images, labels, 0.2, seed=0, stratify=True)
    return parts[:2] if split == "train" else parts[2:]
