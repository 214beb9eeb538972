"""Files that nobody wrote: random changes of sound ones, the same ones each time."""

import random
from collections.abc import Iterator, Sequence

# Numbers at which sizes, offsets and signs turn over.
EDGES = [0, 1, 2, 7, 8, 127, 128, 255, 256, 2**15 - 1, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31,
         2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]  # fmt: skip
# Text that means something to one of the formats.
WORDS = [b"", b"{", b"[", b"}", b"]", b'"', b"\\", b"\0", b"\n", b"\x1b[31m", b"-1", b"1e999",
         b"NaN",
         b"true", b"null", b"O", b"|O", b"F64", b"F8_E4M3", b"BOOL", b"PK\x03\x04", b"PK\x01\x02",
         b"PK\x05\x06", b"\x1f\x8b", b"\x93NUMPY", b'"shape"', b"Linear", b"Sequential",
         b"9" * 30, b"[" * 200, b"\xff" * 8]  # fmt: skip


def mutants(corpus: Sequence[bytes], count: int, seed: str) -> Iterator[bytes]:
    """Yield ``count`` changed files: one to eight changes each, of every kind."""
    rng = random.Random(seed)
    for _ in range(count):
        content = bytearray(rng.choice(corpus))
        for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
            change(content, corpus, rng)
        yield bytes(content)


def change(content: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    """Change one thing in place."""
    size = len(content)
    # What says how the rest is to be read stands at the beginning, in archives at the end.
    near = rng.choice([size, min(size, 64), min(size, 600)])
    at = rng.randrange(near + 1) if rng.random() < 0.8 else size - rng.randrange(near + 1)
    length = rng.choice([1, 1, 2, 4, 8, 32, 200])
    kind = rng.randrange(9)
    if kind == 0 and at < size:
        content[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and at < size:
        content[at] = rng.choice([0, 1, 0x20, 0x30, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    elif kind == 2:
        del content[at : at + length]
    elif kind == 3:
        content[at:at] = rng.randbytes(length)
    elif kind == 4:
        word = rng.choice(WORDS)
        content[at : at + len(word)] = word
    elif kind == 5:
        content[at:at] = rng.choice(WORDS)
    elif kind == 6:
        width = rng.choice([2, 4, 8])
        edge = (rng.choice(EDGES) + rng.choice([-1, 0, 0, 1])) % 2 ** (8 * width)
        content[at : at + width] = edge.to_bytes(width, rng.choice(["little", "big"]))
    elif kind == 7:
        other = rng.choice(corpus)
        start = rng.randrange(len(other) + 1)
        content[at : at + rng.choice([0, length])] = other[start : start + length]
    else:
        del content[at:]
