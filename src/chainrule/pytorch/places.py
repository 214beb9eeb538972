"""Where the arrays of a state dict belong, and in which order flattened images lie there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chainrule import layers
from chainrule.layer import Layer
from chainrule.layers.convolution import Convolution
from chainrule.layers.pooling import Images
from chainrule.layers.recurrent import Recurrent

__all__ = ["Place", "places_of", "stacked"]

# What acts on each value alone, and leaves the order of the values as it is.
ELEMENTWISE = (
    layers.ReLU, layers.LeakyReLU, layers.ELU, layers.GELU, layers.SiLU, layers.Softplus,
    layers.Sigmoid, layers.Tanh, layers.Softmax, layers.LogSoftmax, layers.Dropout,
)  # fmt: skip
VECTORS = (layers.BatchNorm, layers.LayerNorm)  # act on vectors of channels
# Their modules take the channels on axis 1: what comes to them is images, or sequences so laid.
CHANNELS_FIRST = (
    Convolution, Images, layers.BatchNorm, layers.GroupNorm, layers.SpatialDropout,
)  # fmt: skip
# One module each in PyTorch, whatever they are made of here.
WHOLE = (layers.Bidirectional, layers.TransformerBlock)
# What they put out has its last axis where PyTorch has it too.
CHANNELS_LAST = (
    *WHOLE, Recurrent, layers.MultiHeadAttention, layers.Embedding, layers.LearnedPositions,
    layers.GlobalAvgPool,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A layer whose arrays are in the state dict.

    Attributes
    ----------
    layer : Layer
    path : str
        Ours.
    prefix : str
        PyTorch's.
    level : int
        Of recurrent layers that PyTorch has in one module, which this is.
    flat, unflat : int
        Channels of the flattened images that are its input, and of the images that its output is
        reshaped to; 1 where they are nothing of the kind.
    """

    layer: Layer
    path: str
    prefix: str
    level: int = 0
    flat: int = 1
    unflat: int = 1


@dataclass
class _Walk:
    """What is known of the values between two layers."""

    channels: int | None = None
    images: bool | None = False  # whether PyTorch has the channels on axis 1; None: not known
    flat: int | None = 1  # channels of the images that were flattened; None: not known
    sources: list[str] = field(default_factory=list)  # since the last linear layer, it included
    reshaped: tuple[int, ...] = ()  # the shape that a Reshape just made


def places_of(
    net: Layer,
    names: Mapping[str, str] | None = None,
    input_shape: Sequence[int] | None = None,
) -> tuple[list[Place], bool]:
    """Return the layers with arrays, and whether flattened images are what the net puts out.

    Raises
    ------
    ValueError
        If a name is given for a layer that is not there, or it is not known how many channels
        flattened images had.
    """
    walk = _Walk(images=None)
    if input_shape is not None and len(input_shape):
        images = {1: False, 3: True}.get(len(input_shape))
        walk = _Walk(channels=int(input_shape[-1]), images=images)
    found: dict[str, Place] = {}
    walk = _visit(net, "", walk, found)
    known = {path for path, _ in net.named_layers()}
    prefixes: dict[str, str] = {}
    for theirs, ours in (names or {}).items():
        if ours not in known:
            raise ValueError(f"names: the net has no layer {ours!r}.")
        if ours in prefixes:
            raise ValueError(f"names: {theirs!r} and {prefixes[ours]!r} are both {ours!r}.")
        prefixes[ours] = theirs
    places = [replace(place, prefix=_prefix(place.prefix, prefixes)) for place in found.values()]
    taken: dict[tuple[str, int], str] = {}
    for place in places:
        other = taken.setdefault((place.prefix, place.level), place.path)
        if other != place.path:
            raise ValueError(
                f"names: the layers {other} and {place.path} would both be {place.prefix!r}."
            )
    return places, walk.flat != 1


def _prefix(path: str, prefixes: Mapping[str, str]) -> str:
    """Return PyTorch's name for a layer: by the longest beginning of ours that has one."""
    words = path.split(".")
    for n in range(len(words), 0, -1):
        start = ".".join(words[:n])
        if start in prefixes:
            return ".".join([*filter(None, [prefixes[start]]), *words[n:]])
    return path


def stacked(layer: Layer) -> list[tuple[str, Layer]]:
    """Return the recurrent layers of a chain that PyTorch has in one module, else nothing.

    That is a chain of at least two of a kind and a length, with dropout between them perhaps.
    """
    if not isinstance(layer, layers.Sequential):
        return []
    found = [
        (name, part)
        for name, part in layer.children().items()
        if not isinstance(part, layers.Dropout)
    ]
    kinds = {
        (type(part), type(one), one.n_hidden) if isinstance(one, Recurrent) else None
        for _, part in found
        for one in [part.layer if isinstance(part, layers.Bidirectional) else part]
    }
    return found if len(found) > 1 and len(kinds) == 1 and None not in kinds else []


