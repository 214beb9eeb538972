"""The settings of a run: checked, spelled out, and kept in its folder as run.toml."""

import importlib.util
import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule import compiled
from chainrule.cli import nets, recipes
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import holds_numbers
from chainrule.cli.tables import TABLES
from chainrule.storage import one_line, write_atomically

__all__ = ["Settings", "read_settings", "write_settings"]

FILE = "run.toml"
HASHES = ("data", "code")
LARGEST = 1 << 63  # of the whole numbers of TOML


@dataclass(frozen=True)
class Settings:
    """What a run is made from. None: nothing was said, and the command decides."""

    data: str | None = None
    target: str | None = None
    task: str | None = None
    image_size: int | None = None
    model: str | None = None
    hidden: str | None = None
    dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    accumulate: int | None = None
    patience: int | None = None
    seed: int | None = None
    threads: str | None = None
    compiled: bool | None = None
    profile: bool | None = None
    checkpoint_steps: int | None = None
    workers: int | None = None
    scale_lr: bool | None = None
    sync_norms: bool | None = None
    overlap: bool | None = None
    shard_optimizer: bool | None = None

    def over(self, base: "Settings") -> "Settings":
        """Return the settings of ``base``, but for what is said here."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(base, **given)

    def spelled_out(self) -> "Settings":
        """Return the same with what the command decides, each value checked.

        Raises
        ------
        UsageError
            If something makes no sense.
        """
        data, model = self.data if self.data is not None else "digits", self.model or "mlp"
        table = Path(data).suffix.lower() in TABLES or self._numbers(Path(data))
        convolutions = model in ("lenet", "resnet")
        decided = {
            "data": data,
            "model": model,
            "hidden": {"lenet": "128", "resnet": "0"}.get(model, "100"),
            "dropout": 0.0,
            "epochs": 30 if data == "digits" or table else 5,
            "batch_size": 64,
            "optimizer": "adam" if convolutions or table else "sgd",
            "schedule": "1cycle" if convolutions else "constant",
            "weight_decay": 0.0,
            "accumulate": 1,
            "seed": 0,
            "compiled": False,
            "profile": False,
        }
        own = {name: value for name, value in asdict(self).items() if value is not None}
        full = Settings(**{**decided, **own})
        full = replace(full, optimizer=str(full.optimizer).lower())
        if full.lr is None:
            lr = recipes.learning_rate(str(full.optimizer), highest=full.schedule == "1cycle")
            full = replace(full, lr=lr)
        full.check()
        return full

    def _numbers(self, path: Path) -> bool:
        """Whether the data are an .npz file with numbers to predict, where it is to be decided."""
        if path.suffix != ".npz" or None not in (self.epochs, self.optimizer):
            return False
        return self.task == "regression" or (self.task is None and holds_numbers(path))

    def check(self) -> None:
        """Refuse what makes no sense, before anything is done."""
        for option, least in WHOLE.items():
            value = getattr(self, option)
            if value is not None and value < least:
                raise UsageError(f"{_option(option)} must be at least {least}, got {value}.")
            if value is not None and value >= LARGEST:  # run.toml could not be relied upon
                raise UsageError(f"{_option(option)} must be below 2 to the power of 63.")
        for option, (good, words) in NUMBERS.items():
            value = getattr(self, option)
            if value is not None and not good(value):
                raise UsageError(f"{_option(option)} must be {words}, got {value}.")
        for option, names in (
            ("optimizer", recipes.OPTIMIZERS), ("schedule", recipes.SCHEDULES),
            ("task", ("classification", "regression")),
        ):  # fmt: skip
            value = getattr(self, option)
            if value is not None and value not in names:
                raise UsageError(f"--{option} must be one of {', '.join(names)}, got {value!r}.")
        if not self.data:
            raise UsageError("the data have no name: name digits, mnist, a file or a folder.")
        nets.check_name(str(self.model))
        self.widths()
        threads = self.threads or "auto"
        if threads != "auto" and not (threads.isdecimal() and int(threads) > 0):
            raise UsageError(f"--threads must be 1 or more, or auto, got {threads!r}.")
        if importlib.util.find_spec("matplotlib") is None:
            raise UsageError("the pictures need matplotlib: pip install 'chainrule[cli]'")
        if self.compiled:
            try:
                compiled.enable()
            except ImportError as error:
                needs = "--compiled needs numba: pip install 'chainrule[compiled]'"
                raise UsageError(needs) from error

    def widths(self) -> list[int]:
        """Return the widths of the hidden linear layers."""
        hidden = self.hidden or "0"
        if hidden.strip() == "0":
            return []
        words = hidden.split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            raise UsageError(f"--hidden must be widths as 100 or 300,100, got {self.hidden!r}.")
        return [int(word) for word in words]

    def differences(self, other: "Settings") -> list[str]:
        """Return in words where another one differs."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return [
            f"{_option(name)} was {_shown(mine)}, and is {_shown(theirs)}"
            for name, (mine, theirs) in pairs.items()
            if mine != theirs
        ]


WHOLE = {"epochs": 1, "batch_size": 1, "accumulate": 1, "patience": 1, "seed": 0, "image_size": 1,
         "checkpoint_steps": 1, "workers": 1}  # fmt: skip
Check = tuple[Callable[[float], bool], str]
NUMBERS: dict[str, Check] = {
    "lr": (lambda v: 0 < v < math.inf, "greater than 0, and finite"),
    "dropout": (lambda v: 0 <= v < 1, "from 0 to below 1"),
    "weight_decay": (lambda v: 0 <= v < math.inf, "0 or more"),
    "clip_norm": (lambda v: 0 < v < math.inf, "greater than 0"),
}


def write_settings(folder: Path, settings: Settings, hashes: dict[str, str]) -> None:
    """Write run.toml, which repeats the run; ``hashes``: of what it is made from."""
    import tomli_w

    own = {name: value for name, value in asdict(settings).items() if value is not None}
    made = {"chainrule": chainrule.__version__, "numpy": np.__version__, **hashes}
    head = f"# To repeat this run: chainrule train --config {FILE}\n\n"
    content = head + tomli_w.dumps({"train": own, "made_with": made})
    write_atomically(folder / FILE, content.encode())


def read_settings(path: Path) -> tuple[Settings, dict[str, str]]:
    """Read a run.toml; return the settings, and the hashes of what the run was made from.

    Raises
    ------
    UsageError
        If it cannot be read, or has settings that there are not.
    """
    if path.is_dir():
        path /= FILE
    try:
        found = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}. Name the run.toml of a run.") from error
    # ValueError: also of a number of thousands of digits; RecursionError: of as many brackets.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML file: {one_line(error)}.") from error
    own = found.get("train")
    if not isinstance(own, dict):
        raise UsageError(f"{path} has no table [train]: it was not made by chainrule train.")
    kinds = {field.name: str(field.type) for field in fields(Settings)}
    for name, value in own.items():
        if name not in kinds:
            raise UsageError(f"{path}: there is no setting {name!r} in [train].")
        kind = kinds[name].removesuffix(" | None")
        if kind == "float" and type(value) is int and abs(value) < LARGEST:
            own[name] = float(value)
        elif type(value).__name__ != kind:
            raise UsageError(f"{path}: {name} must be of type {kind}, got {value!r:.40}.")
    made = found.get("made_with")
    made = made if isinstance(made, dict) else {}
    return Settings(**own), {n: made[n] for n in HASHES if isinstance(made.get(n), str)}


def _option(name: str) -> str:
    return "the data" if name == "data" else "--" + name.replace("_", "-")


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
