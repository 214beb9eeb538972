"""Draw the README's picture from a run of the main job: tools/readme_picture.py RUN_FOLDER.

The run is one of MNIST or digits, made by `chainrule train`.
"""

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

from chainrule import History, load, plots
from chainrule.cli.prepare import Preparation, load_data

TARGET = Path(__file__).parent.parent / "docs" / "images" / "run.png"


def main(folder: Path) -> None:
    model = load(folder / "model.safetensors")
    preparation = Preparation.of(model, folder)
    data = load_data(preparation.data)
    history = History()
    for row in csv.DictReader((folder / "history.csv").read_text().splitlines()):
        history.append({name: float(value) for name, value in row.items()})
    probabilities = model.predict_proba(preparation.rows(data.x_test))

    figure = Figure(figsize=(14, 7.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    left.axis("off")
    plots.curves(history, ax=left.inset_axes((0.06, 0.58, 0.94, 0.38)))
    plots.mistakes(
        data.x_test, data.y_test, probabilities, most=16, ax=left.inset_axes((0, 0, 1, 0.42))
    )
    shape = preparation.image_shape
    plots.weights(model.layers[0].weights, shape, most=100, ax=right)
    figure.savefig(TARGET)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
