"""``chainrule summary``."""

from pathlib import Path

from chainrule.cli.prepare import Preparation
from chainrule.loading import load

__all__ = ["summary_command"]


def summary_command(path: Path) -> int:
    """Print what a model is made of; return the exit code."""
    model = load(path)
    print(model)
    if "preparation" in model.metadata:
        preparation = Preparation.of(model, path)
        rows = int(model.layers[0].parameter_shapes().get("weights", (0,))[0])
        print()
        print(str(model.summary(rows)))
        print()
        print(
            f"Trained on {preparation.data}: samples of shape {tuple(preparation.sample_shape)}, "
            f"{len(preparation.names)} classes ({', '.join(preparation.names[:20])}"
            f"{', …' if len(preparation.names) > 20 else ''})."
        )
    print(f"{model.dtype.name}, {path.stat().st_size:,} bytes in {path}.")
    return 0
