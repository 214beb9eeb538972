"""Let the readers of files read what nobody wrote, for as long as you like.

    python tools/fuzz_readers.py                      every reader, a minute each
    python tools/fuzz_readers.py model npz --minutes 30
    python tools/fuzz_readers.py idx --atheris        led by coverage (pip install atheris)

The rows and the rule are those of tests/fuzz. A file that breaks the rule is kept in fuzz-found/,
and the exit status is then 1.
"""

import argparse
import hashlib
import itertools
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.mutations import mutants
from fuzz.readers import READERS, FaultError, Reader, outcome

FOUND = Path("fuzz-found")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [reader.name for reader in READERS]
    parser.add_argument("reader", nargs="*", metavar="reader", help=f"of {', '.join(names)}")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each reader")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--atheris", action="store_true", help="led by coverage; one reader")
    given = parser.parse_args()
    unknown = set(given.reader) - set(names)
    if unknown:
        parser.error(f"no reader {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    chosen = [reader for reader in READERS if reader.name in (given.reader or names)]
    with tempfile.TemporaryDirectory() as folder:
        if given.atheris:
            if len(chosen) != 1:
                parser.error("--atheris takes one reader")
            led_by_coverage(chosen[0], Path(folder), given.minutes)
        faults = sum(fuzz(reader, Path(folder), given.minutes, given.seed) for reader in chosen)
    return 1 if faults else 0


def fuzz(reader: Reader, folder: Path, minutes: float, seed: str) -> int:
    """Read mutants until the time is over; return how many kinds of faults there were."""
    corpus = reader.corpus(folder)
    faults: set[str] = set()
    end, slowest, count = time.monotonic() + 60 * minutes, 0.0, 0
    for part in itertools.count():
        for content in mutants(corpus, 1000, f"{reader} {seed} {part}"):
            begin = time.monotonic()
            why = fault(reader, folder / "file", content)
            slowest = max(slowest, time.monotonic() - begin)
            if why is not None and why[:60] not in faults:
                faults.add(why[:60])
                print(f"{reader}: {why[:500]}\n  kept in {keep(content)}", flush=True)
            count += 1
        if time.monotonic() > end:
            break
    print(f"{reader}: {count:,} files, {len(faults)} kinds of faults, the slowest {slowest:.3f} s")
    return len(faults)


def fault(reader: Reader, path: Path, content: bytes) -> str | None:
    path.write_bytes(content)
    try:
        outcome(reader, path)
    except FaultError as error:
        return str(error)
    return None


def keep(content: bytes) -> Path:
    FOUND.mkdir(exist_ok=True)
    path = FOUND / hashlib.sha256(content).hexdigest()[:16]
    path.write_bytes(content)
    return path


def led_by_coverage(reader: Reader, folder: Path, minutes: float) -> None:
    """Let atheris choose the bytes; it ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("--atheris needs atheris: pip install atheris")
    corpus = folder / "corpus"
    corpus.mkdir()
    for i, content in enumerate(reader.corpus(folder)):
        (corpus / str(i)).write_bytes(content)

    def read(content: bytes) -> None:
        why = fault(reader, folder / "file", content)
        if why is not None:
            raise FaultError(f"{why[:500]}; kept in {keep(content)}")

    atheris.instrument_all()
    options = [f"-max_total_time={round(60 * minutes)}", "-rss_limit_mb=2048", "-timeout=20"]
    atheris.Setup([sys.argv[0], str(corpus), *options], read)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
