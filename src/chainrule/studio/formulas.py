"""The formulas of layers and losses, as their docstrings have them: the code is the textbook.

So a layer of a user's own shows its formula too, if its docstring has ``.. math::``.
"""

import functools
import inspect
import re
from dataclasses import dataclass

from chainrule.layer import Function, Layer
from chainrule.layers import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)

__all__ = ["ELEMENTWISE", "Formulas", "formulas", "summary_line", "to_mathml"]

# Each output depends on the input at its own place alone: the local derivative is one number each.
ELEMENTWISE = (ReLU, LeakyReLU, ELU, GELU, SiLU, Sigmoid, Softplus, Tanh)

# What the docstrings say in words, or leave to the reader.
MORE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Flatten": ((r"y = \operatorname{reshape}(x)",),
                (r"\frac{\partial L}{\partial x} = \operatorname{reshape}^{-1}(g)",)),
    "Reshape": ((r"y = \operatorname{reshape}(x)",),
                (r"\frac{\partial L}{\partial x} = \operatorname{reshape}^{-1}(g)",)),
    "Slice": ((r"y = x_{\text{start} : \text{stop} : \text{step}}",), (
        r"\frac{\partial L}{\partial x_i} = g_i \text{ at the places taken, 0 at the others}",)),
    "Transpose": ((), (r"\frac{\partial L}{\partial x} = \operatorname{transpose}^{-1}(g)",)),
    "Sequential": ((), (
        r"\frac{\partial L}{\partial x} = g \frac{\partial f_n}{\partial f_{n-1}} \cdots "
        r"\frac{\partial f_2}{\partial f_1} \frac{\partial f_1}{\partial x}",)),
    "Bidirectional": ((), (
        r"\frac{\partial L}{\partial x} = g_a \frac{\partial a}{\partial x} + "
        r"g_b \frac{\partial b}{\partial x}",)),
    "Dropout": ((), (r"\frac{\partial L}{\partial x} = g \cdot m",)),
    "SpatialDropout": ((), (
        r"\frac{\partial L}{\partial x_{n, \dots, c}} = g_{n, \dots, c} \cdot m_{n, c}",)),
    "MaxPool1d": ((), (
        r"\frac{\partial L}{\partial x_u} = \sum_{i:\, u = \operatorname{argmax}_i} g_i",)),
    "MaxPool2d": ((), (
        r"\frac{\partial L}{\partial x_{uv}} = "
        r"\sum_{i, j:\, (u, v) = \operatorname{argmax}_{ij}} g_{ij}",)),
    "AvgPool1d": ((), (
        r"\frac{\partial L}{\partial x_u} = \frac{1}{k} \sum_{i, a:\, s i + a - p = u} g_i",)),
    "AvgPool2d": ((), (
        r"\frac{\partial L}{\partial x_{uv}} = \frac{1}{k_h k_w} "
        r"\sum_{i, a:\, s i + a - p = u} \sum_{j, b:\, s j + b - p = v} g_{ij}",)),
    "AdaptiveAvgPool1d": ((r"y_i = \frac{1}{|R_i|} \sum_{u \in R_i} x_u",), (
        r"\frac{\partial L}{\partial x_u} = \sum_{i:\, u \in R_i} \frac{g_i}{|R_i|}",)),
    "AdaptiveAvgPool2d": ((r"y_{ij} = \frac{1}{|R_{ij}|} \sum_{u, v \in R_{ij}} x_{uv}",), (
        r"\frac{\partial L}{\partial x_{uv}} = "
        r"\sum_{i, j:\, u, v \in R_{ij}} \frac{g_{ij}}{|R_{ij}|}",)),
}  # fmt: skip

BLOCK = re.compile(r"\.\. math::(.*?)(?=\n[ ]*\n(?![ ]{4})|\Z)", re.DOTALL)
OF_THE_WAY_BACK = re.compile(r"\\partial|f'\(x\)|\\bar|'\(")


@dataclass(frozen=True)
class Formulas:
    r"""The formulas of a class, in LaTeX, one a line.

    Attributes
    ----------
    forward, backward : tuple of str
        With :math:`g = \partial L / \partial y` what comes from the layer above.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]


@functools.cache
def formulas(cls: type[Function]) -> Formulas:
    r"""Return the formulas of a layer or a loss.

    Examples
    --------
    >>> from chainrule import Tanh
    >>> formulas(Tanh)
    Formulas(forward=('y = \\tanh x',), backward=("f'(x) = 1 - y^2",))
    """
    forward: list[str] = []
    backward: list[str] = []
    for block in BLOCK.findall(inspect.getdoc(cls) or ""):
        for line in _lines(block):
            (backward if OF_THE_WAY_BACK.search(line) else forward).append(line)
    more = MORE.get(cls.__name__, ((), ())) if cls.__module__.startswith("chainrule.") else ((), ())
    return Formulas((*forward, *more[0]), (*backward, *more[1]))


def summary_line(cls: type[Function]) -> str:
    """Return in a sentence what a layer does, from its docstring.

    Examples
    --------
    >>> from chainrule import Linear
    >>> summary_line(Linear)
    'Linear layer: each output is a weighted sum of the inputs, plus a bias.'
    """
    text = inspect.getdoc(cls) if cls.__doc__ else ""
    line = (text or "").strip().split("\n\n")[0].replace("\n", " ")
    return re.sub(r":\w+:`([^`]*)`|``([^`]*)``", lambda m: m[1] or m[2], line)


@functools.lru_cache(maxsize=1024)
def to_mathml(latex: str) -> str:
    """Return a formula as MathML, which browsers draw themselves.

    Raises
    ------
    ModuleNotFoundError
        If latex2mathml is not installed.
    """
    from latex2mathml.converter import convert

    return convert(latex, display="block")


def _lines(block: str) -> list[str]:
    """Part a block at its alignments and wide spaces; cases and stacked indices stay whole."""
    text = " ".join(block.split())
    whole = r"\\substack\{[^}]*\}|\\begin\{cases\}.*?\\end\{cases\}"
    protected = re.sub(
        whole, lambda m: m[0].replace("\\\\", "\x00").replace("&", "\x01"), text
    ).replace("&", "")
    pieces = re.split(r"\\\\|,? ?\\qquad|,? ?\\quad", protected)
    back = [piece.replace("\x00", "\\\\").replace("\x01", "&").strip(" ,") for piece in pieces]
    return [piece for piece in back if piece]


def is_container(thing: Function) -> bool:
    """Whether it has layers inside."""
    return isinstance(thing, Layer) and bool(thing.children())
