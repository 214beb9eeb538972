"""One row for each layer and loss; the generic tests run over every row.

A new layer is one class, and one row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import cases_attention
import cases_convolution
import cases_graph
import cases_normalization
import cases_pooling
import cases_recurrent
import cases_shape
import chainrule as cr


@dataclass(frozen=True)
class LayerCase:
    """How to build a layer, what to feed it, and what PyTorch calls it.

    ``torch`` takes the module torch and our layer, and returns a function of tensors (x, parameters
    by name) that computes the same. ``inputs`` draws an input of a shape where normal values will
    not do, as for a layer that takes indices; such a layer has no gradient of its input either.
    """

    name: str
    build: Callable[[], cr.Layer]
    shapes: tuple[tuple[int, ...], ...] = ((1, 5), (4, 5), (3, 2, 5), (2, 1, 3, 5))
    torch: Callable[[Any, Any], Callable[..., Any]] | None = None
    kinks: bool = False  # inputs near 0 have no derivative
    random: bool = False
    inputs: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None
    input_gradient: bool = True


@dataclass(frozen=True)
class LossCase:
    """How to build a loss, its outputs and targets, and what PyTorch calls it.

    ``torch`` takes the module torch, outputs, targets and weights as tensors, and returns the
    scalar that the loss's backward derives.
    """

    name: str
    build: Callable[[], cr.Loss]
    outputs: Callable[[np.random.Generator], np.ndarray]
    targets: Callable[[np.random.Generator], np.ndarray]
    weights: Callable[[np.random.Generator], np.ndarray] | None = None
    torch: Callable[..., Any] | None = None


def unary(function: str, **options: Any) -> Callable[[Any, Any], Callable[..., Any]]:
    """Return PyTorch's function of that name in torch.nn.functional."""
    return lambda torch, layer: lambda x, p: getattr(torch.nn.functional, function)(x, **options)


def linear(torch: Any, layer: Any) -> Callable[..., Any]:
    return lambda x, p: torch.nn.functional.linear(x, p["weights"].T, p.get("biases"))


