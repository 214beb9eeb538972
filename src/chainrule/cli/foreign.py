"""Models from ONNX files: those of others say nothing of how their inputs were prepared."""

import copy
import math
from pathlib import Path

import numpy as np

from chainrule.cli.classes import is_yes_no
from chainrule.cli.preparation import Preparation
from chainrule.layers import Reshape
from chainrule.model import Model

__all__ = ["load_onnx"]


def load_onnx(path: Path) -> Model:
    """Load an ONNX file. One of others takes its samples as they are.

    Our own exporter writes into the file how inputs are prepared, and that comes back with it.
    """
    import chainrule.onnx

    model: Model = chainrule.onnx.load(path)
    if "preparation" in model.metadata:
        if not model.cost.has_classes and Preparation.of(model, path).names:
            model = chainrule.onnx.load(path, logits=True)  # it ends in a sigmoid: yes or no
        return model
    told = model.metadata["onnx"]
    shape = told["input_shape"][1:]
    if not shape or not all(isinstance(n, int) for n in shape) or math.prod(shape) > 1 << 24:
        return model  # lengths that only the data settle: for a program
    if len(shape) > 1:  # the command hands samples on flat
        layers = [Reshape(shape), *copy.deepcopy(model.layers)]
        flat = Model(layers, copy.deepcopy(model.cost), dtype=model.dtype)
        flat.metadata = model.metadata
        model = flat
    outputs = model.predict(np.zeros((1, math.prod(shape)), model.dtype))
    regression = not model.cost.has_classes and outputs.shape == (1, 1)
    if not regression and (outputs.ndim != 2 or not model.cost.has_classes):
        return model
    count = 2 if is_yes_no(model.cost, outputs.shape[1]) else outputs.shape[1]
    names = told.get("classes") or range(count)
    Preparation(
        data="unknown data", sample_shape=shape, mean=0.0, deviation=1.0, maximum=1.0, margin=None,
        names=[] if regression else [str(name) for name in names],
        target_deviation=1.0 if regression else None,
    ).into(model)  # fmt: skip
    return model
