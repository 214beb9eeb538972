"""``chainrule find-lr``."""

import shlex
from pathlib import Path

from chainrule.cli import recipes
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import load_data
from chainrule.cli.settings import Settings
from chainrule.cli.train import built
from chainrule.data import Batches
from chainrule.training import find_learning_rate

__all__ = ["find_lr_command"]


def find_lr_command(given: Settings, steps: int, picture: Path) -> int:
    """Train for a few steps with growing learning rates, print the suggestion, draw the loss."""
    settings = given.spelled_out()
    if steps < 10:
        raise UsageError(f"--steps must be at least 10, got {steps}.")
    data = load_data(str(settings.data), settings.target, settings.task, settings.image_size)
    model = built(settings, data.preparation)
    rows = data.suited_to(model).preparation.rows(data.x)
    batches = Batches(rows, data.y, settings.batch_size or 64, seed=settings.seed or 0)
    optimizer = recipes.optimizer(
        settings.optimizer or "", settings.lr or 0, settings.weight_decay or 0
    )
    found = find_learning_rate(model, batches, optimizer=optimizer, steps=steps)
    print(found)
    if not found.diverged:
        print(f"The loss had not grown yet at {found.rates[-1]:.2g}: it may be higher.")

    from chainrule import plots

    plots.learning_rate(found).figure.savefig(picture)  # type: ignore[union-attr]  # no SubFigure
    print(f"The loss over the learning rate is drawn in {picture}.")
    lr = f"{found.suggestion:.1g}"
    print(f"\nTo train with it:\n    chainrule train {_words(given, settings)} --lr {lr}")
    return 0


def _words(given: Settings, settings: Settings) -> str:
    """Return what is to be typed so that the same net learns from the same data."""
    words = [str(settings.data)]
    for name in ("target", "task", "image_size", "model", "hidden", "dropout", "optimizer",
                 "batch_size", "seed"):  # fmt: skip
        always = name in ("model", "optimizer")
        usual = {"batch_size": 64, "seed": 0}.get(name)
        value = getattr(settings if always else given, name)
        if value is not None and value != usual:
            words += ["--" + name.replace("_", "-"), str(value)]
    return shlex.join(words)
