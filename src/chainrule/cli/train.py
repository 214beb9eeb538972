"""``chainrule train``."""

import contextlib
import hashlib
import os
import shlex
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from chainrule.cli import nets, recipes
from chainrule.cli.errors import UsageError, message
from chainrule.cli.prepare import DataSet, Preparation, load_data
from chainrule.cli.results import draw, folder_to_resume, judged, make_folder, tell, tidy
from chainrule.cli.settings import Settings, read_settings, write_settings
from chainrule.cli.signals import exit_code
from chainrule.data import Batches
from chainrule.distributed import Workers
from chainrule.layers import Linear
from chainrule.loading import load
from chainrule.model import Model
from chainrule.schedules import Schedule
from chainrule.state import State
from chainrule.training import (
    Callback,
    Checkpoint,
    DataParallel,
    EarlyStopping,
    History,
    KeepBest,
    Run,
    Threads,
    train,
)

__all__ = ["built", "made_from", "train_command"]


class _Save(KeepBest):
    """Write the model whenever it is the best so far, and the history each epoch."""

    def __init__(self, folder: Path, monitor: str, *, silent: bool = False) -> None:
        super().__init__(monitor)
        self.model_path = folder / "model.safetensors"
        self.history_path = folder / "history.csv"
        self.history = History()
        self.saved: int | None = None  # the epoch whose model is in the file
        self.silent = silent

    def on_train_begin(self, run: Run) -> None:
        super().on_train_begin(run)
        self.history = run.history  # where the profile will be, even if no epoch ends

    def set_state(self, state: State) -> None:
        super().set_state(state)
        self.saved = None  # the file may be gone, or be that of a later epoch

    def on_epoch_end(self, run: Run) -> None:
        super().on_epoch_end(run)
        if self.silent:  # another worker writes
            return
        try:
            if self.epoch == run.epoch:
                run.model.save(self.model_path)
                self.saved = run.epoch
            run.history.save_csv(self.history_path)
        except OSError as error:  # there may be room again when the training ends
            why = f"{self.model_path.parent}: {error.strerror}. The training goes on."
            warnings.warn(f"After epoch {run.epoch} nothing could be written: {why}", stacklevel=2)

    def on_train_end(self, run: Run) -> None:
        super().on_train_end(run)
        if self.silent:
            return
        if self.epoch != self.saved:
            run.model.save(self.model_path)
            self.saved = self.epoch
        if len(run.history):
            run.history.save_csv(self.history_path)


def train_command(
    given: Settings, *, config: Path | None, resume: bool, out: Path | None, workers: Workers
) -> int:
    """Train, save, draw, and say what was made; return the exit code.

    Of several workers the first makes the folder, saves and draws; the others only train.
    """
    expected: dict[str, str] = {}
    if config is not None:
        base, expected = read_settings(config)
        given = given.over(base)
    elif resume and out is not None and (out / "run.toml").exists():
        given = given.over(read_settings(out)[0])
    settings = given.spelled_out()
    if settings.workers is None and workers.size > 1:
        settings = replace(settings, workers=workers.size)
    folder, settings = _begun(settings, out, workers, resume=resume)
    # The first before the others: what it downloads is there then.
    loaded: list[DataSet] = []

    def load_first() -> None:
        loaded.append(_load(settings))

    workers.of_first(load_first)
    data = loaded[0] if loaded else _load(settings)
    if not len(data.x) or not len(data.x_test):
        raise ValueError(f"{settings.data}: there is no sample in the data.")
    model = built(settings, data.preparation)
    data = data.suited_to(model)
    data.preparation.into(model)
    monitor = "validation_loss" if data.preparation.regression else "validation_accuracy"
    hashes = made_from(data, str(settings.model))
    for name in _changed(expected, hashes):
        print(f"{name} not those of the run that is repeated: the result will differ.")
    begun = folder

    def ready() -> bytes:
        return os.fsencode(_ready_folder(begun, hashes, out, data.preparation.data))

    folder = Path(os.fsdecode(workers.of_first(ready)))
    if not workers.first:
        save = _Save(folder, monitor, silent=True)
        return _code(_train(model, settings, data, save, resume=resume, workers=workers))
    numbered = out is None
    save = _Save(folder, monitor)
    with _failure_says_what_is_left(save, numbered=numbered):
        return _train_into(
            folder, model, settings, data, hashes, save, resume=resume, workers=workers
        )


