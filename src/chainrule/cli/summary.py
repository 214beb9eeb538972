"""``chainrule summary``."""

import math
from pathlib import Path

from chainrule.cli.predict import load_own
from chainrule.cli.preparation import Preparation

__all__ = ["summary_command"]


def summary_command(path: Path, code: Path | None = None) -> int:
    """Print what a model is made of; return the exit code."""
    model = load_own(path, code)
    print(model)
    if "preparation" in model.metadata:
        preparation = Preparation.of(model, path)
        print()
        print(str(model.summary(math.prod(preparation.sample_shape))))
        print()
        names = preparation.names
        what = f"{len(names)} classes ({', '.join(names[:20])}{', …' if len(names) > 20 else ''})"
        if preparation.regression:
            what = f"predicts {preparation.target or 'a number'}"
        shape = tuple(preparation.sample_shape)
        print(f"Trained on {preparation.data}: samples of shape {shape}, {what}.")
    print(f"{model.dtype.name}, {path.stat().st_size:,} bytes in {path}.")
    return 0
