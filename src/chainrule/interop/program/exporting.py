"""Write the program and its arrays."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.interop.program import functions
from chainrule.interop.program.rules import RULES
from chainrule.interop.program.writer import Writer
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SoftmaxCrossEntropy
from chainrule.model import Model
from chainrule.storage import write_atomically

__all__ = ["export"]


def export(
    model: Model,
    folder: str | os.PathLike[str],
    input_shape: int | Sequence[int] | None = None,
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

    Returns
    -------
    pathlib.Path
        The program.

    Raises
    ------
    TypeError
        If layers are of classes that have no function yet; all are named.
    ValueError
        If the net does not take samples of ``input_shape``.
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
    text = _program(model, writer, shape, _answers(model, writer))

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **writer.arrays)  # type: ignore[arg-type]  # no name is allow_pickle
    write_atomically(folder / "predict.npz", content.getvalue())
    write_atomically(folder / "predict.py", text.encode())
    return folder / "predict.py"


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
    shape = tuple(int(n) for n in np.atleast_1d(np.asarray(input_shape, dtype=int)))
    model.predict(np.zeros((1, *shape)))
    return shape


def _write_layers(model: Model, writer: Writer, shape: tuple[int, ...] | None) -> None:
    """Write the lines of the net, and of each outer layer the shape that it gives, if known."""
    shapes = [""] * len(model.layers)
    if shape is not None:
        training, model.training = model.training, False
        x = model._as_input(np.zeros((1, *shape)))
        for i, layer in enumerate(model.layers):
            x = layer.forward(x)
            shapes[i] = f" gives {_shape_of(x.shape[1:])}"
        model.training = training
    with writer.inside():
        for i, layer in enumerate(model.layers):
            writer.layer(layer, str(i), "x", shapes[i])


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
) -> str:
    """Return the text of the program."""
    # Half precision is kept in the file, and computed in float32.
    computed = np.result_type(model.dtype, np.float32).name
    order = {name: i for i, name in enumerate(vars(functions))}
    called = sorted(writer.functions, key=lambda name: order.get(name, len(order)))
    answer = "predict_classes" if answers else "predict"
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
        *([*answers, "", ""] if answers else []),
        'if __name__ == "__main__":',
        "    if len(sys.argv) not in (2, 3):",
        "        sys.exit(__doc__)",
        "    samples = np.load(sys.argv[1], allow_pickle=False)",
        "    if len(sys.argv) == 2:",
        f"        print({answer}(samples))",
        "    else:",
        "        np.save(sys.argv[2], predict(samples))",
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
