"""A convolutional net reads handwritten digits: MNIST to 99 % in five epochs.

    python examples/lenet_mnist.py              # MNIST is downloaded, or in CHAINRULE_DATA
    python examples/lenet_mnist.py --digits     # the small digits inside the package: seconds

The net is that of LeCun et al., 1998, with ReLU, maxima, and more channels.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from chainrule import (
    Adam,
    Batches,
    Callback,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Model,
    ReLU,
    SoftmaxCrossEntropy,
    evaluate,
    load_digits,
    load_mnist,
    train,
)

RATE = 0.004


class UpAndDown(Callback):
    """The learning rate grows for a fifth of the training, and then falls to 0."""

    def on_step_end(self, run):
        """Set the rate for the next step."""
        done = run.step / (run.steps_per_epoch * run.epochs)
        run.optimizer.learning_rate = RATE * max(0.001, min(done / 0.2, (1 - done) / 0.8))


def lenet(side, size, padding):
    """Return the net for images of ``side`` pixels a side."""
    lost = size - 1 if padding == "valid" else 0
    left = ((side - lost) // 2 - lost) // 2  # pixels a side after both poolings
    return Model(
        [
            Conv2d(1, 16, size, padding=padding), ReLU(), MaxPool2d(2),
            Conv2d(16, 32, size, padding=padding), ReLU(), MaxPool2d(2),
            Flatten(), Linear(32 * left * left, 128), ReLU(), Linear(128, 10),
        ],
        SoftmaxCrossEntropy(),
    )  # fmt: skip


def main():
    """Read the command line, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digits", action="store_true", help="8 x 8 digits, and no download")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, help="folder for the net, lenet.safetensors")
    options = parser.parse_args()

    load = load_digits if options.digits else load_mnist
    (x, y), (x_test, y_test) = load(split="train"), load(split="test")
    mean, deviation = x.mean(), x.std()
    x, x_test = (((a - mean) / deviation).astype(np.float32)[..., None] for a in (x, x_test))
    net = lenet(8, 3, "same") if options.digits else lenet(28, 5, "valid")

    start = time.perf_counter()
    train(
        net, None, options.epochs or (30 if options.digits else 5), Batches(x, y, 64),
        optimizer=Adam(RATE), validation_data=(x_test, y_test), callbacks=[UpAndDown()],
    )  # fmt: skip
    accuracy = evaluate(net, (x_test, y_test))["accuracy"]
    print(
        f"{100 * accuracy:.2f}% of {len(y_test):,} held-out images are read right, after "
        f"{time.perf_counter() - start:.0f} seconds of training."
    )
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        net.save(options.out / "lenet.safetensors")
        print(f"The net is in {options.out / 'lenet.safetensors'}")


if __name__ == "__main__":
    main()
