"""Rows of graphs, of fixed and learned scaling, and of cutting and padding."""

import chainrule as cr
from cases_shape import linear


def gate():
    return cr.Graph([
        [cr.Linear(5, 3), [0]], [cr.Tanh(), [1]], [cr.Linear(5, 3), [0]], [cr.Sigmoid(), [3]],
        ["multiply", [2, 4]],
    ])  # fmt: skip


def forks():
    """Value 1 goes three ways, and one of them joins twice."""
    return cr.Graph([
        [cr.Linear(5, 4), [0]], [cr.Tanh(), [1]], ["add", [1, 2, 1]], [cr.Softmax(), [3]],
        ["concatenate", [4, 1]], [cr.Linear(8, 4), [5]], ["add", [6, 3]],
    ])  # fmt: skip


def torch_forks(torch, layer):
    def function(x, p):
        a = linear(torch, x, p, "1")
        b = a + torch.tanh(a) + a
        beside = torch.cat([torch.softmax(b, -1), a], -1)
        return linear(torch, beside, p, "6") + b

    return function


def scores():
    """Attention of one head, written out."""
    return cr.Graph([
        [cr.Linear(5, 4), [0]], [cr.Linear(5, 4), [0]], [cr.Transpose([2, 1]), [2]],
        ["matmul", [1, 3]], [cr.Softmax(), [4]], ["matmul", [5, 0]],
    ])  # fmt: skip


def torch_scores(torch, layer):
    return lambda x, p: (
        torch.softmax(linear(torch, x, p, "1") @ linear(torch, x, p, "2").mT, -1) @ x
    )


def rows(case):
    several = ((2, 3, 5), (4, 1, 5))
    # First more axes than two: these do not treat each value alone.
    vectors = ((3, 2, 5), (1, 5))
    images = ((1, 3, 4, 2), (2, 4, 5, 2))
    return [
        case("Graph", gate, torch=lambda torch, layer: lambda x, p: torch.tanh(
            linear(torch, x, p, "1")) * torch.sigmoid(linear(torch, x, p, "3"))),
        case("Graph-forks", forks, torch=torch_forks),
        case("Graph-matmul", scores, several, torch_scores),
        case("Graph-repeated", lambda: cr.Graph([
            [cr.Slice(1, 0, 1), [0]], [cr.Linear(5, 1), [0]], ["multiply", [1, 2, 1]],
            ["add", [3, 1, 0]]]), several,
            lambda torch, layer: lambda x, p: (
                x[:, :1] * linear(torch, x, p, "2") * x[:, :1] + x[:, :1] + x)),
        case("Graph-axis", lambda: cr.Graph([[cr.Tanh(), [0]], ["concatenate", [1, 0, 1], 1]]),
             several, lambda torch, layer: lambda x, p: torch.cat([x.tanh(), x, x.tanh()], 1)),
        case("Graph-dropout", lambda: cr.Graph([
            [cr.Dropout(0.3), [0]], [cr.Linear(5, 5), [1]], ["add", [2, 0]]]), random=True),
        case("Rescale", lambda: cr.Rescale(0.5, -1.5),
             torch=lambda torch, layer: lambda x, p: 0.5 * x - 1.5),
        case("Rescale-each", lambda: cr.Rescale([1, -2, 0.5, 3, 0], [0.5, 0, 0, 1, -1]), vectors,
             torch=lambda torch, layer: lambda x, p:
             x * x.new_tensor(layer.scale) + x.new_tensor(layer.shift)),
        case("Rescale-shift", lambda: cr.Rescale(shift=[1, 2, 3, 4, 5]), vectors,
             torch=lambda torch, layer: lambda x, p: x + x.new_tensor(layer.shift)),
        case("Scale", lambda: cr.Scale(5),
             torch=lambda torch, layer: lambda x, p: x * p["scale"] + p["shift"]),
        case("Scale-factor", lambda: cr.Scale(5, summand=False),
             torch=lambda torch, layer: lambda x, p: x * p["scale"]),
        case("Scale-summand", lambda: cr.Scale(5, factor=False),
             torch=lambda torch, layer: lambda x, p: x + p["shift"]),
        case("Slice", lambda: cr.Slice(1, -1), images,
             lambda torch, layer: lambda x, p: x[:, -1:]),
        case("Slice-features", lambda: cr.Slice(-1, 1, 4, 2), vectors,
             lambda torch, layer: lambda x, p: x[..., 1:4:2]),
        case("Slice-back", lambda: cr.Slice(2, step=-1), images,
             lambda torch, layer: lambda x, p: x.flip(2)),
        case("Pad", lambda: cr.Pad([(1, 2), (0, 3)]), images,
             lambda torch, layer: lambda x, p: torch.nn.functional.pad(x, (0, 0, 0, 3, 1, 2))),
        case("Pad-value", lambda: cr.Pad([(1, 0)], value=-2.5), vectors,
             lambda torch, layer: lambda x, p: torch.nn.functional.pad(
                 x, (0,) * (2 * (x.ndim - 2)) + (1, 0), value=-2.5)),
    ]  # fmt: skip
