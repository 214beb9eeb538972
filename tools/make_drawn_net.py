"""Train the net that the studio ships, on the embedded digits turned, zoomed and moved.

The digits are changed as 64 by 64 images and counted down again, so that what a pen of another
width and another hand makes of a digit is seen too.
"""

import numpy as np

from chainrule import Adam, SoftmaxCrossEntropy, load_digits, train
from chainrule.data import Augment, Batches
from chainrule.studio import nets
from chainrule.studio.data import load
from chainrule.studio.drawing import as_sample
from chainrule.studio.shipped import FILE, RECIPE

COPIES = 12

if __name__ == "__main__":
    data = load("digits")
    preparation = data.held.preparation
    rng = np.random.default_rng(0)
    augment = Augment(rotate=14, zoom=0.12, seed=1)
    rows, labels = [data.rows], [data.labels]
    for _ in range(COPIES):
        # Grown to 64 by 64 without edges, turned, given another width of pen, fitted again.
        large = np.pad(
            data.held.x.repeat(8, axis=1).repeat(8, axis=2), ((0, 0), (16, 16), (16, 16))
        )
        for _ in range(3):
            large = (
                large + np.roll(large, 1, 1) + np.roll(large, -1, 1) + np.roll(large, 1, 2)
                + np.roll(large, -1, 2)
            ) / 5  # fmt: skip
        turned, _ = augment(large.astype(np.float32), data.labels)
        edges = rng.uniform(2.0, 9.0, len(turned))[:, None, None]
        ink = (np.clip((turned - edges) / 2 + 0.5, 0, 1) * 255).astype(np.uint8)
        samples = [as_sample(image, preparation) for image in ink]
        kept = [i for i, sample in enumerate(samples) if sample is not None]
        rows.append(preparation.rows(np.stack([samples[i] for i in kept])))
        labels.append(data.labels[kept])
    model = nets.build(RECIPE.net, RECIPE.loss, data.sample_shape, data.outputs, seed=0, image=True)
    assert isinstance(model.cost, SoftmaxCrossEntropy)
    x, y = np.concatenate(rows), np.concatenate(labels)
    for rate in (1e-3, 3e-4):
        train(model, None, 10, Batches(x, y, 128, seed=0), optimizer=Adam(rate), verbose=False)
    preparation.into(model)
    model.save(FILE)
    right = (model.predict(data.rows_test).argmax(axis=1) == data.labels_test).mean()
    print(
        f"{FILE}: {100 * right:.1f} % of {len(load_digits('test')[1])} digits held out are right."
    )
