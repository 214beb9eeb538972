"""For each layer, the call that does the same: its function, its arrays and its settings."""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from chainrule import layers
from chainrule.interop.program import functions
from chainrule.interop.program.writer import Rule, Writer
from chainrule.layer import Layer
from chainrule.storage import one_line

__all__ = ["RULES", "register"]

RULES: dict[type, Rule] = {}

Settings = Callable[[Any], dict[str, Any]]


def register(
    cls: type[Layer],
    function: Callable[..., Any],
    arrays: Sequence[str] = (),
    settings: Sequence[str] | Settings = (),
) -> None:
    """Tell how a layer is exported: as the call of a plain function, whose source is copied.

    The call is ``function(x, *arrays, **settings)``. The function may use NumPy as ``np``, ``math``
    and other functions of its own file, and nothing else.

    Parameters
    ----------
    cls : type
        The class of the layer.
    function : function
        Takes the input, then the arrays, then the settings by name; returns the output as the
        layer predicts it.
    arrays : sequence of str
        The layer's attributes that are parameters or state, in the order of the function. Those
        that a layer does not have (``bias=False``) are left out.
    settings : sequence of str, or function
        The layer's attributes that are numbers, text, None or tuples of these, each under its name;
        or a function from the layer to a dict of them.

    Raises
    ------
    TypeError
        If ``cls`` is no class of layers, or ``function`` no function.

    Examples
    --------
    >>> from chainrule import Layer
    >>> from chainrule.interop import program
    >>> class Shift(Layer):
    ...     def __init__(self, by):
    ...         self.by = by
    ...     def forward(self, x):
    ...         return x + self.by
    ...     def backward(self, grad):
    ...         return grad
    >>> def shift(x, by):
    ...     return x + by
    >>> program.register(Shift, shift, settings=["by"])
    """
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise TypeError(f"register: needs a class of layers, got {cls!r}.")
    if not isinstance(function, FunctionType):
        raise TypeError(f"register: {cls.__name__} needs a function, got {function!r}.")

    def rule(writer: Writer, layer: Layer, path: str, x: str) -> None:
        owned = layer.owned_shapes()
        words: list[str] = []
        by_name: dict[str, str] = {}
        for i, name in enumerate(arrays):
            if name in owned:
                word = writer.array(path, name, getattr(layer, name))
                # What comes after one that is not there goes by its name.
                if all(earlier in owned for earlier in arrays[:i]):
                    words.append(word)
                else:
                    by_name[name] = word
        options = (
            settings(layer) if callable(settings) else {n: getattr(layer, n) for n in settings}
        )
        writer.call(x, function, x, *words, named=by_name, **options)

    RULES[cls] = rule