def _ready_folder(begun: Path | None, hashes: dict[str, str], out: Path | None, name: str) -> Path:
    """Return the folder of the run that is gone on with, or of a new one, fit to be written."""
    if begun is None:
        return make_folder(out, name)
    if changed := _changed(read_settings(begun)[1], hashes):
        raise UsageError(
            f"--resume: {changed[0]} not those that the run in {begun} was begun with. Begin "
            "anew in another folder: --out FOLDER."
        )
    tidy(begun)
    return begun


def _load(settings: Settings) -> DataSet:
    return load_data(str(settings.data), settings.target, settings.task, settings.image_size)


def _begun(
    settings: Settings, out: Path | None, workers: Workers, *, resume: bool
) -> tuple[Path | None, Settings]:
    """Return the folder of the run to go on with, and its settings; of several the first looks."""
    if not resume:
        return None, settings

    def find() -> bytes:
        folder = folder_to_resume(settings, out)
        return b"" if folder is None else os.fsencode(folder)

    found = workers.of_first(find)
    if not found:
        return None, settings
    folder = Path(os.fsdecode(found))
    # Its steps have as many mini-batches as before.
    count = workers.of_first(lambda: str(read_settings(folder)[0].workers or "").encode())
    return folder, replace(settings, workers=int(count) if count else None)


def _train_into(
    folder: Path, model: Model, settings: Settings, data: DataSet, hashes: dict[str, str],
    save: _Save, *, resume: bool, workers: Workers,
) -> int:  # fmt: skip
    preparation = data.preparation
    write_settings(folder, settings, hashes)
    start = time.monotonic()
    stopped = _train(model, settings, data, save, resume=resume, workers=workers)
    seconds = time.monotonic() - start
    # What is judged and drawn is what is in the file.
    model = load(save.model_path, classes=nets.own_classes(str(settings.model)))
    chosen = f" (epoch {save.saved}, chosen as the best on them)" if save.saved else ""
    print(f"\n{judged(model, data)}{chosen}.\nTrained in {seconds:.1f} s.")
    print("Drawing the pictures.", flush=True)
    made = ["model.safetensors", *(["history.csv"] if save.saved else [])]
    made += draw(folder, model, data, save.history)
    made += [name for name in ("run.toml", "checkpoints") if (folder / name).exists()]
    tell(folder, made, preparation, best=save.saved is not None)
    if stopped is not None:
        out = shlex.quote(str(folder))
        print(f"\nTo go on with the training:\n  chainrule train --resume --out {out}")
        return _code(stopped)
    return 0


def built(settings: Settings, preparation: Preparation) -> Model:
    """Return the net that the settings name, for samples as they are prepared."""
    regression = preparation.regression
    wanted = nets.Wanted(
        preparation.sample_shape,
        1 if regression else len(preparation.names),
        settings.widths(),
        settings.dropout or 0.0,
        settings.seed or 0,
        regression,
    )
    model = nets.build(str(settings.model), wanted)
    preparation.into(model)
    return model


def _train(
    model: Model, settings: Settings, data: DataSet, save: _Save, *, resume: bool, workers: Workers
) -> KeyboardInterrupt | None:
    """Train; return what stopped it, if the user did. The model is then in its file."""
    try:
        _go(model, settings, data, save, resume=resume, workers=workers)
    except KeyboardInterrupt as stop:
        if save.silent:
            return stop
        if save.saved is None:
            print("Stopped before the first epoch ended: saving the net as it is.")
            model.save(save.model_path)
            save.history.rows.clear()
        else:
            print(f"Stopped: keeping the best model so far, of epoch {save.saved}.")
            save.history.save_csv(save.history_path)
        if save.history.profile is not None:
            print(save.history.profile)
        return stop
    return None


