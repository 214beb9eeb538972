"""Small tables, and a net with one output for yes or no, as a user has them."""

import numpy as np

NET = """
import math

from chainrule import *


def build(sample_shape, classes, seed):
    layers = [Linear(math.prod(sample_shape), 6), Tanh(), Linear(6, 1)]
    return Model(layers, BinaryCrossEntropy(), seed=seed)


def twice(sample_shape, classes, seed):
    return Model([Linear(2, 1), Sigmoid()], BinaryCrossEntropy(), seed=seed)


def softmax(sample_shape, classes, seed):
    return Model([Linear(2, 1)], SoftmaxCrossEntropy(), seed=seed)
"""


def patients(rows=200):
    """Return age, dose, whether they are well, a price, and one of three kinds."""
    rng = np.random.default_rng(0)
    age, dose = rng.uniform(20, 80, rows).round(2), rng.uniform(0, 5, rows).round(3)
    well = np.where(0.05 * age + dose + rng.normal(0, 0.4, rows) > 5, "yes", "no")
    return {
        "age": age, "dose": dose, "well": well, "price": (3 * age + 10.5 * dose).round(3),
        "kind": np.array(["a", "b", "c"])[np.arange(rows) % 3],
    }  # fmt: skip


def write(folder, target, name="patients.csv", columns=("age", "dose")):
    """Write a table of some columns, and net.py beside it."""
    found = patients()
    lines = [",".join([*columns, target])]
    values = [found[column] for column in (*columns, target)]
    lines += [",".join(map(str, row)) for row in zip(*values, strict=True)]
    (folder / name).write_text("\n".join(lines))
    (folder / "net.py").write_text(NET)
    return folder / name
