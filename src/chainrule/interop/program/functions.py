"""The layers as plain functions, as a textbook writes them: what an exported program is made of.

``chainrule.interop.program.export`` copies from here the text of those functions that a net needs,
with their comments. So they use NumPy, the standard library and each other, and nothing else; they
only predict; and they are written to be read, not to be fast.

Axis 0 of every array is the samples; images are channels-last.
"""

import math
from typing import Any

import numpy as np

Array = Any  # in the program: np.ndarray


# -- activations -------------------------------------------------------------------------------


def relu(x: Array) -> Array:
    """Return x where it is positive, else 0."""
    return np.maximum(x, 0)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x where it is positive, else a small part of it."""
    return np.where(x > 0, x, slope * x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where it is positive, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x: Array) -> Array:
    """Return x times the probability that a normal value is smaller than x."""
    probability = np.vectorize(lambda v: math.erfc(-v / math.sqrt(2)) / 2, otypes=[x.dtype])
    return x * probability(x)


def gelu_tanh(x: Array) -> Array:
    """Return x times nearly the probability that a normal value is smaller than x."""
    near = np.clip(x, -20, 20)  # beyond, the tanh is 1, and the cube might overflow
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (near + 0.044715 * near**3))) / 2


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that nothing overflows."""
    return (1 + np.tanh(x / 2)) / 2


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), written so that nothing overflows."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) along the last axis: positive numbers that sum to 1."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    """Return the logarithm of the softmax."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


# -- linear layers and tables ------------------------------------------------------------------


def linear(x: Array, weights: Array, biases: Array | int = 0) -> Array:
    """Return x W + b: each output is a weighted sum of the inputs, plus a bias."""
    return x @ weights + biases


def embedding(x: Array, weights: Array, padding: int | None = None) -> Array:
    """Return the row of the table for each index; zeros for the index of padding."""
    indices = x.astype(int)
    if (indices != x).any() or (indices < 0).any() or (indices >= len(weights)).any():
        raise ValueError(f"The input must be whole numbers from 0 to {len(weights) - 1}.")
    if padding is None:
        return weights[indices]
    return np.where(indices[..., None] == padding, 0, weights[indices])


def add_positions(x: Array, table: Array) -> Array:
    """Add to each step of a sequence its row of the table."""
    return x + table[: x.shape[1]]


def rescale(
    x: Array, scale: float | tuple[float, ...] = 1.0, shift: float | tuple[float, ...] = 0.0
) -> Array:
    """Multiply by fixed numbers and add fixed numbers."""
    return x * np.asarray(scale, x.dtype) + np.asarray(shift, x.dtype)


def scale_channels(x: Array, scale: Array | int = 1, shift: Array | int = 0) -> Array:
    """Multiply each channel by its number and add its number."""
    return x * scale + shift


# -- shapes ------------------------------------------------------------------------------------


def flatten(x: Array) -> Array:
    """Lay all axes but the samples end to end."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Give each sample another shape; one length may be -1: what is left for it."""
    left = math.prod(x.shape[1:]) // abs(math.prod(shape))
    return x.reshape(len(x), *(left if n == -1 else n for n in shape))


def part(
    x: Array, axis: int, start: int | None = None, stop: int | None = None, step: int | None = None
) -> Array:
    """Take a part of one axis."""
    return x[(*[slice(None)] * (axis % x.ndim), slice(start, stop, step))]


