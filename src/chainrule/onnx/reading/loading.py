"""The door: from a file to a model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.layer import Layer
from chainrule.losses import Loss
from chainrule.model import Model
from chainrule.onnx.reading.files import File, Node, read_file
from chainrule.onnx.reading.operators import FAMILIES
from chainrule.onnx.reading.reader import Problem, Reader, first_value
from chainrule.onnx.reading.structure import layers_of, needed
from chainrule.onnx.reading.tail import OURS, chosen_output, fitting_loss, own_loss, without_link
from chainrule.onnx.reading.values import UnsupportedError, Value
from chainrule.storage import one_line

__all__ = ["UnsupportedOperatorsError", "build", "load"]

LONGEST = 900  # characters of an error's line
_ = FAMILIES  # imported so that they register their operators


class UnsupportedOperatorsError(ValueError):
    """A graph has operators that no layer computes.

    Attributes
    ----------
    operators : list of (str, str, str)
        All of them: operator, where it stands, and the reason.
    """

    def __init__(self, message: str, operators: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(message)
        self.operators = list(operators)


def load(
    path: str | os.PathLike[str],
    *,
    cost: Loss | None = None,
    logits: bool = False,
    output: str | None = None,
    channels_last_input: bool = False,
    samples_axis: int | None = 0,
    constants: Mapping[str, ArrayLike] | None = None,
    dtype: DTypeLike | None = None,
    seed: int | np.random.Generator = 0,
) -> Model:
    """Read an ONNX file as a model that predicts the same, and can be trained on.

    Nothing in the file is executed. ``model.metadata["onnx"]`` says what the file says of itself:
    its producer, the name and shape of the input, and the names of the classes.

    Parameters
    ----------
    path : path
        The file; weights that lie beside it are read too.
    cost : Loss, optional
        The loss. By default the one that fits what the net ends in: ``CrossEntropy`` after a
        softmax, ``SoftmaxCrossEntropy`` for several numbers a sample, ``MeanSquaredError`` else.
    logits : bool
        Leave out a softmax or sigmoid at the end, and train on what stands before it, which is
        better for training: ``predict_proba`` then is what the file's ``predict`` was.
    output : str, optional
        The name of the value to predict, where the graph has several outputs.
    channels_last_input : bool
        The model takes images with the channels last, as all our layers do. By default it takes
        just what the file takes, and begins with a ``Transpose``.
    samples_axis : int or None
        Which axis of the file's input is the samples. The model has them first in any case. None
        for a graph that is for one sample, and has no such axis.
    constants : dict of str to array, optional
        Values for all inputs of the graph but the first, where there are several.
    dtype : dtype, optional
        Of the model; that of the graph's output by default.
    seed : int or numpy.random.Generator
        Draws what is random in training, as dropout.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If onnx is not installed: ``pip install 'chainrule[onnx]'``.
    UnsupportedOperatorsError
        If operators have no counterpart among the layers: a ValueError that lists all of them.
    ValueError
        If the file is damaged, or an argument does not fit it.

    Warns
    -----
    UserWarning
        If weights are used in several places of the graph: each place has a copy of its own, and
        training moves them apart.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> from onnx import helper, numpy_helper, save
    >>> import chainrule.onnx
    >>> weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    >>> graph = helper.make_graph(
    ...     [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])],
    ...     "net",
    ...     [helper.make_tensor_value_info("x", 1, ["n", 2])],
    ...     [helper.make_tensor_value_info("y", 1, ["n", 3])],
    ...     [numpy_helper.from_array(weights, "w")],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "net.onnx")
    ...     opset = [helper.make_opsetid("", 20)]
    ...     save(helper.make_model(graph, opset_imports=opset, ir_version=9), file)
    ...     model = chainrule.onnx.load(file)
    >>> model
    Model([
        Linear(2, 3, bias=False),
        ReLU(),
    ], SoftmaxCrossEntropy())
    >>> model.predict(np.array([[1.0, -1.0], [0.0, 1.0]]))
    array([[0., 0., 0.],
           [4., 5., 6.]], dtype=float32)
    """
    return build(
        read_file(path), cost=cost, logits=logits, output=output,
        channels_last_input=channels_last_input, samples_axis=samples_axis, constants=constants,
        dtype=dtype, seed=seed,
    )  # fmt: skip


def build(
    file: File,
    *,
    cost: Loss | None = None,
    logits: bool = False,
    output: str | None = None,
    channels_last_input: bool = False,
    samples_axis: int | None = 0,
    constants: Mapping[str, ArrayLike] | None = None,
    dtype: DTypeLike | None = None,
    seed: int | np.random.Generator = 0,
) -> Model:
    """Return the model of a file that was read; the arguments are those of :func:`load`."""
    with np.errstate(all="ignore"):  # numbers in a file may be anything
        return _built(
            file, cost, logits, output, channels_last_input, samples_axis, constants, dtype, seed
        )


def _built(
    file: File,
    cost: Loss | None,
    logits: bool,
    output: str | None,
    channels_last_input: bool,
    samples_axis: int | None,
    constants: Mapping[str, ArrayLike] | None,
    dtype: DTypeLike | None,
    seed: int | np.random.Generator,
) -> Model:
    file = _with_one_input(file, constants)
    name, classes = chosen_output(file, output)
    try:
        net, value = first_value(file.inputs[0], samples_axis, channels_last_input)
    except ValueError as error:
        raise ValueError(f"{file.path}: {one_line(error)}.") from error
    kind = np.dtype(_wide(file, name) if dtype is None else dtype)
    reader = Reader(file, value, net, {}, kind)
    y, at = _read(reader, name)
    layers = layers_of(net, y.step)
    if not logits:
        loss = own_loss(file, layers) or fitting_loss(layers, y.shape, file.producer)
    else:
        layers, found = without_link(layers)
        loss = found or fitting_loss(layers, y.shape, file.producer)
    model = _model(file, layers, cost or loss, kind, seed)
    model.metadata = {**_own(file), "onnx": _told(file, name, at, classes)}
    # Exporters write equal vectors once, as the biases of 0 of several layers: that is no sharing.
    copied = sorted(
        name
        for name, times in reader.taken.items()
        if times > 1 and sum(n > 1 for n in np.shape(file.constants.get(name, 0))) > 1
    )
    if copied:
        warnings.warn(
            f"{file.path}: {one_line(', '.join(copied), 200)} are used in several places. Each has "
            "a copy of its own, which training moves apart.",
            stacklevel=4,
        )
    return model


def _with_one_input(file: File, constants: Mapping[str, ArrayLike] | None) -> File:
    """Return the file with all inputs but one as constants."""
    given = {name: np.asarray(value) for name, value in (constants or {}).items()}
    names = [each.name for each in file.inputs]
    unknown = sorted(set(given) - set(names))
    left = [each for each in file.inputs if each.name not in given]
    if unknown:
        raise ValueError(
            f"{file.path}: there is no input {unknown[0]!r}; the inputs are "
            f"{one_line(', '.join(names))}."
        )
    if len(left) != 1:
        raise ValueError(
            f"{file.path}: a model has one input, and the graph has {len(left)}: "
            f"{one_line(', '.join(each.name for each in left)) or 'none'}. Give the others as "
            "constants={NAME: ARRAY}."
        )
    if left[0].kind not in ("float", "whole"):
        raise ValueError(f"{file.path}: the input {one_line(left[0].name)!r} is no numbers.")
    return File(
        file.path, file.producer, file.nodes, {**file.constants, **given}, left, file.outputs,
        file.metadata,
    )  # fmt: skip


def _wide(file: File, name: str) -> str:
    """Return the float type of the output; where it is not told, of the input."""
    told = [each for each in (*file.outputs, *file.inputs) if each.kind == "float"]
    found = next((each for each in told if each.name == name), told[0] if told else None)
    return "float64" if found is not None and found.wide else "float32"


def _read(reader: Reader, name: str) -> tuple[Value, int | None]:
    """Return the output as (samples, ...), and on which axis the file has the samples.

    Or say what cannot be read.
    """
    path = reader.file.path
    try:
        value = reader.read(name)
    except ValueError as error:
        raise ValueError(f"{path}: {one_line(error)}.") from error
    problems = list(reader.problems)
    if not problems:
        steps = [reader.net.steps[i] for i in needed(reader.net, value.step)]
        problems = [step.problem for step in steps if step.problem is not None]  # type: ignore[misc]  # a Problem
    if problems:
        raise _unsupported(reader.file, problems)
    at = next((i for i, axis in enumerate(value.axes) if axis == (0,)), None)
    if at is None and () in value.axes and () in reader.file_axes:
        at = value.axes.index(())  # the axis of the one sample that the graph is for
    try:
        others = [value.inner(i) for i in range(value.rank) if i != at]
        step = reader.net.arranged(value, others or [()])
    except UnsupportedError as error:
        raise ValueError(
            f"{path}: the output {one_line(name, 80)!r}: {one_line(error)}."
        ) from error
    sizes = reader.net.steps[step].sizes
    return Value(step, sizes, tuple((i,) for i in range(len(sizes)))), at


def _unsupported(file: File, problems: Sequence[Problem]) -> UnsupportedOperatorsError:
    """Return the error that lists all operators that cannot be read, each with its reason."""
    told = [(_name(node), node.place, reason) for node, reason in problems]
    places: dict[tuple[str, str], list[str]] = {}
    for name, place, reason in told:
        places.setdefault((name, reason), []).append(place)
    for shown in (1000, 3, 1):
        words = [
            f"{name} at {', '.join(where[:shown])}"
            + (f" and {len(where) - shown} more" if len(where) > shown else "")
            + f": {reason}"
            for (name, reason), where in places.items()
        ]
        if len("; ".join(words)) <= LONGEST:
            break
    else:  # then without the reasons
        names: dict[str, int] = {}
        for name, _, _ in told:
            names[name] = names.get(name, 0) + 1
        words = [f"{name} ({times} times)" for name, times in names.items()]
    text = one_line("; ".join(words), LONGEST)
    return UnsupportedOperatorsError(f"{file.path} has what no layer computes: {text}.", told)


def _name(node: Node) -> str:
    return node.op if node.domain == "ai.onnx" else f"{node.domain}.{node.op}"


def _model(
    file: File, layers: list[Layer], cost: Loss, dtype: np.dtype[Any],
    seed: int | np.random.Generator,
) -> Model:  # fmt: skip
    try:
        return Model(layers, cost, dtype=dtype, seed=seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.path}: {one_line(error)}") from error


def _own(file: File) -> dict[str, Any]:
    """Return what a model of ours had as its metadata when it was exported."""
    import json

    if file.producer != OURS:
        return {}
    try:
        found = json.loads(file.metadata.get("metadata", "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _told(
    file: File, output: str, samples_axis: int | None, classes: list[Any] | None
) -> dict[str, Any]:
    first = file.inputs[0]
    told: dict[str, Any] = {
        "producer": file.producer,
        "input": first.name,
        "input_shape": list(first.shape or ()),
        "output": output,
        "output_samples_axis": samples_axis,
    }
    return told if classes is None else {**told, "classes": classes}
