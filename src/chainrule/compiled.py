"""Compiled forms of what NumPy goes through memory several times for: an optional extra.

``chainrule.compiled.enable()`` needs numba: ``pip install 'chainrule[compiled]'``.

The classes stay what they are: ``enable`` puts a compiled form in the place of a few of their
methods, for float32 and float64 arrays, and everything else goes on as before. ``ReLU``, max
pooling, ``SGD`` and ``Adam`` give the same bits in both forms; the gradient of biases is summed in
another order, as are the gradients of an input in several windows of max pooling and a row of
``SoftmaxCrossEntropy``, whose exponential may differ in its last bit.

Each form is compiled when it is first used, which takes some seconds; numba keeps the result for
the processes after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.layer import Array, Function
from chainrule.layers import MaxPool2d, ReLU
from chainrule.losses import Loss, SoftmaxCrossEntropy
from chainrule.optimizers import SGD, Adam

__all__ = ["disable", "enable", "enabled"]

_kernels: dict[str, Callable[..., Any]] = {}


def enable() -> None:
    """Put the compiled forms in place, for every model of this process.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    if enabled():
        return
    if not _kernels:
        _compile()
    for cls, forms in _FORMS.items():
        for name, form in forms.items():
            setattr(cls, name, form)


def disable() -> None:
    """Put NumPy's forms back in place."""
    if not enabled():
        return
    for cls, forms in _FORMS.items():
        for name in forms:
            if (cls, name) in _numpy_forms:
                setattr(cls, name, _numpy_forms[cls, name])
            elif name in cls.__dict__:
                delattr(cls, name)  # it is a base's again


def enabled() -> bool:
    """Whether the compiled forms are in place."""
    return ReLU.__dict__["forward"] is _relu_forward


# -- the kernels: one pass over memory each -------------------------------------------------------


def add_to_rows(rows: Any, row: Any) -> None:
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] += row[j]


def sum_rows(rows: Any, out: Any) -> None:
    out[:] = 0
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[j] += rows[i, j]


