"""What is noted while the description of a net is gone through, and what rules say no with."""

import re
from typing import Any, NoReturn

import numpy as np

from chainrule.keras.arrays import Item, items_of
from chainrule.keras.files import Weights
from chainrule.layer import Layer

__all__ = ["Chain", "Config", "No", "lengths_of", "named", "no", "one", "same"]

Config = dict[str, Any]


class No(Exception):  # noqa: N818  # says no to one layer; never leaves this file
    """Why there is no layer of ours."""


class Chain:
    """What is noted while the description is gone through.

    Attributes
    ----------
    items : list of Item
        The arrays of the layers so far.
    problems : list of str
        The layers that are none of ours, and why.
    lengths : list of int, or None
        The lengths between samples and channels at this place, where they are known.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.items: list[Item] = []
        self.problems: list[str] = []
        self.lengths: list[int] | None = None

    def shape(self, path: str, rank: int) -> tuple[int, ...]:
        """Return the shape of an array that says how wide the input of a layer is."""
        shape = self.weights.shape(path)
        if shape is None:
            raise No(f"its array {path} is missing")
        if len(shape) != rank or 0 in shape:
            raise No(f"its array {path} has shape {shape}")
        return shape

    def add(self, layer: Layer, path: str, **options: bool) -> Layer:
        """Note a layer's arrays."""
        self.items += items_of(layer, path, **options)
        return layer


def no(why: str) -> NoReturn:
    """Say that there is no layer of ours."""
    raise No(why)


def same(config: Config, name: str, *usual: Any) -> None:
    """Refuse a setting that is not one of those that ours has."""
    value = config.get(name, usual[0])
    if value not in usual:
        no(f"ours has no {name}={value!r}")


def one(value: Any) -> Any:
    """Return a pair of equal numbers as one."""
    values = [int(n) for n in np.atleast_1d(value)]
    return values[0] if len(set(values)) == 1 else values


def named(description: Any) -> tuple[str, dict[str, Any]]:
    """Return the class's name, if it is one of Keras's own, and its settings."""
    name, config = description["class_name"], description["config"]
    module, registered = description.get("module"), description.get("registered_name")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise No("its description is damaged")
    of_keras = module is not None and re.fullmatch(r"keras(\.[\w.]+)?", str(module))
    if not of_keras or registered not in (None, name):
        raise No("it is a class of its author's own, and code is never run")
    return name, config


def lengths_of(values: Any) -> list[int] | None:
    """Return the lengths, if all are known."""
    known = all(isinstance(n, int) and n > 0 for n in values)
    return list(values) if known else None
