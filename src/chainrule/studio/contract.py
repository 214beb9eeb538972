"""What a layer owes the others: an array forward, and on the way back one of its input's shape."""

from typing import Any

import numpy as np

from chainrule.layer import Function, Layer

__all__ = ["BrokenContractError", "checked"]


class BrokenContractError(ValueError):
    """A layer, or a loss, of one's own gave what no other can take."""


def checked(thing: Function, path: str, way: str, given: Any, result: Any) -> None:
    """Say in words what is wrong with what a layer or a loss gave.

    Parameters
    ----------
    thing : Layer or Loss
    path : str
        Its place in the net.
    way : {"forward", "backward"}
    given : array
        What its ``forward`` was given.
    result : object
        What it gave.

    Raises
    ------
    BrokenContractError
        If it is no array, or on the way back one of another shape.

    Examples
    --------
    >>> from chainrule import ReLU
    >>> checked(ReLU(), "1", "backward", np.zeros((4, 8)), np.zeros(8))
    Traceback (most recent call last):
        ...
    chainrule.studio.contract.BrokenContractError: layer 1, ReLU(): its backward returned shape
    (8,). It must return d(loss)/d(input), in the shape of its input: (4, 8).
    """
    where = f"layer {path}, {thing!r}" if isinstance(thing, Layer) else f"the loss, {thing!r}"
    kind = "nothing" if result is None else f"a {type(result).__name__}"
    if way == "forward":
        if not isinstance(result, np.ndarray):
            raise BrokenContractError(
                f"{where}: its forward returned {kind}. It must return an array."
            )
        return
    got = f"shape {result.shape}" if isinstance(result, np.ndarray) else kind
    if not isinstance(result, np.ndarray) or result.shape != np.shape(given):
        raise BrokenContractError(
            f"{where}: its backward returned {got}. It must return d(loss)/d(input), in the shape "
            f"of its input: {np.shape(given)}."
        )
