"""The notebooks of examples/ run as Jupyter runs them, and so does what is made for notebooks."""

import base64
import re
from pathlib import Path

import pytest

pytest.importorskip("jupytext")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

import jupytext

from notebooks.kernel import run

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"

# Of each notebook: how many pictures it shows, and what it must say.
ROWS = {
    "article.md": (5, [r"Epoch 5/5: loss = 0\.[01]\d+", r"0\.9[5-9]\d+", "^True$",
                       "softmax_diagonal_only", "Linear.(64|784), 100. hands back"]),
    "tour.md": (12, [r"Epoch 10/10: .* validation accuracy = 0\.9",
                     r"Epoch 60/60: .* validation accuracy = (0\.9|1)", "Residual"]),
}  # fmt: skip


def texts(cell):
    for output in cell.outputs:
        yield output.get("text", "")
        yield output.get("data", {}).get("text/plain", "")


def pictures(cell):
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            yield base64.b64decode(output["data"]["image/png"])


@pytest.mark.skipif(not NOTEBOOKS.exists(), reason="examples/ is not in this copy")
@pytest.mark.parametrize("name", list(ROWS))
def test_notebook(name, tmp_path):
    notebook, _ = run(jupytext.read(NOTEBOOKS / name), tmp_path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [picture for cell in cells for picture in pictures(cell)]
    count, words = ROWS[name]
    assert len(shown) == count
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 3000 for picture in shown)
    said = "\n".join(text for cell in cells for text in texts(cell))
    for pattern in words:
        assert re.search(pattern, said, re.MULTILINE), (pattern, said)
    errors = [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"]
    assert not errors, errors


@pytest.mark.skipif(not NOTEBOOKS.exists(), reason="examples/ is not in this copy")
def test_every_notebook_has_a_row():
    assert {path.name for path in NOTEBOOKS.glob("*.md")} == set(ROWS)


SETUP = """
import numpy as np
from chainrule import *
from chainrule import plots
x, y = np.ones((640, 20)), np.zeros((640, 1))
net = Model([Linear(20, 30), ReLU(), Linear(30, 1)], MeanSquaredError())

class Slowly(Callback):
    def on_step_end(self, run):
        import time
        end = time.monotonic() + 0.003
        while time.monotonic() < end:
            pass
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Cells whose outputs the tests look at, in one kernel."""
    cells = [
        SETUP,
        "history = train(net, 1e-4, 40, (x, y), callbacks=[Slowly()], validation_split=0.2)",
        "history = train(net, 1e-4, 3, [(x, y)], verbose=False)",
        "try:\n"
        "    stop = Hook(on_step_end=lambda run: 1 / (12 - run.step))\n"
        "    train(net, 1e-4, 3, (x, y), callbacks=[stop])\n"
        "except ZeroDivisionError:\n"
        "    print('it broke')",
        "history.plot()",
        "plots.net(net); plots.curves(history); 3",
        "from matplotlib import pyplot as plt\n"
        "figure, axes = plt.subplots(1, 2)\n"
        "history.plot(ax=axes[0]); net.plot(ax=axes[1]);",
        "net",
        "history",
        "check_gradients(Linear(3, 2), np.ones((2, 3)))",
        "plt.get_fignums()",
    ]
    return run(cells, tmp_path_factory.mktemp("session"))


def cell(session, beginning):
    return next(c for c in session[0].cells if c.source.startswith(beginning))


def test_progress_is_one_line_that_changes_in_place(session):
    (output,) = cell(session, "history = train(net, 1e-4, 40").outputs
    assert output.output_type == "display_data"
    words = output["data"]["text/plain"]
    assert re.fullmatch(
        r"Epoch 40/40: loss = \d\.\d+, validation loss = \d\.\d+ \(\d+\.\d s\)", words
    )
    messages = session[1]
    kinds = [kind for kind, content in messages if "<progress" in str(content)]
    assert kinds[0] == "display_data"
    moved = [content for kind, content in messages
             if kind == "update_display_data" and "<progress" in str(content)]  # fmt: skip
    assert len(moved) >= 3
    shares = [float(re.search(r'value="([\d.]+)"', c["data"]["text/html"])[1]) for c in moved]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert re.search(
        r"Epoch \d+/40: loss \d.\d+ \(\d+\.\d s, \d+\.\d s left\)", moved[1]["data"]["text/plain"]
    )


def test_nothing_is_shown_that_was_not_asked_for(session):
    assert cell(session, "history = train(net, 1e-4, 3, [(x, y)], verbose=False)").outputs == []


def test_a_training_that_breaks_leaves_where_it_was(session):
    shown, said = cell(session, "try:").outputs
    assert shown["data"]["text/plain"].startswith("Epoch 1/3: loss = ")
    assert "<progress" not in shown["data"]["text/html"]
    assert said["text"] == "it broke\n"


def test_figures_show_themselves_once(session):
    assert len(list(pictures(cell(session, "history.plot()")))) == 1
    assert len(list(pictures(cell(session, "plots.net(net); plots.curves")))) == 2
    assert len(list(pictures(cell(session, "from matplotlib")))) == 1
    (left,) = cell(session, "plt.get_fignums").outputs
    assert left["data"]["text/plain"] == "[]"


@pytest.mark.parametrize("beginning", ["net", "history", "check_gradients"])
def test_objects_show_themselves(session, beginning):
    found = [c for c in session[0].cells if c.source.split("(")[0] == beginning]
    (output,) = found[0].outputs
    assert output["data"]["text/html"].startswith('<div class="chainrule">')
