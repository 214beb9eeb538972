"""Keras's description of a net, as layers of ours."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import layers, losses
from chainrule.keras.chain import Chain, No, lengths_of, named
from chainrule.keras.kinds import RULES
from chainrule.layer import Layer
from chainrule.layers.convolution import Convolution
from chainrule.losses import Loss
from chainrule.storage import one_line

__all__ = ["layers_of", "loss_of"]


def layers_of(chain: Chain, description: Any, path: str = "") -> list[Layer]:
    """Return the layers of a model's description; ``path`` is its part of the file of weights."""
    try:
        name, config = named(description)
        if name not in ("Sequential", "Functional", "Model"):
            raise No("it is no Sequential or functional model of Keras's own")
        parts = config["layers"]
        if not isinstance(parts, list):
            raise No("its description is damaged")
        if name != "Sequential":
            _check_chain(parts, config)
    except (No, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        chain.problems.append(_problem(description, error))
        return []
    found: list[Layer] = []
    counts: dict[str, int] = {}
    for part in parts:
        try:
            kind, options = named(part)
            word = snake(kind)
            number = counts.get(word, 0)
            counts[word] = number + 1
            place = f"{path}{word}_{number}" if number else f"{path}{word}"
            if kind in ("Sequential", "Functional"):
                inner = layers_of(chain, part, f"{place}/layers/")
                found += [layers.Sequential(inner)] if inner else []
            elif kind == "InputLayer":
                shape = options.get("batch_shape")
                chain.lengths = lengths_of(shape[1:-1]) if isinstance(shape, list) else None
            elif kind not in RULES:
                raise No(_why_unknown(kind))
            else:
                made = RULES[kind](chain, options, place)
                for layer in made:
                    _follow(chain, layer)
                found += made
        except (No, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            chain.problems.append(_problem(part, error))
    return found


def _problem(part: Any, error: Exception) -> str:
    name = part.get("class_name") if isinstance(part, dict) else type(part).__name__
    config = part.get("config") if isinstance(part, dict) else None
    own = config.get("name") if isinstance(config, dict) else None
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        said = (
            f"its description is damaged: {f'no {error}' if isinstance(error, KeyError) else error}"
        )
    else:
        said = str(error).rstrip(".")
    return one_line(f"{own} = {name}: {said}" if own else f"{name}: {said}")


def _why_unknown(kind: str) -> str:
    if kind == "Lambda":
        return "it holds Python code, which is never run. Write it as a layer of your own"
    return "there is no such layer here"


def snake(name: str) -> str:
    """Return the name as Keras writes it in files: BatchNormalization is batch_normalization."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _check_chain(parts: list[Any], config: dict[str, Any]) -> None:
    """Say no to a functional model that is more than a chain."""
    before = None
    for part in parts:
        nodes = part["inbound_nodes"]
        sources = [
            tensor["config"]["keras_history"]
            for node in nodes
            for tensor in _tensors([node["args"], node.get("kwargs", {})])
        ]
        first = before is None and part["class_name"] == "InputLayer" and not sources
        if not first and (len(nodes) != 1 or sources != [[before, 0, 0]]):
            raise No("it is no chain, in which each layer takes the output of the one before")
        before = part["name"]
    ends = config.get("output_layers")
    if ends not in ([before, 0, 0], [[before, 0, 0]]):
        raise No("what it puts out is not the output of its last layer")


def _tensors(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of tensors inside the arguments of a call."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value
        else:
            for inner in value.values():
                yield from _tensors(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _tensors(inner)


def _follow(chain: Chain, layer: Layer) -> None:
    """Note the lengths after a layer."""
    lengths = chain.lengths
    if lengths is None:
        return
    if isinstance(layer, Convolution):
        two = [*lengths] if layer.axes == 2 else [1, *lengths]
        if isinstance(layer, layers.ConvTranspose2d):
            steps = layer._output_lengths((1, *two))
        else:
            steps = layer._window(two).steps(two)
        chain.lengths = list(steps[-layer.axes :])
    elif isinstance(layer, (layers.MaxPool2d, layers.AvgPool2d)):
        two = [*lengths] if layer.axes == 2 else [1, *lengths]
        steps = layer._steps(np.broadcast_to(0, (1, *two, 1)))
        chain.lengths = list(steps[-layer.axes :])
    elif isinstance(layer, layers.Reshape):
        chain.lengths = lengths_of(layer.shape[:-1])
    elif isinstance(layer, (layers.Flatten, layers.GlobalAvgPool, layers.Transpose)):
        chain.lengths = None


# What Keras's own short names stand for.
SHORT = {"mae": "mean_absolute_error", "mse": "mean_squared_error"}


def loss_of(description: dict[str, Any], last: Layer) -> Loss:
    """Return the loss that a model was compiled with, if it is one of ours."""
    compiled = description.get("compile_config")
    value: Any = compiled.get("loss") if isinstance(compiled, dict) else None
    config: Any = None
    if isinstance(value, dict):
        value, config = value.get("class_name"), value.get("config")
    config = config if isinstance(config, dict) else {}
    name = snake(str(value))
    name = SHORT.get(name, name)
    logits = bool(config.get("from_logits"))
    try:
        smoothing = float(config.get("label_smoothing") or 0)
        if name in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
            if logits:
                return losses.SoftmaxCrossEntropy(label_smoothing=smoothing)
            if isinstance(last, layers.Softmax):
                return losses.CrossEntropy(label_smoothing=smoothing)
        if name == "binary_crossentropy" and logits:
            return losses.BinaryCrossEntropy(label_smoothing=smoothing)
        if name == "huber":  # Keras does not save its delta, and loads it as 1
            return losses.Huber(float(config.get("delta", 1)))
    except (TypeError, ValueError):  # settings that make no sense
        return losses.MeanSquaredError()
    if name == "mean_absolute_error":
        return losses.MeanAbsoluteError()
    return losses.MeanSquaredError()
