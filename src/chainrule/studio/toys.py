"""Points in the plane that no straight line parts: spirals, moons, circles."""

from __future__ import annotations

import numpy as np

from chainrule.layer import Array

__all__ = ["TOYS", "circles", "moons", "spirals"]


def spirals(count: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points on two arms that wind round each other, shape (count, 2), and their arms.

    Examples
    --------
    >>> x, y = spirals(100, 0.1, np.random.default_rng(0))
    >>> x.shape, np.bincount(y).tolist()
    ((100, 2), [50, 50])
    """
    arm = np.arange(count) % 2
    distance = rng.uniform(0.08, 1, count)
    angle = np.pi * arm + 2.75 * np.pi * distance
    x = np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
    return x + 0.25 * noise * rng.standard_normal(x.shape), arm


def moons(count: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points on two half circles that reach into each other, and their half circles.

    Examples
    --------
    >>> x, y = moons(100, 0.0, np.random.default_rng(0))
    >>> bool((np.linalg.norm(x[y == 0] - [-0.25, -0.125], axis=1).round(6) == 0.5).all())
    True
    """
    moon = np.arange(count) % 2
    angle = rng.uniform(0, np.pi, count)
    side = 1 - 2 * moon
    x = np.column_stack([0.5 * side * np.cos(angle), 0.5 * side * np.sin(angle)])
    x += np.where(moon[:, None] == 1, [0.25, 0.125], [-0.25, -0.125])
    return x + 0.5 * noise * rng.standard_normal(x.shape), moon


def circles(count: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points on a circle and on one of half its size inside it, and their circles.

    Examples
    --------
    >>> x, y = circles(100, 0.0, np.random.default_rng(0))
    >>> np.unique(np.linalg.norm(x, axis=1).round(6)).tolist()
    [0.45, 0.9]
    """
    inner = np.arange(count) % 2
    angle = rng.uniform(0, 2 * np.pi, count)
    radius = np.where(inner == 1, 0.45, 0.9)
    x = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return x + 0.5 * noise * rng.standard_normal(x.shape), inner


TOYS = {"spirals": spirals, "moons": moons, "circles": circles}
