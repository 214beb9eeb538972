"""The peak of memory while training, in megabytes above what the imports took."""

import json
from pathlib import Path


def status(field: str) -> float:
    path = Path("/proc/self/status")
    if not path.exists():
        return float("nan")
    line = next(n for n in path.read_text().splitlines() if n.startswith(field))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Let the peak begin anew; Linux counts it from here."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def tell(before: float, accuracy: float, **more: float) -> None:
    print(json.dumps({"peak": status("VmHWM") - before, "accuracy": accuracy, **more}))
