"""A photo or a drawing, made into an image as the net's training data have them."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layer import Array

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["centred", "of_8_bits", "placed", "read_picture"]

INK = 0.15  # of the strongest ink: what is fainter is paper
CONTRAST = 16  # of 255: what differs less is noise on blank paper


def read_picture(
    path: Path,
    shape: tuple[int, int],
    *,
    maximum: float,
    margin: float | None,
    background: str | None,
) -> tuple[Array, bool]:
    """Return an image as the net's training data have them: its size, its ink and paper.

    Parameters
    ----------
    path : path
        A file that Pillow reads.
    shape : pair of int
        Height and width wanted; an image that has them keeps its pixels.
    maximum : float
        The value of white; black is 0.
    margin : float or None
        For drawn digits: take away the paper, cut out the ink, scale it to leave this share free
        on each side, and centre it: by its mass, as MNIST was made, or by its box for a margin of
        0, as the embedded digits were. None scales the image as it is.
    background : {"dark", "light", None}
        That of the training data; an image on the other one is inverted, with None nothing is.

    Returns
    -------
    image : array, shape ``shape``
    inverted : bool
        Whether light and dark were exchanged.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no image, damaged, too large, or blank.
    """
    grey = _grey(path)
    if np.ptp(grey) < CONTRAST:
        raise ValueError(f"{path}: the image is blank, one grey all over.")
    paper = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    # Ink is what differs most from the paper, so that dark ink on grey paper is dark ink.
    light = paper - grey.min() > grey.max() - paper
    inverted = background is not None and light != (background == "light")
    if inverted:
        grey, paper = 255 - grey, 255 - paper
    if grey.shape != shape:
        if margin is None:
            grey = _scaled(grey, shape)
        else:
            grey = centred(_without_paper(grey, paper), shape, margin)
    return grey * np.float32(maximum / 255), inverted


def _grey(path: Path) -> Array:
    """Return the brightness of each pixel, 0 to 255, upright."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files that can be read all the same
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                image = of_8_bits(ImageOps.exif_transpose(file)).convert("RGBA")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: too large an image. Scale it down first.") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: no image that can be read. Give PNG or JPEG.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: a damaged image: {error}.") from error
    light, opacity = np.asarray(image.convert("L")), np.asarray(image)[..., 3]
    # Ink on nothing: put behind it the paper that it can be seen on.
    seen = float((light * (opacity / 255)).sum()) / max(float((opacity / 255).sum()), 1e-9)
    paper = Image.new("RGBA", image.size, "black" if seen > 127 else "white")
    return np.asarray(Image.alpha_composite(paper, image).convert("L"), dtype=np.float32)


def of_8_bits(image: "Image") -> "Image":
    """Scale 16-bit grey to 8 bits, where Pillow itself would cut off everything above 255."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    if values.max() > 255:
        values /= 257
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _without_paper(grey: Array, paper: float) -> Array:
    """Take away the grey of the paper, and give the ink its full strength."""
    ink = np.maximum(grey - paper, 0)
    return ink * (255 / float(ink.max()))


def _scaled(grey: Array, shape: tuple[int, int]) -> Array:
    from PIL import Image

    image: Any = Image.fromarray(grey.astype(np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BOX), dtype=np.float32)


def centred(grey: Array, shape: tuple[int, int], margin: float) -> Array:
    """Cut out the ink, scale it to leave a margin on each side, and put it in the middle.

    The ink is what is above 0. For a margin of 0 its box is put in the middle, else its mass, as
    MNIST was made.
    """
    return placed(grey, shape, margin)[0]


def placed(
    grey: Array, shape: tuple[int, int], margin: float
) -> tuple[Array, tuple[float, float, float, float]]:
    """Return what :func:`centred` does, and where its edges lie in the drawing.

    The edges are top, left, height and width in pixels of the drawing; they may reach beyond it.
    """
    ink = grey > INK * grey.max()
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
    down, across = cut.shape[0] / height, cut.shape[1] / width
    place = (
        float(rows[0] - top * down), float(columns[0] - left * across),
        shape[0] * down, shape[1] * across,
    )  # fmt: skip
    return image, place


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