def does_nothing(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write that a layer acts in training alone."""
    writer.comment("  acts in training alone")


def tanh(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the call of NumPy's own function."""
    writer.line(f"{x} = np.tanh({x})")


def transpose(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the call of NumPy's own function."""
    assert isinstance(layer, layers.Transpose)
    writer.line(f"{x} = np.transpose({x}, {(0, *layer.axes)})")


def sequential(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the layers one after the other."""
    with writer.inside():
        for name, child in layer.children().items():
            writer.layer(child, f"{path}.{name}" if path else name, x)


def residual(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the layers, and what passes them by."""
    assert isinstance(layer, layers.Residual)
    past = writer.variable("past")
    writer.line(f"{past} = {x}")
    sequential(writer, layer.inner, f"{path}.inner", x)
    if layer.shortcut is not None:
        with writer.inside():
            writer.comment("and past them")
            writer.layer(layer.shortcut, f"{path}.shortcut", past)
    writer.line(f"{x} = {past} + {x}")


def branches(writer: Writer, layer: Layer, path: str, x: str) -> list[str]:
    """Write each branch; return the variables that hold what they give."""
    names = []
    with writer.inside():
        for name, child in layer.children().items():
            names.append(writer.variable("branch"))
            writer.line(f"{names[-1]} = {x}")
            writer.layer(child, f"{path}.{name}", names[-1])
    return names


def concatenate(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the branches, and lay what they give side by side."""
    assert isinstance(layer, layers.Concatenate)
    names = branches(writer, layer, path, x)
    writer.line(f"{x} = np.concatenate([{', '.join(names)}], axis={int(layer.axis)})")


def add(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the branches, and the sum of what they give."""
    writer.line(f"{x} = {' + '.join(branches(writer, layer, path, x))}")


def graph(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the nodes in their order, each into a variable of its own."""
    assert isinstance(layer, layers.Graph)
    names = [writer.variable("value")]
    writer.line(f"{names[0]} = {x}")
    with writer.inside():
        for i, (what, inputs, *axis) in enumerate(layer.nodes, start=1):
            taken = [names[j] for j in inputs]
            y = writer.variable("value")
            names.append(y)
            if isinstance(what, Layer):
                writer.line(f"{y} = {taken[0]}")
                writer.layer(what, f"{path}.{i}" if path else str(i), y)
            elif what == "concatenate":
                along = int(axis[0]) if axis else -1
                writer.line(f"{y} = np.concatenate([{', '.join(taken)}], axis={along})")
            else:
                sign = {"add": " + ", "multiply": " * ", "matmul": " @ "}[what]
                writer.line(f"{y} = {sign.join(taken)}")
    writer.line(f"{x} = {names[-1]}")


def bidirectional(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the layer that reads ahead, its twin that reads from the end, and their joining."""
    assert isinstance(layer, layers.Bidirectional)
    back = writer.variable("back")
    writer.line(f"{back} = {x}[:, ::-1]")
    with writer.inside():
        writer.layer(layer.layer, f"{path}.layer", x)
        writer.layer(layer.twin, f"{path}.twin", back, ", from the end")
    turned = f"{back}[:, ::-1]" if layer.layer.all_steps else back
    writer.line(f"{x} = np.concatenate([{x}, {turned}], axis=-1)")


def attention(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write attention, and what becomes of padding."""
    assert isinstance(layer, layers.MultiHeadAttention)
    real = "" if layer.padding is None else _real(writer, x, layer.padding)
    attend(writer, layer, path, x, real)
    _leave_padding(writer, x, real, layer.padding)


def attend(writer: Writer, layer: layers.MultiHeadAttention, path: str, x: str, real: str) -> None:
    """Write the call of attention; ``real`` names the variable with the real steps, if any."""
    names = ["weights", "output_weights", *(["biases", "output_biases"] if layer.bias else [])]
    words = [x, *(writer.array(path, name, getattr(layer, name)) for name in names)]
    options = {
        "heads": layer.heads,
        "key_value_heads": layer.key_value_heads,
        "causal": bool(layer.causal),
        "rotary": layer.positions == "rotary",
    }
    named = {"real": real} if real else {}
    writer.call(x, functions.attention, *words, named=named, **options)


def _real(writer: Writer, x: str, padding: float) -> str:
    real = writer.variable("real")
    writer.call(real, functions.real_steps, x, padding=padding)
    return real


def _leave_padding(writer: Writer, x: str, real: str, padding: float | None) -> None:
    if real:
        writer.line(f"{x} = np.where({real}[..., None], {x}, {float(padding or 0)!r})")


def transformer_block(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the block's two parts, each beside a path that passes it by."""
    assert isinstance(layer, layers.TransformerBlock)
    real = "" if layer.padding is None else _real(writer, x, layer.padding)
    part = writer.variable("part")
    writer.line(f"{part} = {x}")
    with writer.inside():
        writer.layer(layer.norm_1, f"{path}.norm_1", part)
        writer.comment(one_line(layer.attention))
        attend(writer, layer.attention, f"{path}.attention", part, real)
        writer.line(f"{x} = {x} + {part}")
        writer.line(f"{part} = {x}")
        writer.layer(layer.norm_2, f"{path}.norm_2", part)
        sequential(writer, layer.net, f"{path}.net", part)
        writer.line(f"{x} = {x} + {part}")
    _leave_padding(writer, x, real, layer.padding)


def gelu(writer: Writer, layer: Layer, path: str, x: str) -> None:
    """Write the call of one of the two forms."""
    assert isinstance(layer, layers.GELU)
    writer.call(x, functions.gelu if layer.approximate == "none" else functions.gelu_tanh, x)


def _along(layer: Any, value: Any) -> Any:
    """Return a pair (along height, along width); for sequences the second of it alone."""
    return value if layer.axes == 2 else value[1]


def _convolution(layer: Any) -> dict[str, Any]:
    pads = layer._pads
    if isinstance(pads, str):
        pads = (None, None) if pads == "same" else (0, 0)
    settings = {"stride": layer._stride, "padding": pads, "dilation": layer._dilation}
    return {n: _along(layer, v) for n, v in settings.items()} | {"groups": int(layer.groups)}


def _pooling(layer: Any) -> dict[str, Any]:
    settings = {"kernel": layer._kernel, "stride": layer._stride, "padding": layer._padding}
    return {n: _along(layer, v) for n, v in settings.items()}


def _average(layer: Any) -> dict[str, Any]:
    return _pooling(layer) | {"count_padding": bool(layer.count_padding)}


def _adaptive(layer: Any) -> dict[str, Any]:
    return {"output_size": _along(layer, layer._output)}


def _register_ours() -> None:
    """Enter our own layers."""
    linear = ["weights", "biases"]
    gates = ["weights", "recurrent_weights", "biases"]
    steps = ["all_steps", "padding"]
    affine = ["scale", "shift"]

    register(layers.ReLU, functions.relu)
    register(layers.LeakyReLU, functions.leaky_relu, settings=["slope"])
    register(layers.ELU, functions.elu, settings=["alpha"])
    register(layers.SiLU, functions.silu)
    register(layers.Softplus, functions.softplus)
    register(layers.Sigmoid, functions.sigmoid)
    register(layers.Softmax, functions.softmax)
    register(layers.LogSoftmax, functions.log_softmax)
    register(layers.Linear, functions.linear, linear)
    register(layers.Embedding, functions.embedding, ["weights"], ["padding"])
    register(layers.LearnedPositions, functions.add_positions, ["table"])
    register(layers.Flatten, functions.flatten)
    register(layers.Reshape, functions.reshape, settings=["shape"])
    register(layers.Slice, functions.part, settings=["axis", "start", "stop", "step"])
    register(layers.Pad, functions.pad, settings=["widths", "value"])
    register(layers.Rescale, functions.rescale, settings=["scale", "shift"])
    register(layers.Scale, functions.scale_channels, affine)
    register(layers.Conv1d, functions.conv1d, linear, _convolution)
    register(layers.Conv2d, functions.conv2d, linear, _convolution)
    register(
        layers.ConvTranspose2d, functions.conv_transpose2d, linear,
        lambda layer: _convolution(layer) | {"output_padding": layer._more},
    )  # fmt: skip
    register(layers.MaxPool1d, functions.max_pool1d, settings=_pooling)
    register(layers.MaxPool2d, functions.max_pool2d, settings=_pooling)
    register(layers.AvgPool1d, functions.avg_pool1d, settings=_average)
    register(layers.AvgPool2d, functions.avg_pool2d, settings=_average)
    register(layers.AdaptiveAvgPool1d, functions.adaptive_avg_pool1d, settings=_adaptive)
    register(layers.AdaptiveAvgPool2d, functions.adaptive_avg_pool2d, settings=_adaptive)
    register(layers.GlobalAvgPool, functions.global_avg_pool)
    register(
        layers.BatchNorm,
        functions.batch_norm,
        ["running_mean", "running_variance", *affine],
        ["epsilon"],
    )
    register(layers.LayerNorm, functions.layer_norm, affine, ["epsilon"])
    register(layers.RMSNorm, functions.rms_norm, ["scale"], ["epsilon"])
    register(layers.GroupNorm, functions.group_norm, affine, ["groups", "epsilon"])
    register(layers.RNN, functions.rnn, gates, ["activation", *steps])
    register(layers.GRU, functions.gru, [*gates, "recurrent_biases"], steps)
    register(layers.LSTM, functions.lstm, gates, steps)
    RULES.update(
        {
            layers.Tanh: tanh,
            layers.GELU: gelu,
            layers.Transpose: transpose,
            layers.Dropout: does_nothing,
            layers.SpatialDropout: does_nothing,
            layers.Sequential: sequential,
            layers.Residual: residual,
            layers.Concatenate: concatenate,
            layers.Add: add,
            layers.Graph: graph,
            layers.Bidirectional: bidirectional,
            layers.MultiHeadAttention: attention,
            layers.TransformerBlock: transformer_block,
        }
    )


_register_ours()
