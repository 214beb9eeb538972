"""Files whose parts are of the right kind, and lie: one strategy a format."""

import copy
import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SIZES = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 12, 60, 255, 2**16, 2**31, 2**32 - 1, 2**40, 2**63,
                         2**64, 10**30]) | st.integers(0, 8)  # fmt: skip
STRANGE = st.sampled_from([
    None, True, False, -1, 0, 1, 3, 4, 0.5, 1e308, float("nan"), float("inf"), 10**9, 10**18,
    10**400, "", "x", "he", "F32", "O", ">f4", "\n\x1b[2J", "a" * 2000, [], [[]], {}, [1], [[1], 2],
    {"class": "ReLU", "arguments": {}}, {"class": "Sequential", "arguments": {"layers": []}},
    {"class": "Linear", "arguments": {"n_in": 10**9, "n_out": 10**9}}, {"array": "a"},
    {"array": []},
])  # fmt: skip
JSON = st.recursive(
    STRANGE | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def idx_files(draw: Any) -> bytes:
    sizes = draw(st.lists(SIZES, max_size=4) | st.lists(SIZES, min_size=60, max_size=70))
    kind = draw(st.sampled_from([8, 9, 11, 12, 13, 14]) | st.integers(0, 255))
    rank = draw(st.sampled_from([len(sizes)]) | st.integers(0, 255))
    header = struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, rank, *[n % 2**32 for n in sizes])
    content = header + draw(st.binary(max_size=64))
    if not draw(st.booleans()):
        return content
    zipped = gzip.compress(content, mtime=0)
    return zipped + draw(st.sampled_from([b"", b"\0", zipped, zipped[:-3], b"x"]))


@st.composite
def npy_files(draw: Any) -> bytes:
    shape = draw(st.lists(SIZES, max_size=4) | st.lists(SIZES, min_size=60, max_size=70))
    dtype = draw(st.sampled_from(
        ["<f8", ">f4", "|u1", "<i8", "|O", "O", "f8,O", "<U2", "|V0", "<U0", "|S1000000000",
         "<M8[s]", "|b1", "<c16", "<f16", "f4,i2", "(1000000,)f8", "", "x", "(2,2)O"]
    ))  # fmt: skip
    axes = "".join(f"{n}, " for n in shape)
    header = draw(st.sampled_from([
        f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': ({axes}), }}",
        f"{{'descr': [('a', {dtype!r}), ('a', '<f8')], 'fortran_order': True, 'shape': (2,), }}",
        f"{{'descr': {dtype!r}, 'fortran_order': 3, 'shape': {shape}, }}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1L,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, None), }",
        "{'descr': '<f8', 'fortran_order': False}",
        "__import__('os').abort()",
        "(" * 300,
        "-" * 9000 + "1",
        "{'descr': [" * 400,
        "x" * 20_000,
        "\0\n\x1b",
    ]))  # fmt: skip
    version = draw(st.sampled_from([(1, 0), (1, 0), (2, 0), (3, 0), (255, 255)]))
    length = (len(header) if draw(st.booleans()) else draw(st.integers(0, 2**16 - 1))) % 2**16
    said = struct.pack("<H" if version == (1, 0) else "<I", length)
    return b"\x93NUMPY" + bytes(version) + said + header.encode() + draw(st.binary(max_size=64))


@st.composite
def npz_files(draw: Any) -> bytes:
    names = st.sampled_from(
        ["x.npy", "y.npy", "X.npy", "x", "x_train.npy", "../x.npy", "", "\n.npy"]
    )
    members = draw(st.lists(st.tuples(names, npy_files()), max_size=4))
    methods = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in dict(members).items():
            # Not by name alone: that would write the time into the file.
            archive.writestr(zipfile.ZipInfo(name), content, draw(methods))
    content = bytearray(file.getvalue())
    for _ in range(draw(st.integers(0, 2))):  # fields of the directory, at the end
        at = len(content) - draw(st.integers(1, min(len(content), 150)))
        content[at] = draw(st.sampled_from([0, 1, 9, 99, 255]))
    return bytes(content)


@st.composite
def safetensors_files(draw: Any, sound: bytes, sign: Callable[..., Any] | None = None) -> bytes:
    """Change the header of a sound file, or the description in it, in one to three places.

    ``sign`` puts the right hash into a description that was changed.
    """
    length = struct.unpack("<Q", sound[:8])[0]
    header, numbers = json.loads(sound[8 : 8 + length]), sound[8 + length :]
    description = json.loads(header["__metadata__"]["chainrule"])
    inside = draw(st.booleans())
    tree = {"tree": description if inside else header}
    if inside and sign is not None:
        tree = {"tree": json.loads(description["state"])}
    for _ in range(draw(st.integers(1, 3))):
        _change(draw, tree)
    if inside:
        new = tree["tree"]
        description = new if sign is None else sign(description, new, sound)
        header["__metadata__"]["chainrule"] = json.dumps(description)
    else:
        header = tree["tree"]
    text = json.dumps(header)
    if draw(st.integers(0, 9)) == 0 and text.startswith('{"__metadata__"'):
        text = text[:-1] + ", " + text[1:]  # every name twice
    content = text.encode()
    said = len(content) + draw(st.sampled_from([0] * 9 + [1, -1, 2**40, 2**63]))
    return struct.pack("<Q", said) + content + numbers


def _change(draw: Any, tree: dict[str, Any]) -> None:
    places: list[tuple[Any, Any]] = []
    _places(tree, places)
    inside, key = places[draw(st.integers(0, len(places) - 1))]
    kind = draw(st.integers(0, 5))
    if kind == 0 and inside is not tree:
        del inside[key]
    elif kind == 1 and isinstance(inside, dict) and inside is not tree:
        names = [*sorted(inside), "", "x", "0.weights", "\n"]
        inside[names[draw(st.integers(0, len(names) - 1))]] = inside.pop(key)
    elif kind == 2 and isinstance(inside, list):
        inside.append(inside[key])
    elif kind == 3 and isinstance(inside[key], int):
        inside[key] = draw(SIZES)
    else:
        inside[key] = copy.deepcopy(draw(JSON))  # what is drawn is drawn again


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            _places(value[key], found)
