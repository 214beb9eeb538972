"""Nets as lists of layers that a page can send: read from text, checked, and built.

The text of a net is its hidden layers, ``"linear-32,relu,linear-16,relu"``: a kind and its numbers.
What goes between them follows from the shapes (Reshape before a convolution, Flatten before a
linear layer), the last layer from the data and the loss.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.cli.classes import is_yes_no
from chainrule.data import one_hot
from chainrule.layer import Array, Layer
from chainrule.layers import Flatten, Linear, Reshape, Residual, Softmax
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from chainrule.model import Model
from chainrule.studio.kinds import KINDS, Kind, Number

__all__ = [
    "KINDS", "LOSSES", "OF_NUMBERS", "Kind", "LayerError", "Number", "Part", "Row", "build",
    "outline", "parts", "takes_labels", "targets", "text",
]  # fmt: skip

MOST_LAYERS = 24
MOST_PARAMETERS = 20_000_000
MOST_VALUES = 1 << 22  # of one sample between two layers

Shape = tuple[int, ...]


class LayerError(ValueError):
    """A layer that does not fit where it stands; ``part`` is its place in the net, from 0."""

    def __init__(self, part: int, words: str) -> None:
        super().__init__(words)
        self.part = part


LOSSES: dict[str, tuple[str, Callable[[], Loss]]] = {
    "softmax-cross-entropy": ("softmax + cross-entropy", SoftmaxCrossEntropy),
    "cross-entropy": ("cross-entropy of probabilities", CrossEntropy),
    "binary-cross-entropy": ("binary cross-entropy", BinaryCrossEntropy),
    "mean-squared-error": ("mean squared error", MeanSquaredError),
    "mean-absolute-error": ("mean absolute error", MeanAbsoluteError),
    "huber": ("Huber", Huber),
}
YES_NO = ("binary-cross-entropy", 2)
OF_NUMBERS = ("mean-squared-error", "mean-absolute-error", "huber")


@dataclass(frozen=True)
class Part:
    """One layer of a net's text: its kind and its numbers."""

    kind: str
    numbers: tuple[float, ...] = ()

    def __str__(self) -> str:
        return "-".join([self.kind, *(f"{number:g}" for number in self.numbers)])


def parts(net: str) -> tuple[Part, ...]:
    """Read the text of a net.

    Raises
    ------
    ValueError
        If it names a layer that there is not, or a number that makes no sense.

    Examples
    --------
    >>> parts("linear-32,relu")
    (Part(kind='linear', numbers=(32.0,)), Part(kind='relu', numbers=()))
    """
    words = [word.strip() for word in net.lower().split(",") if word.strip()]
    if len(words) > MOST_LAYERS:
        raise ValueError(f"the net has {len(words)} layers; the studio builds up to {MOST_LAYERS}.")
    return tuple(_part(word) for word in words)


def text(net: tuple[Part, ...]) -> str:
    """Return the text of a net; :func:`parts` reads it.

    Examples
    --------
    >>> text(parts("Linear-32, relu"))
    'linear-32,relu'
    """
    return ",".join(str(part) for part in net)


def build(
    net: str, loss: str, sample_shape: Shape, classes: int, *, seed: int = 0, image: bool = True
) -> Model:
    """Build the net of a text for flat rows of samples.

    Parameters
    ----------
    net : str
        The hidden layers.
    loss : str
        A name of ``LOSSES``.
    sample_shape : tuple of int
        The shape of a sample before it was made flat.
    classes : int
        How many outputs the net has; of two under binary cross-entropy, one.
    seed : int
        Draws the parameters.
    image : bool
        Whether a sample is an image.

    Raises
    ------
    ValueError
        If the text, the loss or the seed makes no sense; a LayerError if a layer does not fit, or
        makes the net too large.

    Examples
    --------
    >>> build("linear-16,relu", "softmax-cross-entropy", (2,), 2)
    Model([
        Linear(2, 16),
        ReLU(),
        Linear(16, 2),
    ], SoftmaxCrossEntropy())
    """
    if loss not in LOSSES:
        raise ValueError(f"there is no loss {loss!r:.40}. There are: {', '.join(LOSSES)}.")
    if not 0 <= seed < 1 << 31:
        raise ValueError(f"the seed must be from 0 to {(1 << 31) - 1}, got {seed}.")
    shape: Shape = (math.prod(sample_shape),)
    layers: list[Layer] = []
    for place, part in enumerate(parts(net)):
        kind = KINDS[part.kind]
        try:
            shape = _add(layers, kind, part, shape, sample_shape if image else ())
        except ValueError as error:
            raise LayerError(place, f"layer {place + 1}, {kind.label}: {error}") from error
    if len(shape) > 1:
        layers.append(Flatten())
    # Of two classes, one yes or no.
    layers.append(Linear(math.prod(shape), 1 if (loss, classes) == YES_NO else classes))
    if loss == "cross-entropy":
        layers.append(Softmax())
    _check_size(layers, shape)
    return Model(layers, LOSSES[loss][1](), seed=seed)


@dataclass(frozen=True)
class Row:
    """A layer of a net as it is listed.

    Attributes
    ----------
    code : str
        The constructor call that builds it.
    shape : tuple of int
        Of a sample after it.
    parameters : int
        How many it has.
    part : int or None
        Which part of the net's text it is; None if it follows from data and loss.
    """

    code: str
    shape: Shape
    parameters: int
    part: int | None = None


