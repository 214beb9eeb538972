"""The normal distribution function, in NumPy alone, for GELU.

NumPy has no error function. With z = |x| / sqrt(2), the lower tail is

    Phi(-|x|) = erfc(z) / 2 = exp(-x^2 / 2) erfcx(z) / 2

and erfcx(z) is t times a polynomial in 2t - 1, for t = 2.5 / (2.5 + z). One exponential so gives
the tail to full relative accuracy, and the density besides. The polynomials are Chebyshev
interpolants made by ``tools/fit_normal.py``; the tests hold them against ``math.erfc``.
"""

import math

import numpy as np

from chainrule.layer import Array

__all__ = ["normal"]

# Relative error 8e-9: below the rounding of float32.
SHORT = (
    0.4216127281222872,
    0.3218607736466057,
    0.18156569989817042,
    0.06849976745672201,
    0.011343546843800652,
    -0.003353155286118666,
    -0.0019213820432691649,
    0.0001654415198644956,
    0.00026648831811152605,
    -1.0746236645486567e-05,
    -2.916858250896465e-05,
)

# Relative error 3e-15.
LONG = (
    0.4216127281222872,
    0.32186073977565915,
    0.18156564665923625,
    0.06850045809845694,
    0.011344620053006961,
    -0.0033572177220719153,
    -0.0019275142148602556,
    0.00017568332129289135,
    0.00028107755704410254,
    -2.33232275687444e-05,
    -4.504238384955967e-05,
    7.813337070403105e-06,
    7.299578807436693e-06,
    -2.702922792943689e-06,
    -9.376596960336823e-07,
    7.871536777014979e-07,
    5.645836250040106e-09,
    -1.815419043218653e-07,
    4.635263185243155e-08,
    2.9533810706629663e-08,
    -1.4924861333475076e-08,
    -2.515181123063562e-09,
    1.9239685435057226e-09,
)


def normal(x: Array) -> tuple[Array, Array]:
    r"""Return the distribution function and the density of the normal distribution at ``x``.

    .. math::
        \Phi(x) = \int_{-\infty}^x \varphi, \qquad
        \varphi(x) = \frac{e^{-x^2 / 2}}{\sqrt{2 \pi}}

    Both arrays have the shape and the float type of ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> cdf, density = normal(np.array([0.0, -1.0]))
    >>> cdf.round(6), density.round(6)
    (array([0.5     , 0.158655]), array([0.398942, 0.241971]))
    """
    x = np.clip(x, -40, 40)  # beyond, exp(-x^2 / 2) is 0 in any float type, and x^2 may overflow
    exponential = np.exp(-0.5 * x * x)
    scale = 2.5 * math.sqrt(2)
    t = scale / (scale + np.abs(x))
    u = 2 * t - 1
    coefficients = LONG if x.dtype.itemsize > 4 else SHORT
    tail = np.full_like(u, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):  # Horner's rule
        tail *= u
        tail += coefficient
    tail *= t
    tail *= exponential
    tail *= 0.5
    cdf = np.where(x < 0, tail, 1 - tail)
    return cdf, exponential / math.sqrt(2 * math.pi)
