"""Rows of the layers of shape and composition."""

import chainrule as cr


def linear(torch, x, p, prefix):
    return torch.nn.functional.linear(x, p[f"{prefix}.weights"].T, p[f"{prefix}.biases"])


def rows(case):
    return [
        case("Reshape", lambda: cr.Reshape([3, 2]), shapes=((1, 2, 3), (4, 6)),
             torch=lambda torch, layer: lambda x, p: x.reshape(len(x), 3, 2)),
        case("Reshape-rest", lambda: cr.Reshape([-1, 2]), shapes=((1, 2, 3), (4, 6)),
             torch=lambda torch, layer: lambda x, p: x.reshape(len(x), -1, 2)),
        case("Transpose", lambda: cr.Transpose([2, 3, 1]), shapes=((1, 2, 3, 4), (3, 1, 2, 2)),
             torch=lambda torch, layer: lambda x, p: x.permute(0, 2, 3, 1)),
        case("Concatenate", lambda: cr.Concatenate([cr.Linear(5, 3), [cr.Linear(5, 2), cr.Tanh()]]),
             torch=lambda torch, layer: lambda x, p: torch.cat([
                 linear(torch, x, p, "0"),
                 torch.tanh(linear(torch, x, p, "1.0"))], -1)),
        case("Concatenate-axis", lambda: cr.Concatenate([cr.Tanh(), cr.Sigmoid()], axis=1),
             shapes=((1, 1, 5), (3, 2, 5)),
             torch=lambda torch, layer: lambda x, p: torch.cat([x.tanh(), x.sigmoid()], 1)),
        case("Add", lambda: cr.Add([cr.Linear(5, 3), [cr.Linear(5, 3), cr.Tanh()]]),
             torch=lambda torch, layer: lambda x, p: linear(torch, x, p, "0")
             + torch.tanh(linear(torch, x, p, "1.0"))),
        case("SpatialDropout", lambda: cr.SpatialDropout(0.4), random=True),
        case("SpatialDropout-none", lambda: cr.SpatialDropout(0.0),
             torch=lambda torch, layer: lambda x, p: x),
    ]  # fmt: skip