def outline(model: Model, features: int, net: tuple[Part, ...] = ()) -> list[Row]:
    """List the layers of a net with their shapes.

    Parameters
    ----------
    model : Model
        One of one's own: it goes through it once.
    features : int
        How many values a flat sample has.
    net : tuple of Part
        What it was built from.

    Examples
    --------
    >>> net = parts("linear-8,relu")
    >>> model = build("linear-8,relu", "mean-squared-error", (8, 8), 10)
    >>> [(row.code, row.shape, row.part) for row in outline(model, 64, net)]
    [('Linear(64, 8)', (8,), 0), ('ReLU()', (8,), 1), ('Linear(8, 10)', (10,), None)]
    """
    model.training = False
    x, rows, left = np.zeros((1, features), model.dtype), [], list(enumerate(net))
    for layer in model.layers:
        x = layer.forward(x)
        count = sum(array.size for _, array in layer.named_parameters())
        part = None
        if left and KINDS[left[0][1].kind].label == type(layer).__name__:
            part = left.pop(0)[0]
        rows.append(Row(repr(layer), x.shape[1:], count, part))
    return rows


def targets(cost: Loss, labels: Array, classes: int, width: int | None = None) -> Array:
    """Return the targets that a loss takes: the labels themselves, or a row with a 1 for each.

    Parameters
    ----------
    cost : Loss
    labels : array
        Classes, or numbers as the net learns them.
    classes : int
        How many there are.
    width : int, optional
        How many outputs the net has, if not as many: one, for a yes or no.

    Examples
    --------
    >>> targets(MeanSquaredError(), np.array([1, 0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    >>> targets(BinaryCrossEntropy(), np.array([1, 0]), 2, 1).tolist()
    [1, 0]
    """
    if labels.dtype.kind == "f" or takes_labels(cost) or is_yes_no(cost, width or classes):
        return labels
    return one_hot(labels, classes)


def takes_labels(cost: Loss) -> bool:
    """Whether a loss takes class indices as they are."""
    return isinstance(cost, (SoftmaxCrossEntropy, CrossEntropy))


def _part(word: str) -> Part:
    kind, *words = word.split("-")
    if kind not in KINDS:
        raise ValueError(f"there is no layer {kind!r:.40}. There are: {', '.join(KINDS)}.")
    wanted = KINDS[kind].numbers
    if len(words) > len(wanted):
        raise ValueError(f"{word!r:.60}: {kind} takes {len(wanted)} numbers, got {len(words)}.")
    values = []
    for number, given in zip(wanted, [*words, *[""] * len(wanted)], strict=False):
        try:
            value = float(given) if given else number.first
        except ValueError:
            value = math.nan
        if not number.least <= value <= number.most or (number.whole and value != int(value)):
            whole = "a whole number" if number.whole else "a number"
            raise ValueError(
                f"{KINDS[kind].label}: {number.label} must be {whole} from {number.least:g} to "
                f"{number.most:g}, got {given!r:.40}."
            )
        values.append(value)
    return Part(kind, tuple(values))


def _add(layers: list[Layer], kind: Kind, part: Part, shape: Shape, sample_shape: Shape) -> Shape:
    """Put one more layer after others, and what must stand before it; return the shape after it."""
    if kind.images and len(shape) != 3:
        mixed = any(isinstance(layer, (Linear, Residual)) for layer in layers)
        if mixed or shape != (math.prod(sample_shape),) or len(sample_shape) not in (2, 3):
            raise ValueError(
                f"it works on images, and gets samples of shape {shape}. Put it before the first "
                "Linear layer, on data that are images."
            )
        shape = (*sample_shape, 1)[:3]
        layers.append(Reshape(list(shape)))
    if part.kind in ("linear", "residual") and len(shape) > 1:
        layers.append(Flatten())
        shape = (math.prod(shape),)
    layers.append(kind.make(shape, part.numbers))
    shape = _shape_after(kind, layers[-1], shape)
    _check_size(layers, shape)
    return shape


def _shape_after(kind: Kind, layer: Layer, shape: Shape) -> Shape:
    """Return the shape of a sample after a layer, without computing with it."""
    if kind.label == "Linear":
        return (layer.n_out,)  # type: ignore[attr-defined]  # a Linear has it
    if kind.label == "Conv2d":
        return (*shape[:2], layer.n_out)  # type: ignore[attr-defined]  # the same
    if kind.label == "GlobalAvgPool":
        return shape[2:]
    if kind.label in ("MaxPool2d", "AvgPool2d"):
        size = layer.kernel_size  # type: ignore[attr-defined]  # the same
        after = (shape[0] // size, shape[1] // size, shape[2])
        if min(after) < 1:
            raise ValueError(
                f"squares of {size} by {size} do not fit into {shape[0]} by {shape[1]}. Leave it "
                "out, or make it smaller."
            )
        return after
    return shape


def _check_size(layers: list[Layer], shape: Shape) -> None:
    count = sum(
        math.prod(shape) for layer in layers for part in layer.walk()
        for shape in part.parameter_shapes().values()
    )  # fmt: skip
    if count > MOST_PARAMETERS or math.prod(shape) > MOST_VALUES:
        raise ValueError(
            f"the net is too large for the studio: {count:,} parameters, {math.prod(shape):,} "
            f"values after {layers[-1]!r}. Make a layer smaller; the command trains any size."
        )