def _go(
    model: Model, settings: Settings, data: DataSet, save: _Save, *, resume: bool, workers: Workers
) -> None:
    together = f" with {workers.size} workers" if workers.size > 1 else ""
    print(
        f"Training {_shape_of(model)} on {data.preparation.data}{together}: "
        f"{len(data.x):,} samples, {len(data.x_test):,} held out, "
        f"{model.parameters.size:,} parameters.",
        flush=True,
    )
    rows = data.preparation.rows
    batches = Batches(rows(data.x), data.y, settings.batch_size or 64, seed=settings.seed or 0)
    epochs, accumulate = settings.epochs or 1, settings.accumulate or 1
    streams = settings.workers or 1
    steps = epochs * -(-batches.steps_of(streams) // accumulate)
    if settings.scale_lr:
        schedule: Schedule | None = recipes.scaled(
            settings.schedule or "", epochs, steps, save.monitor, streams
        )
    else:
        schedule = recipes.schedule(settings.schedule or "", epochs, steps, save.monitor)
    optimizer = recipes.optimizer(
        settings.optimizer or "", settings.lr or 0, settings.weight_decay or 0
    )
    callbacks: list[Callback] = [save, *_threads(settings)]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(save.monitor, settings.patience, restore_best=False))
    folder = save.model_path.parent / "checkpoints"
    train(
        model,
        None,
        epochs,
        batches,
        optimizer=optimizer,
        schedule=schedule,
        clip_norm=settings.clip_norm,
        accumulate=accumulate,
        validation_data=(rows(data.x_test), data.y_test),
        callbacks=callbacks,
        checkpoint=Checkpoint(folder, every_steps=settings.checkpoint_steps),
        resume=resume,
        profile=bool(settings.profile),
        workers=DataParallel(
            workers,
            overlap=bool(settings.overlap),
            shard_optimizer=bool(settings.shard_optimizer),
            synchronise_norms=bool(settings.sync_norms),
            streams=streams,
        ),
    )


def _shape_of(model: Model) -> str:
    """Return what the net is, in a few words: 784-100-10, or what it has besides linear layers."""
    leaves = [leaf for layer in model.layers for leaf in layer.walk() if not leaf.children()]
    linear = [layer for layer in leaves if isinstance(layer, Linear)]
    if not linear:
        return f"{len(model.layers)} layers"
    widths = "-".join(str(n) for n in [linear[0].n_in, *(layer.n_out for layer in linear)])
    convolutions = sum(type(leaf).__name__.startswith("Conv") for leaf in leaves)
    return f"{convolutions} convolutions and {widths}" if convolutions else widths


def _threads(settings: Settings) -> list[Callback]:
    if settings.threads is None:
        return []
    return [Threads("auto" if settings.threads == "auto" else int(settings.threads))]


def made_from(data: DataSet, model: str) -> dict[str, str]:
    """Return what tells whether the run is made from the same."""
    whole = hashlib.sha256()
    for array in data.raw():
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    hashes = {"data": f"sha256:{whole.hexdigest()}"}
    if model not in nets.NAMES:
        code = hashlib.sha256(nets.file_of(model).read_bytes())
        hashes["code"] = f"sha256:{code.hexdigest()}"
    return hashes


def _changed(then: dict[str, str], now: dict[str, str]) -> list[str]:
    words = {"data": "the data are", "code": "the lines of the net's file are"}
    return [words[name] for name in then if name in now and then[name] != now[name]]


@contextlib.contextmanager
def _failure_says_what_is_left(save: _Save, *, numbered: bool) -> Iterator[None]:
    folder = save.model_path.parent
    try:
        yield
    except BrokenPipeError:  # nobody reads: there is nobody to tell
        raise
    except KeyboardInterrupt as stop:  # once more, or while drawing
        if save.model_path.exists():
            raise type(stop)(f"The model is in {save.model_path}.") from stop
        raise
    except (OSError, FloatingPointError) as error:
        where = f"{folder}: " if isinstance(error, OSError) else ""
        left = f" The best model so far, of epoch {save.saved}, is in {save.model_path}."
        raise type(error)(where + message(error) + (left if save.saved else "")) from error
    finally:
        if not save.model_path.exists() and not any((folder / "checkpoints").glob("checkpoint-*")):
            _remove(folder, numbered=numbered)


def _remove(folder: Path, *, numbered: bool) -> None:
    """Take away what a run that came to nothing has made; a number is free again."""
    with contextlib.suppress(OSError):
        (folder / "run.toml").unlink()
    for path in [folder / "checkpoints", *([folder] if numbered else [])]:
        with contextlib.suppress(OSError):  # others' files stay
            path.rmdir()  # which only an empty folder lets happen


def _code(stop: KeyboardInterrupt | None) -> int:
    return 0 if stop is None else exit_code(stop)
