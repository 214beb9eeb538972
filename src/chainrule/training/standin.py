"""Looking over a layer's shoulder: a method of one object is replaced for a while."""

from collections.abc import Callable
from typing import Any

__all__ = ["StandIn"]


class StandIn:
    """Stands in for a method of one object, from here until ``leave``.

    Parameters
    ----------
    thing : object
        Whose method it is. Other objects of its class stay as they are.
    method : str
        The method's name.
    around : function
        Takes the method as it was, and returns what is called in its place.

    Notes
    -----
    Several may stand in for one method; the last that came must leave first.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ReLU
    >>> layer = ReLU()
    >>> def twice(forward):
    ...     return lambda x: 2 * forward(x)
    >>> guest = StandIn(layer, "forward", twice)
    >>> float(layer.forward(np.array([3.0]))[0])
    6.0
    >>> guest.leave()
    >>> float(layer.forward(np.array([3.0]))[0])
    3.0
    """

    stands_in = True  # copies of the thing leave it out

    def __init__(
        self, thing: Any, method: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self.thing, self.method = thing, method
        self._before = thing.__dict__.get(method)
        self._call = around(getattr(thing, method))
        thing.__dict__[method] = self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Do what stands in for the method."""
        return self._call(*arguments, **options)

    def leave(self) -> None:
        """Put back what was there before."""
        if self._before is None:
            del self.thing.__dict__[self.method]  # the class's own method shows again
        else:
            self.thing.__dict__[self.method] = self._before

    def __reduce__(self) -> Any:
        # If a thing is copied in a way of its own, the copy gets its own method, not this.
        return getattr, (self.thing, self.method)
