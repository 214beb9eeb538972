"""The way through a graph: each operator in turn becomes steps of the net, or a constant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from chainrule.layer import Array, Layer
from chainrule.layers import Flatten, Reshape, Transpose
from chainrule.onnx.reading.files import File, Node, Tensor
from chainrule.onnx.reading.folding import FOLDS, folded
from chainrule.onnx.reading.lengths import SAMPLES, Dim, Length
from chainrule.onnx.reading.net import Net
from chainrule.onnx.reading.registry import converter_of, known
from chainrule.onnx.reading.values import Constant, Filled, UnsupportedError, Value
from chainrule.storage import one_line

__all__ = ["Problem", "Reader", "first_value"]

Problem = tuple[Node, str]

# How many times as many parameters and constants as the file has a net may have: some are shared.
MOST_COPIES = 100
FEW = 1 << 22


class Reader:
    """Reads the operators of a file, up to one of its values.

    Attributes
    ----------
    net : Net
    dtype : numpy.dtype
        The float type of the parameters.
    values : dict
        What each name stands for, as far as it has been read.
    problems : list of (Node, str)
        What could not be read, and why.
    uses, makers : dict
        Which operators take each name, and which one makes it.
    taken : Counter
        How often each constant of the file has become parameters.
    """

    def __init__(
        self, file: File, value: Value, net: Net, constants: Mapping[str, Array], dtype: DTypeLike
    ) -> None:
        self.file = file
        self.net = net
        self.dtype = np.dtype(dtype)
        self.values: dict[str, Value | Constant | None] = {**file.constants, **constants}
        self.values[""] = None
        self.values[file.inputs[0].name] = value
        self.problems: list[Problem] = []
        self.taken: Counter[str] = Counter()
        self.uses: dict[str, list[Node]] = {}
        self.makers: dict[str, Node] = {}
        self.output = ""
        self.file_axes = value.axes
        size = file.inputs[0].shape
        at = next((i for i, axis in enumerate(value.axes) if axis == (0,)), None)
        number = None if size is None or at is None else size[at]
        # How many samples the graph was made for, if it was for a fixed number of them.
        self.samples = number if isinstance(number, int) else None
        self._failed: set[str] = set()
        self._room = FEW + MOST_COPIES * sum(each.size for each in file.constants.values())
        self._constant_room = self._room
        self._of_file = {id(array): name for name, array in file.constants.items()}

    def read(self, output: str) -> Value:
        """Read what one value needs; return it.

        ``problems`` says afterwards what could not be read: then there is no value.
        """
        self.output = output
        nodes = self._needed(output)
        for node in nodes:
            self.makers.update(dict.fromkeys(node.outputs, node))
            for name in dict.fromkeys(node.inputs):
                self.uses.setdefault(name, []).append(node)
        for node in nodes:
            self._read(node)
        value = self.values.get(output)
        if not isinstance(value, Value) and not self.problems:
            raise ValueError(f"the output {output!r} does not depend on the input")
        return value if isinstance(value, Value) else self.net.input

    # -- what a converter asks for ---------------------------------------------------------------

    def given(self, node: Node, i: int) -> Value | Constant | None:
        """Return an input of an operator; None if it is left out."""
        return self.values[node.inputs[i]] if i < len(node.inputs) else None

    def value(self, node: Node, i: int = 0, kinds: Sequence[str] = ("float",)) -> Value:
        """Return an input that depends on the net's input."""
        value = self.given(node, i)
        if not isinstance(value, Value):
            raise UnsupportedError(f"its input {i + 1} is a constant")
        if value.kind not in kinds:
            kind = {"whole": "whole numbers", "bool": "true and false"}.get(value.kind, value.kind)
            raise UnsupportedError(f"it works on {kind}, and layers on floats")
        return value

    def maker(self, node: Node | None, i: int) -> Node | None:
        """Return the operator that makes an input of an operator."""
        if node is None or i >= len(node.inputs):
            return None
        return self.makers.get(node.inputs[i])

    def constant(self, node: Node, i: int, what: str) -> Array | None:
        """Return an input that must be a constant; None if it is left out."""
        value = self.given(node, i)
        if isinstance(value, (Value, Filled)):
            raise UnsupportedError(f"its {what} are no constant of the file")
        return value

    def parameter(self, node: Node, i: int, what: str) -> Array | None:
        """Return a constant that becomes a parameter of a layer."""
        array = self.constant(node, i, what)
        if array is None:
            return None
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            # bfloat16 and its like, which NumPy does not know itself
            array = array.astype(np.float32)
        name = node.inputs[i]
        self.taken[self._of_file.get(id(self.values[name]), name)] += 1
        self._room -= array.size
        if self._room < 0:
            raise UnsupportedError("the net would have far more parameters than the file")
        return array.astype(self.dtype)

    def numbers(self, node: Node, i: int, attribute: str | None = None) -> list[int] | None:
        """Return whole numbers that are an attribute, or else input ``i``."""
        if attribute is not None and attribute in node.attributes:
            return [int(n) for n in np.ravel(node.get(attribute))]
        array = self.constant(node, i, "numbers")
        if array is None:
            return None
        return [int(_known(n)) for n in array.ravel()]

    def only(self, node: Node, step: int) -> bool:
        """Return whether this operator alone takes what a step makes, by whatever names.

        What only moves its axes is taken for the same.
        """
        same = {step}
        for i, each in enumerate(self.net.steps[step + 1 :], start=step + 1):
            if same & set(each.inputs):
                if not isinstance(each.what, (Flatten, Reshape, Transpose)):
                    return False
                same.add(i)
        names = [n for n, v in self.values.items() if isinstance(v, Value) and v.step in same]
        return all(len(self.uses.get(n, ())) == 1 and n != self.output for n in names) and (
            sum(name in names for name in node.inputs) == 1
        )

    def into_softmax(self, node: Node) -> bool:
        """Return whether softmax alone takes what an operator makes."""
        (name,) = node.outputs
        takers = self.uses.get(name, [])
        softmax = all(taker.op == "Softmax" for taker in takers)
        return bool(takers) and softmax and name != self.output

    def filled(self, layer: Layer, **parameters: Array | None) -> Layer:
        """Return the layer with its parameters set."""
        layer.dtype = self.dtype
        for name, array in parameters.items():
            if array is not None:
                setattr(layer, name, array)
        return layer

    # -- the way through -------------------------------------------------------------------------

    def _needed(self, output: str) -> list[Node]:
        """Return the operators that a value needs, in the order of the file."""
        needed, nodes = {output}, []
        for node in reversed(self.file.nodes):
            if needed & (set(node.outputs) - {""}):
                needed |= set(node.inputs)
                nodes.append(node)
        return nodes[::-1]

    def _read(self, node: Node) -> None:
        if self._failed & set(node.inputs):
            # What comes of something that is not there may be a constant; but this can be told:
            if not known(node) and (node.domain != "ai.onnx" or node.op not in FOLDS):
                self.problems.append((node, "there is no layer for it"))
            self._failed |= set(node.outputs) - {""}
            return
        try:
            inputs = [self.values[name] for name in node.inputs]
            if any(isinstance(each, Value) for each in inputs):
                if not known(node):
                    raise UnsupportedError("there is no layer for it")
                made = converter_of(node)(self, node)
            else:
                made = folded(node, [each for each in inputs if not isinstance(each, Value)])
                # One that doubles its input, forty times in a row, must not fill the memory.
                sizes = [each.size for each in made if isinstance(each, np.ndarray)]
                self._constant_room -= sum(sizes)
                if self._constant_room < 0:
                    raise UnsupportedError("the constants would be far larger than the file")
        except UnsupportedError as error:
            self._fail(node, one_line(error))
            return
        # What an operator says of itself may be anything: a shape that is not there, a word in
        # place of a number.
        except (
            ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError,
        ) as error:  # fmt: skip
            self._fail(node, one_line(f"it makes no sense: {error}", 200))
            return
        outputs = [made] if isinstance(made, (Value, Filled, np.ndarray)) else list(made)
        for i, name in enumerate(node.outputs):
            if not name:
                continue
            if i < len(outputs) and outputs[i] is not None:
                self.values[name] = outputs[i]
            elif name in self.uses or name == self.output:
                self._fail(node, f"its output {i + 1} is taken, and the layer has none such")

    def _fail(self, node: Node, reason: str) -> None:
        self.problems.append((node, reason))
        self._failed |= set(node.outputs) - {""}


