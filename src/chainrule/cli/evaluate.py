"""``chainrule evaluate``."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli.errors import UsageError
from chainrule.cli.image_folder import read_image_folder, with_colours
from chainrule.cli.predict import load_own
from chainrule.cli.prepare import Preparation, labels, load_data, one_a_sample
from chainrule.cli.tables import TABLES, labels_or_values, read_columns, read_table
from chainrule.data import load_npz
from chainrule.layer import Array
from chainrule.metrics import confusion_matrix
from chainrule.model import Model
from chainrule.training import evaluate

__all__ = ["evaluate_command", "renumbered"]


def evaluate_command(
    path: Path, data: str, *, target: str | None, code: Path | None, as_json: bool, out: Path | None
) -> int:
    """Print how well a model does on data that it may not have seen."""
    model = load_own(path, code)
    preparation = Preparation.of(model, path)
    x, y = _samples(data, preparation, target)
    rows = preparation.rows(x)
    figures: dict[str, Any] = {"samples": len(x)}
    if preparation.regression:
        outputs = preparation.values(model.predict(rows))
        error = outputs - y
        spread = float(((y - y.mean()) ** 2).sum())
        figures["rmse"] = float(np.sqrt((error**2).mean()))
        figures["r2"] = 1 - float((error**2).sum()) / spread if spread else float("nan")
    else:
        found = evaluate(model, (rows, y), metrics=["precision", "recall", "f1"])
        figures |= found
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<10} {value:,}" if name == "samples" else f"{name:<10} {value:.4f}")
    if out is not None:
        _draw(out, model, preparation, rows, y)
    return 0


def _samples(data: str, preparation: Preparation, target: str | None) -> tuple[Array, Array]:
    """Return raw samples with their targets: of a set that is parted, the held-out ones."""
    path = Path(data)
    if path.suffix.lower() in TABLES:
        table = read_table(path, target or preparation.target)
        if preparation.columns is None:
            raise UsageError(f"{path}: the model was not trained on a table.")
        x = read_columns(path, preparation.columns)
        task = "regression" if preparation.regression else "classification"
        found = labels_or_values(path, table, task, to_learn=False)
        return x, renumbered(path, found.y, found.names, preparation)
    if path.suffix == ".npz":
        arrays = load_npz(path)
        x, y = arrays.x, arrays.y
        if arrays.x_test is not None and arrays.y_test is not None:
            x, y = arrays.x_test, arrays.y_test
        y = one_a_sample(path, y)
        return x, y.astype(np.float64) if preparation.regression else labels(path, y)
    if path.is_dir() and not (path / "train-images-idx3-ubyte").exists():
        if preparation.image_shape is None:
            raise UsageError(f"{path}: the model was not trained on images.")
        x, y, x_test, y_test, names = read_image_folder(path, preparation.image_shape, fewest=1)
        if x_test is not None and y_test is not None:
            x, y = x_test, y_test
        if len(preparation.sample_shape) == 3 and x.ndim == 3:  # of images all without colours
            x = with_colours(x)
        return x, renumbered(path, y, names, preparation)
    loaded = load_data(data)
    return loaded.x_test, loaded.y_test


def renumbered(
    path: Path | str, y: Array, names: list[str] | None, preparation: Preparation
) -> Array:
    """Return labels as a model numbers them; without names they are values, and stay.

    Raises
    ------
    ValueError
        If the model does not know a class.
    """
    if names is None:
        return y
    unknown = [name for name in names if name not in preparation.names]
    if unknown:
        raise ValueError(
            f"{path}: the model does not know the classes {', '.join(unknown[:10])}; it knows "
            f"{', '.join(preparation.names[:10])}."
        )
    order = np.array([preparation.names.index(name) for name in names])
    return order[y]


def _draw(out: Path, model: Model, preparation: Preparation, rows: Array, y: Array) -> None:
    from chainrule import plots

    out.mkdir(parents=True, exist_ok=True)
    if preparation.regression:
        axes = plots.predicted(y, preparation.values(model.predict(rows)), preparation.target)
        picture = out / "predicted.png"
    else:
        matrix = confusion_matrix(model.predict_classes(rows), y, len(preparation.names))
        axes = plots.confusion(matrix, preparation.names)
        picture = out / "confusion.png"
    axes.figure.savefig(picture)  # type: ignore[union-attr]  # the stubs allow a SubFigure
    print(f"Drawn in {picture}.")
