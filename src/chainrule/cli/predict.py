"""``chainrule predict``."""

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli.errors import UsageError, report
from chainrule.cli.prepare import Preparation
from chainrule.data import read_npz
from chainrule.layer import Array
from chainrule.model import load
from chainrule.storage import write_atomically

__all__ = ["predict_command"]

SHOWN = 20
INK = 0.15  # of the brightest pixel: what is fainter is paper


def predict_command(
    model_path: Path, files: Sequence[Path], *, all_samples: bool, out: Path | None
) -> int:
    """Print a prediction a line; return 1 if some file could not be read."""
    if not files:
        raise UsageError("predict: name the images or arrays: chainrule predict MODEL FILE…")
    model = load(model_path)
    preparation = Preparation.of(model, model_path)
    rows: list[list[str]] = []
    failed = 0
    for path in files:
        try:
            raw, note = _read(path, preparation)
            probabilities = model.predict_proba(preparation.rows(raw))
        except (OSError, ValueError) as error:
            report(error)
            failed += 1
            continue
        shown = len(raw) if all_samples else SHOWN
        for i, row in enumerate(probabilities):
            name = str(path) if len(raw) == 1 else f"{path}[{i}]"
            best, second = np.argsort(-row, kind="stable")[:2]
            names = preparation.names
            if i < shown:
                print(
                    f"{name}: {names[best]} ({100 * row[best]:.1f} %), "
                    f"then {names[second]} ({100 * row[second]:.1f} %){note}"
                )
            rows.append([name, names[best], f"{row[best]:.6f}"])
        if len(raw) > shown:
            print(f"… and {len(raw) - shown:,} more: --all prints them, --out FILE.csv keeps them.")
    if out is not None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [["sample", "predicted", "probability"], *rows]
        )
        write_atomically(out, text.getvalue().encode())
    return 1 if failed else 0


def _read(path: Path, preparation: Preparation) -> tuple[Array, str]:
    """Return raw samples, and a note on what was done to them."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the files inside it.")
    if path.suffix in (".npy", ".npz"):
        return _array(path, preparation), ""
    if preparation.image_shape is None:
        raise ValueError(
            f"{path}: this model takes rows of {preparation.sample_shape[0]} numbers, no images. "
            "Give an .npy or .npz file."
        )
    image, inverted = read_image(
        path, preparation.image_shape, preparation.maximum, preparation.margin
    )
    return image[None], "  [inverted: light background]" if inverted else ""


def _array(path: Path, preparation: Preparation) -> Array:
    arrays = read_npz(path)
    chosen = next((arrays[n] for n in ("x", "X", "x_test", "X_test") if n in arrays), None)
    if chosen is None and len(arrays) == 1:
        chosen = next(iter(arrays.values()))
    if chosen is None:
        raise ValueError(f"{path}: needs an array x, has {', '.join(arrays) or 'none'}.")
    if chosen.dtype.kind not in "fiub":
        raise ValueError(f"{path}: the samples must be numbers, got {chosen.dtype}.")
    if list(chosen.shape) == preparation.sample_shape:
        chosen = chosen[None]
    if not len(chosen):
        raise ValueError(f"{path}: there is no sample, shape {chosen.shape}.")
    if not np.isfinite(chosen).all():
        raise ValueError(f"{path}: there are NaN or infinite values in the samples.")
    return chosen


def read_image(
    path: Path, shape: tuple[int, int], maximum: float, margin: float | None
) -> tuple[Array, bool]:
    """Return an image as the net's training data have them: light ink on black, 0 to ``maximum``.

    Parameters
    ----------
    path : path
        A file that Pillow reads.
    shape : pair of int
        Height and width wanted.
    maximum : float
        The value of white.
    margin : float or None
        For drawn digits: cut out the ink, scale it to leave this share free on each side, and
        centre it by its mass, as MNIST was made. None scales the image as it is.

    Returns
    -------
    image : array, shape ``shape``
    inverted : bool
        Whether the background was light.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                turned = ImageOps.exif_transpose(file).convert("RGBA")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: too large an image. Scale it down first.") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: no image that can be read. Give PNG or JPEG.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: a damaged image: {error}.") from error
    paper = Image.new("RGBA", turned.size, "white")
    grey = np.asarray(Image.alpha_composite(paper, turned).convert("L"), dtype=np.float32)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    inverted = bool(np.median(border) > 127)
    if inverted:
        grey = 255 - grey
    if grey.shape != shape:
        grey = _scaled(grey, shape) if margin is None else _centred(grey, shape, margin)
    return grey * np.float32(maximum / 255), inverted


def _scaled(grey: Array, shape: tuple[int, int]) -> Array:
    from PIL import Image

    image: Any = Image.fromarray(grey)
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BOX), dtype=np.float32)


def _centred(grey: Array, shape: tuple[int, int], margin: float) -> Array:
    ink = grey > INK * grey.max()
    if not ink.any():
        return np.zeros(shape, np.float32)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cut = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    free = [round(side * (1 - 2 * margin)) for side in shape]
    scale = min(free[0] / cut.shape[0], free[1] / cut.shape[1])
    height, width = (
        max(1, min(f, round(side * scale))) for f, side in zip(free, cut.shape, strict=True)
    )
    small = _scaled(cut, (height, width))
    image = np.zeros(shape, np.float32)
    top, left = _corner(small, shape, by_mass=margin > 0)
    image[top : top + height, left : left + width] = small
    return image


def _corner(small: Array, shape: tuple[int, int], *, by_mass: bool) -> tuple[int, ...]:
    """Return where to put the ink: its mass, or its box, in the middle."""
    corner = []
    for axis in (0, 1):
        length = small.shape[axis]
        middle = (length - 1) / 2
        if by_mass:
            profile = small.sum(axis=1 - axis)
            middle = float((profile * np.arange(length)).sum() / max(float(profile.sum()), 1e-9))
        start = round((shape[axis] - 1) / 2 - middle)
        corner.append(min(max(start, 0), shape[axis] - length))
    return tuple(corner)
