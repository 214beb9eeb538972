"""Read every file of a folder, each name said first; at the end say how much memory it took.

A process of its own: a crash, a hang or a full memory ends it, and the last name is the file's.

Usage: python child.py READER FOLDER MEGABYTES
"""

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.readers import READERS, outcome


def peak() -> int:
    """Return the most memory that this process has had, in KiB."""
    # Not getrusage: its peak is at least that of the process that began this one.
    (line,) = (s for s in Path("/proc/self/status").read_text().split("\n") if "VmHWM" in s)
    return int(line.split()[1])


def main() -> None:
    name, folder, megabytes = sys.argv[1:]
    reader = next(reader for reader in READERS if reader.name == name)
    for path in sorted(Path(folder).glob("sound-*")):  # what is imported late is imported now
        outcome(reader, path)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(megabytes) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = peak()
    for path in sorted(Path(folder).glob("mutant-*")):
        print(path.name, flush=True)
        outcome(reader, path)
    print(f"peak {(peak() - before) / 1024:.1f} MB")


if __name__ == "__main__":
    main()
