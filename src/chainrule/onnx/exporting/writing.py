"""From a model to the file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.interop.extras import needs
from chainrule.model import Model
from chainrule.onnx.exporting.answers import METHODS, answer_of
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import unsupported
from chainrule.onnx.exporting.value import Dim, Value
from chainrule.storage import one_line, write_atomically

__all__ = ["export"]

OPSET = 18  # of December 2022: the first that is the same to this day in all that we use
MOST_BYTES = 2**31 - 2**20  # a file of protocol buffers ends at 2 GB
TYPES = ("float16", "float32", "float64")


def export(
    model: Model,
    path: str | os.PathLike[str],
    input_shape: int | Sequence[int | None],
    *,
    channels_first: bool = False,
    method: str = "predict",
    dtype: DTypeLike | None = None,
    opset: int = OPSET,
    input_name: str = "input",
    output_name: str = "output",
) -> None:
    """Write a model as an ONNX file, for other programs to run.

    Any number of samples can be given to the graph. It computes as the model predicts: nothing is
    dropped out, normalisation uses the running statistics. The model stays as it is.

    Parameters
    ----------
    model : Model
    path : path
        The file, written whole or not at all.
    input_shape : int or sequence of int or None
        The shape of one sample. A length that is None is left open, as the number of steps of a
        sequence: ``(None, 16)``.
    channels_first : bool
        Whether inputs, and outputs that still have places, are (samples, channels, ...), as in
        PyTorch; by default (samples, ..., channels), as the model has them.
    method : {"predict", "predict_proba", "predict_classes"}
        Which method of the model the graph answers as.
    dtype : dtype, optional
        The float type of the graph; that of the model by default.
    opset : int
        The version of ONNX's operators, at least 18.
    input_name, output_name : str
        What runtimes call the input and the output.

    Raises
    ------
    ModuleNotFoundError
        If ``onnx`` is not installed.
    OSError
        If the file cannot be written; what was there before is still there.
    TypeError
        If ``model`` is no Model, or its loss has no classes to answer with.
    ValueError
        If the model has layers without a converter (the message lists them all), the shape does
        not fit, a parameter is NaN, or an option is none of those above.

    Notes
    -----
    Names in the file: parameters have the model's (``"0.weights"``), nodes begin with the path of
    their layer (``"0.Conv"``). ``model.metadata`` is in the file's metadata as JSON.

    Examples
    --------
    >>> import tempfile, os
    >>> import chainrule.onnx
    >>> from chainrule import Conv2d, Flatten, Linear, MaxPool2d, Model, ReLU, SoftmaxCrossEntropy
    >>> layers = [Conv2d(1, 4, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(36, 10)]
    >>> model = Model(layers, SoftmaxCrossEntropy())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.onnx")
    ...     chainrule.onnx.export(model, path, (8, 8, 1), channels_first=True)
    ...     import onnx
    ...     [node.op_type for node in onnx.load(path).graph.node]
    ['Conv', 'Relu', 'MaxPool', 'Flatten', 'Gemm']
    """
    with needs("chainrule.onnx", "onnx", "'chainrule[onnx]'"):
        import onnx  # noqa: F401  # so that a missing one is told before any work

    if not isinstance(model, Model):
        raise TypeError(f"onnx.export: needs a chainrule.Model, got {type(model).__name__}.")
    if method not in METHODS:
        raise ValueError(
            f"onnx.export: method must be one of {', '.join(METHODS)}, got {method!r}."
        )
    _check_opset(opset)
    _check_names(input_name, output_name)
    shape = _sample_shape(input_shape)
    try:
        _check_layers(model)
        net = _copy(model, dtype)
        graph, x, y = _converted(net, shape, input_name, output_name, channels_first)
        y = answer_of(graph, net.cost, y, method)
        many = channels_first and len(y.shape) > 2 and method != "predict_classes"
        y = graph.channels_first(y) if many else graph.natural(y)
        content = _content(_document(net, graph, x, y, output_name, opset))
    except RecursionError:
        raise ValueError("onnx.export: the layers are nested too deeply.") from None
    write_atomically(path, content)


def _converted(
    net: Model, shape: tuple[Dim, ...], input_name: str, output_name: str, channels_first: bool
) -> tuple[Graph, Value, Value]:
    """Return the graph of the net, its input and its output."""
    lengths = _output_lengths(net, shape)
    graph = Graph(net.dtype, taken=[input_name, output_name])
    kind = np.dtype(np.int64) if net._net.takes_integers else net.dtype
    order = tuple(range(len(shape)))
    if channels_first and len(shape) > 2:
        order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    x = Value(input_name, shape, order, kind)
    y = graph.convert(net._net, x)
    _check_output(y, lengths)
    return graph, x, y


# -- what is asked for --------------------------------------------------------------------------


def _check_opset(opset: int) -> None:
    from onnx import defs

    newest = defs.onnx_opset_version()
    if not isinstance(opset, (int, np.integer)) or not OPSET <= opset <= newest:
        raise ValueError(
            f"onnx.export: opset must be a whole number from {OPSET} to {newest}, the newest that "
            f"the onnx installed here knows, got {opset!r}."
        )


def _sample_shape(given: int | Sequence[int | None]) -> tuple[Dim, ...]:
    """Return the shape of the input, with names for the lengths that are left open."""
    lengths = [given] if isinstance(given, (int, np.integer)) or given is None else given
    sound = isinstance(lengths, Sequence) and not isinstance(lengths, str)
    if not sound or not all(
        n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1)
        for n in lengths
    ):
        raise ValueError(
            "onnx.export: input_shape is the shape of one sample: whole numbers, at least 1, or "
            f"None for a length that is left open, got {given!r}."
        )
    names = {1: ["steps"], 2: ["steps"], 3: ["height", "width"]}.get(len(lengths), [])
    open_lengths = [*names, *(f"length_{i}" for i in range(len(names), len(lengths)))]
    return ("samples", *(
        name if n is None else int(n) for n, name in zip(lengths, open_lengths, strict=True)
    ))  # fmt: skip


def _check_names(input_name: str, output_name: str) -> None:
    for name in (input_name, output_name):
        try:
            sound = bool(name) and bool(name.encode())
        except (AttributeError, UnicodeEncodeError):
            sound = False
        if not sound:
            raise ValueError(f"onnx.export: a name must be a text that is not empty, got {name!r}.")
    if input_name == output_name:
        raise ValueError(f"onnx.export: input and output are both called {input_name!r}.")


def _check_layers(model: Model) -> None:
    without = unsupported(model._net)
    if without:
        raise ValueError(
            f"onnx.export: no converter for {', '.join(without)}. Write one for each class: "
            "@chainrule.onnx.converter(TheLayer) over a function (graph, layer, x)."
        )


def _copy(model: Model, dtype: DTypeLike | None) -> Model:
    """Return a copy that can be run without changing the model."""
    wanted = model.dtype if dtype is None else np.dtype(dtype)
    if wanted.name not in TYPES:
        raise ValueError(f"onnx.export: the float type must be one of {', '.join(TYPES)}, "
                         f"got {wanted.name}.")  # fmt: skip
    size = sum(array.size for _, array in model.named_parameters()) * wanted.itemsize
    if size > MOST_BYTES:
        raise ValueError(
            f"onnx.export: {size / 1e9:.1f} GB of parameters are too many: an ONNX file ends at "
            "2 GB. Use a smaller float type, as dtype='float16'."
        )
    with np.errstate(over="ignore"):
        net = model.astype(wanted)
    given = dict([*model.named_parameters(), *model.named_state()])
    for name, array in [*net.named_parameters(), *net.named_state()]:
        if np.isnan(array).any():
            raise ValueError(
                f"onnx.export: {name} holds NaN: every answer would be NaN too. "
                "Load the model from before its training diverged."
            )
        if np.isinf(array).any() and not np.isinf(given[name]).any():
            raise ValueError(f"onnx.export: {name} holds values too large for {wanted.name}.")
    return net


def _output_lengths(net: Model, shape: tuple[Dim, ...]) -> tuple[int, ...]:
    """Run a sample of zeros, so that a shape that does not fit is told in the layer's words."""
    if all(isinstance(n, int) for n in shape[1:]):
        return _run(net, [int(n) for n in shape[1:]])
    open_lengths = sum(not isinstance(n, int) for n in shape[1:])
    longer = [128, 256, 512, 1024] if open_lengths == 1 else [128, 256]
    why: ValueError | None = None
    for n in [*range(1, 65), *longer]:  # the shortest that the net takes
        try:
            return _run(net, [dim if isinstance(dim, int) else n for dim in shape[1:]])
        except ValueError as error:
            why = error
    raise ValueError(
        f"onnx.export: the net takes no sample in which the open lengths are {longer[-1]}, or "
        f"shorter: give numbers in input_shape. {why}"
    ) from None


def _run(net: Model, sample: Sequence[int]) -> tuple[int, ...]:
    kind = np.dtype(np.int64) if net._net.takes_integers else net.dtype
    with np.errstate(all="ignore"):
        return net.predict(np.zeros((1, *sample), kind)).shape


def _check_output(y: Value, lengths: tuple[int, ...]) -> None:
    fits = len(y.shape) == len(lengths) and all(
        isinstance(ours, str) or ours == theirs
        for ours, theirs in zip(y.shape[1:], lengths[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"onnx.export: the graph ends in shape {y.shape}, the model in {lengths}: a converter "
            "gives its output a wrong shape."
        )


# -- the file -----------------------------------------------------------------------------------


def _document(net: Model, graph: Graph, x: Value, y: Value, output_name: str, opset: int) -> Any:
    from onnx import helper, numpy_helper

    import chainrule

    nodes, arrays = graph.finish(y, output_name)
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    proto = helper.make_graph(
        nodes, "chainrule", [_information(x, x.name)], [_information(y, output_name)], constants,
        doc_string=repr(net),
    )  # fmt: skip
    versions = [helper.make_opsetid("", int(opset))]
    document = helper.make_model(
        proto, opset_imports=versions, producer_name="chainrule",
        producer_version=chainrule.__version__,
        ir_version=helper.find_min_ir_version_for(versions),
    )  # fmt: skip
    about = {"cost": repr(net.cost), "metadata": json.dumps(net.metadata, default=str)}
    helper.set_model_props(document, about)
    return document


def _information(value: Value, name: str) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.dims)


def _content(document: Any) -> bytes:
    from onnx import checker, shape_inference

    try:
        checker.check_model(document, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise ValueError(
            f"onnx.export: a converter made what is no valid ONNX: {one_line(error)}"
        ) from error
    content: bytes = document.SerializeToString(deterministic=True)
    return content
