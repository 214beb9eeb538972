"""Workers that are about to do different things: python different.py, started by mpiexec."""

import itertools

import numpy as np

import chainrule
import chainrule as cr
from chainrule.distributed import connect


def main():
    x, y = np.ones((40, 3), np.float32), np.zeros(40, int)
    with connect(timeout=20) as workers:
        odd = workers.rank == 1

        def attempt(name, data=None, width=4, seed=1, epochs=1, lr=0.1, **settings):
            model = cr.Model(
                [cr.Linear(3, width), cr.ReLU(), cr.Linear(width, 2)], cr.SoftmaxCrossEntropy(),
                seed=seed,
            )  # fmt: skip
            data = data or cr.Batches(x, y, 4)
            try:
                cr.train(model, lr, epochs, data, workers=workers, verbose=False, **settings)
            except ValueError as error:
                said = f"{name}: {error}"
            else:
                said = f"{name}: nothing was said"
            if len(set(workers.gather_text(said))) > 1:
                said = f"{name}: they say different things"
            if workers.first:
                print(said, flush=True)

        attempt("alike")
        attempt("net", width=4 + odd)
        attempt("seed", seed=1 + odd)
        attempt("length", cr.Batches(x[odd:], y[odd:], 4))
        attempt("batch size", cr.Batches(x, y, 4 + odd))
        attempt("order", cr.Batches(x, y, 4, seed=int(odd)))
        attempt("rate", lr=0.1 + odd)
        attempt("epochs", epochs=1 + odd)
        attempt("callbacks", callbacks=[cr.KeepBest("loss")] * odd)
        endless = ((x[:4], y[:4]) for _ in itertools.count())
        attempt("unsized", itertools.islice(endless, 6 + 2 * odd))
        before, chainrule.__version__ = chainrule.__version__, f"9.{workers.rank}"
        attempt("version")
        chainrule.__version__ = before
        attempt("alike again")


if __name__ == "__main__":
    main()
