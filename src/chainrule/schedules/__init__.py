r"""Schedules: how the learning rate goes as the training goes on.

A schedule returns what the optimiser's learning rate is multiplied by before a step. So the
learning rate that ``train`` is given is the highest one, and a schedule only gives the shape. Any
function ``(step, total) -> factor`` will do; steps count from 0.

A schedule remembers nothing from step to step, and so has nothing to save, except ``Plateau``.
"""

from chainrule.schedules.base import Schedule
from chainrule.schedules.falls import (
    Constant,
    Cosine,
    ExponentialDecay,
    Polynomial,
    StepDecay,
    Warmup,
)
from chainrule.schedules.one_cycle import OneCycle
from chainrule.schedules.plateau import Plateau
from chainrule.schedules.scaling import LinearScaling

__all__ = [
    "Constant",
    "Cosine",
    "ExponentialDecay",
    "LinearScaling",
    "OneCycle",
    "Plateau",
    "Polynomial",
    "Schedule",
    "StepDecay",
    "Warmup",
]
