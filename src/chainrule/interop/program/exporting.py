"""Write the program and its arrays."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from chainrule.interop.program import functions
from chainrule.interop.program.rules import RULES
from chainrule.interop.program.writer import Writer
from chainrule.layer import Array
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SoftmaxCrossEntropy
from chainrule.model import Model
from chainrule.outline import checked_shape, trace
from chainrule.storage import write_atomically

__all__ = ["export"]

Scaling = tuple[ArrayLike, ArrayLike]  # mean and deviation


def export(
    model: Model,
    folder: str | os.PathLike[str],
    input_shape: int | Sequence[int] | None = None,
    *,
    inputs: Scaling | None = None,
    outputs: Scaling | None = None,
) -> Path:
    """Write ``predict.py`` and ``predict.npz`` into a folder: the net as a program of its own.

    The program needs NumPy alone. Its function ``predict(x)`` returns what ``model.predict(x)``
    does; where the loss has classes there are ``predict_proba`` and ``predict_classes`` as well.
    ``python predict.py input.npy`` prints predictions, with a second file it saves the outputs.

    Parameters
    ----------
    model : Model
        The net.
    folder : path
        Where to write; made if it is not there.
    input_shape : int or sequence of int, optional
        The shape of one sample. Then the program checks the shape of what it is given.
    inputs : pair (mean, deviation) of number or array, optional
        How raw values were scaled before training. The program then has a function ``prepare``,
        which lays each sample end to end and returns (raw - mean) / deviation; its command line
        takes raw samples.
    outputs : pair (mean, deviation) of number, optional
        How the targets were scaled. The program then has a function ``values``, which returns the
        outputs in the target's own units: outputs * deviation + mean; its command line does so.

    Returns
    -------
    pathlib.Path
        The program.

    Raises
    ------
    TypeError
        If layers are of classes that have no function yet; all are named.
    ValueError
        If the net does not take samples of ``input_shape``, or a mean or deviation makes no sense.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import runpy, tempfile
    >>> import numpy as np
    >>> from chainrule import Linear, MeanSquaredError, Model, ReLU
    >>> from chainrule.interop import program
    >>> net = Model([Linear(4, 8), ReLU(), Linear(8, 1)], MeanSquaredError())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = program.export(net, folder)
    ...     predict = runpy.run_path(str(path))["predict"]
    >>> x = np.ones((3, 4), np.float32)
    >>> bool(np.allclose(predict(x), net.predict(x)))
    True
    """
    _check(model)
    shape = None if input_shape is None else _checked_shape(model, input_shape)
    writer = Writer(RULES)
    _write_layers(model, writer, shape)
    before, after = _scaling(writer, inputs, outputs)
    text = _program(model, writer, shape, _answers(model, writer), before, after)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **writer.arrays)  # type: ignore[arg-type]  # no name is allow_pickle
    write_atomically(folder / "predict.npz", content.getvalue())
    write_atomically(folder / "predict.py", text.encode())
    return folder / "predict.py"


def _scaling(
    writer: Writer, inputs: Scaling | None, outputs: Scaling | None
) -> tuple[list[str], list[str]]:
    """Return the functions ``prepare`` and ``values``, as lines; no lines where none is asked for.

    In the program as in training they compute in float64: near a large mean float32 has no digits.
    """
    before, after = [], []
    if inputs is not None:
        writer.arrays["mean"], writer.arrays["deviation"] = _checked_scale("inputs", inputs)
        before = [
            "def prepare(raw):",
            '    """Return raw samples as the net takes them: scaled as in training."""',
            '    rows = np.reshape(raw, (len(raw), -1)).astype("float64")',
            '    return (rows - scales["mean"]) / scales["deviation"]',
        ]
    if outputs is not None:
        mean, deviation = (repr(float(n)) for n in _checked_scale("outputs", outputs))
        after = [
            "def values(outputs):",
            '    """Return the outputs in the units of what is predicted."""',
            f'    return outputs.astype("float64") * {deviation} + {mean}',
        ]
    return before, after


def _checked_scale(name: str, scale: Scaling) -> tuple[Array, Array]:
    try:
        mean, deviation = (np.asarray(part, np.float64) for part in scale)
        sound = bool(np.isfinite(mean).all() and np.isfinite(deviation).all())
        sound = sound and bool((deviation > 0).all()) and (name == "inputs" or mean.size == 1)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError(
            f"export: {name} must be a pair (mean, deviation) of finite numbers, the deviation "
            f"greater than 0, got {scale!r:.200}."
        )
    return mean, deviation


def _check(model: Model) -> None:
    """Name every layer that has no function."""
    if not isinstance(model, Model):
        raise TypeError(f"export: needs a Model, got {type(model).__name__}.")
    unknown = {
        type(layer).__name__: None for layer in model._net.walk() if type(layer) not in RULES
    }
    if unknown:
        raise TypeError(
            f"export: there is no function for {', '.join(unknown)}. "
            "Tell it by chainrule.interop.program.register(YourLayer, function, arrays, settings)."
        )


def _checked_shape(model: Model, input_shape: int | Sequence[int]) -> tuple[int, ...]:
    shape = checked_shape("export", input_shape)
    model.predict(np.zeros((1, *shape)))
    return shape


def _write_layers(model: Model, writer: Writer, shape: tuple[int, ...] | None) -> None:
    """Write the lines of the net, and of each outer layer the shape that it gives, if known."""
    shapes: dict[str, str] = {}
    if shape is not None:
        sample = model._as_input(np.zeros((1, *shape)))
        trace(model._net, sample, lambda path, y: shapes.update({path: _shape_of(y.shape[1:])}))
    with writer.inside():
        for i, layer in enumerate(model.layers):
            more = f" gives {shapes[str(i)]}" if shapes else ""
            writer.layer(layer, str(i), "x", more)


def _shape_of(shape: Sequence[int]) -> str:
    return f"({', '.join(['samples', *map(str, shape)])})"


def _answers(model: Model, writer: Writer) -> list[str]:
    """Return the functions for probabilities and classes, as the loss has them."""
    cost = type(model.cost)
    if cost not in (CrossEntropy, SoftmaxCrossEntropy, BinaryCrossEntropy):
        return []
    probabilities = "predict(x)"
    if cost is not CrossEntropy:  # the outputs are logits
        function = functions.sigmoid if cost is BinaryCrossEntropy else functions.softmax
        writer.use(function)
        probabilities = f"{function.__name__}(predict(x))"
    if cost is BinaryCrossEntropy:
        classes = [
            '    """Return 1 where the probability is above one half, else 0."""',
            "    classes = (predict(x) > 0).astype(int)",
            "    return classes[:, 0] if classes.shape[1:] == (1,) else classes",
        ]
    else:
        classes = [
            '    """Return the most probable class of each sample."""',
            "    return predict(x).argmax(axis=-1)",
        ]
    return [
        "def predict_proba(x):",
        '    """Return the probabilities of the classes."""',
        f"    return {probabilities}",
        "",
        "",
        "def predict_classes(x):",
        *classes,
    ]


def _program(
    model: Model,
    writer: Writer,
    shape: tuple[int, ...] | None,
    answers: list[str],
    before: list[str],
    after: list[str],
) -> str:
    """Return the text of the program."""
    # Half precision is kept in the file, and computed in float32.
    computed = np.result_type(model.dtype, np.float32).name
    order = {name: i for i, name in enumerate(vars(functions))}
    called = sorted(writer.functions, key=lambda name: order.get(name, len(order)))
    samples = "prepare(samples)" if before else "samples"
    answer = f"{'predict_classes' if answers else 'predict'}({samples})"
    saved = f"predict({samples})"
    if after:
        answer, saved = f"values({answer})", f"values({saved})"
    lines = [
        '"""A trained net, written out by chainrule. It needs NumPy alone.',
        "",
        "    python predict.py input.npy                prints what it predicts",
        "    python predict.py input.npy output.npy     saves the outputs",
        "",
        "Axis 0 of every array is the samples; images are channels-last.",
        '"""',
        "",
        *(["import math"] if any("math." in text for text in writer.functions.values()) else []),
        "import sys",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "",
        "Array = np.ndarray",
        "",
        "",
    ]
    for name in called:
        lines += [writer.functions[name], "", ""]
    lines += [
        "# What the net has learned: arrays by name.",
        'with np.load(Path(__file__).with_name("predict.npz"), allow_pickle=False) as file:',
        *(['    scales = {name: file[name] for name in ("mean", "deviation")}'] if before else []),
        f'    w = {{name: file[name].astype("{computed}") for name in file.files}}',
        "",
        "",
        "def predict(x):",
        '    """Return the outputs of the net, axis 0 the samples."""',
        *_input(model, shape, computed),
        "",
        *writer.lines,
        f'    return x.astype("{model.dtype.name}")',
        "",
        "",
        *(line for part in (answers, before, after) if part for line in (*part, "", "")),
        'if __name__ == "__main__":',
        "    if len(sys.argv) not in (2, 3):",
        "        sys.exit(__doc__)",
        "    samples = np.load(sys.argv[1], allow_pickle=False)",
        "    if len(sys.argv) == 2:",
        f"        print({answer})",
        "    else:",
        f"        np.save(sys.argv[2], {saved})",
        "",
    ]
    return "\n".join(lines)


def _input(model: Model, shape: tuple[int, ...] | None, computed: str) -> list[str]:
    """Return the lines that make the input an array of floats, and check its shape."""
    lines = ["    x = np.asarray(x)"]
    if shape is not None:
        last = f" or x.shape[-1] != {shape[-1]}" if shape and not model._net.takes_integers else ""
        lines += [
            f"    if x.ndim != {len(shape) + 1}{last}:",
            "        raise ValueError("
            f'f"The input must have shape {_shape_of(shape)}, got {{x.shape}}.")',
        ]
    if not model._net.takes_integers:  # indices stay as they are
        lines.append(f'    x = x.astype("{computed}")')
    return lines
