"""Values and gradients beside PyTorch's: live where it is installed, by golden files everywhere."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from cases import LAYERS, LOSSES, drawn, layer_input
from cases_optimizers import OPTIMIZERS, in_torch

GOLDEN = Path(__file__).parent / "golden" / "golden.npz"
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
LAYERS_THERE = [case for case in LAYERS if case.torch]
LOSSES_THERE = [case for case in LOSSES if case.torch]
each_type = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: make parity")


def assert_close(ours, theirs, tolerance):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max())


def our_layer(case, x, upstream, dtype, parameters=None):
    """Return output, input gradient, and parameter gradients by name."""
    layer = drawn(case, dtype)
    for name, array in layer.named_parameters():
        array[...] = array if parameters is None else parameters[name]
    y = layer.forward(x)
    grad = layer.backward(upstream)
    gradients = {}
    for path, part in layer.named_layers():
        for name in part.parameter_shapes():
            gradient = getattr(part, part.parameters[name])
            gradients[f"{path}.{name}" if path else name] = gradient
    return y, grad, gradients


def their_layer(torch, case, x, upstream, dtype):
    layer = drawn(case, dtype)
    p = {n: torch.tensor(a, requires_grad=True) for n, a in layer.named_parameters()}
    tensor = torch.tensor(x, requires_grad=True)
    y = case.torch(torch, layer)(tensor, p)
    y.backward(torch.tensor(upstream))
    return y.detach().numpy(), tensor.grad.numpy(), {n: t.grad.numpy() for n, t in p.items()}


def layer_arrays(case, dtype):
    rng = np.random.default_rng(5)
    x = layer_input(case, case.shapes[-1], rng).astype(dtype)
    upstream = rng.standard_normal(drawn(case).forward(x.astype(np.float64)).shape).astype(dtype)
    return x, upstream


def loss_arrays(case, dtype):
    rng = np.random.default_rng(5)
    outputs, targets = case.outputs(rng).astype(dtype), case.targets(rng)
    targets = targets.astype(dtype) if targets.dtype.kind == "f" else targets
    weights = None if case.weights is None else case.weights(rng).astype(dtype)
    return outputs, targets, weights


def our_loss(case, outputs, targets, weights):
    loss = case.build()
    loss.forward(outputs, targets, weights)
    return np.asarray(loss.mean()), loss.backward()


def their_loss(torch, case, outputs, targets, weights):
    z = torch.tensor(outputs, requires_grad=True)
    w = None if weights is None else torch.tensor(weights)
    value = case.torch(torch, z, torch.tensor(targets), w)
    value.backward()
    return value.detach().numpy(), z.grad.numpy()


@each_type
@pytest.mark.parametrize("case", LAYERS_THERE, ids=lambda case: case.name)
def test_layer(case, dtype, torch):
    x, upstream = layer_arrays(case, dtype)
    ours = our_layer(case, x, upstream, dtype)
    theirs = their_layer(torch, case, x, upstream, dtype)
    assert_close(ours[0], theirs[0], TOLERANCE[dtype])
    assert_close(ours[1], theirs[1], TOLERANCE[dtype])
    assert ours[2].keys() == theirs[2].keys()
    for name in ours[2]:
        assert_close(ours[2][name], theirs[2][name], TOLERANCE[dtype])


@each_type
@pytest.mark.parametrize("case", LOSSES_THERE, ids=lambda case: case.name)
def test_loss(case, dtype, torch):
    arrays = loss_arrays(case, dtype)
    for ours, theirs in zip(our_loss(case, *arrays), their_loss(torch, case, *arrays), strict=True):
        assert_close(ours, theirs, TOLERANCE[dtype])


def golden_results(torch):
    """Return all arrays of the golden file: what goes in, and what PyTorch makes of it in float64.

    The inputs are kept too: NumPy may change what a seed draws.
    """
    arrays = {"torch_version": np.array(torch.__version__.encode())}
    for case in LAYERS_THERE:
        x, upstream = layer_arrays(case, np.float64)
        y, grad, gradients = their_layer(torch, case, x, upstream, np.float64)
        kept = {"x": x, "upstream": upstream, "y": y, "grad": grad}
        kept |= {f"gradient/{name}": gradient for name, gradient in gradients.items()}
        kept |= {f"parameter/{n}": a for n, a in drawn(case, np.float64).named_parameters()}
        arrays |= {f"layer/{case.name}/{name}": array for name, array in kept.items()}
    for case in LOSSES_THERE:
        outputs, targets, weights = loss_arrays(case, np.float64)
        value, grad = their_loss(torch, case, outputs, targets, weights)
        kept = {"outputs": outputs, "targets": targets, "value": value, "grad": grad}
        kept |= {} if weights is None else {"weights": weights}
        arrays |= {f"loss/{case.name}/{name}": array for name, array in kept.items()}
    return arrays


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return dict(file)


def below(arrays, prefix):
    """Return the arrays whose name begins so, by the rest of it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


@pytest.mark.parametrize("case", LAYERS_THERE, ids=lambda case: case.name)
def test_layer_against_the_golden_file(case, golden):
    kept = below(golden, f"layer/{case.name}/")
    parameters, theirs = below(kept, "parameter/"), below(kept, "gradient/")
    y, grad, gradients = our_layer(case, kept["x"], kept["upstream"], np.float64, parameters)
    assert_close(y, kept["y"], 1e-12)
    assert_close(grad, kept["grad"], 1e-12)
    assert gradients.keys() == theirs.keys() == parameters.keys()
    for name, gradient in gradients.items():
        assert_close(gradient, theirs[name], 1e-12)


