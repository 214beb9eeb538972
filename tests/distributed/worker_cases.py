"""What the tests let several workers do: python worker_cases.py FOLDER CASE..., started by mpiexec.

Each case trains something and returns arrays; every worker writes them into FOLDER/RANK.npz. The
tests call the same cases in one process, with as many mini-batches a step.
"""

import sys
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.data import Augment, Augmented, FileBatches
from chainrule.distributed import Workers, connect
from chainrule.schedules import LinearScaling, Plateau
from chainrule.training import DataParallel

SAMPLES, BATCH = 203, 12  # the last step has fewer, and not the same for each


def samples(count=SAMPLES):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((count, 6)).astype(np.float32)
    return x, rng.integers(0, 3, count)


def net(*middle, dtype="float32"):
    layers = [cr.Linear(6, 8), *middle, cr.ReLU(), cr.Linear(8, 3)]
    return cr.Model(layers, cr.SoftmaxCrossEntropy(), seed=1, dtype=dtype)


def trained(workers, model=None, data=None, epochs=2, optimizer=None, options=None, **settings):
    """Train, and return what it leaves."""
    model = model or net()
    data = data if data is not None else cr.Batches(*samples(), BATCH, seed=2)
    optimizer = optimizer or cr.Adam(0.01)
    together = DataParallel(workers, check_every=3, **(options or {}))
    history = cr.train(
        model, None, epochs, data, optimizer=optimizer, workers=together, verbose=False, **settings
    )
    rows = np.array([list(row.values()) for row in history.rows])
    return {"parameters": model.parameters.copy(), "rows": rows, **dict(model.named_state())}


def plain(workers, **options):
    return trained(workers, options=options)


def weighted(workers, **options):
    x, y = samples()
    weights = np.random.default_rng(3).random(len(x)) * (np.arange(len(x)) % 3 > 0)
    data = cr.Batches(x, y, BATCH, seed=2, sample_weights=weights)
    return trained(workers, data=data, options=options)


def idle(workers, **options):
    """Train with mini-batches so small that in many a worker has no sample with a weight."""
    x, y = samples(40)
    weights = np.random.default_rng(3).random(len(x)) * (np.arange(len(x)) % 3 == 0)
    data = cr.Batches(x, y, 3, seed=2, sample_weights=weights)
    return trained(workers, data=data, options=options, optimizer=cr.SGD(0.1))


def accumulated(workers, **options):
    return trained(workers, accumulate=2, clip_norm=0.5, options=options)


def momentum(workers, **options):
    optimizer = cr.SGD(0.05, 0.9, weight_decay=0.01)
    optimizer.rates = {"0": 0.5, "2.biases": 2}
    return trained(workers, optimizer=optimizer, options=options)


def scaled(workers, **options):
    schedule = LinearScaling(3, warmup=10, then=cr.Cosine())
    return trained(workers, schedule=schedule, options=options)


def wide(workers, **options):
    return trained(workers, net(dtype="float64"), options=options)


def half(workers, **options):
    return trained(workers, net(dtype="float16"), optimizer=cr.SGD(0.05), options=options)


def normed(workers, **options):
    # Plain steps: the biases before the norm have no gradient but rounding, and Adam enlarges it.
    options["synchronise_norms"] = True
    return trained(workers, net(cr.BatchNorm(8)), optimizer=cr.SGD(0.1), options=options)


def own_norms(workers, **options):
    return trained(workers, net(cr.BatchNorm(8)), optimizer=cr.SGD(0.1), options=options)


def listed(workers, **options):
    x, y = samples()
    data = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    return trained(workers, data=data, options=options)


class Unsized:
    """Mini-batches that do not say how many they are."""

    def __iter__(self):
        x, y = samples(95)  # an odd number of mini-batches: in the last step one has none
        return ((x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH))


def unsized(workers, **options):
    return trained(workers, data=Unsized(), options=options)


def few(workers, **options):
    x, y = samples(BATCH * 3 + 1)  # one sample alone in the last step
    return trained(workers, data=cr.Batches(x, y, BATCH, seed=2), options=options)


def from_files(workers, **options):
    x, y = samples()
    data = FileBatches(x, y, BATCH, seed=2, block_bytes=200, blocks=3)
    return trained(workers, data=data, options=options)


def judged(workers, **options):
    x, y = samples()

    def in_order(outputs, targets):  # says in which order they come
        return float((np.arange(len(targets)) * targets).sum())

    return trained(
        workers, validation_data=(x, y), metrics=["f1", "top_2_accuracy", in_order], options=options
    )


def frozen(workers, **options):
    """Train with a layer that learns in every other epoch, and clipped gradients."""
    model = net(cr.BatchNorm(8))

    def freeze(run):
        run.model.layers[0].frozen = run.epoch % 2 == 1

    options["synchronise_norms"] = True
    return trained(
        workers, model, epochs=3, optimizer=cr.SGD(0.1, 0.9), clip_norm=0.3, options=options,
        callbacks=[cr.Hook(on_epoch_begin=freeze)],
    )  # fmt: skip


def classes(workers, **options):
    model = cr.Model([cr.Linear(6, 3)], cr.SoftmaxCrossEntropy(class_weights=[1, 5, 0.5]), seed=1)
    return trained(workers, model, validation_split=0.2, metrics=["auc"], options=options)


def one_sample(workers, **options):
    return trained(workers, data=cr.Batches(*samples(1), BATCH), options=options)


