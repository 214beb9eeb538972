"""Our classifier and regressor beside scikit-learn's, on its own data sets, with its own defaults.

    python -m benchmarks.scikit_learn [--threads 1] [--repeats 3] [--float32] [--publish]

For each data set a cross-validation of five folds, several times over, dealt anew each time. In
each fold both are fitted on the same scaled samples with the same random state, one right after the
other, and take turns in who comes first; only ``fit`` is timed. The fold's score is that on its
held-out samples: accuracy, or R² for diabetes, whose target is scaled too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

ROOT = Path(__file__).parent.parent
FOLDS = 5
THEIRS, OURS = "scikit-learn", "chainrule"
DATA = ("digits", "breast cancer", "wine", "diabetes")
START, END = "<!-- table -->\n", "<!-- /table -->"


@dataclass
class Comparison:
    """What both gave on one data set: seconds and score of each fold, in the same order."""

    data: str
    samples: int
    features: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    scores: dict[str, list[float]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    epochs: dict[str, list[int]] = field(default_factory=lambda: {THEIRS: [], OURS: []})

    def score(self, side: str) -> float:
        return float(np.mean(self.scores[side]))

    def standard_error(self, side: str) -> float:
        """Return the standard error of the mean over the folds."""
        scores = self.scores[side]
        return float(np.std(scores, ddof=1) / math.sqrt(len(scores)))

    def speeds(self) -> list[float]:
        """Return how many times as fast ours was, fold by fold."""
        pairs = zip(self.seconds[THEIRS], self.seconds[OURS], strict=True)
        return [theirs / ours for theirs, ours in pairs]

    def met(self) -> bool:
        """Whether ours is no worse than theirs within its standard error, and the fit faster."""
        worst = self.score(THEIRS) - self.standard_error(THEIRS)
        return self.score(OURS) >= worst and float(np.median(self.speeds())) > 1


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    load: Callable[..., Any] = getattr(datasets, f"load_{name.replace(' ', '_')}")
    x, y = load(return_X_y=True)
    return x, y


def compare(name: str, repeats: int, dtype: Any = np.float64, **options: Any) -> Comparison:
    """Fit both on every fold; ``options`` go to both, beside what they have by default."""
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    from chainrule.sklearn import NeuralNetClassifier, NeuralNetRegressor

    x, y = load(name)
    values = name == "diabetes"
    sides = {
        THEIRS: MLPRegressor if values else MLPClassifier,
        OURS: NeuralNetRegressor if values else NeuralNetClassifier,
    }
    folds = RepeatedKFold if values else RepeatedStratifiedKFold
    result = Comparison(name, *x.shape)
    for side in sides.values():  # warm: what is imported or allocated at the first fit
        side(**{**options, "max_iter": 2}).fit(x[:300].astype(dtype), y[:300])
    splits = folds(n_splits=FOLDS, n_repeats=repeats, random_state=0).split(x, y)
    for i, (train, test) in enumerate(splits):
        scaler = StandardScaler().fit(x[train])
        x_train, x_test = (scaler.transform(x[part]).astype(dtype) for part in (train, test))
        y_train, y_test = y[train], y[test]
        if values:
            centre, scale = y_train.mean(), y_train.std()
            y_train, y_test = (y_train - centre) / scale, (y_test - centre) / scale
        for side in list(sides)[:: 1 if i % 2 else -1]:
            net = sides[side](random_state=i, **options)
            start = time.perf_counter()
            net.fit(x_train, y_train)
            result.seconds[side].append(time.perf_counter() - start)
            result.scores[side].append(float(net.score(x_test, y_test)))
            result.epochs[side].append(int(net.n_iter_))
    return result


def table(results: list[Comparison]) -> str:
    """Return the Markdown table."""
    lines = [
        "| data (samples × features) | folds | score of scikit-learn | score of chainrule | fit of "
        "scikit-learn | fit of chainrule | as fast (quartiles) | goal |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        scores = [
            f"{result.score(side):.4f} ± {result.standard_error(side):.4f}"
            for side in (THEIRS, OURS)
        ]
        times = [f"{1e3 * np.median(result.seconds[side]):.1f} ms" for side in (THEIRS, OURS)]
        low, middle, high = np.percentile(result.speeds(), [25, 50, 75])
        lines.append(
            f"| {result.data} ({result.samples} × {result.features}) | "
            f"{len(result.scores[OURS])} | {scores[0]} | {scores[1]} | {times[0]} | {times[1]} | "
            f"{middle:.2f} × ({low:.2f}–{high:.2f}) | {'met' if result.met() else 'not met'} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scikit_learn", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="of the five folds")
    parser.add_argument("--float32", action="store_true", help="inputs, and so nets, of float32")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out")
    parser.add_argument("--publish", action="store_true", help="write into docs/ too")
    options = parser.parse_args()
    import threadpoolctl  # scikit-learn needs it
    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # of both: 200 epochs are their default
    dtype = np.float32 if options.float32 else np.float64
    with threadpoolctl.threadpool_limits(options.threads):
        results = [compare(name, options.repeats, dtype) for name in options.data]
    words = f"{options.threads} thread{'s' if options.threads > 1 else ''}, {np.dtype(dtype).name}"
    machine = report.machine("scikit-learn's own")
    text = f"{machine} {words}.\n\n{table(results)}"
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "results": [vars(r) for r in results]}
    (options.out / "scikit_learn.json").write_text(json.dumps(content, indent=1))
    if options.publish:
        page = ROOT / "docs" / "scikit-learn.md"
        before, rest = page.read_text().split(START, 1)
        page.write_text(f"{before}{START}{text}\n{END}{rest.split(END, 1)[1]}")
    return 0 if all(result.met() for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