def pad(x: Array, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
    """Put a border round each sample: so much before and after, axis by axis."""
    rest = [(0, 0)] * (x.ndim - 1 - len(widths))
    return np.pad(x, [(0, 0), *widths, *rest], constant_values=value)


# -- convolutions and pooling ------------------------------------------------------------------


def span(kernel: int, dilation: int) -> int:
    """Return how many places a kernel reaches over."""
    return dilation * (kernel - 1) + 1


def borders(
    length: int, kernel: int, stride: int, dilation: int, padding: int | None
) -> tuple[int, int]:
    """Return how many places to add before and after an axis.

    None stands for "same": as many as make the output ceil(length / stride) long, the odd one last.
    """
    if padding is not None:
        return padding, padding
    missing = max(0, (math.ceil(length / stride) - 1) * stride + span(kernel, dilation) - length)
    return missing // 2, missing - missing // 2


def windows(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int | None, int | None] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    border: float = 0,
) -> Array:
    """Return every window of the images: (samples, height', width', channels, *kernel)."""
    rows, columns = map(borders, x.shape[1:3], kernel, stride, dilation, padding)
    x = np.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=border)
    height, width = map(span, kernel, dilation)
    every = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    return every[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def conv2d(
    x: Array,
    weights: Array,
    biases: Array | int = 0,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int | None, int | None] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Return at each place the weighted sum over a window of the image.

    ``weights`` are (kernel height, kernel width, channels / groups, outputs): with groups, each
    block of the outputs sees its block of the channels alone.
    """
    seen = windows(x, weights.shape[:2], stride, padding, dilation)
    blocks = zip(np.split(seen, groups, axis=3), np.split(weights, groups, axis=3), strict=True)
    # Over the window's height, its width and the channels.
    sums = [np.tensordot(part, kernel, axes=((4, 5, 3), (0, 1, 2))) for part, kernel in blocks]
    return np.concatenate(sums, axis=-1) + biases


def conv1d(
    x: Array,
    weights: Array,
    biases: Array | int = 0,
    stride: int = 1,
    padding: int | None = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Return at each step the weighted sum over a window of steps: images of one row."""
    y = conv2d(x[:, None], weights[None], biases, (1, stride), (0, padding), (1, dilation), groups)
    return y[:, 0]


def conv_transpose2d(
    x: Array,
    weights: Array,
    biases: Array | int = 0,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int | None, int | None] = (0, 0),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Let each place write a weighted kernel into a larger image; where they overlap, add."""
    kernel, steps = weights.shape[:2], x.shape[1:3]
    cuts, lengths, whole = [], [], []
    for n, k, s, p, d, more in zip(
        steps, kernel, stride, padding, dilation, output_padding, strict=True
    ):
        written = (n - 1) * s + span(k, d)
        if p is None:  # "same": as long as the input times the stride
            cut, length = borders(n * s, k, s, d, None)[0], n * s
        else:
            cut, length = p, written - 2 * p + more
        cuts.append(cut)
        lengths.append(length)
        whole.append(max(written, cut + length))

    image = np.zeros((len(x), *whole, weights.shape[3]), x.dtype)
    for i, j in np.ndindex(*kernel):
        blocks = zip(np.split(x, groups, axis=3), np.split(weights[i, j], groups, 1), strict=True)
        written = np.concatenate([part @ block for part, block in blocks], axis=-1)
        first, top = i * dilation[0], (steps[0] - 1) * stride[0] + 1
        left, wide = j * dilation[1], (steps[1] - 1) * stride[1] + 1
        image[:, first : first + top : stride[0], left : left + wide : stride[1]] += written
    rows, columns = (slice(cut, cut + n) for cut, n in zip(cuts, lengths, strict=True))
    return image[:, rows, columns] + biases


def max_pool2d(
    x: Array, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> Array:
    """Return the greatest value of each window, in each channel."""
    return windows(x, kernel, stride, padding, border=-math.inf).max(axis=(4, 5))


def max_pool1d(x: Array, kernel: int, stride: int, padding: int = 0) -> Array:
    """Return the greatest value of each window of steps, in each channel."""
    return max_pool2d(x[:, None], (1, kernel), (1, stride), (0, padding))[:, 0]


def avg_pool2d(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    count_padding: bool = True,
) -> Array:
    """Return the mean of each window, in each channel; with or without the zeros of the border."""
    sums = windows(x, kernel, stride, padding).sum(axis=(4, 5))
    if count_padding:
        return sums / math.prod(kernel)
    return sums / windows(np.ones_like(x), kernel, stride, padding).sum(axis=(4, 5))


def avg_pool1d(
    x: Array, kernel: int, stride: int, padding: int = 0, count_padding: bool = True
) -> Array:
    """Return the mean of each window of steps, in each channel."""
    return avg_pool2d(x[:, None], (1, kernel), (1, stride), (0, padding), count_padding)[:, 0]


def average_parts(x: Array, count: int, axis: int) -> Array:
    """Return the means of ``count`` parts of an axis, of equal length as nearly as can be."""
    n = x.shape[axis]
    means = []
    for i in range(count):
        part = np.arange(i * n // count, math.ceil((i + 1) * n / count))
        means.append(np.take(x, part, axis).mean(axis))
    return np.stack(means, axis)


def adaptive_avg_pool2d(x: Array, output_size: tuple[int, int]) -> Array:
    """Return the means of as many parts of the images as asked for, in each channel."""
    return average_parts(average_parts(x, output_size[0], axis=1), output_size[1], axis=2)


def adaptive_avg_pool1d(x: Array, output_size: int) -> Array:
    """Return the means of as many parts of the sequences as asked for, in each channel."""
    return average_parts(x, output_size, axis=1)


def global_avg_pool(x: Array) -> Array:
    """Return the mean of each channel over all places."""
    return x.mean(axis=tuple(range(1, x.ndim - 1)))


# -- normalisation -----------------------------------------------------------------------------


def batch_norm(
    x: Array,
    running_mean: Array,
    running_variance: Array,
    scale: Array | int = 1,
    shift: Array | int = 0,
    epsilon: float = 1e-5,
) -> Array:
    """Shift and scale each channel by the mean and variance that it had in training."""
    return (x - running_mean) / np.sqrt(running_variance + epsilon) * scale + shift


def layer_norm(
    x: Array, scale: Array | int = 1, shift: Array | int = 0, epsilon: float = 1e-5
) -> Array:
    """Give each vector of channels mean 0 and variance 1, then scale and shift it."""
    variance = x.var(axis=-1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(variance + epsilon) * scale + shift


def rms_norm(x: Array, scale: Array | int = 1, epsilon: float = 1e-6) -> Array:
    """Give each vector of channels mean square 1, then scale it."""
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * scale


def group_norm(
    x: Array,
    scale: Array | int = 1,
    shift: Array | int = 0,
    groups: int = 1,
    epsilon: float = 1e-5,
) -> Array:
    """Give each group of channels mean 0 and variance 1 over a whole sample; scale and shift."""
    places, channels = math.prod(x.shape[1:-1]), x.shape[-1]
    parts = x.reshape(len(x), places, groups, channels // groups)
    mean = parts.mean(axis=(1, 3), keepdims=True)
    variance = parts.var(axis=(1, 3), keepdims=True)
    return ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) * scale + shift


# -- recurrent layers --------------------------------------------------------------------------


def real_steps(x: Array, padding: float | None) -> Array:
    """Return which steps are no padding, (samples, steps): padding has this number everywhere."""
    if padding is None:
        return np.ones(x.shape[:2], bool)
    return (x != padding).any(axis=2)


def rnn(
    x: Array,
    weights: Array,
    recurrent_weights: Array,
    biases: Array,
    activation: str = "tanh",
    all_steps: bool = True,
    padding: float | None = None,
) -> Array:
    """Return h of each step, or of the last: h = f(x W + h U + b). Padding leaves h as it was."""
    real = real_steps(x, padding)
    h = np.zeros((len(x), len(recurrent_weights)), weights.dtype)
    y = np.full((*x.shape[:2], h.shape[1]), padding or 0, h.dtype)
    for t in range(x.shape[1]):
        a = x[:, t] @ weights + h @ recurrent_weights + biases
        new_h = np.tanh(a) if activation == "tanh" else np.maximum(a, 0)
        there = real[:, t]
        h[there] = y[there, t] = new_h[there]
    return y if all_steps else h


def gru(
    x: Array,
    weights: Array,
    recurrent_weights: Array,
    biases: Array,
    recurrent_biases: Array,
    all_steps: bool = True,
    padding: float | None = None,
) -> Array:
    """Return the state of each step, or of the last: it moves to a candidate as far as z lets it.

    The gates lie side by side: r (reset), z (update) and n (candidate).
    """
    real = real_steps(x, padding)
    h = np.zeros((len(x), len(recurrent_weights)), weights.dtype)
    y = np.full((*x.shape[:2], h.shape[1]), padding or 0, h.dtype)
    for t in range(x.shape[1]):
        x_r, x_z, x_n = np.split(x[:, t] @ weights + biases, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ recurrent_weights, 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * (h_n + recurrent_biases))
        new_h = (1 - z) * n + z * h
        there = real[:, t]
        h[there] = y[there, t] = new_h[there]
    return y if all_steps else h


def lstm(
    x: Array,
    weights: Array,
    recurrent_weights: Array,
    biases: Array,
    all_steps: bool = True,
    padding: float | None = None,
) -> Array:
    """Return h of each step, or of the last: h = o tanh(c), with the cell c = f c + i g.

    The gates lie side by side: i (input), f (forget), o (output) and g (candidate).
    """
    real = real_steps(x, padding)
    h = np.zeros((len(x), len(recurrent_weights)), weights.dtype)
    c = np.zeros_like(h)
    y = np.full((*x.shape[:2], h.shape[1]), padding or 0, h.dtype)
    for t in range(x.shape[1]):
        gates = x[:, t] @ weights + h @ recurrent_weights + biases
        i, f, o, g = np.split(gates, 4, axis=1)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        there = real[:, t]
        c[there] = new_c[there]
        h[there] = y[there, t] = new_h[there]
    return y if all_steps else h


# -- attention ---------------------------------------------------------------------------------


def rotate(x: Array) -> Array:
    """Turn each pair (i, i + depth / 2) of a step t by the angle t / 10000^(2 i / depth)."""
    steps, depth = x.shape[-2:]
    angles = np.arange(steps)[:, None] / 10_000 ** (2 * np.arange(depth // 2) / depth)
    cosines, sines = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    first, second = np.split(x, 2, axis=-1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return np.concatenate(turned, axis=-1)


def attention(
    x: Array,
    weights: Array,
    output_weights: Array,
    biases: Array | int = 0,
    output_biases: Array | int = 0,
    heads: int = 1,
    key_value_heads: int | None = None,
    causal: bool = False,
    rotary: bool = False,
    real: Array | None = None,
) -> Array:
    """Let each step of a sequence take a mean of all steps' values: those that fit its query.

    ``real``, (samples, steps), says which steps are no padding: nobody looks at the others.
    """
    samples, steps, width = x.shape
    depth, shared = width // heads, key_value_heads or heads
    # Queries, keys and values side by side; each as (samples, heads, steps, depth).
    parts = np.split(x @ weights + biases, [width, width + shared * depth], axis=-1)
    q, k, v = (
        part.reshape(samples, steps, part.shape[2] // depth, depth).swapaxes(1, 2) for part in parts
    )
    if rotary:
        q, k = rotate(q), rotate(k)
    k, v = (np.repeat(part, heads // shared, axis=1) for part in (k, v))

    scores = q @ k.swapaxes(2, 3) / math.sqrt(depth)  # (samples, heads, steps, steps)
    hidden = np.finfo(scores.dtype).min / 4
    if causal:
        scores = np.where(np.tri(steps, dtype=bool), scores, hidden)
    if real is not None:
        scores = np.where(real[:, None, None, :], scores, hidden)
    context = softmax(scores) @ v
    return context.swapaxes(1, 2).reshape(x.shape) @ output_weights + output_biases