@pytest.mark.parametrize("case", LOSSES_THERE, ids=lambda case: case.name)
def test_loss_against_the_golden_file(case, golden):
    kept = below(golden, f"loss/{case.name}/")
    value, grad = our_loss(case, kept["outputs"], kept["targets"], kept.get("weights"))
    assert_close(value, kept["value"], 1e-12)
    assert_close(grad, kept["grad"], 1e-12)


def test_the_golden_file_is_what_pytorch_gives(torch, golden):
    fresh = golden_results(torch)
    assert fresh.keys() == golden.keys(), "a row has changed: make golden"
    for name, array in fresh.items():
        if name != "torch_version":
            np.testing.assert_allclose(golden[name], array, rtol=1e-12, atol=1e-14)


def test_the_golden_file_is_small():
    assert GOLDEN.stat().st_size < 500_000


ELEMENTWISE = [
    case
    for case in LAYERS_THERE
    if not list(case.build().named_parameters())
    and "oftmax" not in case.name
    and len(case.shapes[0]) == 2
]


@each_type
@pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.name)
def test_special_values(case, dtype, torch):
    """At the kinks themselves we take the side that PyTorch takes, and far out the same limits."""
    x = np.array([0, -0.0, 1e-40, -1e-40, 20, -20, -100, -1e4, -1e18], dtype)[:, None]
    upstream = np.full_like(x, 1.5)
    y, grad, _ = our_layer(case, x, upstream, dtype)
    their_y, their_grad, _ = their_layer(torch, case, x, upstream, dtype)
    np.testing.assert_allclose(y, their_y, rtol=TOLERANCE[dtype], atol=1e-30)
    np.testing.assert_allclose(grad, their_grad, rtol=TOLERANCE[dtype], atol=1e-30)


def test_kinks_of_losses(torch):
    """At a difference of exactly 0 or delta."""
    outputs = np.array([[0.0, 0.7, -0.7, 1e-40]])
    targets = np.zeros((1, 4))
    for loss, name, options in [
        (cr.MeanAbsoluteError(), "l1_loss", {}),
        (cr.Huber(0.7), "huber_loss", {"delta": 0.7}),
        (cr.MeanSquaredError(), "mse_loss", {}),
    ]:
        tensor = torch.tensor(outputs, requires_grad=True)
        value = getattr(torch.nn.functional, name)(tensor, torch.tensor(targets), **options)
        value.backward()
        np.testing.assert_allclose(loss.forward(outputs, targets), [value.item()], rtol=1e-14)
        np.testing.assert_allclose(loss.backward(), tensor.grad.numpy(), rtol=1e-14)


every_optimizer = pytest.mark.parametrize("case", in_torch(OPTIMIZERS), ids=lambda case: case.name)


@each_type
@every_optimizer
def test_optimizer_step_for_step(case, dtype, torch, rng):
    start = rng.standard_normal(30).astype(dtype)
    ours, theirs = start.copy(), torch.nn.Parameter(torch.tensor(start))
    optimizer, reference = case.make(), case.reference(torch, [theirs])
    for _ in range(50):
        gradient = rng.standard_normal(30).astype(dtype)
        optimizer.step(ours, gradient)
        theirs.grad = torch.tensor(gradient)
        reference.step()
        assert_close(ours, theirs.detach().numpy(), 1e-6 if dtype is np.float32 else case.tolerance)


@pytest.mark.parametrize(
    "name", ["RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "NAdam", "RAdam"]
)
def test_the_defaults_are_pytorchs(name, torch, rng):
    start = rng.standard_normal(30)
    ours, theirs = start.copy(), torch.nn.Parameter(torch.tensor(start))
    optimizer, reference = getattr(cr, name)(), getattr(torch.optim, name)([theirs])
    for gradient in 1e-3 * rng.standard_normal((10, 30)):  # small, so that epsilon counts
        optimizer.step(ours, gradient)
        theirs.grad = torch.tensor(gradient)
        reference.step()
    assert_close(ours - start, theirs.detach().numpy() - start, 1e-8)


@each_type
@every_optimizer
def test_a_whole_net_for_twenty_steps(case, dtype, torch, rng):
    """Forward, loss, backward and step together; float32 drifts by its own roundings."""
    x, y = rng.standard_normal((20, 16, 8)).astype(dtype), rng.integers(0, 3, (20, 16))
    net = cr.Model(
        [cr.Linear(8, 10), cr.Tanh(), cr.Linear(10, 3)], cr.SoftmaxCrossEntropy(), dtype=dtype
    )
    theirs = torch.nn.Sequential(torch.nn.Linear(8, 10), torch.nn.Tanh(), torch.nn.Linear(10, 3))
    theirs = theirs.to(torch.tensor(np.zeros(0, dtype)).dtype)
    for our_part, their_part in ((net.layers[0], theirs[0]), (net.layers[2], theirs[2])):
        their_part.weight.data = torch.tensor(our_part.weights.T.copy())
        their_part.bias.data = torch.tensor(our_part.biases.copy())
    optimizer, reference = case.make(), case.reference(torch, theirs.parameters())
    for inputs, labels in zip(x, y, strict=True):
        losses = net.loss(inputs, labels)
        net.backward()
        optimizer.step(net.parameters, net.gradients)
        reference.zero_grad()
        value = torch.nn.functional.cross_entropy(
            theirs(torch.tensor(inputs)), torch.tensor(labels)
        )
        value.backward()
        reference.step()
        tolerance = {np.float32: 1e-4, np.float64: case.tolerance}[dtype]
        assert losses.mean() == pytest.approx(value.item(), rel=tolerance)
        for our_part, their_part in ((net.layers[0], theirs[0]), (net.layers[2], theirs[2])):
            assert_close(our_part.weights.T, their_part.weight.detach(), tolerance)
            assert_close(our_part.biases, their_part.bias.detach(), tolerance)
