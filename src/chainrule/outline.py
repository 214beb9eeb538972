"""A net as a tree of parts with shapes and numbers of parameters, for tables and drawings."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import Linear
from chainrule.notebook import escape, page, row

__all__ = ["Outline", "Part", "checked_shape", "shape_of_a_sample", "text_table", "trace"]

LABEL = 72  # characters
SHOWN = 40  # layers: of a longer net the middle is folded up

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A layer in its place.

    Attributes
    ----------
    path : str
        Its place, as ``"1.inner.0"``.
    layer : Layer
        The layer itself.
    shape : tuple of int or None
        The shape of one sample of its output, where that is known.
    size : int
        How many parameters it has, with those of the layers inside.
    parts : tuple of Part
        The layers inside.
    """

    path: str
    layer: Layer
    shape: Shape | None
    size: int
    parts: tuple["Part", ...] = ()

    @property
    def label(self) -> str:
        """The layer as code; a container whose code is long by its name alone."""
        words = repr(self.layer)
        if len(words) <= LABEL:
            return words
        return type(self.layer).__name__ if self.parts else f"{words[: LABEL - 1]}…"

    @property
    def shape_words(self) -> str:
        """The shape as text."""
        return "" if self.shape is None else repr(self.shape)


@dataclass(frozen=True)
class Outline:
    """The layers of a net.

    Attributes
    ----------
    parts : tuple of Part
        The layers in their order.
    input_shape : tuple of int or None
        The shape of one sample of the input, where that is known.
    """

    parts: tuple[Part, ...]
    input_shape: Shape | None = None

    @classmethod
    def of(cls, net: Layer, x: Array | None) -> "Outline":
        """Look at a net; the shapes are those that ``x``, one sample, takes in it.

        Raises
        ------
        ValueError
            If ``x`` does not fit the net.
        """
        shapes: dict[str, Shape] = {}
        if x is not None:
            trace(net, x, lambda path, y: shapes.update({path: y.shape[1:]}))
        parts = tuple(_part(name, child, shapes) for name, child in net.children().items())
        return cls(parts, None if x is None else x.shape[1:])

    def html(self, *foot: str) -> str:
        """Return the layers as a tree that opens and closes, with lines of text under it."""
        head = row("layer", "output shape", "parameters")
        lines = _rows(self.parts, 0)
        if len(lines) > SHOWN:
            first, middle, last = lines[:20], lines[20:-10], lines[-10:]
            size = sum(part.size for part in self.parts[20:-10])
            more = row(f"{len(middle):,} more layers", "", f"{size:,}", inside="".join(middle))
            lines = [*first, more, *last]
        size = sum(part.size for part in self.parts)
        total = row("total", "", f"{size:,}")
        return page(
            f'<div class="net"><div class="quiet">{head}</div>{"".join(lines)}<b>{total}</b></div>',
            *(f'<div class="quiet">{escape(line)}</div>' for line in foot),
        )


def checked_shape(owner: str, given: int | Sequence[int]) -> Shape:
    """Return the shape of one sample as a tuple.

    Raises
    ------
    ValueError
        If it is anything but whole numbers, at least 1.

    Examples
    --------
    >>> checked_shape("summary", 784), checked_shape("summary", [28, 28, 1])
    ((784,), (28, 28, 1))
    """
    lengths = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in lengths):
        raise ValueError(
            f"{owner}: input_shape is the shape of one sample: whole numbers, at least 1, got "
            f"{given!r}."
        )
    return tuple(int(n) for n in lengths)


def trace(net: Layer, x: Array, see: Callable[[str, Array], object]) -> Array:
    """Send ``x`` through a net in the mode of inference, and look at every layer's output.

    It goes through a copy that shares the parameters: what layers have kept for a backward, their
    buffers and their modes stay as they are.

    Parameters
    ----------
    net : Layer
        The net, or one layer.
    x : array, shape (samples, ...)
        The input.
    see : function (path, output)
        Called for each layer when it is done: those inside come before what they are in.

    Raises
    ------
    TypeError
        If a layer cannot be copied.
    """
    shared = {
        id(value): value
        for layer in net.walk()
        for value in vars(layer).values()
        if isinstance(value, np.ndarray)
    }
    try:
        twin = copy.deepcopy(net, shared)
    except TypeError as error:
        raise TypeError(
            f"a layer cannot be copied, which looking into it needs: {error}"
        ) from error
    twin.set_modes(training=False, keeping=False)
    for path, layer in list(twin.named_layers()):
        _watch(layer, path, see)
    return twin.forward(x)


def shape_of_a_sample(net: Layer) -> Shape | None:
    """Return a shape that a net's input may have, if it begins with ``Linear``; else None.

    Before it there may be layers without parameters: what comes out of them then has this shape.
    """
    for layer in net.walk():
        if isinstance(layer, Linear):
            return (layer.n_in,)
        if layer.parameters:
            break
    return None


def text_table(outline: Outline) -> str:
    """Return the layers as a table of plain text."""
    rows = [("layer", "output shape", "parameters")]
    rows += [(repr(part.layer), part.shape_words, f"{part.size:,}") for part in outline.parts]
    rows.append(("total", "", f"{sum(part.size for part in outline.parts):,}"))
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return _Table("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]]))


def _watch(layer: Layer, path: str, see: Callable[[str, Array], object]) -> None:
    forward = layer.forward

    def seen(*arguments: Array, **options: Array) -> Array:
        y = forward(*arguments, **options)
        see(path, y)
        return y

    layer.forward = seen  # type: ignore[method-assign]  # of a copy that nobody else has


def _part(path: str, layer: Layer, shapes: dict[str, Shape]) -> Part:
    size = sum(array.size for _, array in layer.named_parameters())
    inner = tuple(_part(f"{path}.{n}", child, shapes) for n, child in layer.children().items())
    return Part(path, layer, shapes.get(path), size, inner)


def _rows(parts: Sequence[Part], depth: int) -> list[str]:
    return [
        row(
            f"{part.path}: {part.label}",
            part.shape_words,
            f"{part.size:,}",
            depth=depth,
            inside="".join(_rows(part.parts, depth + 1)) if part.parts else None,
        )
        for part in parts
    ]


class _Table(str):
    """A text that shows itself without quotes when a notebook or a prompt echoes it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
