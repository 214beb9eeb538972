"""Print the polynomials of ``chainrule/layers/normal.py``; needs ``pip install mpmath``.

The scaled complement of the error function, erfcx(z) = exp(z^2) erfc(z), is smooth and falls like
1/z. In t = c / (c + z), which runs over (0, 1], the ratio erfcx(z) / t is nearly constant, so a
short Chebyshev interpolant in u = 2t - 1 is accurate on the whole half-line.
"""

import mpmath as mp

mp.mp.dps = 60
C = mp.mpf("2.5")


def erfcx(z: mp.mpf) -> mp.mpf:
    """Return exp(z^2) erfc(z)."""
    if z < 25:
        return mp.exp(z * z) * mp.erfc(z)
    terms = [mp.fac2(2 * k - 1) / (-2 * z * z) ** k for k in range(8)]
    return sum(terms) / (z * mp.sqrt(mp.pi))


def polynomial(degree: int) -> list[float]:
    """Return the interpolant's coefficients in powers of u, constant term first."""
    n = degree + 1
    angles = [mp.pi * (k + mp.mpf(1) / 2) / n for k in range(n)]
    values = []
    for angle in angles:
        t = (mp.cos(angle) + 1) / 2
        values.append(erfcx(C * (1 - t) / t) / t)
    powers = [mp.mpf(0)] * n
    previous, current = [mp.mpf(0)], [mp.mpf(1)]  # Chebyshev polynomials T_{j-1}, T_j
    for j in range(n):
        scale = mp.mpf(1 if j == 0 else 2) / n
        weight = scale * sum(v * mp.cos(j * a) for v, a in zip(values, angles, strict=True))
        for i, coefficient in enumerate(current):
            powers[i] += weight * coefficient
        factor = 1 if j == 0 else 2
        following = [mp.mpf(0)] + [factor * coefficient for coefficient in current]
        if j > 0:
            for i, coefficient in enumerate(previous):
                following[i] -= coefficient
        previous, current = current, following
    return [float(p) for p in powers]


if __name__ == "__main__":
    for name, degree in (("SHORT", 10), ("LONG", 22)):
        print(f"{name} = (")
        for coefficient in polynomial(degree):
            print(f"    {coefficient!r},")
        print(")")
