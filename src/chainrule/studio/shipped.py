"""The net that comes with the studio, so that a drawing is recognised before anything is trained.

``tools/make_drawn_net.py`` makes it from the embedded digits and MNIST.
"""

import functools
from pathlib import Path

import numpy as np

from chainrule.loading import load
from chainrule.model import Model
from chainrule.studio.frame import Frame
from chainrule.studio.recipe import OWN, Recipe

__all__ = ["FILE", "RECIPE", "serves", "shipped"]

FILE = Path(__file__).parent / "digits.safetensors"
RECIPE = Recipe(net="linear-128,relu", lr=0.02)


@functools.cache
def shipped() -> Model:
    """Return the net; nobody may change it.

    Examples
    --------
    >>> shipped().layers[0]
    Linear(64, 128)
    """
    return load(FILE)


def serves(frame: Frame, first: Model) -> bool:
    """Whether the shipped net answers in place of one that has learned nothing.

    Parameters
    ----------
    frame : Frame
    first : Model
        The net as it was built.
    """
    recipe = frame.recipe
    untouched = frame.step == 0 and np.array_equal(frame.parameters, first.parameters)
    return untouched and recipe.data == RECIPE.data and recipe.net != OWN