def _known(number: object) -> int:
    if isinstance(number, Length):
        raise UnsupportedError(f"a number that is not known before the net runs: {number}")
    return int(number)  # type: ignore[call-overload, no-any-return]  # an element of an array


def first_value(tensor: Tensor, samples_axis: int | None, channels_last: bool) -> tuple[Net, Value]:
    """Return a net that has its input alone, and what the file knows as that input."""
    if tensor.shape is None:
        raise ValueError(f"the file does not tell how many axes the input {tensor.name!r} has")
    rank = len(tensor.shape)
    if samples_axis is not None and not -rank <= samples_axis < rank:
        raise ValueError(
            f"samples_axis={samples_axis}, and the input has {rank} axes: {list(tensor.shape)}"
        )
    at = None if samples_axis is None else samples_axis % rank
    # Two lengths of one name are equal.
    names = [f"axis {i if n is None else repr(n)}" for i, n in enumerate(tensor.shape)]
    dims: list[Dim] = [
        SAMPLES if i == at else n if isinstance(n, int) else Length(1, (names[i],))
        for i, n in enumerate(tensor.shape)
    ]
    if any(isinstance(n, int) and n < 0 for n in dims):
        raise ValueError(f"the shape of the input {tensor.name!r} is {list(tensor.shape)}")
    order = [i for i in range(rank) if i != at]  # of our axes after the samples
    if channels_last:
        if len(order) < 2:
            raise ValueError(
                f"channels_last_input needs an input of at least three axes, and "
                f"{tensor.name!r} has the shape {list(tensor.shape)}"
            )
        order = [*order[1:], order[0]]
    net = Net([SAMPLES, *(dims[i] for i in order)], tensor.kind)
    # A graph for one sample has an axis of length 1 there, and ours are not among its axes at all.
    samples = () if at is not None and tensor.shape[at] == 1 else (0,)
    axes = tuple(samples if i == at else (1 + order.index(i),) for i in range(rank))
    return net, Value(0, net.steps[0].sizes, axes, tensor.kind)
