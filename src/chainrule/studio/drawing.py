"""A digit drawn on the page, made into an image as the net's training data have them.

MNIST was made so: the digit is scaled to fit a box of 20 by 20 pixels, its proportions kept, and
put into 28 by 28 with its centre of mass in the middle. UCI's digits (the embedded ones) are its
bitmaps of 32 by 32 counted in squares of 4 by 4: the digit's box fills the 8 by 8 pixels, and a
pixel is the share of ink in it, 0 to 16.
"""

import numpy as np

from chainrule.cli.picture import placed
from chainrule.cli.preparation import Preparation
from chainrule.layer import Array

__all__ = ["as_placed_sample", "as_sample"]

Place = tuple[float, float, float, float]

FAINTEST = 16  # of 255: a drawing with less ink is blank


def as_sample(ink: Array, preparation: Preparation) -> Array | None:
    """Return a drawing as a raw sample of a data set; None if there is nothing drawn.

    As :func:`as_placed_sample`, without the place.

    Examples
    --------
    >>> from chainrule.studio.data import load
    >>> ink = np.zeros((112, 112), np.uint8)
    >>> ink[20:90, 50:58] = 255
    >>> as_sample(ink, load("digits").held.preparation).sum(axis=0).round().tolist()
    [0.0, 0.0, 0.0, 0.0, 128.0, 0.0, 0.0, 0.0]
    """
    found = as_placed_sample(ink, preparation)
    return None if found is None else found[0]


def as_placed_sample(ink: Array, preparation: Preparation) -> tuple[Array, Place] | None:
    """Return a drawing as a raw sample, and its edges in it; None if there is nothing drawn.

    The edges are top, left, height and width, in pixels of the drawing.

    Parameters
    ----------
    ink : array of uint8, shape (height, width)
        How much ink there is, 0 to 255.
    preparation : Preparation
        How the samples of the data set are.

    Raises
    ------
    ValueError
        If the data set has no images of one channel.
    """
    shape = preparation.image_shape
    if shape is None or len(preparation.sample_shape) != 2:
        raise ValueError(f"{preparation.data} has no images that could be drawn.")
    if ink.max(initial=0) < FAINTEST:
        return None
    margin = 0.1 if preparation.margin is None else preparation.margin
    image, place = placed(ink.astype(np.float32), shape, margin)
    image *= np.float32(preparation.maximum / 255)
    return (preparation.maximum - image if preparation.background == "light" else image), place
