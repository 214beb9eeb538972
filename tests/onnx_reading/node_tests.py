"""The ONNX project's own tests of single operators, run through our reader.

A test of theirs is a graph of one operator, inputs and outputs. The first input is the net's; the
others are constants of the file, as weights are. The model is built by the code of ``load``.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.onnx.reading import build
from chainrule.onnx.reading.files import read_graph
from chainrule.onnx.reading.registry import OPERATORS

RECURRENT = ("GRU", "LSTM", "RNN")


def node_tests() -> Iterator[Any]:
    """Yield their tests of one operator that our reader knows."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow on purpose
        tests = collect_testcases(None)
    for test in tests:
        nodes = test.model.graph.node
        if len(nodes) == 1 and (nodes[0].domain or "ai.onnx", nodes[0].op_type) in OPERATORS:
            yield test


def run(test: Any) -> tuple[str, str]:
    """Return how a test ends, ``"passed"``, ``"first output"`` or ``"refused"``, and why.

    Raises
    ------
    AssertionError
        If numbers are wrong.
    """
    reasons = []
    for axis in axes(test.model.graph.node[0]):
        done = 0
        try:
            for inputs, outputs in test.data_sets:
                wanted = [as_array(y) for y in outputs]
                for i in range(len(wanted)):
                    compare(test, axis, [as_array(x) for x in inputs], i, wanted[i])
                    done += 1
        except ValueError as error:
            listed = getattr(error, "operators", None)
            reasons.append(listed[0][2] if listed else str(error).partition(": ")[2])
            if done:
                return "first output", reasons[-1]
        else:
            return "passed", ""
    return "refused", reasons[0]


def axes(node: Any) -> list[int | None]:
    """Return which axes of the first input may be the samples; None: it is one sample.

    Recurrent operators say which. Others work on any array: on the samples of axis 0 if they act on
    each by itself, else on the whole array as one sample.
    """
    if node.op_type in RECURRENT:
        return [0 if any(a.name == "layout" and a.i for a in node.attribute) else 1]
    return [0, None]


def compare(test: Any, axis: int | None, inputs: list[Any], output: int, wanted: Any) -> None:
    """Compare one output; a ValueError is the reader's, which refuses."""
    file = read_graph(test.model, Path(f"{test.name}.onnx"))
    names = [each.name for each in file.inputs]
    first = 1 if names[:2] == ["data", "indices"] and axis == 0 else 0  # a table, and its rows
    x = np.asarray(inputs[first])
    constants = {n: v for i, (n, v) in enumerate(zip(names, inputs, strict=True)) if i != first}
    if axis is not None and x.ndim <= axis:
        raise ValueError(f"{test.name}: there is no axis {axis}")
    model = build(
        file, constants=constants, output=file.outputs[output].name, samples_axis=axis,
        dtype=np.float64 if x.dtype == np.float64 else np.float32, cost=cr.MeanSquaredError(),
    )  # fmt: skip
    y = model.predict(x[None] if axis is None else np.moveaxis(x, axis, 0))
    back = model.metadata["onnx"]["output_samples_axis"]
    if back is None:  # the graph is for one sample, and has no such axis
        assert len(y) == 1, test.name
        y = y[0]
    else:
        y = np.moveaxis(y, 0, back)
    if y.shape == (*np.shape(wanted), 1):  # a sample of ours has one axis at least
        y = y[..., 0]
    assert y.shape == np.shape(wanted), f"{test.name}: {y.shape}, wanted {np.shape(wanted)}"
    atol = max(test.atol, 1e-6)
    np.testing.assert_allclose(y, wanted, rtol=test.rtol, atol=atol, err_msg=test.name)


def as_array(value: Any) -> Any:
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
