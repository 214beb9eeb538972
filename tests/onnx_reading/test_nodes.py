"""The ONNX project's node tests: what passes, what is refused and why; no number is wrong."""

import re
from collections import Counter
from pathlib import Path

import onnx
import pytest

from onnx_reading.node_tests import node_tests, run

# As of the version of onnx that these were counted with; others have a few tests more or less.
VERSION = "1.23"
PASSED, FIRST_OUTPUT, REFUSED = 301, 26, 246

# Why the reader refuses, and how many tests; numbers and shapes as _.
REASONS = {
    # A net computes in floats. bfloat16 and less are no types of NumPy.
    "it works on whole numbers, and layers on floats": 52,
    "the input _ is no numbers.": 55,
    "it makes floats of few bits, whole numbers or text of floats": 56,
    # What our layers do not do.
    "it is over _ axes _: there are _ and _": 11,
    "the reset gate acts on the state before the product _, that of our GRU after it": 6,
    "windows with gaps _": 2,
    "its gates look at the cell _": 1,
    "its exponent must be one number": 7,
    "weights of shape _: a matrix for each of many": 4,
    # Known for patterns that they are a part of, no layers by themselves.
    "there is no layer for it": 24,
    "there is no layer for it but as a part of GELU": 1,
    "there is no layer for it but as a part of a normalisation": 4,
    # What a net that predicts does not do.
    "it drops values at random in predictions too": 4,
    "it normalises by the mini-batch in predictions too": 2,
    "the output _ does not depend on the input.": 11,  # Shape
    "it works across the samples _": 2,  # parts of length 0
    # Arrays without an element.
    "it is over a length that is not known before the net runs: axis _": 2,
    "of the length _ nothing is left": 1,
    "the shape _ does not go into [_, _, _]": 1,
}
# Further outputs: masks of dropout, places of maxima, statistics of normalisations, LSTM's cell.
FURTHER = "its output _ is taken, and the layer has none such"


@pytest.fixture(scope="module")
def ends():
    return [(test, *run(test)) for test in node_tests()]  # a wrong number is an AssertionError


def general(reason):
    return re.sub(r"\(.*\)|'.*?'|\d+", "_", reason)


def test_every_refusal_has_a_known_reason(ends):
    unknown = {
        (test.name, reason)
        for test, end, reason in ends
        if (end == "refused" and general(reason) not in REASONS)
        or (end == "first output" and general(reason) != FURTHER)
    }
    assert not unknown


def test_the_counts(ends):
    counts = Counter(end for _, end, _ in ends)
    if not onnx.__version__.startswith(VERSION):
        assert counts["passed"] >= PASSED - 20
        pytest.skip(f"the exact counts are those of onnx {VERSION}")
    assert counts == {"passed": PASSED, "first output": FIRST_OUTPUT, "refused": REFUSED}
    refused = Counter(general(reason) for _, end, reason in ends if end == "refused")
    assert refused == REASONS


def test_the_guide_has_these_counts(ends):
    guide = Path(__file__).parents[2] / "docs" / "onnx-reading.md"
    if not guide.exists():
        pytest.skip("docs/ is not in this copy")
    text = guide.read_text()
    operators = {test.model.graph.node[0].op_type for test, end, _ in ends if end == "passed"}
    for number in (PASSED, FIRST_OUTPUT, REFUSED):
        assert f"{number} " in text
    missing = sorted(op for op in operators if f"`{op}`" not in text)
    assert not missing
