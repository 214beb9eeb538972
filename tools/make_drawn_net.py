"""Train the net that the studio ships: tools/make_drawn_net.py, or --check to compare with it.

It learns from the embedded digits and from MNIST's (from CHAINRULE_DATA, or downloaded), each made
into an image of 8 by 8 as the page makes a drawing into one, after it was turned and zoomed a
little and given another width of pen. It takes half a minute on one core.

Everything is drawn from seeds: the same versions of NumPy and Pillow on the same processor give the
same bytes, others the same net to rounding in its first steps, and one as good in the end.
"""

import sys

import numpy as np
from PIL import Image

from chainrule import Adam, SoftmaxCrossEntropy, load_mnist, train
from chainrule.data import Augment, Batches
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio import nets
from chainrule.studio.data import load
from chainrule.studio.drawing import as_sample
from chainrule.studio.shipped import FILE, RECIPE

SHEET = 112  # pixels a side of a drawing, as the page sends it
FEWER = 5000  # images that are worked on at once
DATA = load(RECIPE.data)
PREPARATION = DATA.held.preparation


def drawn(images: Array, labels: Array, seed: int, turn: float, margin: int) -> tuple[Array, Array]:
    """Return images as rows of 8 by 8, as if they had been drawn by other hands, and their labels.

    Images that nothing is left of are dropped.
    """
    rng = np.random.default_rng(seed)
    augment = Augment(rotate=turn, zoom=0.1, seed=seed)
    samples, kept = [], []
    for start in range(0, len(images), FEWER):
        some = slice(start, start + FEWER)
        part = images[some].astype(np.float32) / images.max()
        padded = np.pad(part, ((0, 0), (margin, margin), (margin, margin)))
        turned, true = augment(padded, labels[some])
        for image, label in zip(turned, true, strict=True):
            large = np.asarray(Image.fromarray(image).resize((SHEET, SHEET), Image.BILINEAR))
            edge = rng.uniform(0.2, 0.7)  # what is darker is ink: the lower, the wider the pen
            ink = (np.clip(3 * (large - edge) + 0.5, 0, 1) * 255).astype(np.uint8)
            sample = as_sample(ink, PREPARATION)
            if sample is not None:
                samples.append(sample)
                kept.append(label)
    return PREPARATION.rows(np.stack(samples)), np.array(kept)


def plain(images: Array) -> Array:
    """Return MNIST's images as rows of 8 by 8, as if they had been drawn as they are."""
    samples = [
        as_sample(np.asarray(Image.fromarray(image).resize((SHEET, SHEET))), PREPARATION)
        for image in images
    ]
    return PREPARATION.rows(np.stack([sample for sample in samples if sample is not None]))


def made() -> Model:
    """Train the net."""
    images, labels = load_mnist()
    sets = [(DATA.rows, DATA.labels)]
    sets += [drawn(DATA.held.x, DATA.labels, 10 + k, 14, 2) for k in range(8)]
    sets += [drawn(images, labels, 20 + k, 12, 0) for k in range(2)]
    x, y = (np.concatenate(part) for part in zip(*sets, strict=True))
    model, doubting = _fresh(), _fresh()
    # Smoothed labels leave it some doubt, so that one step can be seen to change its mind.
    doubting.cost = SoftmaxCrossEntropy(label_smoothing=0.1)
    for rate in (1e-3, 3e-4, 1e-4):
        train(doubting, None, 6, Batches(x, y, 128, seed=0), optimizer=Adam(rate), verbose=False)
    model.parameters = doubting.parameters
    PREPARATION.into(model)
    return model


def _fresh() -> Model:
    return nets.build(RECIPE.net, RECIPE.loss, DATA.sample_shape, DATA.outputs, seed=0)


def tell(model: Model) -> None:
    """Say how many it reads rightly of the digits that it has not learned from."""
    images, labels = load_mnist(split="test")
    for name, rows, true in (
        ("embedded digits held out", DATA.rows_test, DATA.labels_test),
        ("test images of MNIST", plain(images), labels),
    ):
        right = (model.predict(rows).argmax(axis=1) == true).mean()
        print(f"{100 * right:.1f} % of {len(true):,} {name} are read rightly.")


if __name__ == "__main__":
    model = made()
    tell(model)
    if "--check" not in sys.argv:
        model.save(FILE)
        print(f"{FILE}: {FILE.stat().st_size:,} bytes.")
    else:
        from chainrule import load as read

        off = np.abs(model.parameters - read(FILE).parameters).max()
        print(f"{FILE}: the same to {off:.1e}.")
