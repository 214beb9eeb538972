"""Optimisers and schedules by the names that the command knows."""

from collections.abc import Callable

from chainrule.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)
from chainrule.schedules import (
    Cosine,
    ExponentialDecay,
    LinearScaling,
    OneCycle,
    Plateau,
    Polynomial,
    Schedule,
    StepDecay,
    Warmup,
)

__all__ = ["OPTIMIZERS", "SCHEDULES", "learning_rate", "optimizer", "scaled", "schedule"]

OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "momentum": lambda lr: SGD(lr, 0.9),
    "nesterov": lambda lr: SGD(lr, 0.9, nesterov=True),
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
}
SCHEDULES = (
    "constant", "step", "exponential", "cosine", "warmup", "polynomial", "plateau", "1cycle",
)  # fmt: skip

# Good for small nets on standardised inputs with mini-batches of 64.
RATES = {
    "sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.001, "adagrad": 0.02,
    "adadelta": 1.0, "radam": 0.004, "lion": 0.001,
}  # fmt: skip


def learning_rate(name: str, *, highest: bool) -> float:
    """Return the learning rate if none is given: a higher one for 1cycle, which soon leaves it."""
    return RATES.get(name, 0.001) * (4 if highest else 1)


def optimizer(name: str, lr: float, weight_decay: float) -> Optimizer:
    """Return the optimiser of a name."""
    built = OPTIMIZERS[name](lr)
    built.weight_decay = weight_decay
    return built


def scaled(name: str, epochs: int, steps: int, monitor: str, workers: int) -> Schedule:
    """Return it for so many workers: it rises slowly to a learning rate as many times as high.

    It rises for five epochs, or for a fifth of the training if that is shorter.
    """
    then = schedule(name, epochs, steps, monitor)
    if name == "step":
        then = StepDecay(max(1, steps // 3), per_epoch=False)
    if name == "exponential":
        then = ExponentialDecay(0.01 ** (1 / steps), per_epoch=False)
    return LinearScaling(workers, max(1, min(5 * steps // epochs, steps // 5)), then)


def schedule(name: str, epochs: int, steps: int, monitor: str) -> Schedule | None:
    """Return the schedule of a name, for a training of so many epochs and steps."""
    if name == "step":
        return StepDecay(max(1, epochs // 3))
    if name == "exponential":  # down to a hundredth
        return ExponentialDecay(0.01 ** (1 / epochs))
    if name == "cosine":
        return Cosine()
    if name == "warmup":
        return Warmup(max(1, steps // 20), Cosine())
    if name == "polynomial":
        return Polynomial()
    if name == "plateau":
        return Plateau(patience=max(1, epochs // 10), monitor=monitor)
    # fastai's later form, which has no long tail: a training of the command is short.
    later = OneCycle(0.25, "cosine", three_phases=False, start_divisor=25, end_divisor=1e4)
    return later if name == "1cycle" else None
