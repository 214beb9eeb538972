"""Numbers as the page shows them."""

import math

__all__ = ["number", "whole"]


def number(value: float, none: str = "–") -> str:
    """Return a number as a person reads it.

    It has four figures, from 10,000 on no fraction, and a power of ten only where there must be
    one; ``none`` stands for NaN. The browser does the same (``number`` in ``studio.js``).

    Examples
    --------
    >>> number(0.123456), number(-12345.6), number(4.586e-05), number(float("nan"))
    ('0.1235', '−12,346', '4.59e−5', '–')
    >>> number(0), number(-2.0), number(2e9), number(float("-inf"))
    ('0', '−2', '2.00e+9', '−∞')
    """
    if math.isnan(value):
        return none
    size = abs(value)
    if math.isinf(value):
        words = "∞" if value > 0 else "-∞"
    elif value == 0:
        words = "0"
    elif 1e-4 <= size < 1e4:
        words = f"{value:.4g}"
        if "e" in words:  # 9999.9 has become 1e+04
            words = f"{value:,.0f}"
    elif 1e4 <= size < 1e7:
        words = f"{value:,.0f}"
    else:
        digits, power = f"{value:.2e}".split("e")
        words = f"{digits}e{int(power):+d}"
    return words.replace("-", "−")


def whole(words: str) -> int:
    """Return a whole number from an address; 0 if it is none, or longer than any that is meant.

    Examples
    --------
    >>> whole("12"), whole("-1"), whole("٣"), whole("9" * 5000)
    (12, 0, 0, 0)
    """
    return int(words) if words.isascii() and words.isdigit() and len(words) < 10 else 0
