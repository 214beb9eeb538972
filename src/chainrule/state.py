"""What a thing that goes on must remember, so that it can be stopped and go on in another process.

Such a thing has two methods: ``get_state()`` returns its state, ``set_state(state)`` sets one that
it returned before. What its constructor was given is not part of it: the thing is built again in
the same way. A state is a dictionary of numbers, text, None, lists, dictionaries with text as keys,
and NumPy arrays: it can be written into a file that holds no code.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["State", "Stateful", "check_state", "generator_state", "set_generator_state"]

State = dict[str, Any]


@runtime_checkable
class Stateful(Protocol):
    """Something that can say what it remembers, and be told it again."""

    def get_state(self) -> State:
        """Return what it remembers; a later change of the thing does not change it."""
        ...

    def set_state(self, state: State) -> None:
        """Go on from a state that ``get_state`` returned."""
        ...


def check_state(state: Any, like: Any, name: str) -> None:
    """Refuse a state that lacks something of another, or has text where that has a number.

    It may come from a file: what does not fit would fail much later, in the middle of a step.

    Raises
    ------
    ValueError
        If it does not fit; the message says what, by its path beginning with ``name``.

    Examples
    --------
    >>> check_state({"steps": "3"}, {"steps": 0}, "optimizer")
    Traceback (most recent call last):
    ValueError: it is damaged: optimizer/steps is '3', and must be such as 0.
    """
    kinds: tuple[type, ...] = (type(like),)
    if isinstance(like, dict) and isinstance(state, dict):
        for key in like:
            if key not in state:
                raise ValueError(f"it is damaged: it does not say {name}/{key}.")
            check_state(state[key], like[key], f"{name}/{key}")
        return
    if isinstance(like, (int, float)) and not isinstance(like, bool):
        kinds = (int, float)
    elif not isinstance(like, (bool, str, dict)):
        return
    if not isinstance(state, kinds) or (isinstance(state, bool) and bool not in kinds):
        raise ValueError(
            f"it is damaged: {name} is {state!r:.40}, and must be such as {like!r:.40}."
        )


def generator_state(rng: np.random.Generator) -> State:
    """Return where a generator of random numbers stands.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = generator_state(rng)
    >>> first = rng.random(3)
    >>> set_generator_state(rng, state)
    >>> bool((rng.random(3) == first).all())
    True
    """
    return dict(rng.bit_generator.state)


def set_generator_state(rng: np.random.Generator, state: State) -> None:
    """Let a generator go on from there.

    Raises
    ------
    ValueError
        If the state is damaged, or is that of another kind of generator.
    """
    try:
        rng.bit_generator.state = state
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"the state of a generator of random numbers does not fit: {error}."
        ) from error
