"""In which order flattened images lie: a mistake there gives other outputs, and no error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from cases_pytorch import called, nn, torch
from chainrule.pytorch import from_module, load_state_dict, module_names, to_state_dict


def shaken(module):
    """Return the module with weights and statistics that are not the first ones."""
    torch.manual_seed(1)
    for array in module.state_dict().values():
        if array.is_floating_point():
            array.copy_(0.5 + 0.5 * torch.rand(array.shape))
    return module.double().eval()


def ours(array):
    array = np.asarray(array)
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def agrees(module, model, x):
    expected = ours(called(module, x))
    found = model.predict(ours(x))
    scale = max(1, abs(expected).max())
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-8)


class Doubled(nn.Module):
    """A module of one's own that acts on each value alone."""

    def forward(self, x):
        return 2 * x


class Product(nn.Module):
    """A module of one's own with a weight for each feature."""

    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, 3))

    def forward(self, x):
        return x @ self.weight


def product(module):
    layer = cr.Linear(len(module.weight), 3, bias=False)
    layer.weights = module.weight.detach().numpy()
    return layer


CONVERTERS = {Doubled: lambda module: cr.Rescale(2.0), Product: product}
IMAGES = (4, 3, 6, 5)

NETS = {
    "batch norm first": lambda: [nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(90, 4)],
    "group norm first": lambda: [nn.GroupNorm(3, 3), nn.Flatten(), nn.Linear(90, 4)],
    "unflattened again": lambda: [
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Unflatten(1, (4, 4, 3)), nn.Conv2d(4, 2, 2)],
    "unflattened otherwise": lambda: [
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Unflatten(1, (6, 4, 2)), nn.Conv2d(6, 2, 2),
        nn.Flatten(), nn.Linear(6, 2)],
    "groups of flattened": lambda: [
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.GroupNorm(6, 48), nn.Linear(48, 2)],
    "vectors of flattened": lambda: [
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.RMSNorm(48, eps=1e-5), nn.LayerNorm(48), nn.Tanh(),
        nn.Linear(48, 2)],
    "unflattened, normalised, flattened": lambda: [
        nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(4, 24), nn.Unflatten(1, (4, 3, 2)),
        nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)],
    "unflattened, flattened": lambda: [
        nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(4, 24), nn.Unflatten(1, (4, 3, 2)),
        nn.Sigmoid(), nn.Flatten(), nn.Linear(24, 2)],
    "own among images": lambda: [
        nn.Conv2d(3, 4, 3), Doubled(), nn.Flatten(), nn.Linear(48, 2)],
    "own after flattening": lambda: [nn.Conv2d(3, 4, 3), nn.Flatten(), Product(48)],
}  # fmt: skip


@pytest.mark.parametrize("shown", [False, True], ids=["no example", "example"])
@pytest.mark.parametrize("build", NETS.values(), ids=NETS)
def test_flattened_images_lie_right(build, shown):
    module = shaken(nn.Sequential(*build()))
    x = torch.randn(IMAGES, dtype=torch.float64)
    example = x if shown else None
    model = from_module(module, example=example, converters=CONVERTERS)
    agrees(module, model, x)
    if not any(isinstance(part, (Doubled, Product)) for part in module):
        names = module_names(module, example=example)
        for name, array in to_state_dict(model, names=names).items():
            torch.testing.assert_close(array, module.state_dict()[name], msg=name)


