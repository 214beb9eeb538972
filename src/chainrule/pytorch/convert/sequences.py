"""Recurrent layers, attention, and the encoders that are made of it."""

from collections.abc import Callable
from typing import Any

from chainrule import layers
from chainrule.layer import Layer
from chainrule.pytorch.chain import Chain
from chainrule.pytorch.convert.settings import Rule, refuse
from chainrule.pytorch.convert.vectors import layer_norm, linear

__all__ = ["RULES"]


def sequences(chain: Chain, module: Any) -> None:
    """Check that samples come first, then the steps, then the features."""
    if not module.batch_first:
        chain.no("it takes (steps, samples, features), ours (samples, ...). Set batch_first=True")
    if chain.axes not in (1, None):
        chain.no("it takes sequences")
    chain.vectors(1)


def recurrent(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    sequences(chain, module)
    refuse(chain, proj_size=getattr(module, "proj_size", 0) > 0)
    cls = {"RNN": layers.RNN, "GRU": layers.GRU, "LSTM": layers.LSTM}[type(module).__name__]
    options = {"activation": module.nonlinearity} if cls is layers.RNN else {}
    found: list[Layer] = []
    for level in range(module.num_layers):
        if level and module.dropout:
            found.append(layers.Dropout(module.dropout))
        width = module.hidden_size * (2 if module.bidirectional else 1)
        layer = cls(module.input_size if level == 0 else width, module.hidden_size, **options)
        found.append(layers.Bidirectional(layer) if module.bidirectional else layer)
    return found


def attention(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    sequences(chain, module)
    refuse(
        chain,
        kdim=not module._qkv_same_embed_dim,
        add_bias_kv=module.bias_k is not None,
        add_zero_attn=module.add_zero_attn,
    )
    return [
        layers.MultiHeadAttention(
            module.embed_dim, module.num_heads, bias=module.in_proj_bias is not None,
            dropout=module.dropout,
        )
    ]  # fmt: skip


def activation_of(chain: Chain, module: Any) -> Layer:
    """Return the activation inside an encoder layer."""
    from functools import partial

    import torch

    function = module.activation
    if isinstance(function, partial) and function.func is torch.nn.functional.gelu:
        return layers.GELU(*function.args, **function.keywords)
    named: dict[Any, Callable[[], Layer]] = {
        torch.nn.functional.relu: layers.ReLU,
        torch.relu: layers.ReLU,
        torch.nn.functional.gelu: layers.GELU,
        torch.nn.functional.silu: layers.SiLU,
    }
    if isinstance(function, torch.nn.GELU):
        return layers.GELU(function.approximate)
    if isinstance(function, (torch.nn.ReLU, torch.nn.SiLU)):
        return layers.ReLU() if isinstance(function, torch.nn.ReLU) else layers.SiLU()
    try:
        return named[function]()
    except (KeyError, TypeError):
        chain.no(f"its activation {function!r} is none of ours")


ENCODER_PARTS = {
    "self_attn": ["MultiheadAttention"],
    "linear1": ["Linear"],
    "linear2": ["Linear"],
    "norm1": ["LayerNorm", "RMSNorm"],
    "norm2": ["LayerNorm", "RMSNorm"],
}


def encoder_layer(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    """Return the layer as a TransformerBlock where it is one, else put together from parts."""
    for name, kinds in ENCODER_PARTS.items():
        if (kind := type(getattr(module, name)).__name__) not in kinds:
            chain.no(f"its {name} is {kind}, and not {' or '.join(kinds)}")
    attend = attention(chain, module.self_attn, {})[0]
    norms = [layer_norm(chain, norm, {})[0] for norm in (module.norm1, module.norm2)]
    act = activation_of(chain, module)
    first, second = linear(chain, module.linear1, {})[0], linear(chain, module.linear2, {})[0]
    p, inner_p, p2 = module.dropout1.p, module.dropout.p, module.dropout2.p
    width, hidden = module.linear1.in_features, module.linear1.out_features
    assert isinstance(attend, layers.MultiHeadAttention)
    usual = all(norm.epsilon == 1e-5 and norm.bias for norm in norms)  # type: ignore[attr-defined]
    usual = usual and isinstance(act, layers.GELU) and act.approximate == "tanh"
    if usual and module.norm_first and module.linear1.bias is not None and p == p2 == inner_p == 0:
        return [layers.TransformerBlock(width, attend.heads, hidden=hidden)]

    def part(*found: Layer) -> list[Layer]:
        return [f for f in found if not (isinstance(f, layers.Dropout) and f.p == 0)]

    taken = part(attend, layers.Dropout(p))
    made = part(first, act, layers.Dropout(inner_p), second, layers.Dropout(p2))
    last = made.index(second)
    names.clear()
    if module.norm_first:
        names |= {
            "norm1": "0.inner.0", "self_attn": "0.inner.1", "norm2": "1.inner.0",
            "linear1": "1.inner.1", "linear2": f"1.inner.{1 + last}",
        }  # fmt: skip
        return [layers.Residual([norms[0], *taken]), layers.Residual([norms[1], *made])]
    names |= {
        "self_attn": "0.inner.0", "norm1": "1", "linear1": "2.inner.0",
        "linear2": f"2.inner.{last}", "norm2": "3",
    }  # fmt: skip
    return [layers.Residual(taken), norms[0], layers.Residual(made), norms[1]]


def encoder(chain: Chain, module: Any, names: dict[str, str]) -> list[Layer]:
    names.clear()
    found: list[Layer] = []
    for i, child in enumerate(module.layers):
        if (kind := type(child).__name__) != "TransformerEncoderLayer":
            chain.no(f"it is made of {kind}, and not TransformerEncoderLayer")
        inner: dict[str, str] = {"": ""}
        parts = encoder_layer(chain, child, inner)
        found.append(parts[0] if len(parts) == 1 else layers.Sequential(parts))
        for theirs, ours in inner.items():
            key = ".".join(filter(None, ["layers", str(i), theirs]))
            names[key] = ".".join(filter(None, [str(i), ours]))
    if module.norm is not None:
        names["norm"] = str(len(found))
        found += layer_norm(chain, module.norm, {})
    if len(found) == 1:  # it takes the place of the whole, with no chain around it
        for key, value in names.items():
            names[key] = value.partition(".")[2]
    return found


RULES: dict[str, Rule] = {
    "RNN": recurrent,
    "GRU": recurrent,
    "LSTM": recurrent,
    "MultiheadAttention": attention,
    "TransformerEncoderLayer": encoder_layer,
    "TransformerEncoder": encoder,
}
