"""Numbers of a net or its inputs that are changed by hand, and taken back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import BatchNorm
from chainrule.model import Model

__all__ = ["Edit", "Place", "Undone", "array_at", "edited"]


@dataclass(frozen=True)
class Edit:
    """One number changed by hand: of a parameter, ``"0.weights"``, or of the inputs, ``"x"``."""

    name: str
    index: tuple[int, ...]
    value: float


Place = tuple[str, tuple[int, ...]]


class Undone:
    """While it is entered, a model keeps what backward needs; then all is as it was before.

    What drops values at random drops the same ones each time, if it drops any.
    """

    def __init__(self, model: Model, batch_statistics: bool, dropping: bool = False) -> None:
        self.model, self.batch_statistics, self.dropping = model, batch_statistics, dropping

    def __enter__(self) -> Undone:
        self.quiet = np.errstate(all="ignore")  # that a number is not finite is shown
        self.quiet.__enter__()
        self.training = self.model.training
        self.state = self.model.get_state()
        self.gradients = self.model.gradients.copy()
        self.sources = [(part, part._rng) for part in self.model._functions()]
        self.draw_again()
        for part, _ in self.sources:
            own = self.batch_statistics if isinstance(part, BatchNorm) else self.dropping
            part.set_own_modes(training=own, keeping=True)
        return self

    def draw_again(self) -> None:
        """Let what is drawn next be what was drawn first."""
        if self.dropping:
            source = np.random.default_rng(0)
            for part, _ in self.sources:
                part._rng = source

    def __exit__(self, *error: Any) -> None:
        self.quiet.__exit__(*error)
        self.model.set_state(self.state)
        self.model.gradients = self.gradients
        self.model.training = self.training
        for part, source in self.sources:
            part._rng = source


def edited(model: Model, x: Array, edits: tuple[Edit, ...]) -> Array:
    """Change numbers of a model, and return the inputs, changed as well."""
    if x.dtype.kind in "iub" and any(edit.name == "x" for edit in edits):
        x = x.astype(model.dtype)
    for edit in edits:
        if not math.isfinite(edit.value):
            raise ValueError(f"{edit.name}: needs a finite number, got {edit.value}.")
        array_at(model, x, edit.name, edit.index)[edit.index] = edit.value
    return x


def array_at(model: Model, x: Array, name: str, index: tuple[int, ...]) -> Array:
    """Return the array that a place is in."""
    array = x if name == "x" else dict(model.named_parameters()).get(name)
    if array is None:
        raise ValueError(f"there is no parameter {name!r:.40}.")
    inside = len(index) == array.ndim and all(
        0 <= i < n for i, n in zip(index, array.shape, strict=True)
    )
    if not inside:
        raise ValueError(f"{name} has shape {array.shape}: there is no place {index}.")
    return array
