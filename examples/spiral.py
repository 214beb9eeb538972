"""A small net learns to tell the arms of a spiral apart, and draws where it parts the plane.

    python examples/spiral.py --arms 3 --out runs

No straight line parts the arms, so a net with a single hidden unit fails here: try --hidden 1.
Takes seconds. The picture needs matplotlib: pip install 'chainrule[plots]'.
"""

import argparse
from pathlib import Path

import numpy as np

from chainrule import (
    Adam,
    Callback,
    Linear,
    Model,
    ReLU,
    SoftmaxCrossEntropy,
    evaluate,
    plots,
    train,
)

COLOURS = np.array([[0.00, 0.45, 0.70], [0.84, 0.37, 0.00], [0.00, 0.62, 0.45], [0.80, 0.47, 0.65]])


def spiral(arms, points, rng):
    """Return points in the plane, shape (arms * points, 2), and the arm that each lies on."""
    arm = np.repeat(np.arange(arms), points)
    distance = rng.uniform(0.05, 1, len(arm))
    angle = 2 * np.pi * arm / arms + 7 * distance + rng.normal(0, 0.2, len(arm))
    return np.column_stack([distance * np.cos(angle), distance * np.sin(angle)]), arm


class EveryTenth(Callback):
    """Print how it goes, ten times in a run."""

    def on_epoch_end(self, run):
        """Print the epoch's line."""
        if run.epoch % max(run.epochs // 10, 1) == 0:
            print(run.epoch_line(), flush=True)


def draw(net, x, y, history, path):
    """Draw the points on what the net says of every place, and the loss beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), dpi=150, layout="constrained")
    plane, loss = figure.subplots(1, 2, width_ratios=(1, 1.1))

    # Each pixel has the mixture of the arms' colours that the net's probabilities say.
    edge = np.linspace(-1.2, 1.2, 300)
    grid = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
    colours = COLOURS[: y.max() + 1]
    image = net.predict_proba(grid) @ colours
    image = 0.45 + 0.55 * image.reshape(300, 300, 3)  # paler than the points
    plane.imshow(image, extent=(-1.2, 1.2, -1.2, 1.2), origin="lower", interpolation="bilinear")
    plane.scatter(*x.T, c=colours[y], s=9, edgecolors="white", linewidths=0.4)
    plane.set(title="What the net says of every place", xticks=[], yticks=[])
    plots.curves(history, ax=loss)
    figure.savefig(path)


def main():
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", type=int, choices=(2, 3, 4), default=3)
    parser.add_argument("--points", type=int, default=200, help="of each arm")
    parser.add_argument("--hidden", type=int, default=32, help="units of each hidden layer")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    x, y = spiral(options.arms, options.points, rng)
    n = options.hidden
    layers = [Linear(2, n), ReLU(), Linear(n, n), ReLU(), Linear(n, options.arms)]
    net = Model(layers, SoftmaxCrossEntropy(), seed=options.seed)
    history = train(
        net, None, options.epochs, (x, y), optimizer=Adam(0.01), callbacks=[EveryTenth()],
        verbose=False,
    )  # fmt: skip

    new = spiral(options.arms, 1000, rng)
    print(f"Of {len(new[0])} new points it places {evaluate(net, new)['accuracy']:.1%} right.")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "spiral.png"
    draw(net, x, y, history, path)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
