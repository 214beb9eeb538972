"""``chainrule find-lr``."""

from pathlib import Path

from chainrule.cli import nets
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import load_data
from chainrule.cli.train import Settings, checked
from chainrule.data import Batches
from chainrule.optimizers import SGD, Adam, Optimizer
from chainrule.training import find_learning_rate

__all__ = ["find_lr_command"]


def find_lr_command(settings: Settings, steps: int, picture: Path) -> int:
    """Train for a few steps with growing learning rates, print the suggestion, draw the loss."""
    widths = checked(settings)
    if steps < 10:
        raise UsageError(f"--steps must be at least 10, got {steps}.")
    data = load_data(settings.data)
    preparation = data.preparation
    build = {"mlp": nets.mlp, "lenet": nets.lenet}[settings.model]
    model = build(preparation.sample_shape, widths, len(preparation.names), settings.seed)
    batches = Batches(preparation.rows(data.x), data.y, settings.batch_size, seed=settings.seed)
    # The optimisers that `chainrule train` takes.
    optimizer: Optimizer = SGD() if settings.model == "mlp" else Adam()
    found = find_learning_rate(model, batches, optimizer=optimizer, steps=steps)
    print(found)
    if not found.diverged:
        print(f"The loss had not grown yet at {found.rates[-1]:.2g}: it may be higher.")

    from chainrule import plots

    plots.learning_rate(found).figure.savefig(picture)  # type: ignore[union-attr]  # no SubFigure
    print(f"The loss over the learning rate is drawn in {picture}.")
    lr = f"{found.suggestion:.1g}"
    options = f"{settings.data} --model {settings.model} --lr {lr}"
    print(f"\nTo train with it:\n    chainrule train {options}")
    return 0
