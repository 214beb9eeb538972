"""``chainrule check``: the gradients of the layers in a user's file."""

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli.code import load_code
from chainrule.cli.errors import UsageError
from chainrule.gradcheck import GradientReport, check_gradients

__all__ = ["Inputs", "check_command"]


@dataclass
class Inputs:
    """What the command line says of constructor, input and targets."""

    arguments: str | None
    input_shape: str | None
    target_shape: str | None
    labels: str | None
    seed: int


def check_command(target: str, inputs: Inputs, *, as_json: bool) -> int:
    """Check the classes of a file; return 1 if a gradient is wrong."""
    path, _, name = target.partition(":")
    cases = _cases(Path(path), name, inputs)
    reports = []
    for label, thing, x, y in cases:
        report = check_gradients(thing, x, y, seed=inputs.seed)
        report.subject = label
        reports.append(report)
        if not as_json:
            print(report, end="\n\n", flush=True)
    if as_json:
        print(json.dumps([report.to_dict() for report in reports], indent=2))
    else:
        print(_verdict(reports))
    return 0 if all(report.ok for report in reports) else 1


def _verdict(reports: list[GradientReport]) -> str:
    failed = [report.subject for report in reports if not report.ok]
    if failed:
        return f"{len(failed)} of {len(reports)} failed: {', '.join(failed)}."
    return f"All {len(reports)} right." if len(reports) > 1 else "Right."


def _cases(path: Path, name: str, inputs: Inputs) -> list[tuple[str, Any, Any, Any]]:
    """Return (label, object, x, y) for everything that is to be checked."""
    module = load_code(path)
    given = getattr(module, "check_cases", None)
    if callable(given) and inputs.input_shape is None:
        cases = list(_given(path, given()))
        chosen = [case for case in cases if name in ("", case[0], type(case[1]).__name__)]
        if not chosen:
            raise UsageError(f"{path}: check_cases has no {name!r}; it has {_names(cases)}.")
        return chosen
    classes = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and callable(getattr(value, "forward", None))
        and callable(getattr(value, "backward", None))
    }
    if name and name not in classes:
        raise UsageError(
            f"{path}: there is no class {name!r} with forward and backward; "
            f"there are: {', '.join(classes) or 'none'}."
        )
    chosen_classes = [classes[name]] if name else list(classes.values())
    if not chosen_classes:
        raise UsageError(f"{path}: there is no class with forward and backward.")
    if inputs.input_shape is None:
        raise UsageError(
            f"{path}: say how to build and feed {', '.join(c.__name__ for c in chosen_classes)}: "
            "--arguments 3,5 --input-shape 4,3 (and --labels or --target-shape for a "
            "loss), or write in the file: def check_cases(): return [(Layer(3, 5), x), "
            "(Loss(), x, y)]."
        )
    return [_built(cls, inputs) for cls in chosen_classes]


def _given(path: Path, cases: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield what the user's ``check_cases`` returned, with names."""
    pairs = cases.items() if isinstance(cases, dict) else ((None, case) for case in cases)
    seen: dict[str, int] = {}
    for key, case in pairs:
        if not isinstance(case, tuple) or len(case) not in (2, 3):
            raise UsageError(
                f"{path}: check_cases returns tuples (layer, x) or (loss, x, y), got {case!r:.80}."
            )
        label = key or type(case[0]).__name__
        seen[label] = seen.get(label, 0) + 1
        if seen[label] > 1:
            label = f"{label} ({seen[label]})"
        yield label, case[0], case[1], case[2] if len(case) == 3 else None


def _built(cls: type, inputs: Inputs) -> tuple[str, Any, Any, Any]:
    rng = np.random.default_rng(inputs.seed)
    x = rng.standard_normal(_shape("--input-shape", inputs.input_shape or ""))
    y: Any = None
    if inputs.labels is not None:
        y = np.array(_values("--labels", inputs.labels))
    elif inputs.target_shape is not None:
        y = rng.standard_normal(_shape("--target-shape", inputs.target_shape))
    arguments = _values("--arguments", inputs.arguments or "")
    try:
        thing = cls(*arguments)
    except TypeError as error:
        raise UsageError(f"{cls.__name__}: {error}. Give them: --arguments 3,5.") from error
    return cls.__name__, thing, x, y


def _shape(option: str, words: str) -> tuple[int, ...]:
    values = _values(option, words)
    if not values or not all(isinstance(value, int) and value > 0 for value in values):
        raise UsageError(f"{option} must be whole numbers as 4,3, got {words!r}.")
    return values


def _values(option: str, words: str) -> tuple[Any, ...]:
    if not words.strip():
        return ()
    try:
        value = ast.literal_eval(f"({words},)")
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"{option} must be values as 3,5 or 'tanh', got {words!r}.") from error
    return tuple(value)


def _names(cases: list[tuple[str, Any, Any, Any]]) -> str:
    return ", ".join(case[0] for case in cases) or "none"
