"""What it takes to serve a net: python -m benchmarks.deployment [--rounds N] [--publish].

One net (784-100-10, ReLU, softmax) with the same weights on every side. Each measurement is a whole
process, one thread, the sides taking turns; medians. The size is that of the files of the installed
packages, dependencies included, without the interpreter. With --publish the table goes into
docs/deployment.md. A side that predicts something else is refused; one that is not installed is
left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.report import machine
from chainrule.interop import program

ROOT = Path(__file__).parent.parent
PROGRAM = Path(__file__).parent / "programs" / "serve.py"
COUNT = 1000

# The packages to install for each side.
PACKAGES = {
    "exported program": ["numpy"],
    "chainrule": ["chainrule"],
    "onnxruntime": ["onnxruntime"],
    "scikit-learn": ["scikit-learn"],
    "PyTorch": ["torch", "numpy"],
}


def prepare(folder: Path) -> list[str]:
    """Write the net for every side; return the sides whose library is there."""
    net = cr.Model([cr.Linear(784, 100), cr.ReLU(), cr.Linear(100, 10)], cr.SoftmaxCrossEntropy())
    x = np.random.default_rng(0).random((100, 784), np.float32)
    np.save(folder / "samples.npy", x)
    net.save(folder / "net.safetensors")
    program.export(net, folder, 784)
    sides = ["exported program", "chainrule"]
    for side, write in (("onnxruntime", onnx), ("scikit-learn", sklearn), ("PyTorch", pytorch)):
        try:
            write(net, folder, x)
            sides.append(side)
        except ModuleNotFoundError as error:
            print(f"{side}: left out: {error.name} is not installed")
    return sides


def pytorch(net: cr.Model, folder: Path, x: np.ndarray) -> None:
    from chainrule.pytorch import to_state_dict

    state = to_state_dict(net)
    import torch

    torch.save(state, folder / "net.pt")


def sklearn(net: cr.Model, folder: Path, x: np.ndarray) -> None:
    import warnings

    import joblib
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step does not converge, and need not
        theirs = MLPClassifier((100,), max_iter=1).fit(x, np.arange(100) % 10)
    theirs.coefs_ = [net.layers[i].weights.copy() for i in (0, 2)]
    theirs.intercepts_ = [net.layers[i].biases.copy() for i in (0, 2)]
    joblib.dump(theirs, folder / "net.joblib")


def onnx(net: cr.Model, folder: Path, x: np.ndarray) -> None:
    import onnx as library
    import onnxruntime  # noqa: F401  # only whether it is there

    helper, array = library.helper, library.numpy_helper.from_array
    arrays = [array(a.copy(), name) for name, a in net.named_parameters()]
    nodes = [
        helper.make_node("Gemm", ["x", "0.weights", "0.biases"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Gemm", ["h", "2.weights", "2.biases"], ["y"]),
        helper.make_node("Softmax", ["y"], ["p"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, 1, ["samples", n])
        for name, n in (("x", 784), ("p", 10))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    library.save(model, folder / "net.onnx")


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the times of every side, in seconds, round after round."""
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = prepare(folder)
        values = {
            side: run(side, folder, 2)["value"] for side in sides
        }  # reads files for the first time
        for side, value in values.items():
            if not np.allclose(value, values["chainrule"], rtol=1e-4, atol=1e-6):
                print(f"{side}: left out: it predicts something else")
                sides.remove(side)
        for _ in range(rounds):
            for side in sides:
                answer = run(side, folder, COUNT)
                answer["process, one"] = run(side, folder, 1)["process"]
                for what, value in answer.items():
                    if what != "value":
                        times.setdefault(side, {}).setdefault(what, []).append(value)
    return times


def run(side: str, folder: Path, count: int) -> dict[str, Any]:
    """Run the program of one side; return what it says, and how long the process took."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, PROGRAM, side, folder, str(count)], capture_output=True, text=True,
        check=True, env={**os.environ, **threads},
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(ran.stdout)
    answer["process"] = time.perf_counter() - start
    return answer


def needed(packages: list[str]) -> set[str]:
    """Return the packages and all that they need, as they are installed."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    left = list(packages)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                left.append(requirement.name)
    return found


def size(name: str) -> int:
    """Return the bytes of an installed package, without compiled copies of its source."""
    if name == "chainrule":  # may be installed as a link to its source
        return sum(
            path.stat().st_size
            for path in Path(cr.__file__).parent.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
    files = metadata.files(name) or []
    paths = {Path(str(file.locate())) for file in files if file.suffix != ".pyc"}
    return sum(path.stat().st_size for path in paths if path.is_file())


def table(times: dict[str, dict[str, list[float]]]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| side | packages | installed, MB | import, ms | start to first prediction, ms | "
        "the thousandth prediction, µs | process with 1 prediction, ms | with 1,000, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for side, columns in times.items():
        packages = needed(PACKAGES[side])
        figures = {what: float(np.median(values)) for what, values in columns.items()}
        lines.append(
            f"| {side} | {len(packages)} | {sum(map(size, packages)) / 1e6:,.1f} | "
            f"{1e3 * figures['import']:,.0f} | {1e3 * figures['first']:,.0f} | "
            f"{1e6 * figures['one']:,.1f} | {1e3 * figures['process, one']:,.0f} | "
            f"{1e3 * figures['process']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deployment", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--publish", action="store_true", help="write into docs/deployment.md")
    arguments = parser.parse_args()
    text = f"{machine()}\n\n{table(measure(arguments.rounds))}"
    print(text)
    if arguments.publish:
        page = ROOT / "docs" / "deployment.md"
        before, rest = page.read_text().split("<!-- table -->\n", 1)
        after = rest.split("<!-- /table -->", 1)[1]
        page.write_text(f"{before}<!-- table -->\n{text}\n<!-- /table -->{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
