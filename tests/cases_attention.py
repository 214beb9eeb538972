"""Rows of attention, positions and the transformer's block."""

import chainrule as cr


def attention(torch, x, p, layer, prefix="", keep=None):
    """Return self-attention, written out in PyTorch."""
    samples, steps, width = x.shape
    heads, depth = layer.heads, layer.width // layer.heads
    shared = layer.key_value_heads or heads
    inner = x @ p[f"{prefix}weights"]
    if layer.bias:
        inner = inner + p[f"{prefix}biases"]
    sizes = [width, shared * depth, shared * depth]
    q, k, v = (
        part.reshape(samples, steps, -1, depth).transpose(1, 2) for part in inner.split(sizes, -1)
    )
    if layer.positions == "rotary":
        q, k = (turned(torch, part) for part in (q, k))
    k, v = (part.repeat_interleave(heads // shared, 1) for part in (k, v))
    allowed = torch.ones(steps, steps, dtype=torch.bool)
    if layer.causal:
        allowed = allowed.tril()
    if keep is not None:
        allowed = allowed & keep[:, None, None, :]
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    y = y.transpose(1, 2).reshape(samples, steps, width) @ p[f"{prefix}output_weights"]
    return y + p[f"{prefix}output_biases"] if layer.bias else y


def turned(torch, x):
    steps, depth = x.shape[-2:]
    power = 2 * torch.arange(depth // 2, dtype=torch.float64) / depth
    angles = torch.arange(steps, dtype=torch.float64)[:, None] / 10_000**power
    first, second = x.chunk(2, -1)
    cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)


def block(torch, layer):
    norm = torch.nn.functional.layer_norm
    linear = torch.nn.functional.linear

    def run(x, p):
        a = norm(x, x.shape[-1:], p["norm_1.scale"], p["norm_1.shift"])
        u = x + attention(torch, a, p, layer.attention, "attention.")
        h = norm(u, x.shape[-1:], p["norm_2.scale"], p["norm_2.shift"])
        h = linear(h, p["net.0.weights"].T, p["net.0.biases"])
        h = torch.nn.functional.gelu(h, approximate="tanh")
        return u + linear(h, p["net.2.weights"].T, p["net.2.biases"])

    return run


def rows(case):
    plain = {"torch": lambda torch, layer: lambda x, p: attention(torch, x, p, layer)}
    shapes = ((1, 1, 4), (2, 3, 4))
    return [
        case("MultiHeadAttention", lambda: cr.MultiHeadAttention(4, 2), shapes=shapes, **plain),
        case("MultiHeadAttention-one", lambda: cr.MultiHeadAttention(4, 1, bias=False),
             shapes=shapes, **plain),
        case("MultiHeadAttention-causal", lambda: cr.MultiHeadAttention(4, 2, causal=True),
             shapes=shapes, **plain),
        case("MultiHeadAttention-rotary",
             lambda: cr.MultiHeadAttention(4, 2, positions="rotary", causal=True),
             shapes=shapes, **plain),
        case("MultiHeadAttention-grouped",
             lambda: cr.MultiHeadAttention(8, 4, key_value_heads=2, positions="rotary"),
             shapes=((1, 2, 8), (2, 3, 8)), **plain),
        case("MultiHeadAttention-dropout", lambda: cr.MultiHeadAttention(4, 2, dropout=0.4),
             shapes=shapes, random=True),
        case("LearnedPositions", lambda: cr.LearnedPositions(3, 4), shapes=shapes,
             torch=lambda torch, layer: lambda x, p: x + p["table"][: x.shape[1]]),
        case("LearnedPositions-short", lambda: cr.LearnedPositions(5, 4), shapes=shapes,
             torch=lambda torch, layer: lambda x, p: x + p["table"][: x.shape[1]]),
        case("TransformerBlock", lambda: cr.TransformerBlock(4, 2, hidden=5), shapes=shapes,
             torch=block),
        case("TransformerBlock-causal",
             lambda: cr.TransformerBlock(4, 2, hidden=3, causal=True, positions="rotary"),
             shapes=shapes, torch=block),
        case("TransformerBlock-dropout",
             lambda: cr.TransformerBlock(4, 2, hidden=3, dropout=0.3), shapes=shapes,
             random=True),
    ]  # fmt: skip
