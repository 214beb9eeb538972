"""The commands and their options, with the help that they print.

What they do is in the files beside this one, which they import when they are called.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

__all__ = [
    "check", "compare", "evaluate", "export", "find_lr", "predict", "studio", "summary", "train",
]  # fmt: skip


def _whole(kind: Any, tokens: Sequence[Token]) -> int:
    """Read a whole number; 1.5 is none, where the library would round it."""
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise ValueError(f"needs a whole number, got {tokens[0].value!r}.") from error


Whole = Annotated[int, Parameter(converter=_whole)]

given_words: list[str] = []  # those of the command that runs, for workers to be given

NET, LEARNING = Group("The net"), Group("How it learns")
DATA, RUN, WORKERS = Group("The data"), Group("The run"), Group("Several workers")


def train(
    data: str | None = None,
    /,
    *,
    target: Annotated[str | None, Parameter(group=DATA)] = None,
    task: Annotated[str | None, Parameter(group=DATA)] = None,
    image_size: Annotated[int | None, Parameter(group=DATA, converter=_whole)] = None,
    model: Annotated[str | None, Parameter(group=NET)] = None,
    hidden: Annotated[str | None, Parameter(group=NET)] = None,
    dropout: Annotated[float | None, Parameter(group=NET)] = None,
    epochs: Annotated[int | None, Parameter(group=LEARNING, converter=_whole)] = None,
    batch_size: Annotated[int | None, Parameter(group=LEARNING, converter=_whole)] = None,
    optimizer: Annotated[str | None, Parameter(group=LEARNING)] = None,
    lr: Annotated[float | None, Parameter(group=LEARNING)] = None,
    schedule: Annotated[str | None, Parameter(group=LEARNING)] = None,
    weight_decay: Annotated[float | None, Parameter(group=LEARNING)] = None,
    clip_norm: Annotated[float | None, Parameter(group=LEARNING)] = None,
    accumulate: Annotated[int | None, Parameter(group=LEARNING, converter=_whole)] = None,
    patience: Annotated[int | None, Parameter(group=LEARNING, converter=_whole)] = None,
    seed: Annotated[int | None, Parameter(group=LEARNING, converter=_whole)] = None,
    out: Annotated[Path | None, Parameter(group=RUN)] = None,
    resume: Annotated[bool, Parameter(group=RUN, negative=())] = False,
    config: Annotated[Path | None, Parameter(group=RUN)] = None,
    checkpoint_steps: Annotated[int | None, Parameter(group=RUN, converter=_whole)] = None,
    threads: Annotated[str | None, Parameter(group=RUN)] = None,
    compiled: Annotated[bool, Parameter(group=RUN, negative=())] = False,
    profile: Annotated[bool, Parameter(group=RUN, negative=())] = False,
    workers: Annotated[int | None, Parameter(group=WORKERS, converter=_whole)] = None,
    retries: Annotated[int, Parameter(group=WORKERS, converter=_whole)] = 0,
    timeout: Annotated[float, Parameter(group=WORKERS)] = 300.0,
    lost_after: Annotated[float, Parameter(group=WORKERS)] = 10.0,
    scale_lr: Annotated[bool, Parameter(group=WORKERS, negative=())] = False,
    sync_norms: Annotated[bool, Parameter(group=WORKERS, negative=())] = False,
    overlap: Annotated[bool, Parameter(group=WORKERS, negative=())] = False,
    shard_optimizer: Annotated[bool, Parameter(group=WORKERS, negative=())] = False,
) -> int:
    """Train a net, and leave a folder with the model, its history and pictures.

    Parameters
    ----------
    data
        digits (8x8, inside the package; this if nothing is given), mnist, fashion-mnist, an .npz
        file with arrays x and y, a .csv or .parquet table, a folder with a folder of images for
        each class, or a folder with IDX files named as MNIST's.
    target
        The column of a table that is predicted.
    task
        classification or regression, of a table or an .npz file; without it the target decides:
        numbers that are not all whole are predicted, all else are classes.
    image_size
        Bring the images of a folder to this height and width.
    model
        mlp: linear layers with ReLU (this if nothing is given). lenet: two convolutions with
        pooling before them, for images. resnet: residual blocks, for images. Or FILE.py:build, a
        function build(sample_shape, classes, seed) of yours that returns a Model.
    hidden
        Units in the hidden linear layers, from the first on, as 300,100; 0 for none. 100 if not
        given, 128 for lenet, 0 for resnet.
    dropout
        The share of hidden units that is dropped.
    epochs
        How many times to go through the data; 30 for digits, tables and .npz files with numbers to
        predict, else 5.
    batch_size
        Samples in a mini-batch; 64 if not given.
    optimizer
        sgd, momentum, nesterov, rmsprop, adagrad, adadelta, adam, adamw, nadam, radam or lion. sgd
        for mlp if not given; adam for the others, for tables, and for numbers to predict.
    lr
        Learning rate, with 1cycle the highest; without it one that suits the optimizer.
    schedule
        constant, step, exponential, cosine, warmup, polynomial, plateau or 1cycle. constant for
        mlp if not given, else 1cycle.
    weight_decay
        The pull of the weights towards 0; biases are left alone.
    clip_norm
        The greatest norm of the gradients.
    accumulate
        How many mini-batches make one step.
    patience
        Stop after so many epochs that were no better.
    seed
        Draws the first weights and the order of the samples.
    out
        The folder to make; runs/DATA-001 or the next free number if not given.
    resume
        Go on with a run that was stopped: the one of --out, or the newest with these settings.
    config
        A run.toml: repeat that run. What else is said here goes before it.
    checkpoint_steps
        Also save the state after so many steps, not only after each epoch and every five minutes.
    threads
        How many threads the matrix products use: a number, or auto to find the fastest by timing.
    compiled
        Use compiled forms of a few methods; needs numba.
    profile
        Also measure time and memory of each layer: a table, profile.png and profile.csv.
    workers
        How many processes train together on this machine, each on its own mini-batches. On several
        machines mpiexec starts them: mpiexec -n 8 --hosts a,b chainrule train ...
    retries
        How many times they are started again, from the last checkpoint, if one of them dies.
    timeout
        How many seconds a worker waits for the others before it ends the run.
    lost_after
        How many seconds the machine of another worker may be silent before that ends the run.
    scale_lr
        As many times the learning rate as there are workers, after a slow rise.
    sync_norms
        Batch normalisations take the statistics of all workers' samples.
    overlap
        Gradients travel while others are still being computed.
    shard_optimizer
        Each worker keeps a part of what the optimizer remembers: less memory.
    """
    from chainrule.cli.settings import Settings
    from chainrule.cli.together import connected, launched
    from chainrule.cli.train import train_command

    if workers is not None and (code := launched(given_words, workers, retries)) is not None:
        return code
    given = Settings(
        data, target, task, image_size, model, hidden, dropout, epochs, batch_size, optimizer, lr,
        schedule, weight_decay, clip_norm, accumulate, patience, seed, threads, compiled or None,
        profile or None, checkpoint_steps, workers, scale_lr or None, sync_norms or None,
        overlap or None, shard_optimizer or None,
    )  # fmt: skip
    with connected(workers, timeout, lost_after) as team:
        return train_command(given, config=config, resume=resume, out=out, workers=team)


def find_lr(
    data: str = "digits",
    /,
    *,
    target: str | None = None,
    task: str | None = None,
    image_size: Annotated[int | None, Parameter(converter=_whole)] = None,
    model: str = "mlp",
    hidden: str | None = None,
    dropout: float | None = None,
    optimizer: str | None = None,
    batch_size: Whole = 64,
    seed: Whole = 0,
    steps: Whole = 200,
    out: Path = Path("learning-rate.png"),
) -> int:
    """Suggest a learning rate, from a short mock training in which it grows.

    Parameters
    ----------
    data
        As for `chainrule train`.
    target
        The column of a table that is predicted.
    task
        As for `chainrule train`.
    image_size
        As for `chainrule train`.
    model
        As for `chainrule train`.
    hidden
        Units in the hidden linear layers, as for `chainrule train`.
    dropout
        The share of hidden units that is dropped.
    optimizer
        As for `chainrule train`.
    batch_size
        Samples in a mini-batch.
    seed
        Draws the first weights and the order of the samples.
    steps
        How many steps the mock training has.
    out
        The picture to draw: the loss over the learning rate.
    """
    from chainrule.cli.find_lr import find_lr_command
    from chainrule.cli.settings import Settings

    settings = Settings(
        data, target, task, image_size, model, hidden, dropout, optimizer=optimizer,
        batch_size=batch_size, seed=seed,
    )  # fmt: skip
    return find_lr_command(settings, steps, out)


def compare(
    *runs: Path,
    json: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
) -> int:
    """Print in what runs differ and what they came to, side by side.

    Parameters
    ----------
    runs
        Folders that `chainrule train` made.
    json
        Print the table as JSON.
    out
        Also draw their curves into this picture.
    """
    from chainrule.cli.compare import compare_command

    return compare_command(runs, as_json=json, out=out)


def evaluate(
    model: Path,
    data: str,
    /,
    *,
    target: str | None = None,
    code: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
) -> int:
    """Measure how well a model does on data, prepared as those that it was trained on.

    Parameters
    ----------
    model
        A model.safetensors that `chainrule train` made, or an ONNX file.
    data
        As for `chainrule train`; where a part is for testing, that part.
    target
        The column of a table that is predicted; that of the training if not given.
    code
        The Python file with layers of your own, if the model has some.
    json
        Print the figures as JSON.
    out
        Also draw a picture into this folder.
    """
    from chainrule.cli.evaluate import evaluate_command

    return evaluate_command(model, data, target=target, code=code, as_json=json, out=out)


def predict(
    model: Path,
    /,
    *files: Path,
    all_samples: Annotated[bool, Parameter("--all", negative=())] = False,
    code: Path | None = None,
    out: Path | None = None,
) -> int:
    """Say what a model takes images or samples for.

    Parameters
    ----------
    model
        A model.safetensors that `chainrule train` made, or an ONNX file.
    files
        Images (PNG, JPEG), arrays (.npy, .npz) with values as in the training data, or tables with
        the columns of the training data.
    all_samples
        Print every sample of an array, not the first 20.
    code
        The Python file with layers of your own, if the model has some.
    out
        Also write every prediction into this CSV file.
    """
    from chainrule.cli.predict import predict_command

    return predict_command(model, files, all_samples=all_samples, code=code, out=out)


def summary(model: Path, /, *, code: Path | None = None) -> int:
    """Print what a model is made of.

    Parameters
    ----------
    model
        A model.safetensors that `chainrule train` made, or an ONNX file.
    code
        The Python file with layers of your own, if the model has some.
    """
    from chainrule.cli.summary import summary_command

    return summary_command(model, code)


def studio(
    what: str | None = None,
    /,
    *,
    data: str | None = None,
    target: str | None = None,
    task: str | None = None,
    code: Path | None = None,
    host: str = "127.0.0.1",
    port: Whole = 8047,
    browser: bool = True,
) -> int:
    """Open a page in the browser that shows a net learn, and the chain rule at work.

    Parameters
    ----------
    what
        A table (FILE.csv, with --target) or an .npz file to learn from; or a model.safetensors or
        the folder of a run that `chainrule train` made, or FILE.py:build as for `chainrule train
        --model`. Without a net one is built on the page.
    data
        As for `chainrule train`. A run and a model know their own.
    target
        The column of a table that is predicted.
    task
        classification or regression; without it the target decides.
    code
        The Python file with layers of your own, if the model has some.
    host
        Where to listen. Anything but this computer itself needs the token in the printed address.
    port
        0 takes a free one.
    browser
        Open the page in the browser.
    """
    from chainrule.studio.command import studio_command

    return studio_command(
        what, data=data, target=target, task=task, code=code, host=host, port=port, browser=browser
    )


def export(
    model: Path,
    /,
    *,
    to: str,
    out: Path | None = None,
    input_shape: str | None = None,
    channels_first: Annotated[bool, Parameter(negative=())] = False,
    method: str = "predict",
    code: Path | None = None,
) -> int:
    """Write a model in a form that runs without chainrule.

    Parameters
    ----------
    model
        A model.safetensors, of `chainrule train` or of Model.save.
    to
        onnx: a file for onnxruntime and others. numpy: a program predict.py that needs NumPy alone.
    out
        The .onnx file, or the folder of the program; beside the model if not given.
    input_shape
        The shape of a sample as 28,28,1, with any for a length of ONNX that is left open. What
        `chainrule train` made says it itself.
    channels_first
        Let the ONNX file take images with the channels first.
    method
        What the ONNX file answers: predict, predict-proba or predict-classes.
    code
        The Python file with layers of your own, if the model has some.
    """
    from chainrule.cli.export import OnnxOptions, export_command

    options = OnnxOptions(channels_first, method)
    return export_command(model, to, out=out, input_shape=input_shape, options=options, code=code)


def check(
    target: str,
    /,
    *,
    arguments: str | None = None,
    input_shape: str | None = None,
    target_shape: str | None = None,
    labels: str | None = None,
    seed: Whole = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Check the gradients of the layers in a Python file, and name the mistakes.

    Parameters
    ----------
    target
        FILE.py, or FILE.py:NAME for one class of it. The file may say what to check by a function
        check_cases() that returns tuples (layer, x) or (loss, x, y).
    arguments
        Arguments of the constructor, as 3,5.
    input_shape
        The shape of a random input, as 4,3.
    target_shape
        For a loss: the shape of random targets.
    labels
        For a loss: class indices, as 0,2,1,1.
    seed
        Draws the input and the gradient from above.
    json
        Print the report as JSON.
    """
    from chainrule.cli.check import Inputs, check_command

    inputs = Inputs(arguments, input_shape, target_shape, labels, seed)
    return check_command(target, inputs, as_json=json)