LAYERS = [
    LayerCase("Linear", lambda: cr.Linear(5, 4), torch=linear),
    LayerCase("Linear-no-bias", lambda: cr.Linear(5, 3, bias=False), torch=linear),
    LayerCase("Linear-glorot", lambda: cr.Linear(5, 1, initializer="glorot"), torch=linear),
    LayerCase("Linear-lecun", lambda: cr.Linear(5, 7, initializer="lecun"), torch=linear),
    LayerCase("Linear-orthogonal", lambda: cr.Linear(5, 5, initializer="orthogonal"), torch=linear),
    LayerCase("Linear-zeros", lambda: cr.Linear(5, 2, initializer="zeros"), torch=linear),
    LayerCase("Linear-one", lambda: cr.Linear(1, 3), shapes=((1, 1), (4, 1), (3, 2, 1)),
              torch=linear),
    LayerCase("ReLU", cr.ReLU, torch=unary("relu"), kinks=True),
    LayerCase("LeakyReLU", lambda: cr.LeakyReLU(0.1), torch=unary("leaky_relu", negative_slope=0.1),
              kinks=True),
    LayerCase("LeakyReLU-default", cr.LeakyReLU, torch=unary("leaky_relu"), kinks=True),
    LayerCase("ELU", lambda: cr.ELU(1.3), torch=unary("elu", alpha=1.3), kinks=True),
    LayerCase("GELU", cr.GELU, torch=unary("gelu")),
    LayerCase("GELU-tanh", lambda: cr.GELU("tanh"), torch=unary("gelu", approximate="tanh")),
    LayerCase("SiLU", cr.SiLU, torch=unary("silu")),
    LayerCase("Softplus", cr.Softplus, torch=unary("softplus", threshold=1e9)),
    LayerCase("Sigmoid", cr.Sigmoid, torch=unary("sigmoid")),
    LayerCase("Tanh", cr.Tanh, torch=unary("tanh")),
    LayerCase("Softmax", cr.Softmax, torch=unary("softmax", dim=-1)),
    LayerCase("LogSoftmax", cr.LogSoftmax, torch=unary("log_softmax", dim=-1)),
    LayerCase("Flatten", cr.Flatten, shapes=((1, 5), (3, 2, 5), (2, 3, 4, 1)),
              torch=lambda torch, layer: lambda x, p: x.flatten(1)),
    LayerCase("Dropout", lambda: cr.Dropout(0.4), random=True),
    LayerCase("Dropout-half", cr.Dropout, random=True),
    LayerCase("Dropout-none", lambda: cr.Dropout(0.0), torch=unary("dropout", p=0.0)),
    LayerCase("Dropout-all", lambda: cr.Dropout(1.0), torch=unary("dropout", p=1.0)),
    LayerCase("Sequential", lambda: cr.Sequential([cr.Linear(5, 6), cr.Tanh(), cr.Linear(6, 2)]),
              torch=lambda torch, layer: lambda x, p: torch.nn.functional.linear(
                  torch.tanh(torch.nn.functional.linear(x, p["0.weights"].T, p["0.biases"])),
                  p["2.weights"].T, p["2.biases"])),
    LayerCase("Sequential-nested", lambda: cr.Sequential(
        [cr.Sequential([cr.Linear(5, 4), cr.Sigmoid()]), cr.Residual([cr.Linear(4, 4)])])),
    LayerCase("Residual", lambda: cr.Residual([cr.Linear(5, 5), cr.Tanh()]),
              torch=lambda torch, layer: lambda x, p: x + torch.tanh(
                  torch.nn.functional.linear(x, p["inner.0.weights"].T, p["inner.0.biases"]))),
    LayerCase("Residual-shortcut",
              lambda: cr.Residual([cr.Linear(5, 3), cr.Tanh()], shortcut=cr.Linear(5, 3)),
              torch=lambda torch, layer: lambda x, p: torch.nn.functional.linear(
                  x, p["shortcut.weights"].T, p["shortcut.biases"]) + torch.tanh(
                  torch.nn.functional.linear(x, p["inner.0.weights"].T, p["inner.0.biases"]))),
    LayerCase("Residual-dropout", lambda: cr.Residual([cr.Dropout(0.3), cr.Linear(5, 5)]),
              random=True),
    LayerCase("Residual-softmax", lambda: cr.Residual([cr.Softmax()]),
              torch=lambda torch, layer: lambda x, p: x + torch.softmax(x, -1)),
    # Convolutions
    *(LayerCase(*row) for row in cases_convolution.ROWS),
    # pooling, normalisation
    *cases_attention.rows(LayerCase),
    *cases_shape.rows(LayerCase),
    *cases_graph.rows(LayerCase),
    *cases_pooling.rows(LayerCase),
    *cases_normalization.rows(LayerCase),
    # Embedding and recurrent layers.
    *cases_recurrent.rows(LayerCase),
]  # fmt: skip