def relu(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x[i] if not x[i] <= 0 else 0  # NaN stays NaN


def relu_gradient(y: Any, grad: Any, grad_x: Any) -> None:
    for i in range(y.size):
        grad_x[i] = grad[i] * (y[i] > 0)


def max_pool(images: Any, y: Any, winner: Any, places: Any, stride: Any) -> None:
    samples, rows, columns, channels = y.shape
    for n in range(samples):
        for i in range(rows):
            y[n, i] = -np.inf
            winner[n, i] = 0
            for rank in range(len(places)):
                row = i * stride[0] + places[rank, 0]
                if row < 0 or row >= images.shape[1]:
                    continue
                for j in range(columns):
                    column = j * stride[1] + places[rank, 1]
                    if column < 0 or column >= images.shape[2]:
                        continue
                    for c in range(channels):
                        x, best = images[n, row, column, c], y[n, i, j, c]
                        winner[n, i, j, c] = rank if x >= best else winner[n, i, j, c]
                        y[n, i, j, c] = best if x <= best or np.isnan(best) else x  # NaN stays


def max_pool_gradient(winner: Any, grad: Any, grad_x: Any, places: Any, stride: Any) -> None:
    samples, rows, columns, channels = grad.shape
    grad_x[:] = 0
    for n in range(samples):
        for i in range(rows):
            for j in range(columns):
                for c in range(channels):
                    rank = winner[n, i, j, c]
                    row = i * stride[0] + places[rank, 0]
                    column = j * stride[1] + places[rank, 1]
                    # Where NaN came in, the place may be one of the padding.
                    if 0 <= row < grad_x.shape[1] and 0 <= column < grad_x.shape[2]:
                        grad_x[n, row, column, c] += grad[n, i, j, c]


def softmax_cross_entropy(logits: Any, targets: Any, softmax: Any, losses: Any) -> None:
    for i in range(logits.shape[0]):
        greatest = logits[i].max()
        total = chosen = 0.0
        for j in range(logits.shape[1]):
            softmax[i, j] = math.exp(logits[i, j] - greatest)
            total += softmax[i, j]
            if targets[i, j] != 0:
                chosen += targets[i, j] * (logits[i, j] - greatest)
        for j in range(logits.shape[1]):
            softmax[i, j] /= total
        losses[i] = math.log(total) - chosen


def softmax_cross_entropy_of_labels(logits: Any, labels: Any, grad: Any, losses: Any) -> bool:
    """Write the losses, and the derivative of their mean; return whether all labels are classes."""
    samples, classes = logits.shape
    for i in range(samples):
        label = labels[i]
        if label < 0 or label >= classes:
            return False
        greatest = logits[i].max()
        total = 0.0
        for j in range(classes):
            grad[i, j] = math.exp(logits[i, j] - greatest)
            total += grad[i, j]
        for j in range(classes):
            grad[i, j] /= total * samples
        grad[i, label] -= grad.dtype.type(1) / samples
        losses[i] = math.log(total) - (logits[i, label] - greatest)
    return True


def sgd(w: Any, g: Any, learning_rate: Any) -> None:
    for i in range(w.size):
        w[i] -= g[i] * learning_rate


def adam(
    w: Any, g: Any, mean: Any, mean_square: Any,
    beta1: Any, rest1: Any, beta2: Any, rest2: Any, epsilon: Any, step: Any,
) -> None:  # fmt: skip
    for i in range(w.size):
        mean[i] = mean[i] * beta1 + g[i] * rest1
        mean_square[i] = mean_square[i] * beta2 + g[i] * g[i] * rest2
        w[i] -= mean[i] / (np.sqrt(mean_square[i]) + epsilon) * step


def sgd_momentum(w: Any, g: Any, velocity: Any, momentum: Any, learning_rate: Any) -> None:
    for i in range(w.size):
        velocity[i] = velocity[i] * momentum + g[i]
        w[i] -= velocity[i] * learning_rate


_KERNELS = (
    add_to_rows, sum_rows, relu, relu_gradient, max_pool, max_pool_gradient, softmax_cross_entropy,
    softmax_cross_entropy_of_labels, sgd, sgd_momentum, adam,
)  # fmt: skip


def _compile() -> None:
    try:
        import numba
    except ImportError as error:
        raise ImportError(  # numba itself raises one if it does not know this NumPy yet
            f"chainrule.compiled needs numba: pip install 'chainrule[compiled]' ({error})"
        ) from error
    for kernel in _KERNELS:
        try:
            _kernels[kernel.__name__] = numba.njit(kernel, cache=True, error_model="numpy")
        except RuntimeError:  # nowhere to keep the result: compile in each process
            _kernels[kernel.__name__] = numba.njit(kernel, error_model="numpy")


# -- the methods: NumPy's own, with a kernel in the middle ----------------------------------------


def _fits(*arrays: Array) -> bool:
    """Whether the kernels take these arrays: all float32 or all float64, laid out in order.

    That their shapes fit is for the caller to see to: a kernel does not look where it writes.
    """
    dtype = arrays[0].dtype
    if dtype.char not in "fd" or not dtype.isnative:
        return False
    for array in arrays:  # all() takes longer than the kernels of a small net
        if (
            array.dtype != dtype
            or not array.flags.c_contiguous
            or type(array) is not np.ndarray  # masked arrays have rules of their own
        ):
            return False
    return True


def _add_to_rows(self: Function, rows: Array, row: Array) -> None:
    if rows.shape[-1:] == row.shape and _fits(rows, row):
        _kernels["add_to_rows"](rows.reshape(-1, row.size), row)
    else:
        _numpy(self, Function, "add_to_rows", rows, row)


def _sum_rows(self: Function, rows: Array, out: Array) -> None:
    # Of more rows NumPy's sum is as fast, and one value after another would lose digits.
    few = rows.ndim == 2 and len(rows) <= 4096
    if few and rows.shape[1:] == out.shape and _fits(rows, out):
        _kernels["sum_rows"](rows, out)
    else:
        _numpy(self, Function, "sum_rows", rows, out)


def _relu_forward(self: ReLU, x: Array) -> Array:
    if not _fits(x):
        result: Array = _numpy(self, ReLU, "forward", x)
        return result
    self.y = y = self.buffer_like("y", x)
    _kernels["relu"](x.reshape(-1), y.reshape(-1))
    return y


def _relu_backward(self: ReLU, grad: Array) -> Array:
    y = self.y
    if y.shape != grad.shape or not _fits(y, grad):
        result: Array = _numpy(self, ReLU, "backward", grad)
        return result
    grad_x = self.buffer_like("grad_x", grad)
    _kernels["relu_gradient"](y.reshape(-1), grad.reshape(-1), grad_x.reshape(-1))
    return grad_x


def _ranked(self: MaxPool2d) -> Array:
    """Return where each place of a window is, from the last to the first: that is its rank."""
    (height, width), (above, before) = self._kernel, self._padding
    places = [(i - above, j - before) for i in range(height) for j in range(width)]
    return np.array(places[::-1])


def _max_pool_forward(self: MaxPool2d, x: Array) -> Array:
    # A loop over fewer channels is too short to be fast.
    if x.ndim != self.axes + 2 or x.shape[-1] < 8 or not _fits(x):
        result: Array = _numpy(self, MaxPool2d, "forward", x)
        return result
    images = self._with_height(x)
    shape = (len(images), *self._steps(images), images.shape[3])
    y = self.buffer("y", shape, x.dtype)
    winner = self.buffer("winner", shape, np.min_scalar_type(math.prod(self._kernel)))
    _kernels["max_pool"](images, y, winner, _ranked(self), self._stride)
    self.winner, self.images_shape = winner, images.shape
    return self._without_height(y)


def _max_pool_backward(self: MaxPool2d, grad: Array) -> Array:
    winner, grads = self.winner, self._with_height(grad)
    if grads.shape != winner.shape or not _fits(grad):
        result: Array = _numpy(self, MaxPool2d, "backward", grad)
        return result
    grad_x = self.buffer("grad_x", self.images_shape, grad.dtype)
    _kernels["max_pool_gradient"](winner, grads, grad_x, _ranked(self), self._stride)
    return self._without_height(grad_x)


def _softmax_forward(
    self: SoftmaxCrossEntropy, outputs: Array, targets: Any, sample_weights: Any = None
) -> Array:
    plain = (
        type(self) is SoftmaxCrossEntropy  # a derived class may have points of its own
        and sample_weights is None
        and self.class_weights is None
        and self.label_smoothing == 0
        and type(targets) is np.ndarray
        and targets.dtype == np.int64
        and isinstance(outputs, np.ndarray)
        and outputs.ndim == 2
        and targets.shape == outputs.shape[:1] != (0,)
        and _fits(outputs)
    )
    if plain:
        grad = self.buffer_like("grad", outputs)
        losses = np.empty(len(outputs), outputs.dtype)
        if _kernels["softmax_cross_entropy_of_labels"](outputs, targets, grad, losses):
            self.losses, self.sample_totals = losses, None
            # The backward has only to return this. NumPy's, if the forms are taken out in between,
            # comes to the same: (softmax - targets) * share.
            self.softmax, self.targets, self.share = grad, _NOTHING, 1
            return losses.copy()
    result: Array = _numpy(self, Loss, "forward", outputs, targets, sample_weights)
    return result


def _softmax_backward(self: SoftmaxCrossEntropy) -> Array:
    # Standing alone, each call gives a new array, which the caller may change.
    if self.targets is _NOTHING and self._buffers is not None:
        return self.softmax
    result: Array = _numpy(self, Loss, "backward")
    return result


def _softmax_points(self: SoftmaxCrossEntropy, outputs: Array, targets: Array) -> Array:
    smooth = self.smooth(targets)
    if outputs.shape != smooth.shape or not _fits(outputs, smooth):
        losses: Array = _numpy(self, SoftmaxCrossEntropy, "points", outputs, targets)
        return losses
    self.targets = targets = smooth
    self.softmax = softmax = self.buffer_like("softmax", outputs)
    losses = np.empty(outputs.shape[:-1], outputs.dtype)
    _kernels["softmax_cross_entropy"](
        *(a.reshape(-1, outputs.shape[-1]) for a in (outputs, targets, softmax)), losses.reshape(-1)
    )
    return losses


def _sgd_update(self: SGD, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
    plain = not (self.weight_decay or self.nesterov or self.dampening)
    if not plain or not _fits(parameters, gradients):
        _numpy(self, SGD, "update", parameters, gradients, state)
        return
    number = parameters.dtype.type
    if self.momentum:
        momentum = number(0 if self.steps == 1 else self.momentum)
        _kernels["sgd_momentum"](
            parameters, gradients, state["velocity"], momentum, number(self.learning_rate)
        )
    else:
        _kernels["sgd"](parameters, gradients, number(self.learning_rate))


def _adam_move(self: Adam, w: Array, g: Array, state: dict[str, Array]) -> None:
    if not _fits(w, g):
        _numpy(self, Adam, "_move", w, g, state)
        return
    beta1, beta2 = self.betas
    root = math.sqrt(1 - beta2**self.steps)
    step = self.learning_rate * root / (1 - beta1**self.steps)
    factors = (beta1, 1 - beta1, beta2, 1 - beta2, self.epsilon * root, step)
    _kernels["adam"](w, g, state["mean"], state["mean_square"], *map(w.dtype.type, factors))


_NOTHING = np.zeros(())  # in the place of targets, where they are taken off already


def _numpy(self: Any, cls: type, name: str, *arguments: Any) -> Any:
    """Call the form that the kernel stands in for."""
    return _numpy_forms[cls, name](self, *arguments)


_FORMS: dict[type, dict[str, Callable[..., Any]]] = {
    Function: {"add_to_rows": _add_to_rows, "sum_rows": _sum_rows},
    ReLU: {"forward": _relu_forward, "backward": _relu_backward},
    MaxPool2d: {"forward": _max_pool_forward, "backward": _max_pool_backward},
    SoftmaxCrossEntropy: {
        "forward": _softmax_forward,
        "backward": _softmax_backward,
        "points": _softmax_points,
    },
    SGD: {"update": _sgd_update},
    Adam: {"_move": _adam_move},
}
_numpy_forms: dict[tuple[type, str], Callable[..., Any]] = {
    (next(base for base in cls.__mro__ if name in base.__dict__), name): getattr(cls, name)
    for cls, forms in _FORMS.items()
    for name in forms
}
