"""The formulas of layers and losses, as their docstrings have them: the code is the textbook.

So a layer of a user's own shows its formula too, if its docstring has ``.. math::``.
"""

import functools
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chainrule.layer import Function, Layer
from chainrule.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dropout,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)

__all__ = [
    "ELEMENTWISE", "Formulas", "documentation", "formulas", "formulas_of", "has_modes", "remark",
    "summary_line", "to_mathml",
]  # fmt: skip

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
    "GRU": ((), (
        r"\frac{\partial L}{\partial W} = \sum_t x_t^T [\bar r_t, \bar z_t, \bar n_t]",
        r"\frac{\partial L}{\partial U} = \sum_t h_{t-1}^T [\bar r_t, \bar z_t, \bar s_t]",
        r"\frac{\partial L}{\partial b} = \sum_t [\bar r_t, \bar z_t, \bar n_t]",
        r"\frac{\partial L}{\partial b'} = \sum_t \bar s_t",
    )),
    "LSTM": ((), (
        r"\frac{\partial L}{\partial x_t} = [\bar i_t, \bar f_t, \bar o_t, \bar g_t]\, W^T",
        r"\frac{\partial L}{\partial W} = \sum_t x_t^T [\bar i_t, \bar f_t, \bar o_t, \bar g_t]",
        r"\frac{\partial L}{\partial U} = "
        r"\sum_t h_{t-1}^T [\bar i_t, \bar f_t, \bar o_t, \bar g_t]",
        r"\frac{\partial L}{\partial b} = \sum_t [\bar i_t, \bar f_t, \bar o_t, \bar g_t]",
    )),
    "MultiHeadAttention": ((r"[Q, K, V] = x W + b",), (
        r"[\bar C_1, \dots, \bar C_h] = g W_o^T",
        r"\frac{\partial L}{\partial W_o} = [C_1, \dots, C_h]^T g",
        r"\frac{\partial L}{\partial W} = x^T [\bar Q, \bar K, \bar V]",
        r"\frac{\partial L}{\partial x} = [\bar Q, \bar K, \bar V]\, W^T",
    )),
    "Conv1d": ((), (r"\frac{\partial L}{\partial b_o} = \sum_{n, p} g_{n p o}",)),
    "ConvTranspose2d": ((), (r"\frac{\partial L}{\partial b_o} = \sum_{n, u, v} g_{n u v o}",)),
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
OF_THE_WAY_BACK = re.compile(r"\\partial|f'|\\bar|'\(")


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


# Of a graph the docstring has what a node may be, in one line of alternatives.
GRAPH = Formulas(
    (r"v_0 = x", r"v_i = f_i(v_j)", r"v_i = \sum_j v_j", r"v_i = \prod_j v_j",
     r"v_i = v_j v_k", r"v_i = [v_j, v_k, \dots]"),
    (r"\bar v_j = \sum_{i \text{ takes } j} \bar v_i \frac{\partial v_i}{\partial v_j}",
     r"\frac{\partial L}{\partial x} = \bar v_0"),
)  # fmt: skip

# Outside training a batch normalisation has other means, which are constants on the way back.
RUNNING_STATISTICS = Formulas(
    (r"y = \gamma \hat x + \beta",
     r"\hat x = \frac{x - r_{\mu}}{\sqrt{r_{\sigma^2} + \varepsilon}}"),
    (r"\frac{\partial L}{\partial \gamma} = \sum g \hat x",
     r"\frac{\partial L}{\partial \beta} = \sum g",
     r"\frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{r_{\sigma^2} + \varepsilon}}\, g"),
)  # fmt: skip
DERIVATIVE_TIMES = r"\frac{\partial L}{\partial x} = g \cdot f'(x)"


@functools.cache
def formulas(cls: type[Function]) -> Formulas:
    r"""Return the formulas of a layer or a loss.

    Examples
    --------
    >>> from chainrule import Tanh
    >>> formulas(Tanh)
    Formulas(forward=('y = \\tanh x',), backward=("f'(x) = 1 - y^2",))
    """
    if cls.__name__ == "Graph" and cls.__module__.startswith("chainrule."):
        return GRAPH
    forward: list[str] = []
    backward: list[str] = []
    for block in BLOCK.findall(inspect.getdoc(cls) or ""):
        for line in _lines(block):
            (backward if OF_THE_WAY_BACK.search(line) else forward).append(line)
    more = MORE.get(cls.__name__, ((), ())) if cls.__module__.startswith("chainrule.") else ((), ())
    return Formulas((*forward, *more[0]), (*backward, *more[1]))


def formulas_of(thing: Function) -> Formulas:
    """Return the formulas of a layer or a loss as it is: in its mode, with the bias it has or not.

    Examples
    --------
    >>> from chainrule import Linear, Tanh
    >>> formulas_of(Linear(3, 2, bias=False)).forward
    ('y = x W',)
    >>> formulas_of(Tanh()).backward[-1] == DERIVATIVE_TIMES
    True
    """
    kind: Any = type(thing)
    found: Formulas = formulas(kind)
    if isinstance(thing, BatchNorm):
        return found if thing.training else RUNNING_STATISTICS
    if isinstance(thing, GELU):  # the docstring has both forms: first the exact one
        exact = thing.approximate == "none"
        forward = found.forward[:1] if exact else found.forward[1:]
        return Formulas(forward, (found.backward[0 if exact else 1], DERIVATIVE_TIMES))
    if isinstance(thing, ELEMENTWISE):
        return Formulas(found.forward, (*found.backward, DERIVATIVE_TIMES))
    if getattr(thing, "bias", True) is False:
        return Formulas(
            tuple(re.sub(r" \+ b(_o)?$|b_o \+ ", "", line) for line in found.forward),
            tuple(line for line in found.backward if r"{\partial b" not in line),
        )
    return found


def remark(thing: Function) -> str:
    """Return what is to be said of how a layer behaves here; empty if nothing is.

    Examples
    --------
    >>> from chainrule import Dropout
    >>> remark(Dropout(0.5))
    'As in training: each number is dropped with probability 0.5, here always the same ones.'
    """
    if isinstance(thing, BatchNorm):
        if thing.training:
            return "As in training: μ and σ are those of this mini-batch, and depend on every x."
        return (
            "As in predicting: the mean and the variance are the running ones, constants. Walk "
            "with a mini-batch, as in training, to see those of the batch."
        )
    share = thing.p if isinstance(thing, Dropout) else getattr(thing, "dropout", 0.0)
    if not isinstance(share, (int, float)) or not share > 0:
        return ""
    if thing.training:
        return (
            f"As in training: each number is dropped with probability {share:g}, here always the "
            "same ones."
        )
    return "As in predicting: nothing is dropped, m = 1."


def has_modes(things: Iterable[Function]) -> bool:
    """Whether one of some layers behaves in training otherwise than in predicting."""
    return any(bool(remark(thing)) for thing in things)


def documentation(cls: type[Function]) -> str:
    """Return the docstring of a class of its own; empty if it has none."""
    return inspect.cleandoc(cls.__doc__) if cls.__doc__ else ""


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