@st.composite
def modules(draw):
    """Return a chain of modules over images, flattened and unflattened at will."""
    size, flat, found = (3, 6, 5), False, []
    for _ in range(draw(st.integers(1, 6))):
        c, h, w = size
        n = c * h * w
        parts = (
            {
                "linear": lambda n=n: (nn.Linear(n, 24), (24, 1, 1)),
                "norm": lambda n=n, s=size: (nn.BatchNorm1d(n), s),
                "layer": lambda n=n, s=size: (nn.LayerNorm(n), s),
                "act": lambda s=size: (nn.Tanh(), s),
                "again": lambda s=size: (nn.Flatten(), s),
                "group": lambda n=n, s=size: (nn.GroupNorm(1, n), s),
                "unflatten": lambda n=n: (nn.Unflatten(1, (n // 6, 3, 2)), (n // 6, 3, 2)),
            }
            if flat
            else {
                "conv": lambda c=c, h=h, w=w: (nn.Conv2d(c, 4, 3, padding=1), (4, h, w)),
                "norm": lambda c=c, s=size: (nn.BatchNorm2d(c), s),
                "group": lambda c=c, s=size: (nn.GroupNorm(1, c), s),
                "drop": lambda s=size: (nn.Dropout2d(), s),
                "act": lambda s=size: (nn.Softmax(1), s),
                "pool": lambda c=c: (nn.AdaptiveAvgPool2d((3, 2)), (c, 3, 2)),
                "flatten": lambda s=size: (nn.Flatten(), s),
            }
        )
        kind = draw(st.sampled_from(sorted(parts)))
        if kind == "unflatten" and n % 6:
            continue
        module, size = parts[kind]()
        flat = kind != "unflatten" and (flat or kind == "flatten")
        found.append(module)
    # What tells that the input is images; without it an example would.
    return nn.Sequential(nn.Conv2d(3, 3, 1), *found)


@settings(max_examples=80, deadline=None)
@given(modules(), st.booleans())
def test_any_chain_of_images_predicts_the_same_with_or_without_an_example(module, shown):
    shaken(module)
    x = torch.randn(IMAGES, dtype=torch.float64)
    model = from_module(module, example=x if shown else None)
    agrees(module, model, x)
    state = to_state_dict(model, names=module_names(module, example=x if shown else None))
    module_state = module.state_dict()
    assert set(state) == set(module_state)
    for name, array in state.items():
        torch.testing.assert_close(array, module_state[name], msg=name)


def test_what_cannot_be_known_is_asked_for():
    flattened = nn.Sequential(nn.Dropout2d(), nn.Flatten(), nn.Linear(90, 2))
    with pytest.raises(ValueError, match=r"unknown number of channels.*from_module an example"):
        from_module(flattened)
    last = shaken(nn.Sequential(nn.GroupNorm(3, 3), nn.Flatten()))
    with pytest.raises(ValueError, match=r"not known\. Give an example"):
        from_module(last)
    for shape in (IMAGES, (4, 3)):
        x = torch.randn(shape, dtype=torch.float64)
        agrees(last, from_module(last, example=x), x)


def net(*layers):
    return cr.Model(layers, cr.MeanSquaredError())


@pytest.mark.parametrize(
    "layers",
    [
        [cr.Rescale(0.5, [1, 2, 3, 4])],
        [cr.Residual([cr.Conv2d(4, 4, 1)])],
        [cr.Transpose([2, 1, 3])],
        [cr.Dropout(), cr.SpatialDropout()],
    ],
    ids=str,
)
def test_what_leaves_the_order_as_it_is(layers):
    model = net(cr.Conv2d(3, 4, 3), *layers, cr.Flatten(), cr.Linear(48, 2))
    weights = list(to_state_dict(model, arrays=True).values())[-2]
    expected = model.layers[-1].weights.T.reshape(2, 12, 4).swapaxes(1, 2).reshape(2, 48)
    np.testing.assert_array_equal(weights, expected)


def test_a_reshape_to_one_axis_flattens():
    model = net(cr.Conv2d(3, 4, 3), cr.Reshape([48]), cr.Linear(48, 2))
    flattened = net(cr.Conv2d(3, 4, 3), cr.Flatten(), cr.Linear(48, 2))
    found, expected = (to_state_dict(each, arrays=True) for each in (model, flattened))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([cr.Slice(1, 0, 2), cr.Flatten(), cr.Linear(24, 2)], "unknown number of channels"),
        ([cr.Flatten(), cr.Rescale(np.arange(1.0, 49)), cr.Linear(48, 2)], "unknown number"),
        ([cr.Flatten(), cr.Residual([cr.Linear(48, 48)])], "cannot be added up in both"),
        ([cr.Add([[cr.Flatten()], [cr.Flatten(), cr.Linear(48, 48)]])], "cannot be added up"),
    ],
    ids=str,
)
def test_an_order_that_is_not_known_is_refused(layers, message):
    model = net(cr.Conv2d(3, 4, 3), *layers)
    for function in (to_state_dict, lambda model: load_state_dict(model, {})):
        with pytest.raises(ValueError, match=message):
            function(model)


def test_no_array_is_left_out():
    """A layer of layers that is not known holds weights too."""
    graph = cr.Graph([(cr.Linear(3, 4), [0]), (cr.Linear(4, 4), [1]), ("add", [1, 2])])
    model = net(cr.Linear(3, 3), graph)
    for function in (to_state_dict, lambda model: load_state_dict(model, {})):
        with pytest.raises(TypeError, match="no such module: 1: Graph"):
            function(model)
