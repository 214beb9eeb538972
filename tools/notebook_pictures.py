"""Draw the pictures of docs/notebooks.md: tools/notebook_pictures.py."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from chainrule import (
    Adam,
    BatchNorm,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Model,
    MonitorGradients,
    ReLU,
    Residual,
    SoftmaxCrossEntropy,
    load_digits,
    plots,
    train,
)

FOLDER = Path(__file__).parent.parent / "docs" / "images"


def main() -> None:
    images, labels = load_digits("train")
    x = (images[..., None] / 16).astype(np.float32)
    net = Model(
        [
            Conv2d(1, 16, 3, padding=1), ReLU(), MaxPool2d(2),
            Residual([Conv2d(16, 16, 3, padding=1), BatchNorm(16), ReLU()]),
            Flatten(), Linear(256, 10),
        ],
        SoftmaxCrossEntropy(),
    )  # fmt: skip
    net.plot((8, 8, 1)).figure.savefig(FOLDER / "net.png", dpi=100)
    monitor = MonitorGradients()
    train(net, None, 8, (x, labels), optimizer=Adam(0.003), callbacks=[monitor], verbose=False)

    rng = np.random.default_rng(0)
    arm = np.repeat(np.arange(3), 100)
    distance = rng.uniform(0.05, 1, len(arm))
    angle = 2 * np.pi * arm / 3 + 6 * distance + rng.normal(0, 0.15, len(arm))
    points = np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
    plane = Model([Linear(2, 32), ReLU(), Linear(32, 32), ReLU(), Linear(32, 3)],
                  SoftmaxCrossEntropy())  # fmt: skip
    train(plane, None, 80, (points, arm), optimizer=Adam(0.01), verbose=False)

    figure = Figure(figsize=(13, 6.6), dpi=80, layout="constrained")
    cells = np.array([part.subplots() for part in figure.subfigures(2, 2).ravel()]).reshape(2, 2)
    plots.gradient_flow(monitor, ax=cells[0, 0])
    plots.activations(net, x[:300], ax=cells[0, 1])
    plots.decision_boundary(plane, points, arm, ax=cells[1, 0])
    plots.saliency(net, x[:12], labels[:12], ax=cells[1, 1])
    figure.savefig(FOLDER / "insight.png")


if __name__ == "__main__":
    main()
