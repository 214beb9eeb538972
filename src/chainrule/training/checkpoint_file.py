"""A state in one file: its arrays as safetensors, all else as JSON, and a hash of both."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.state import State
from chainrule.storage import one_line, read_arrays, write_arrays

__all__ = [
    "check_fits",
    "pack_state",
    "read_state",
    "stale_parts",
    "unpack_state",
    "write_state",
]

VERSION = 1
ARRAY = "array"  # {"array": name} stands in the JSON where the array was


def write_state(path: str | os.PathLike[str], state: State) -> None:
    """Write a state so that, whatever happens, ``path`` holds the old content or the new.

    Raises
    ------
    OSError
        If the file cannot be written; what ``path`` held before is still there.
    TypeError
        If the state holds something else than numbers, text, None, lists, dictionaries with text
        as keys, and arrays.
    """
    content, arrays = _parted(state)
    description = {"checkpoint": VERSION, "state": content, "hash": _hash(content, arrays)}
    write_arrays(path, arrays, description)


def check_fits(state: State) -> None:
    """Say what a file could not hold.

    Raises
    ------
    TypeError
        As :func:`write_state`.
    """
    _without_arrays(state, "", {})


def read_state(path: str | os.PathLike[str]) -> State:
    """Read what :func:`write_state` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, no checkpoint, or of another version.
    """
    import json

    path = Path(path)
    arrays, description = read_arrays(path)
    version = description.get("checkpoint")
    if version is None:
        raise ValueError(f"{path} is no checkpoint. If it is a model: chainrule.load(path).")
    if version != VERSION:
        raise ValueError(
            f"{path}: a checkpoint of format {version!r:.40}, and this chainrule reads {VERSION}. "
            "Resume it with the version that wrote it."
        )
    content = description.get("state")
    if not isinstance(content, str) or description.get("hash") != _hash(content, arrays):
        raise ValueError(f"{path} is damaged: its content does not fit its hash.")
    try:
        state = _with_arrays(json.loads(content), arrays)
    except (KeyError, TypeError, ValueError, RecursionError) as error:  # whoever made the hash
        raise ValueError(f"{path} is damaged: {one_line(error)}.") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is damaged: its state is no dictionary.")
    return state


def pack_state(state: State) -> bytes:
    """Return a state as bytes, for another process.

    Examples
    --------
    >>> import numpy as np
    >>> unpack_state(pack_state({"a": [1, np.array([2.0, 3.0])], "b": None}))
    {'a': [1, array([2., 3.])], 'b': None}
    """
    from safetensors.numpy import save

    content, arrays = _parted(state)
    text = np.frombuffer(content.encode("utf-8", "surrogatepass"), np.uint8)
    return save({**arrays, ARRAY: text})


def unpack_state(content: bytes) -> State:
    """Return the state that :func:`pack_state` was given."""
    import json

    from safetensors.numpy import load

    arrays = load(content)
    text = arrays.pop(ARRAY).tobytes().decode("utf-8", "surrogatepass")
    state: State = _with_arrays(json.loads(text), arrays)
    return state


def _parted(state: State) -> tuple[str, dict[str, Array]]:
    """Return all but the arrays as JSON, and the arrays by name."""
    import json

    arrays: dict[str, Array] = {}
    return json.dumps(_without_arrays(state, "", arrays)), arrays


def _hash(content: str, arrays: dict[str, Array]) -> str:
    import hashlib
    import json

    whole = hashlib.sha256(content.encode("utf-8", "surrogatepass"))
    for name, array in sorted(arrays.items()):
        whole.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


def _without_arrays(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc" or value.dtype.itemsize > 8:
            raise TypeError(
                f"the state {name!r} is an array of {value.dtype}; a checkpoint holds arrays of "
                "numbers, of 64 bits at most."
            )
        arrays[name] = np.ascontiguousarray(value).reshape(value.shape)
        return {ARRAY: name}
    if isinstance(value, dict):
        if ARRAY in value or not all(isinstance(key, str) for key in value):
            raise TypeError(f"the state {name!r} has keys that a checkpoint cannot hold.")
        return {key: _without_arrays(v, f"{name}/{key}", arrays) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"the state {name!r} is a {type(value).__name__}; a checkpoint holds numbers, text, lists, "
        "dictionaries and arrays."
    )


def _with_arrays(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return arrays[value[ARRAY]]
        return {key: _with_arrays(v, arrays) for key, v in value.items()}
    if isinstance(value, list):
        return [_with_arrays(v, arrays) for v in value]
    return value


def stale_parts(folder: Path) -> Iterator[Path]:
    """Yield what a process that was killed while it wrote a checkpoint has left in the folder."""
    yield from folder.glob(".checkpoint-*.part")