# Those that several workers do as one does, to rounding.
EQUAL = [
    plain, weighted, accumulated, momentum, scaled, wide, normed, listed, unsized, few, from_files,
    judged, frozen, classes, one_sample, idle,
]  # fmt: skip


def overlapped(workers):
    return plain(workers, overlap=True)


def deep(workers, **options):
    """Two steps of a net whose gradients travel in three stretches; the first layer is frozen."""
    layers = [cr.Linear(6, 1024), cr.Linear(1024, 1024), cr.ReLU(), cr.Linear(1024, 1024),
              cr.Dropout(0.1), cr.Linear(1024, 3)]  # fmt: skip
    layers[0].frozen = True
    model = cr.Model(layers, cr.SoftmaxCrossEntropy(), seed=1)
    data = cr.Batches(*samples(25), BATCH, seed=2)  # in the second step one has no sample
    out = trained(workers, model, data, 1, cr.SGD(0.1), options=options)
    return {"parameters": out["parameters"]}


def deep_overlapped(workers):
    return deep(workers, overlap=True)


def sharded(workers):
    return plain(workers, shard_optimizer=True)


def sharded_momentum(workers):
    return momentum(workers, shard_optimizer=True)


def dropped(workers):
    """Train with dropout; also return where the workers' generators stand at a step."""
    drawn = []

    def look(run):
        if run.step == 4:
            drawn.extend(workers.gather(run.model.rng.random(2)))

    out = trained(workers, net(cr.Dropout(0.5)), callbacks=[cr.Hook(on_step_end=look)])
    return {**out, "drawn": np.array(drawn)}


def augmented(workers):
    x, y = samples()
    images = np.repeat(x[:, :, None], 6, axis=2)
    model = cr.Model([cr.Flatten(), cr.Linear(36, 3)], cr.SoftmaxCrossEntropy(), seed=1)
    data = Augmented(cr.Batches(images, y, BATCH), Augment(shift=1, seed=5))
    return trained(workers, model, data=data)


def stopped(workers):
    """Stop where worker 1 alone wants to; then where the figures say so."""
    model, count = net(), []

    def stop(run):
        count.append(run.step)
        run.stop = run.step == 5 and run.workers.rank == 1

    trained(workers, model, callbacks=[cr.Hook(on_step_end=stop)])
    early = cr.EarlyStopping("loss", patience=1, min_delta=0.2)
    out = trained(
        workers, epochs=20, callbacks=[early, cr.KeepBest("loss")],
        schedule=Plateau(patience=0, monitor="loss"), optimizer=cr.SGD(0.1),
    )  # fmt: skip
    return {**out, "count": np.array(count), "first": model.parameters}


def stopped_before(workers):
    """Stop before the second epoch, where worker 1 alone wants to."""

    def stop(run):
        run.stop = run.epoch == 2 and run.workers.rank == 1

    out = trained(workers, epochs=4, callbacks=[cr.Hook(on_epoch_begin=stop)],
                  data=cr.Batches(*samples(50), BATCH, seed=2))  # fmt: skip
    return {**out, "epochs": len(out["rows"])}


def failed(workers):
    """Train again after an error that all of them had."""

    def fail(run):
        if run.step == 3:
            raise RuntimeError("all of them")

    model = net(cr.Dropout(0.5))
    try:
        trained(workers, model, callbacks=[cr.Hook(on_step_end=fail)])
    except RuntimeError:
        return {**trained(workers, model), "heard": sys.stderr.fileno() == 2}
    raise AssertionError("it did not fail")


def told(workers):
    """Hand everything round."""
    rank, size = workers.rank, workers.size
    mine = np.full((rank, 2), rank, np.float16 if rank % 2 else np.int64)
    arrays = workers.gather(mine)
    assert [a.shape for a in arrays] == [(r, 2) for r in range(size)]
    assert [a.dtype.kind for a in arrays] == ["f" if r % 2 else "i" for r in range(size)]
    assert workers.gather(np.float32(rank).reshape(()))[-1] == size - 1
    assert workers.gather_text("ü" * rank) == ["ü" * r for r in range(size)]
    assert workers.of_first(lambda: b"from the first") == b"from the first"
    assert workers.broadcast(b"") == b""
    bounds = [0, *range(2, size + 1), size + 3]
    vector = np.zeros(size + 3)
    vector[bounds[rank] : bounds[rank + 1]] = rank + 1
    workers.fill(vector, bounds)
    summed = np.full(3_000_000, rank + 1, np.float32)
    workers.sum(summed)
    pending = workers.start_sum(summed)
    pending.poke()
    pending.wait()
    half = np.ones(3, np.float16)
    workers.sum(half)
    try:
        workers.of_first(lambda: 1 / 0)
    except (ZeroDivisionError, RuntimeError) as error:
        said = str(error)
    return {"filled": vector, "sum": summed[::100_000], "half": half, "said": np.array(said)}


OTHERS = [
    half, own_norms, overlapped, deep, deep_overlapped, sharded, sharded_momentum, dropped,
    augmented, stopped, stopped_before, failed, told,
]  # fmt: skip


def main(folder, names):
    with connect(timeout=60) as workers:
        found = {}
        for case in [*EQUAL, *OTHERS]:
            if case.__name__ in names:
                for name, array in case(workers).items():
                    found[f"{case.__name__}/{name}"] = array
        for name, array in dropped(workers).items():
            found[f"dropped again/{name}"] = array
        np.savez(folder / f"{workers.rank}.npz", **found)


def alone(case, streams):
    """Do a case in this process, with as many mini-batches a step as there were workers."""
    return case(Workers(), streams=streams)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
