"""Which parameters move alike: stretches of the flat vector with one rate and one decay."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from chainrule.layer import Array, Layer

__all__ = ["DecayRule", "Group", "Net", "cut", "decay_all", "decay_matrices", "groups_of", "joined"]

DecayRule = Callable[[str, Array], bool]


class Net(Protocol):
    """What the groups are made from: a ``Model``."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers."""

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield (name, array) in the order of the flat vector."""


@dataclass(frozen=True)
class Group:
    """A stretch of the flat vector whose parameters move alike.

    Attributes
    ----------
    start, stop : int
        Where it lies.
    rate : float
        What the learning rate is multiplied by; 0 stands still.
    decays : bool
        Whether weight decay pulls at it.
    """

    start: int
    stop: int
    rate: float = 1.0
    decays: bool = True


def decay_matrices(name: str, parameter: Array) -> bool:
    """Decay weights, but no biases and no scale or shift of a normalisation: what has one axis.

    Decay keeps a layer's output from depending strongly on any one input. A bias has no input, and
    a scale at 0 would switch its channel off.

    Examples
    --------
    >>> import numpy as np
    >>> decay_matrices("0.weights", np.zeros((3, 2))), decay_matrices("0.biases", np.zeros(2))
    (True, False)
    """
    return parameter.ndim > 1


def decay_all(name: str, parameter: Array) -> bool:
    """Decay every parameter, as PyTorch does unless it is told otherwise."""
    return True


def groups_of(net: Net, rates: Mapping[str, float], decays: DecayRule) -> list[Group]:
    """Return the groups of a net's parameters, in order and without gaps.

    Raises
    ------
    ValueError
        If a name in ``rates`` is none of the net's, or a rate is negative.
    """
    frozen = [
        path
        for i, outer in enumerate(net.layers)
        for path, layer in outer.named_layers(str(i))
        if layer.frozen
    ]
    names = [name for name, _ in net.named_parameters()]
    for part, rate in rates.items():
        if not any(_inside(name, part) for name in names):
            raise ValueError(
                f"rates: no parameter is called {part!r} or lies in a layer of that name; "
                f"there are: {', '.join(names)}."
            )
        if not 0 <= rate < math.inf:
            raise ValueError(f"rates: that of {part!r} must be 0 or more, got {rate}.")
    groups, start = [], 0
    for name, parameter in net.named_parameters():
        # The longest name is the nearest: "2.biases" before "2".
        fitting = max((part for part in rates if _inside(name, part)), key=len, default=None)
        rate = 1.0 if fitting is None else float(rates[fitting])
        if any(_inside(name, path) for path in frozen):
            rate = 0.0
        stop = start + parameter.size
        groups.append(Group(start, stop, rate, bool(decays(name, parameter))))
        start = stop
    return joined(groups)


def joined(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with neighbours that move alike made one: fewer calls."""
    longer: list[Group] = []
    for group in groups:
        last = longer[-1] if longer else None
        if last and (last.rate, last.decays) == (group.rate, group.decays):
            longer[-1] = replace(last, stop=group.stop)
        else:
            longer.append(group)
    return longer


def cut(groups: Sequence[Group], part: slice) -> list[Group]:
    """Return the groups of a stretch of the flat vector, counted from where it begins.

    Examples
    --------
    >>> cut([Group(0, 5), Group(5, 9, rate=0.1)], slice(3, 7))
    [Group(start=0, stop=2, rate=1.0, decays=True), Group(start=2, stop=4, rate=0.1, decays=True)]
    """
    inside = [
        replace(g, start=max(g.start, part.start), stop=min(g.stop, part.stop)) for g in groups
    ]
    return [
        replace(g, start=g.start - part.start, stop=g.stop - part.start)
        for g in inside
        if g.start < g.stop
    ]


def _inside(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")
