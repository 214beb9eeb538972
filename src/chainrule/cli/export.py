"""``chainrule export``."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from chainrule.cli.errors import UsageError
from chainrule.cli.predict import load_own
from chainrule.cli.preparation import Preparation
from chainrule.interop.program import export
from chainrule.model import Model

__all__ = ["OnnxOptions", "export_command"]

Shape = tuple[int | None, ...]
METHODS = ("predict", "predict-proba", "predict-classes")


@dataclass(frozen=True)
class OnnxOptions:
    """What only ONNX files have."""

    channels_first: bool = False
    method: str = "predict"


def export_command(
    path: Path,
    to: str,
    *,
    out: Path | None,
    input_shape: str | None,
    options: OnnxOptions,
    code: Path | None,
) -> int:
    """Write a model in a form that runs without chainrule."""
    if to not in ("onnx", "numpy"):
        raise UsageError(f"--to must be onnx or numpy, got {to}.")
    if options.method not in METHODS:
        raise UsageError(f"--method must be one of {', '.join(METHODS)}, got {options.method}.")
    shape = None if input_shape is None else _shape(input_shape)
    if to == "numpy":
        if options != OnnxOptions():
            raise UsageError("--channels-first and --method are for --to onnx.")
        if shape is not None and None in shape:
            raise UsageError("--to numpy takes numbers in --input-shape. Or leave it out.")
        return _to_numpy(path, out, shape, code)
    return _to_onnx(path, out, shape, options, code)


def _to_onnx(
    path: Path, out: Path | None, shape: Shape | None, options: OnnxOptions, code: Path | None
) -> int:
    import chainrule.onnx

    target = path.with_suffix(".onnx") if out is None else out
    if target.suffix != ".onnx":  # so that no other file is written over by mistake
        raise UsageError(f"--out must name an .onnx file, got {target}.")
    model = load_own(path, code)
    if shape is None:
        shape = _shape_in_training(model, path)
    if shape is None:
        raise UsageError(
            f"{path} does not say what shape its samples have: --input-shape 28,28,1, with any "
            "for a length that is left open."
        )
    chainrule.onnx.export(
        model,
        target,
        shape,
        channels_first=options.channels_first,
        method=options.method.replace("-", "_"),
    )
    print(f"Written: {target}, {target.stat().st_size:,} bytes.")
    if "preparation" in model.metadata:
        print("It takes values as they were prepared in training; its metadata say how.")
    return 0


def _to_numpy(path: Path, out: Path | None, shape: Shape | None, code: Path | None) -> int:
    model = load_own(path, code)
    folder = path.with_name(f"{path.stem}-numpy") if out is None else out
    shape = shape or _shape_in_training(model, path)
    lengths = None if shape is None else [n for n in shape if n is not None]
    inputs = outputs = None
    if "preparation" in model.metadata:
        preparation = Preparation.of(model, path)
        inputs = (preparation.mean, preparation.deviation)
        if preparation.target_deviation is not None:
            outputs = (preparation.target_mean, preparation.target_deviation)
    program = export(model, folder, lengths, inputs=inputs, outputs=outputs)
    print(f"Written: {program}, with its arrays beside it.")
    return 0


def _shape_in_training(model: Model, path: Path) -> Shape | None:
    """Return the shape of a prepared sample, a row; None if the model does not say."""
    if "preparation" not in model.metadata:
        return None
    return (prod(Preparation.of(model, path).sample_shape),)


def _shape(words: str) -> Shape:
    try:
        lengths = tuple(None if w.strip() == "any" else int(w) for w in words.split(","))
    except ValueError:
        lengths = (0,)
    if any(n is not None and n < 1 for n in lengths):
        raise UsageError(f"--input-shape must be whole numbers or any, as 28,28,1, got {words!r}.")
    return lengths