def _visit(layer: Layer, path: str, walk: _Walk, found: dict[str, Place]) -> _Walk:
    """Note the places of a layer; return what is known of its output."""
    start = f"{path}." if path else ""
    if path and (stack := stacked(layer)):
        for level, (name, part) in enumerate(stack):
            found[start + name] = Place(part, start + name, path, level)
        return _Walk()
    if isinstance(layer, layers.Sequential):
        for name, child in layer.children().items():
            walk = _visit(child, start + name, walk, found)
        return walk
    if isinstance(layer, layers.Residual):
        past = walk
        if layer.shortcut is not None:
            past = _visit(layer.shortcut, f"{start}shortcut", replace(walk, sources=[]), found)
        end = _visit(layer.inner, f"{start}inner", replace(walk, sources=[]), found)
        return _joined(layer, [end, past])
    if isinstance(layer, (layers.Concatenate, layers.Add)):
        ends = [
            _visit(child, start + name, replace(walk, sources=[]), found)
            for name, child in layer.children().items()
        ]
        return _joined(layer, ends)
    return _visit_one(layer, path, walk, found)


def _joined(layer: Layer, ends: list[_Walk]) -> _Walk:
    """Return what is known where branches come together."""
    if not isinstance(layer, layers.Concatenate):
        if len({end.flat for end in ends}) > 1:
            raise ValueError(
                f"{layer!r}: one of its ways has flattened images in PyTorch's order, another a "
                "linear layer's outputs in ours: they cannot be added up in both."
            )
        return ends[0]
    counts = [end.channels for end in ends]
    total = None if None in counts else sum(n for n in counts if n is not None)
    # Flattened images beside each other: each has an order of its own.
    flat = 1 if all(end.flat == 1 for end in ends) else None
    return _Walk(total, any(end.images for end in ends), flat)


def _visit_one(layer: Layer, path: str, walk: _Walk, found: dict[str, Place]) -> _Walk:
    """Note the place of a layer that is no container."""
    walk = replace(walk, sources=list(walk.sources))
    if isinstance(layer, CHANNELS_FIRST):
        walk = _channels_first(walk, found)
    if isinstance(layer, ELEMENTWISE) or (isinstance(layer, layers.Rescale) and walk.flat == 1):
        return walk
    place = Place(layer, path, path)
    # A container that is not known is refused later, for what it holds.
    if any(part.owned_shapes() for part in layer.walk()):
        found[path] = place

    if isinstance(layer, Convolution):
        return _Walk(layer.n_out, images=True)
    if isinstance(layer, Images):
        return _Walk(walk.channels, images=True)
    if isinstance(layer, layers.Flatten):
        return _flattened(walk)
    if isinstance(layer, layers.Reshape):
        return _reshaped(layer, walk)
    if isinstance(layer, layers.Transpose):
        return _transposed(layer, walk)
    if isinstance(layer, VECTORS):
        if walk.flat != 1:
            found[path] = replace(place, flat=_known(walk.flat, layer))
        elif walk.sources:
            walk.sources.append(path)
        # Without more to go by, LayerNorm has the channels last in PyTorch too.
        return replace(walk, channels=layer.n, images=bool(walk.images))
    if isinstance(layer, layers.GroupNorm):
        if walk.flat != 1:
            raise ValueError(
                f"{layer!r}: after the flattening of images its groups are others than PyTorch's."
            )
        return replace(walk, channels=layer.n)
    if isinstance(layer, layers.Linear):
        if walk.flat != 1:
            found[path] = replace(place, flat=_known(walk.flat, layer))
        return _Walk(sources=[path])
    if isinstance(layer, CHANNELS_LAST):
        return _Walk()
    # A layer that is not known here: what it does to the order of the values is not known either.
    return _Walk(images=walk.images, flat=1 if walk.flat == 1 else None)


def _channels_first(walk: _Walk, found: dict[str, Place]) -> _Walk:
    """Return what is known of the values where a module takes the channels on axis 1."""
    if walk.reshaped:  # what stands before the Reshape makes channels-last images
        for source in walk.sources:
            found[source] = replace(found[source], unflat=walk.reshaped[-1])
        return _Walk(walk.reshaped[-1], images=True)
    return replace(walk, images=True) if walk.images is None else walk


def _flattened(walk: _Walk) -> _Walk:
    """Return what is known of values laid end to end."""
    if walk.images:
        return _Walk(flat=walk.channels)
    return replace(walk, channels=None, images=False, reshaped=())


def _reshaped(layer: layers.Reshape, walk: _Walk) -> _Walk:
    if len(layer.shape) == 1:
        return _flattened(walk)
    if walk.images:
        return _Walk()
    return _Walk(layer.shape[-1], sources=walk.sources, reshaped=tuple(layer.shape))


def _transposed(layer: layers.Transpose, walk: _Walk) -> _Walk:
    last = len(layer.axes)
    if layer.axes[-1] == last:  # the channels stay where they are
        return replace(walk, reshaped=())
    if walk.reshaped and tuple(layer.axes) == (*range(2, last + 1), 1):
        # As PyTorch's Unflatten makes images, and then channels-last.
        return _Walk(walk.reshaped[0], images=True)
    return _Walk()


def _known(channels: int | None, layer: Layer) -> int:
    if channels is None:
        raise ValueError(
            f"{layer!r}: the images that are flattened before it have an unknown number of "
            "channels, so PyTorch's order of them is unknown. Give input_shape, as "
            "(height, width, channels), to from_module an example, where the first layers do not "
            "tell."
        )
    return channels
