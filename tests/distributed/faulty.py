"""A training in which something goes wrong: python faulty.py MODE FOLDER [SECONDS [LOST_AFTER]].

Without a fault it ends, and worker 0 writes FOLDER/end.npz. It goes on from a checkpoint.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.distributed import connect
from chainrule.training import DataParallel

STEP = 15  # at which it happens, in the last worker
FAULTS = {
    "kill": lambda run: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda run: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda run: sys.exit(3),
    "flip": lambda run: np.bitwise_xor(bits(run), 1, out=bits(run)),
    "raise": lambda run: 1 / 0,
}


def bits(run):
    return run.model.layers[3].weights.reshape(-1)[5:6].view(np.uint32)


def fault(mode, workers, folder):
    again = (folder / "begun").exists()

    def happen(run):
        if mode == "slow":
            (folder / f"pid-{workers.rank}").write_text(str(os.getpid()))
            time.sleep(0.02)
        if mode == "cut" and not again and run.step >= STEP:
            (folder / "begun").touch()
            time.sleep(0.5)
        once = folder / "happened"
        if run.step == STEP and workers.rank == workers.size - 1 and not once.exists():
            once.touch()
            FAULTS.get(mode, lambda run: None)(run)

    return cr.Hook(on_step_end=happen)


def main(mode, folder, timeout=60, lost_after=10):
    rng = np.random.default_rng(0)
    count = 193 if mode == "uneven" else 200  # one alone in the last step
    x, y = rng.standard_normal((count, 6)).astype(np.float32), rng.integers(0, 3, count)
    middle = [cr.ReLU(), cr.ReLU()] if mode == "plain" else [cr.BatchNorm(8), cr.Dropout(0.3)]
    model = cr.Model([cr.Linear(6, 8), *middle, cr.Linear(8, 3)], cr.SoftmaxCrossEntropy(), seed=1)
    with connect(timeout=timeout, lost_after=lost_after) as workers:
        if mode == "before" and workers.rank == 1:
            raise RuntimeError("it fails before the training")
        history = cr.train(
            model, None, 2000 if mode == "slow" else 8, cr.Batches(x, y, 16, seed=2),
            optimizer=cr.Adam(0.01), validation_data=(x, y), verbose=workers.first,
            checkpoint=cr.Checkpoint(folder / "checkpoints", every_steps=5), resume=True,
            callbacks=[fault(mode, workers, folder), cr.KeepBest("validation_loss")],
            workers=DataParallel(workers, check_every=2, synchronise_norms=mode == "uneven"),
        )  # fmt: skip
        if mode == "after" and workers.rank == 1:
            raise RuntimeError("it fails after the training")
        if workers.first:
            rows = np.array([list(row.values()) for row in history.rows])
            np.savez(folder / "end.npz", parameters=model.parameters, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:]))
