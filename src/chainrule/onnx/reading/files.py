"""A file as a graph: read, checked, and in our words. Nothing in it is ever executed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.interop.extras import needs
from chainrule.layer import Array
from chainrule.storage import one_line

__all__ = ["FLOATS", "WHOLE", "File", "Node", "Tensor", "read_file", "read_graph"]

# More than any real net has; a graph made of such numbers is an attack.
MOST_NODES = 100_000

# The types of elements, by number (onnx.TensorProto): what kind of value they make.
FLOATS = {1: "float32", 10: "float16", 11: "float64"}
WHOLE = {2, 3, 4, 5, 6, 7, 12, 13}
BOOL = 9


@dataclass(frozen=True)
class Node:
    """An operator in the graph.

    Attributes
    ----------
    op, domain, name : str
    number : int
        Its place in the file, from 1.
    version : int
        Of the set of operators that it is from.
    inputs, outputs : tuple of str
        Names of values; "" for one that is left out.
    attributes : dict
    """

    op: str
    domain: str
    name: str
    number: int
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"node {self.number}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph: its name, kind and shape; None for unknown lengths."""

    name: str
    kind: str
    shape: tuple[int | str | None, ...] | None
    wide: bool = False  # float64


@dataclass(frozen=True)
class File:
    """What a file holds."""

    path: Path
    producer: str
    nodes: list[Node]
    constants: dict[str, Array]
    inputs: list[Tensor]
    outputs: list[Tensor]
    metadata: dict[str, str]


def read_file(path: str | os.PathLike[str]) -> File:
    """Read an ONNX file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or no ONNX file.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the .onnx file inside it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file.")
    with needs("chainrule.onnx", "onnx", "'chainrule[onnx]'"):
        import onnx
        from onnx import external_data_helper

    with _damage(path):
        model = onnx.ModelProto()
        model.ParseFromString(path.read_bytes())
        if not model.graph.node and not model.graph.output:
            raise ValueError("there is no graph in it")
        _check_beside(model, path.parent)
        # Weights that lie beside the file: onnx refuses names that lead out of the folder.
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    return read_graph(model, path)


def _check_beside(model: Any, folder: Path) -> None:
    """Refuse a file of which a thousand weights are each all of a large file beside it."""
    files: dict[str, int] = {}
    total = 0
    attributes = (a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))
    for tensor in (*model.graph.initializer, *attributes):
        told = {entry.key: entry.value for entry in tensor.external_data}
        if not told:
            continue
        name = told.get("location", "")
        path = folder / name
        files[name] = path.stat().st_size if path.is_file() else 0
        total += min(int(told.get("length") or files[name]), files[name])
    if total > 2 * sum(files.values()):
        raise ValueError("its weights are more than the files beside it hold")


def read_graph(model: Any, path: Path) -> File:
    """Return what a ``ModelProto`` holds.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    from onnx import checker, inliner, numpy_helper

    with _damage(path):
        entries = [_tensor(each) for each in model.graph.input]
        outputs = [_tensor(each) for each in model.graph.output]
        for each in (*model.graph.input, *model.graph.output):
            if each.type.HasField("tensor_type"):  # the checker wants a shape, other readers none
                each.type.tensor_type.shape.SetInParent()
        checker.check_model(model)
        if model.functions:
            _check_functions(model)
            model = inliner.inline_local_functions(model)
        graph = model.graph
        if len(graph.node) > MOST_NODES:
            raise ValueError(f"it has {len(graph.node):,} operators")
        if graph.sparse_initializer:
            raise ValueError("it has sparse weights, which chainrule does not read")
        constants = {
            each.name: np.asarray(numpy_helper.to_array(each)) for each in graph.initializer
        }
        versions = {each.domain or "ai.onnx": each.version for each in model.opset_import}
        nodes = [_node(i, each, versions) for i, each in enumerate(graph.node, start=1)]
        inputs = [each for each in entries if each.name not in constants]
        metadata = {each.key: each.value for each in model.metadata_props}
        return File(path, model.producer_name, nodes, constants, inputs, outputs, metadata)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    from google.protobuf.message import DecodeError
    from onnx import checker

    try:
        yield
    except (
        DecodeError, checker.ValidationError, ArithmeticError, AttributeError, LookupError,
        RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{path} is damaged, or no ONNX file that can be read: {one_line(error)}"
        ) from error


def _check_functions(model: Any) -> None:
    """Refuse functions that call themselves, or that would unfold into far too many nodes."""
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Sequence[Any], above: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key not in functions:
                total += 1
                continue
            if key in above or len(above) > 50:
                raise ValueError(f"the function {node.op_type} calls itself")
            if key not in sizes:
                sizes[key] = size(functions[key].node, (*above, key))
            total += sizes[key]
        return total

    if size(model.graph.node, ()) > MOST_NODES:
        raise ValueError("its functions unfold into too many operators")


def _node(number: int, node: Any, versions: dict[str, int]) -> Node:
    from onnx import helper, numpy_helper

    attributes = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == attribute.TENSOR:
            value = np.asarray(numpy_helper.to_array(value))
        elif isinstance(value, float):
            value = _short(value)
        elif isinstance(value, list) and value and isinstance(value[0], float):
            value = [_short(each) for each in value]
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, list) and value and isinstance(value[0], bytes):
            value = [each.decode(errors="replace") for each in value]
        attributes[attribute.name] = value
    domain = node.domain or "ai.onnx"
    return Node(
        node.op_type, domain, node.name, number, versions.get(domain, 1), tuple(node.input),
        tuple(node.output), attributes,
    )  # fmt: skip


def _short(number: float) -> float:
    """Return a float32 as it was written: 0.1, and not the 0.10000000149 that it is."""
    return float(str(np.float32(number)))


def _tensor(info: Any) -> Tensor:
    if not info.type.HasField("tensor_type"):
        return Tensor(info.name, "other", None)
    tensor = info.type.tensor_type
    kind = (
        "float"
        if tensor.elem_type in FLOATS
        else "whole"
        if tensor.elem_type in WHOLE
        else "bool"
        if tensor.elem_type == BOOL
        else "other"
    )
    shape = None
    if tensor.HasField("shape"):
        # A length of 0 is what some exporters write for "not known".
        shape = tuple(dim.dim_value or dim.dim_param or None for dim in tensor.shape.dim)
    return Tensor(info.name, kind, shape, FLOATS.get(tensor.elem_type) == "float64")
