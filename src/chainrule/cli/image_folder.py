"""Images in folders, one folder a class."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.cli.picture import of_8_bits
from chainrule.layer import Array

__all__ = ["holds_images", "read_image", "read_image_folder", "with_colours"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
MOST_PIXELS = 50_000_000  # of one image


def holds_images(folder: Path) -> bool:
    """Whether a folder has images in folders of their own."""
    return any(_images_in(inner) for inner in _folders(folder)) or any(
        _images_in(inner) for split in _splits(folder) for inner in _folders(split)
    )


def read_image_folder(
    folder: Path, shape: tuple[int, int] | None, *, fewest: int = 2
) -> tuple[Array, Array, Array | None, Array | None, list[str]]:
    """Return images and labels, held-out ones if there is a folder for them, and the classes.

    Parameters
    ----------
    folder : path
        ``CLASS/IMAGE.png``, or ``train/CLASS/IMAGE.png`` and ``test/CLASS/IMAGE.png``.
    shape : pair of int, or None
        The height and width to which all are brought; None needs images of one size.
    fewest : int
        How many classes there must be.

    Returns
    -------
    x, y, x_test, y_test, names
        Images of shape (samples, height, width), or (…, 3) if one of them has colours, as uint8.

    Raises
    ------
    ValueError
        If there are too few classes, an image cannot be read, or they differ in size.
    """
    splits = _splits(folder) or [folder]
    names = sorted(inner.name for inner in _folders(splits[0]) if _images_in(inner))
    if len(names) < fewest:
        raise ValueError(
            f"{folder}: needs a folder of images for each of at least "
            f"{'two classes' if fewest > 1 else 'one class'}, "
            f"has {', '.join(names) or 'none'}."
        )
    for split in splits[1:]:
        others = {inner.name for inner in _folders(split) if _images_in(inner)} - set(names)
        if others:
            raise ValueError(
                f"{split}: {', '.join(sorted(others))}: there are no images of that in {splits[0]}."
            )
    paths = [
        [(path, label) for label, name in enumerate(names) for path in _images_in(split / name)]
        for split in splits
    ]
    images = [[read_image(path, shape) for path, _ in part] for part in paths]
    everything = [(path, image) for part, found in zip(paths, images, strict=True)
                  for (path, _), image in zip(part, found, strict=True)]  # fmt: skip
    _refuse_sizes(everything)
    coloured = any(image.ndim == 3 for _, image in everything)
    parts: list[Array] = []
    for part, found in zip(paths, images, strict=True):
        if not found:
            raise ValueError(f"{splits[1]}: there is no image.")
        parts.append(
            np.stack(
                [with_colours(image) if coloured and image.ndim == 2 else image for image in found]
            )
        )
        parts.append(np.array([label for _, label in part]))
    x, y, *held = parts
    x_test, y_test = held if held else (None, None)
    return x, y, x_test, y_test, names


def read_image(path: Path, shape: tuple[int, int] | None = None) -> Array:
    """Return an image, upright: grey of shape (height, width), or colours in a third axis.

    ``shape`` is the height and width to which it is brought; None leaves it as it is.

    Raises
    ------
    ValueError
        If it is damaged, or too large.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own about large ones
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                picture = of_8_bits(ImageOps.exif_transpose(image))
                grey = picture.mode in ("1", "L", "F", "LA")
                picture = picture.convert("L" if grey else "RGB")
        if shape is not None:
            picture = picture.resize(shape[::-1], Image.Resampling.BILINEAR)
    except Exception as error:  # the library raises errors of many kinds
        raise ValueError(f"{path} cannot be read as an image: {error}.") from error
    return np.asarray(picture, np.uint8)


def with_colours(grey: Array) -> Array:
    """Return grey images, or one of them, with three equal colours in a last axis."""
    return np.repeat(grey[..., None], 3, axis=-1)


def _refuse_sizes(images: Sequence[tuple[Path, Array]]) -> None:
    first_path, first = images[0]
    for path, image in images:
        if image.shape[:2] != first.shape[:2]:
            raise ValueError(
                f"the images differ in size: {first_path} is {first.shape[1]} x {first.shape[0]}, "
                f"{path} is {image.shape[1]} x {image.shape[0]}. Bring them to one: --image-size "
                f"{min(first.shape[:2])}."
            )


def _splits(folder: Path) -> list[Path]:
    """Return the folders to train and to test on, if it is parted so."""
    train = folder / "train"
    if not train.is_dir():
        return []
    held = [folder / name for name in ("test", "validation", "val") if (folder / name).is_dir()]
    return [train, *held[:1]]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
    )  # fmt: skip
