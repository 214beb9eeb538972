"""Every optimiser with every option: a row each, and what PyTorch calls it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import chainrule as cr


@dataclass
class OptimizerCase:
    make: Callable[[], Any]
    torch: str | None  # the class in torch.optim
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def tolerance(self):
        """In float64: PyTorch's NAdam keeps the product of its momenta in float32."""
        return 1e-6 if self.torch == "NAdam" else 1e-11

    @property
    def name(self):
        return repr(self.make())

    def reference(self, torch, parameters):
        return getattr(torch.optim, self.torch)(parameters, **self.options)


def row(make, torch, **options):
    return OptimizerCase(make, torch, options)


def in_torch(rows):
    return [case for case in rows if case.torch]


OPTIMIZERS = [
    row(lambda: cr.SGD(0.1), "SGD", lr=0.1),
    row(lambda: cr.SGD(0.1, 0.9), "SGD", lr=0.1, momentum=0.9),
    row(
        lambda: cr.SGD(0.1, 0.9, nesterov=True, weight_decay=0.01),
        "SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01,
    ),
    row(lambda: cr.SGD(0.1, 0.8, dampening=0.3), "SGD", lr=0.1, momentum=0.8, dampening=0.3),
    row(lambda: cr.SGD(0.1, weight_decay=0.1), "SGD", lr=0.1, weight_decay=0.1),
    row(lambda: cr.SGD(0.1, 0.9, weight_decay=0.1, decoupled=True), None),
    row(lambda: cr.RMSprop(0.01), "RMSprop", lr=0.01),
    row(
        lambda: cr.RMSprop(0.01, 0.9, momentum=0.5, epsilon=1e-3, weight_decay=0.1),
        "RMSprop", lr=0.01, alpha=0.9, momentum=0.5, eps=1e-3, weight_decay=0.1,
    ),
    row(
        lambda: cr.RMSprop(0.01, centered=True, epsilon=1e-3),
        "RMSprop", lr=0.01, centered=True, eps=1e-3,
    ),
    row(lambda: cr.Adagrad(0.1), "Adagrad", lr=0.1),
    row(
        lambda: cr.Adagrad(0.1, learning_rate_decay=0.001, epsilon=1e-3, weight_decay=0.1),
        "Adagrad", lr=0.1, lr_decay=0.001, eps=1e-3, weight_decay=0.1,
    ),
    row(lambda: cr.Adadelta(), "Adadelta"),
    row(
        lambda: cr.Adadelta(0.5, 0.8, epsilon=1e-4, weight_decay=0.1),
        "Adadelta", lr=0.5, rho=0.8, eps=1e-4, weight_decay=0.1,
    ),
    row(lambda: cr.Adam(0.01), "Adam", lr=0.01),
    row(
        lambda: cr.Adam(0.01, (0.8, 0.9), epsilon=1e-3, weight_decay=0.1),
        "Adam", lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1,
    ),
    row(lambda: cr.AdamW(0.01), "AdamW", lr=0.01),
    row(lambda: cr.AdamW(0.01, weight_decay=0.3), "AdamW", lr=0.01, weight_decay=0.3),
    row(lambda: cr.NAdam(0.01), "NAdam", lr=0.01),
    row(
        lambda: cr.NAdam(0.01, (0.8, 0.9), epsilon=1e-3, weight_decay=0.1, momentum_decay=0.1),
        "NAdam", lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, momentum_decay=0.1,
    ),
    row(
        lambda: cr.NAdam(0.01, weight_decay=0.1, decoupled=True),
        "NAdam", lr=0.01, weight_decay=0.1, decoupled_weight_decay=True,
    ),
    row(lambda: cr.RAdam(0.01), "RAdam", lr=0.01),
    row(
        lambda: cr.RAdam(0.01, (0.8, 0.9), epsilon=1e-3, weight_decay=0.1),
        "RAdam", lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1,
    ),
    row(
        lambda: cr.RAdam(0.01, weight_decay=0.1, decoupled=True),
        "RAdam", lr=0.01, weight_decay=0.1, decoupled_weight_decay=True,
    ),
    row(lambda: cr.Lion(0.01), None),
    row(lambda: cr.Lion(0.01, (0.8, 0.95), weight_decay=0.1), None),
]  # fmt: skip
