"""``chainrule predict``."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.cli.classes import class_probabilities
from chainrule.cli.code import functions_of, load_code
from chainrule.cli.errors import UsageError, report
from chainrule.cli.foreign import load_onnx
from chainrule.cli.image_folder import read_image, with_colours
from chainrule.cli.picture import read_picture
from chainrule.cli.preparation import Preparation
from chainrule.cli.tables import TABLES, read_columns
from chainrule.data import read_npz
from chainrule.layer import Array
from chainrule.loading import load
from chainrule.model import Model
from chainrule.storage import write_atomically

__all__ = ["load_own", "predict_command"]

SHOWN = 20
COLUMNS = ["sample", "predicted", "probability"]


def predict_command(
    model_path: Path,
    files: Sequence[Path],
    *,
    all_samples: bool,
    code: Path | None = None,
    out: Path | None,
) -> int:
    """Print a prediction a line; return 1 if some file could not be read."""
    if not files:
        raise UsageError("predict: name the images or arrays: chainrule predict MODEL FILE…")
    if out is not None:
        _check_out(out)
    model = load_own(model_path, code)
    preparation = Preparation.of(model, model_path)
    rows: list[list[str]] = []
    failed = 0
    for path in files:
        try:
            raw, note = _read(path, preparation)
            answers = _answers(model, preparation, raw)
        except Exception as error:  # whatever is wrong with one file, the others are read
            report(error, path)
            failed += 1
            continue
        shown = len(raw) if all_samples else SHOWN
        for i, (words, answer, probability) in enumerate(answers):
            name = str(path) if len(raw) == 1 else f"{path}[{i}]"
            if i < shown:
                print(f"{name}: {words}{note}")
            rows.append([name, answer, probability])
        if len(raw) > shown:
            print(f"… and {len(raw) - shown:,} more: --all prints them, --out FILE.csv keeps them.")
    if out is not None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_atomically(out, text.getvalue().encode(errors="backslashreplace"))
    return 1 if failed else 0


def _check_out(out: Path) -> None:
    """Refuse to write over a file that is not one of ours: an image, say, named by mistake."""
    if out.suffix != ".csv":
        raise UsageError(f"--out must name a .csv file, got {out}.")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    if out.exists():
        with out.open("rb") as file:
            ours = file.readline().strip() == ",".join(COLUMNS).encode()
        if not ours:
            raise UsageError(f"--out {out} is there already, and holds no predictions.")


def load_own(path: Path, code: Path | None) -> Model:
    """Load a model, with the layers of a user's file if one is named."""
    if path.suffix.lower() == ".onnx":
        return load_onnx(path)
    try:
        return load(path, classes=[] if code is None else functions_of(load_code(code)))
    except ValueError as error:
        if "classes=[" in str(error) and code is None:
            raise ValueError(
                f"{path} has layers of your own. Name the file that defines them: --code FILE.py."
            ) from error
        raise


def _answers(model: Model, preparation: Preparation, raw: Array) -> list[tuple[str, str, str]]:
    """Return for each sample what is said, what is predicted, and how probable it is."""
    rows = preparation.rows(raw)
    if preparation.regression:
        outputs = model.predict(rows)
        if outputs.shape != (len(rows), 1) or not np.isfinite(outputs).all():
            raise ValueError("the model does not answer with a number: it is damaged")
        name = preparation.target or "value"
        return [(f"{name} {v:.6g}", f"{v:.9g}", "") for v in preparation.values(outputs)]
    names = preparation.names
    answers = []
    for row in _probabilities(model, preparation, rows):
        best, second = np.argsort(-row, kind="stable")[:2]
        words = (
            f"{names[best]} ({100 * row[best]:.1f} %), "
            f"then {names[second]} ({100 * row[second]:.1f} %)"
        )
        answers.append((words, names[best], f"{row[best]:.6f}"))
    return answers


def _probabilities(model: Model, preparation: Preparation, rows: Array) -> Array:
    probabilities = class_probabilities(model.cost, model.predict(rows))
    if probabilities.shape[1:] != (len(preparation.names),):
        raise ValueError(f"the model does not have {len(preparation.names)} classes: it is damaged")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model answers NaN: its weights, or the values, are too large")
    return probabilities


def _read(path: Path, preparation: Preparation) -> tuple[Array, str]:
    """Return raw samples, and a note on what was done to them."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the files inside it.")
    if path.suffix.lower() in (".npy", ".npz"):
        return _array(path, preparation), ""
    if preparation.columns is not None and path.suffix.lower() in TABLES:
        return read_columns(path, preparation.columns), ""
    if preparation.image_shape is None:
        raise ValueError(
            f"{path}: this model takes samples of shape {tuple(preparation.sample_shape)}, no "
            "images. Give an .npy or .npz file."
            if preparation.columns is None
            else f"{path}: this model was trained on a table. Give a .csv or .parquet file."
        )
    if len(preparation.sample_shape) == 3:  # with colours
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file.")
        image = read_image(path, preparation.image_shape)
        return (image if image.ndim == 3 else with_colours(image))[None], ""
    image, inverted = read_picture(
        path,
        preparation.image_shape,
        maximum=preparation.maximum,
        margin=preparation.margin,
        background=preparation.background,
    )
    other = "light" if preparation.background == "dark" else "dark"
    return image[None], f"  [inverted: {other} background]" if inverted else ""


def _array(path: Path, preparation: Preparation) -> Array:
    arrays = read_npz(path)
    chosen = next((arrays[n] for n in ("x", "X", "x_test", "X_test") if n in arrays), None)
    if chosen is None and len(arrays) == 1:
        chosen = next(iter(arrays.values()))
    if chosen is None:
        raise ValueError(f"{path}: needs an array x, has {', '.join(arrays) or 'none'}.")
    if chosen.dtype.kind not in "fiub":
        raise ValueError(f"{path}: the samples must be numbers, got {chosen.dtype}.")
    if chosen.ndim == 0:
        raise ValueError(f"{path}: needs samples, holds a single number.")
    shape = tuple(preparation.sample_shape)
    if chosen.shape in (shape, (int(np.prod(shape)),)):  # one sample, perhaps flattened
        chosen = chosen[None]
    if not len(chosen):
        raise ValueError(f"{path}: there is no sample, shape {chosen.shape}.")
    if not np.isfinite(chosen).all():
        raise ValueError(f"{path}: there are NaN or infinite values in the samples.")
    return chosen
