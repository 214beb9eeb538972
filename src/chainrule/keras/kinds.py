"""For each of Keras's layers, ours with the same settings."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.keras.chain import Chain, Config, named, no, one, same
from chainrule.layer import Layer

__all__ = ["RULES"]

Rule = Callable[[Chain, Config, str], list[Layer]]


ACTIVATIONS: dict[str, Callable[[], Layer]] = {
    "relu": layers.ReLU,
    "sigmoid": layers.Sigmoid,
    "tanh": layers.Tanh,
    "softmax": layers.Softmax,
    "log_softmax": layers.LogSoftmax,
    "elu": layers.ELU,
    "gelu": layers.GELU,
    "silu": layers.SiLU,
    "swish": layers.SiLU,
    "softplus": layers.Softplus,
    "leaky_relu": lambda: layers.LeakyReLU(0.2),
}


def activation(chain: Chain, config: Config) -> list[Layer]:
    """Return the layer of the setting ``activation``, if it does anything."""
    value = config.get("activation")
    if isinstance(value, dict) and value.get("class_name") in ("ReLU", "LeakyReLU", "ELU"):
        kind, options = named(value)
        return RULES[kind](chain, options, "")
    if value in (None, "linear"):
        return []
    if not isinstance(value, str) or value not in ACTIVATIONS:
        no(f"its activation {value!r:.80} is none of ours")
    return [ACTIVATIONS[value]()]


def dense(chain: Chain, config: Config, path: str) -> list[Layer]:
    n_in, _ = chain.shape(f"{path}/vars/0", 2)
    layer = layers.Linear(n_in, config["units"], bias=config["use_bias"])
    return [chain.add(layer, path), *activation(chain, config)]


def distributed(chain: Chain, config: Config, path: str) -> list[Layer]:
    kind, inner = named(config["layer"])
    if kind != "Dense":
        no("ours has Dense at each step, and nothing else")
    return dense(chain, inner, f"{path}/layer")


def embedding(chain: Chain, config: Config, path: str) -> list[Layer]:
    same(config, "mask_zero", False)
    return [chain.add(layers.Embedding(config["input_dim"], config["output_dim"]), path)]


def convolution(axes: int) -> Rule:
    """Return the rule of a convolution over that many axes."""

    def rule(chain: Chain, config: Config, path: str) -> list[Layer]:
        same(config, "data_format", "channels_last")
        same(config, "padding", "valid", "same")
        *_, n_in, _ = chain.shape(f"{path}/vars/0", axes + 2)
        cls = layers.Conv1d if axes == 1 else layers.Conv2d
        groups = config.get("groups", 1)
        layer = cls(
            n_in * groups, config["filters"], one(config["kernel_size"]),
            stride=one(config["strides"]), padding=config["padding"],
            dilation=one(config["dilation_rate"]), groups=groups, bias=config["use_bias"],
        )  # fmt: skip
        return [chain.add(layer, path), *activation(chain, config)]

    return rule


def transposed(chain: Chain, config: Config, path: str) -> list[Layer]:
    same(config, "data_format", "channels_last")
    same(config, "padding", "valid", "same")
    same(config, "output_padding", None)
    same(config, "dilation_rate", [1, 1], 1)
    *kernel, _, n_in = chain.shape(f"{path}/vars/0", 4)
    strides = [int(n) for n in np.broadcast_to(config["strides"], 2)]
    # Keras writes stride places for each input, also where the kernel is shorter.
    more = [max(0, s - k) for s, k in zip(strides, kernel, strict=True)]
    layer = layers.ConvTranspose2d(
        n_in, config["filters"], one(config["kernel_size"]), stride=one(strides),
        padding=config["padding"], bias=config["use_bias"],
        output_padding=one(more) if config["padding"] == "valid" else 0,
    )  # fmt: skip
    return [chain.add(layer, path), *activation(chain, config)]


def pooling(axes: int, kind: str) -> Rule:
    """Return the rule of max or average pooling over that many axes."""

    def rule(chain: Chain, config: Config, path: str) -> list[Layer]:
        same(config, "data_format", "channels_last")
        same(config, "padding", "valid", "same")
        kernel, stride = one(config["pool_size"]), one(config["strides"] or config["pool_size"])
        options: dict[str, Any] = {}
        if config["padding"] == "same":
            options["padding"] = one(_pads(chain.lengths, kernel, stride, axes))
            if kind == "Avg":
                options["count_padding"] = False
        cls = getattr(layers, f"{kind}Pool{axes}d")
        return [cls(kernel, None if stride == kernel else stride, **options)]

    return rule


def _pads(lengths: list[int] | None, kernel: Any, stride: Any, axes: int) -> list[int]:
    """Return the padding that gives the windows of "same" for inputs of these lengths."""
    if lengths is None or len(lengths) != axes:
        no('padding="same" of an input of unknown size; ours needs numbers')
    pads = []
    for n, k, s in zip(
        lengths, np.broadcast_to(kernel, axes), np.broadcast_to(stride, axes), strict=True
    ):
        missing = max(0, (math.ceil(n / int(s)) - 1) * int(s) + int(k) - n)
        if missing % 2:
            no(f'padding="same" pads one side of the length {n} more; ours pads both the same')
        pads.append(missing // 2)
    return pads


def global_average(chain: Chain, config: Config, path: str) -> list[Layer]:
    same(config, "data_format", "channels_last")
    same(config, "keepdims", False)
    return [layers.GlobalAvgPool()]


def _last(config: Config) -> None:
    """Refuse a normalisation along another axis than the last."""
    if config.get("axis", -1) not in (-1, [-1]):
        no(f"it acts along axis {config['axis']}; ours along the last, which is -1")


def batch_norm(chain: Chain, config: Config, path: str) -> list[Layer]:
    _last(config)
    same(config, "renorm", False)
    scale, center = bool(config["scale"]), bool(config["center"])
    (n,) = chain.shape(f"{path}/vars/0", 1)
    momentum = 1 - config["momentum"]
    if not 0 < momentum <= 1:
        no(f"ours has no momentum={config['momentum']}")
    affine = scale or center
    layer = layers.BatchNorm(n, momentum=momentum, epsilon=config["epsilon"], affine=affine)
    return [chain.add(layer, path, scale=scale, center=center)]


def layer_norm(chain: Chain, config: Config, path: str) -> list[Layer]:
    _last(config)
    same(config, "rms_scaling", False)
    scale, center = bool(config["scale"]), bool(config["center"])
    if not scale and not center:
        no("ours needs the number of channels, which a layer without scale and center has not")
    (n,) = chain.shape(f"{path}/vars/0", 1)
    layer = layers.LayerNorm(n, epsilon=config["epsilon"], bias=center)
    return [chain.add(layer, path, scale=scale, center=center)]


def rms_norm(chain: Chain, config: Config, path: str) -> list[Layer]:
    _last(config)
    (n,) = chain.shape(f"{path}/vars/0", 1)
    return [chain.add(layers.RMSNorm(n, epsilon=config["epsilon"]), path)]


def group_norm(chain: Chain, config: Config, path: str) -> list[Layer]:
    _last(config)
    scale, center = bool(config["scale"]), bool(config["center"])
    if not scale and not center:
        no("ours needs the number of channels, which a layer without scale and center has not")
    (n,) = chain.shape(f"{path}/vars/0", 1)
    groups = n if config["groups"] == -1 else config["groups"]
    layer = layers.GroupNorm(groups, n, epsilon=config["epsilon"])
    return [chain.add(layer, path, scale=scale, center=center)]


def _cell(chain: Chain, kind: str, config: Config, path: str) -> Any:
    """Return a recurrent layer."""
    same(config, "return_state", False)
    same(config, "stateful", False)
    if kind != "SimpleRNN":
        same(config, "recurrent_activation", "sigmoid")
    same(config, "activation", "tanh", *(["relu"] if kind == "SimpleRNN" else []))
    n_in, _ = chain.shape(f"{path}/cell/vars/0", 2)
    options: dict[str, Any] = {"all_steps": config["return_sequences"]}
    if kind == "SimpleRNN":
        return layers.RNN(n_in, config["units"], activation=config["activation"], **options)
    if kind == "GRU":
        if not config["reset_after"]:
            no("ours has no reset_after=False: its reset gate acts after the product")
        return layers.GRU(n_in, config["units"], **options)
    return layers.LSTM(n_in, config["units"], **options)


def recurrent(kind: str) -> Rule:
    """Return the rule of a recurrent layer."""

    def rule(chain: Chain, config: Config, path: str) -> list[Layer]:
        same(config, "go_backwards", False)
        return [chain.add(_cell(chain, kind, config, path), path)]

    return rule


def bidirectional(chain: Chain, config: Config, path: str) -> list[Layer]:
    same(config, "merge_mode", "concat")
    kind, inner = named(config["layer"])
    other, back = named(config.get("backward_layer") or config["layer"])
    if kind not in ("SimpleRNN", "GRU", "LSTM"):
        no(f"{kind} inside it is no recurrent layer of ours")
    told = ("units", "activation", "recurrent_activation", "return_sequences", "reset_after")
    if kind != other or any(inner.get(n) != back.get(n) for n in told) or inner["go_backwards"]:
        no("its two layers are unlike; ours are twins")
    layer = _cell(chain, kind, inner, f"{path}/forward_layer")
    return [chain.add(layers.Bidirectional(layer), path)]


def relu(chain: Chain, config: Config, path: str) -> list[Layer]:
    same(config, "max_value", None)
    same(config, "threshold", 0, 0.0)
    slope = float(config.get("negative_slope") or 0)
    return [layers.LeakyReLU(slope) if slope else layers.ReLU()]


def softmax(chain: Chain, config: Config, path: str) -> list[Layer]:
    _last(config)
    return [layers.Softmax()]


def plain(build: Callable[[Config], Layer]) -> Rule:
    """Return the rule of a layer without arrays."""
    return lambda chain, config, path: [build(config)]


RULES: dict[str, Rule] = {
    "Dense": dense,
    "TimeDistributed": distributed,
    "Embedding": embedding,
    "Conv1D": convolution(1),
    "Conv2D": convolution(2),
    "Conv2DTranspose": transposed,
    "MaxPooling1D": pooling(1, "Max"),
    "MaxPooling2D": pooling(2, "Max"),
    "AveragePooling1D": pooling(1, "Avg"),
    "AveragePooling2D": pooling(2, "Avg"),
    "GlobalAveragePooling1D": global_average,
    "GlobalAveragePooling2D": global_average,
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "SimpleRNN": recurrent("SimpleRNN"),
    "GRU": recurrent("GRU"),
    "LSTM": recurrent("LSTM"),
    "Bidirectional": bidirectional,
    "Activation": lambda chain, config, path: activation(chain, config),
    "ReLU": relu,
    "LeakyReLU": plain(lambda config: layers.LeakyReLU(config["negative_slope"])),
    "ELU": plain(lambda config: layers.ELU(config["alpha"])),
    "Softmax": softmax,
    "Dropout": plain(lambda config: layers.Dropout(config["rate"])),
    "SpatialDropout1D": plain(lambda config: layers.SpatialDropout(config["rate"])),
    "SpatialDropout2D": plain(lambda config: layers.SpatialDropout(config["rate"])),
    "Flatten": plain(lambda config: layers.Flatten()),
    "Reshape": plain(lambda config: layers.Reshape(config["target_shape"])),
    "Permute": plain(lambda config: layers.Transpose(config["dims"])),
    "Identity": lambda chain, config, path: [],
    "ActivityRegularization": lambda chain, config, path: [],
}
