"""A search for hyper-parameters on many machines: scikit-learn's, on a cluster of Dask.

    python examples/grid_search.py --processes 4
    python examples/grid_search.py --cluster tcp://SCHEDULER:8786

Eight settings and five folds are forty small trainings that know nothing of each other: each has a
core to itself, and any number of machines helps. Without --cluster the cluster is made of processes
of this machine, and ends with the search. The result is that of one process.

Needs pip install 'chainrule[sklearn]' 'dask[distributed]'.
"""

import argparse
import contextlib
import logging

import joblib
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule.sklearn import NeuralNetClassifier

GRID = {
    "neuralnetclassifier__hidden_layer_sizes": [(16,), (64,)],
    "neuralnetclassifier__learning_rate_init": [0.003, 0.03],
    "neuralnetclassifier__alpha": [1e-4, 1e-1],
}


def make_search(folds):
    """Return the search: nothing in it knows where it will run."""
    net = NeuralNetClassifier(max_iter=300, early_stopping=True, random_state=0)
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    return GridSearchCV(make_pipeline(StandardScaler(), net), GRID, cv=parts)


@contextlib.contextmanager
def cluster(address, processes):
    """Yield a client of the cluster there is, or of one of this machine's processes."""
    with contextlib.ExitStack() as ends:
        if address is None:
            address = ends.enter_context(
                LocalCluster(
                    n_workers=processes, threads_per_worker=1, host="127.0.0.1",
                    dashboard_address=None, silence_logs=logging.ERROR,
                )
            )  # fmt: skip
        yield ends.enter_context(Client(address, timeout=30))


def main():
    """Search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cluster", help="the address of a scheduler of Dask")
    parser.add_argument("--processes", type=int, default=2, help="without --cluster")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    search = make_search(options.folds)
    with cluster(options.cluster, options.processes) as client:
        workers = len(client.scheduler_info()["workers"])
        with joblib.parallel_config("dask", client=client):
            search.fit(x, y)

    print(f"{len(search.cv_results_['params'])} settings on {workers} processes.")
    for setting, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        words = ", ".join(f"{name.split('__')[1]}={value}" for name, value in setting.items())
        print(f"{score:.6f}  {words}")
    print(f"The best, {search.best_score_:.1%} right, has been fitted to all of the data.")


if __name__ == "__main__":
    main()
