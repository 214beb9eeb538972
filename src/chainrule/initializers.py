"""How the parameters of a layer are first drawn.

Each function takes a ``numpy.random.Generator`` and a shape ``(n_in, n_out)`` (or
``(..., n_in, n_out)``, where the leading axes are a kernel's positions) and returns float64 values;
the layer rounds them to its own float type, so the same seed gives the same net in every type.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.layer import Array

__all__ = ["INITIALIZERS", "glorot", "he", "initializer", "lecun", "orthogonal", "zeros"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many inputs each output sums over, and how many outputs each input reaches.

    Examples
    --------
    >>> fans((784, 100))
    (784, 100)
    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        raise ValueError(f"an initialiser needs a shape (n_in, n_out), got {shape}.")
    positions = math.prod(shape[:-2])
    return positions * shape[-2], positions * shape[-1]


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    r"""Draw from :math:`N(0, 2 / n_{in})`: keeps the variance through ReLU layers.

    Source: He et al., Delving Deep into Rectifiers, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> weights = he(np.random.default_rng(0), (1000, 100))
    >>> round(float(weights.std()), 3)
    0.045
    """
    return rng.standard_normal(shape) * math.sqrt(2 / fans(shape)[0])


def glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    r"""Draw from :math:`U(-a, a)`, :math:`a = \sqrt{6 / (n_{in} + n_{out})}`: for tanh layers.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> weights = glorot(np.random.default_rng(0), (300, 300))
    >>> bool(abs(weights).max() <= 0.1)
    True
    """
    limit = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)


def lecun(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    r"""Draw from :math:`N(0, 1 / n_{in})`: keeps the variance through linear layers.

    Source: LeCun et al., Efficient BackProp, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> weights = lecun(np.random.default_rng(0), (1000, 100))
    >>> round(float(weights.std()), 3)
    0.032
    """
    return rng.standard_normal(shape) * math.sqrt(1 / fans(shape)[0])


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    r"""Draw a matrix with orthonormal rows or columns: keeps lengths through deep linear nets.

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> weights = orthogonal(np.random.default_rng(0), (5, 3))
    >>> np.allclose(weights.T @ weights, np.eye(3))
    True
    """
    fans(shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # makes the draw uniform over the orthogonal matrices
    return (q if rows >= columns else q.T).reshape(shape)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return zeros: for biases.

    Examples
    --------
    >>> import numpy as np
    >>> zeros(np.random.default_rng(0), (2,))
    array([0., 0.])
    """
    return np.zeros(shape)


Initializer = Callable[["np.random.Generator", tuple[int, ...]], Array]
INITIALIZERS: dict[str, Initializer] = {
    function.__name__: function for function in (he, glorot, lecun, orthogonal, zeros)
}


def initializer(name: str) -> Initializer:
    """Return the initialiser of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in INITIALIZERS:
        raise ValueError(f"unknown initializer {name!r}. There are: {', '.join(INITIALIZERS)}.")
    return INITIALIZERS[name]
