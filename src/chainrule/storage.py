"""Named arrays and their description in one safetensors file, written whole or not at all.

Nothing in such a file is ever executed: it holds numbers and JSON.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from chainrule.layer import Array

__all__ = ["FORMAT_VERSION", "one_line", "read_arrays", "write_arrays", "write_atomically"]

FORMAT_VERSION = 1
KEY = "chainrule"  # of the entry in the metadata


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that, whatever happens, ``path`` holds the old content or the new.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written, or the disk is full; what ``path`` held
        before is still there.
    """
    path = Path(path)
    # Its own name for each writer; and a mode that the system makes, as it does for other files.
    temporary = path.parent / f".{path.name}.{os.urandom(8).hex()}.part"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:  # it names the other, or none
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _sync_folder(path.parent)


def write_arrays(
    path: str | os.PathLike[str], arrays: dict[str, Array], description: dict[str, Any]
) -> None:
    """Write named arrays and a description.

    Raises
    ------
    OSError
        As :func:`write_atomically`.
    TypeError
        If an array's type has no place in the format (float16, float32 and float64 have).
    """
    import json

    from safetensors.numpy import save

    for name, array in arrays.items():
        if array.dtype.itemsize > 8:
            raise TypeError(f"{name} is {array.dtype}: save a model of float64 at most.")
    # One entry: the library writes several in an order that changes from process to process.
    content = json.dumps({"format_version": FORMAT_VERSION, **description})
    write_atomically(path, save(arrays, {KEY: content}))


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what :func:`write_arrays` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, foreign, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the .safetensors file inside it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    # Or a type that NumPy lacks, or a shape that it has no array for.
    except (SafetensorError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or no safetensors file: {one_line(error)}."
        ) from error
    return arrays, _description(path, metadata)


def one_line(error: object, limit: int = 300) -> str:
    r"""Return what an error says in one short line that is fit to print.

    What is wrong with a file is often said in its own words, and they may be anything: lines, codes
    that a terminal obeys, a megabyte.

    Examples
    --------
    >>> one_line(ValueError("unknown name:\n\x1b[2J"))
    'unknown name:\\n\\x1b[2J'
    """
    text = str(error)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _description(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    import json

    if KEY not in metadata:
        raise ValueError(
            f"{path} is a safetensors file, but not one that chainrule saved: "
            "it has weights without the net that they belong to."
        )
    try:
        description = json.loads(metadata[KEY])
        version = description.pop("format_version")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: the description of the model is damaged.") from error
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"{path}: the format version {version!r:.40} is damaged.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}, this chainrule reads up to {FORMAT_VERSION}. "
            "Upgrade chainrule: pip install --upgrade chainrule."
        )
    return dict(description)


def _sync_folder(folder: Path) -> None:
    # So that the new name itself survives a power failure; not every system can.
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
