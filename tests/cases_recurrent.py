"""Rows of the embedding and the recurrent layers, and the recurrences in PyTorch.

PyTorch's own layers have other orders of the gates, and no padding, truncation or masks but by
packing; so its autograd goes through the textbook recurrences, and tests/layers/test_recurrent.py
compares with torch.nn.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr


def indices(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 4, shape)


def embedding(torch: Any, layer: Any) -> Callable[..., Any]:
    def forward(x: Any, p: Any) -> Any:
        y = torch.nn.functional.embedding(x.long(), p["weights"], padding_idx=layer.padding)
        if layer.padding is not None:
            y = y * (x != layer.padding)[..., None]
        return y + 0 * x[..., None]  # so that x has a gradient: zeros

    return forward


def one_step(torch: Any, layer: Any, gates: Any, h: Any, p: Any) -> Any:
    """Return the states after one step; ``gates`` is x W + b."""
    u = h[0] @ p["recurrent_weights"]
    if isinstance(layer, cr.LSTM):
        i, f, o, g = (gates + u).chunk(4, -1)
        c = torch.sigmoid(f) * h[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    if isinstance(layer, cr.GRU):
        (a_r, a_z, a_n), (u_r, u_z, u_n) = gates.chunk(3, -1), u.chunk(3, -1)
        r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
        n = torch.tanh(a_n + r * (u_n + p["recurrent_biases"]))
        return ((1 - z) * n + z * h[0],)
    return (getattr(torch, layer.activation)(gates + u),)


def recurrence(torch: Any, layer: Any, real: Any = None, start: Any = None) -> Callable[..., Any]:
    """Return the textbook recurrence: step by step, in words of PyTorch."""

    def forward(x: Any, p: Any) -> Any:
        parts = 2 if isinstance(layer, cr.LSTM) else 1
        h = start or [x.new_zeros(len(x), layer.n_hidden) for _ in range(parts)]
        keep = x.new_ones(x.shape[:2], dtype=bool) if real is None else real
        if real is None and layer.padding is not None:
            keep = (x != layer.padding).any(-1)
        outputs = []
        for t in range(x.shape[1]):
            if layer.truncate and t % layer.truncate == 0 and t > 0:
                h = [part.detach() for part in h]
            new = one_step(torch, layer, x[:, t] @ p["weights"] + p["biases"], h, p)
            there = keep[:, t, None]
            h = [torch.where(there, a, b) for a, b in zip(new, h, strict=True)]
            blank = torch.full_like(h[0], layer.padding or 0)
            outputs.append(torch.where(there, h[0], blank))
        forward.final_state = h
        return torch.stack(outputs, 1) if layer.all_steps else h[0]

    return forward


def both_ways(torch: Any, layer: Any) -> Callable[..., Any]:
    def forward(x: Any, p: Any) -> Any:
        halves = []
        for part, order in ((layer.layer, 1), (layer.twin, -1)):
            name = "layer." if order == 1 else "twin."
            own = {n.removeprefix(name): a for n, a in p.items() if n.startswith(name)}
            y = recurrence(torch, part)(x if order == 1 else x.flip(1), own)
            halves.append(y.flip(1) if order == -1 and part.all_steps else y)
        return torch.cat(halves, -1)

    return forward


def after_tokens(*layers: cr.Layer) -> Callable[[], cr.Layer]:
    """Return what builds layers behind an embedding, whose token 0 is padding here and there.

    A padded input is a jump, which no difference can go over; but a parameter's gradient is smooth.
    """
    return lambda: cr.Sequential(copy.deepcopy([cr.Embedding(7, 3, padding=0), *layers]))


SHAPES = ((1, 1, 3), (3, 4, 3))


def rows(case: Callable[..., Any]) -> list[Any]:
    """Return the rows; ``case`` is the class LayerCase."""
    tokens = {"shapes": ((1, 2), (3, 4)), "inputs": indices, "input_gradient": False}
    return [
        case("Embedding", lambda: cr.Embedding(7, 3), shapes=((1,), (4,), (3, 2), (2, 1, 3)),
             torch=embedding, inputs=indices, input_gradient=False),
        case("Embedding-padding", lambda: cr.Embedding(7, 2, padding=0), shapes=((5,), (3, 6)),
             torch=embedding, inputs=indices, input_gradient=False),
        case("RNN", lambda: cr.RNN(3, 4), SHAPES, recurrence),
        case("RNN-relu", lambda: cr.RNN(3, 2, activation="relu", all_steps=False), SHAPES,
             recurrence),
        case("RNN-padding", lambda: cr.RNN(3, 2, padding=-1.0), SHAPES, recurrence),
        case("GRU", lambda: cr.GRU(3, 4), SHAPES, recurrence),
        case("GRU-last", lambda: cr.GRU(3, 1, all_steps=False, padding=0.0), SHAPES, recurrence),
        case("LSTM", lambda: cr.LSTM(3, 4), SHAPES, recurrence),
        case("LSTM-last", lambda: cr.LSTM(3, 2, all_steps=False, truncate=9), SHAPES, recurrence),
        case("Bidirectional", lambda: cr.Bidirectional(cr.GRU(3, 2)), SHAPES, both_ways),
        case("Bidirectional-last",
             lambda: cr.Bidirectional(cr.LSTM(3, 2, all_steps=False, padding=0.5)), SHAPES,
             both_ways),
        case("Tokens-RNN", after_tokens(cr.RNN(3, 2, padding=0.0)), **tokens),
        case("Tokens-GRU", after_tokens(cr.GRU(3, 2, padding=0.0, all_steps=False)), **tokens),
        case("Tokens-LSTM-LSTM",
             after_tokens(cr.LSTM(3, 2, padding=0.0), cr.LSTM(2, 2, padding=0.0)), **tokens),
        case("Tokens-Bidirectional",
             after_tokens(cr.Bidirectional(cr.LSTM(3, 2, padding=0.0, all_steps=False))), **tokens),
    ]  # fmt: skip
