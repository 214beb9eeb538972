"""What `import chainrule` costs beyond NumPy: whole processes, both sides in one run, medians.

python benchmarks/import_time.py
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 31
SIDES = {"nothing": "pass", "numpy": "import numpy", "chainrule": "import chainrule"}


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, code in SIDES.items():
            times[name].append(1000 * seconds(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        spread = statistics.quantiles(times[name], n=4)
        print(f"{name:<10} {median:6.1f} ms  (quartiles {spread[0]:.1f} to {spread[2]:.1f})")
    beyond = medians["chainrule"] - medians["numpy"]
    print(f"import chainrule costs {beyond:.1f} ms beyond NumPy")


if __name__ == "__main__":
    main()