def normal(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.standard_normal(shape)


def distribution(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.dirichlet(np.full(shape[-1], 8.0), shape[:-1])


def classes(count: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, count, shape)


def one_hot(count: int, samples: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.eye(count)[rng.integers(0, count, samples)]


def positive(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(0.1, 2, shape)


def apart(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw targets far enough from 0 for the kinks of a loss to be out of reach of outputs there.

    The outputs ``near`` are within 0.2 of 0, the targets 0.3 to 0.5 (or 0.9 to 1.1) away.
    """
    return lambda rng: (
        rng.choice([-1, 1], shape) * (rng.choice([0.4, 1.0], shape) + rng.uniform(-0.1, 0.1, shape))
    )


def near(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(-0.09, 0.09, shape)


def some_zero(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw weights of which every third is 0: those samples are left out."""
    return lambda rng: rng.uniform(0.1, 2, shape) * (np.arange(shape[0]) % 3 > 0)


def nll(torch: Any, p: Any, t: Any, w: Any) -> Any:
    return torch.nn.functional.nll_loss(torch.log(p), t)


def soft_nll(torch: Any, p: Any, t: Any, w: Any) -> Any:
    return -(t * torch.log(p)).sum(-1).mean()


def cross_entropy(**options: Any) -> Callable[..., Any]:
    def loss(torch: Any, z: Any, t: Any, w: Any) -> Any:
        chosen = dict(options)
        if "weight" in chosen:
            chosen["weight"] = torch.tensor(chosen["weight"], dtype=z.dtype)
        if z.ndim == 3:
            z = z.movedim(-1, 1)
            t = t.movedim(-1, 1) if t.ndim == 3 else t
        if w is None:
            return torch.nn.functional.cross_entropy(z, t, **chosen)
        each = torch.nn.functional.cross_entropy(z, t, reduction="none", **chosen)
        return (each * w).sum() / w.sum()

    return loss


def bce(torch: Any, z: Any, t: Any, w: Any) -> Any:
    t = t.to(z.dtype).reshape(z.shape)
    each = torch.nn.functional.binary_cross_entropy_with_logits(z, t, reduction="none").mean(-1)
    return each.mean() if w is None else (each * w).sum() / w.sum()


def difference(function: str, **options: Any) -> Callable[..., Any]:
    def loss(torch: Any, y: Any, t: Any, w: Any) -> Any:
        t = t.reshape(y.shape)
        each = getattr(torch.nn.functional, function)(y, t, reduction="none", **options).mean(-1)
        return each.mean() if w is None else (each * w).sum() / w.sum()

    return loss


WEIGHTS = [1.0, 2.0, 0.5, 3.0]
LOSSES = [
    LossCase("CrossEntropy", cr.CrossEntropy, distribution(5, 4), classes(4, 5), torch=nll),
    LossCase("CrossEntropy-one-hot", cr.CrossEntropy, distribution(5, 4), one_hot(4, 5),
             torch=soft_nll),
    LossCase("CrossEntropy-smooth", lambda: cr.CrossEntropy(label_smoothing=0.1),
             distribution(5, 4), classes(4, 5), positive(5)),
    LossCase("CrossEntropy-classes", lambda: cr.CrossEntropy(class_weights=WEIGHTS),
             distribution(5, 4), classes(4, 5), positive(5)),
    LossCase("CrossEntropy-steps", lambda: cr.CrossEntropy(class_weights=WEIGHTS),
             distribution(3, 6, 4), classes(4, 3, 6), positive(3, 6)),
    LossCase("CrossEntropy-soft", cr.CrossEntropy, distribution(5, 4), distribution(5, 4),
             torch=soft_nll),
    LossCase("Softmax-indices", cr.SoftmaxCrossEntropy, normal(5, 4), classes(4, 5),
             torch=cross_entropy()),
    LossCase("Softmax-one-sample", cr.SoftmaxCrossEntropy, normal(1, 4), classes(4, 1),
             torch=cross_entropy()),
    LossCase("Softmax-soft", cr.SoftmaxCrossEntropy, normal(5, 4), distribution(5, 4),
             torch=cross_entropy()),
    LossCase("Softmax-weights", cr.SoftmaxCrossEntropy, normal(5, 4), classes(4, 5), positive(5),
             torch=cross_entropy()),
    LossCase("Softmax-left-out", cr.SoftmaxCrossEntropy, normal(7, 4), classes(4, 7),
             some_zero(7), torch=cross_entropy()),
    LossCase("Softmax-two-classes", cr.SoftmaxCrossEntropy, normal(3, 2), classes(2, 3),
             torch=cross_entropy()),
    LossCase("Softmax-smooth-soft", lambda: cr.SoftmaxCrossEntropy(label_smoothing=0.2),
             normal(5, 4), distribution(5, 4), torch=cross_entropy(label_smoothing=0.2)),
    LossCase("Softmax-everything",
             lambda: cr.SoftmaxCrossEntropy(class_weights=WEIGHTS, label_smoothing=0.1),
             normal(3, 6, 4), classes(4, 3, 6), positive(3, 6)),
    LossCase("Softmax-smooth", lambda: cr.SoftmaxCrossEntropy(label_smoothing=0.2),
             normal(5, 4), classes(4, 5), torch=cross_entropy(label_smoothing=0.2)),
    LossCase("Softmax-classes", lambda: cr.SoftmaxCrossEntropy(class_weights=WEIGHTS),
             normal(5, 4), classes(4, 5), torch=cross_entropy(weight=WEIGHTS)),
    LossCase("Softmax-classes-weights", lambda: cr.SoftmaxCrossEntropy(class_weights=WEIGHTS),
             normal(5, 4), distribution(5, 4), positive(5)),
    LossCase("Softmax-steps", cr.SoftmaxCrossEntropy, normal(3, 6, 4), classes(4, 3, 6),
             torch=cross_entropy()),
    LossCase("Softmax-steps-masked", cr.SoftmaxCrossEntropy, normal(3, 6, 4), classes(4, 3, 6),
             positive(3, 6), torch=cross_entropy()),
    LossCase("Binary", cr.BinaryCrossEntropy, normal(5, 1), classes(2, 5), torch=bce),
    LossCase("Binary-outputs", cr.BinaryCrossEntropy, normal(5, 3), classes(2, 5, 3), positive(5),
             torch=bce),
    LossCase("Binary-soft", cr.BinaryCrossEntropy, normal(5, 3), lambda r: r.random((5, 3)),
             torch=bce),
    LossCase("Binary-classes", lambda: cr.BinaryCrossEntropy(class_weights=[1, 3]),
             normal(5, 3), classes(2, 5, 3), positive(5)),
    LossCase("Binary-smooth", lambda: cr.BinaryCrossEntropy(label_smoothing=0.2),
             normal(5, 2), classes(2, 5, 2)),
    LossCase("Binary-everything",
             lambda: cr.BinaryCrossEntropy(class_weights=[1, 3], label_smoothing=0.1),
             normal(5, 3), classes(2, 5, 3), positive(5, 3)),
    LossCase("Binary-one-sample", cr.BinaryCrossEntropy, normal(1, 1), classes(2, 1), torch=bce),
    LossCase("Squared", cr.MeanSquaredError, normal(5, 3), normal(5, 3),
             torch=difference("mse_loss")),
    LossCase("Squared-column", cr.MeanSquaredError, normal(5, 1), normal(5), positive(5),
             torch=difference("mse_loss")),
    LossCase("Squared-images", cr.MeanSquaredError, normal(2, 3, 4, 1), normal(2, 3, 4, 1),
             positive(2)),
    LossCase("Absolute", cr.MeanAbsoluteError, near(5, 3), apart(5, 3),
             torch=difference("l1_loss")),
    LossCase("Absolute-weights", cr.MeanAbsoluteError, near(5, 1), apart(5), positive(5),
             torch=difference("l1_loss")),
    LossCase("Huber", lambda: cr.Huber(0.7), near(5, 3), apart(5, 3), positive(5),
             torch=difference("huber_loss", delta=0.7)),
    LossCase("Huber-default", cr.Huber, near(2, 1), apart(2, 1),
             torch=difference("huber_loss")),
]  # fmt: skip


def layer_input(case: LayerCase, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a random input; away from 0 for layers with a kink there."""
    if case.inputs is not None:
        return case.inputs(rng, shape)
    x = rng.standard_normal(shape)
    return x + np.sign(x) * 0.05 if case.kinks else x


def drawn(case: LayerCase, dtype: Any = np.float64) -> cr.Layer:
    """Return the layer, with parameters drawn and biases that are not all zero."""
    layer = case.build().astype(dtype)
    layer.rng = rng = np.random.default_rng(7)
    layer.draw_missing(rng)
    for _, array in layer.named_parameters():
        np.add(array, 0.1 * rng.standard_normal(array.shape), out=array, casting="same_kind")
    return layer
