"""What shows itself in a notebook: whole HTML, in which every name is only text."""

from html.parser import HTMLParser

import numpy as np
import pytest

from chainrule import *
from chainrule.gradcheck.report import Finding, GradientReport
from chainrule.notebook import page, row, table

VOID = {"img", "br"}
HOSTILE = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """Reads a page and refuses what is not whole; keeps its tags, and the text of each row."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.rows, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr" or dict(attributes).get("class") == "row":
            self.rows.append([])

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if self.rows and self.open and self.open[-1] in ("td", "th", "code", "span"):
            self.rows[-1].append(data)

    @property
    def text(self):
        return "".join(self.words)

    def names(self):
        return {tag for tag, _ in self.tags}


def read(thing):
    return Reader(thing._repr_html_())


def history(*rows):
    made = History()
    for i, figures in enumerate(rows, 1):
        made.append({"epoch": i, **figures})
    return made


# -- models -------------------------------------------------------------------------------------


def test_a_model_shows_layers_shapes_and_parameters():
    net = Model([Linear(784, 100), ReLU(), Linear(100, 10)], SoftmaxCrossEntropy())
    found = read(net)
    assert found.rows == [
        ["layer", "output shape", "parameters"],
        ["0: Linear(784, 100)", "(100,)", "78,500"],
        ["1: ReLU()", "(100,)", "0"],
        ["2: Linear(100, 10)", "(10,)", "1,010"],
        ["total", "79,510"],
    ]
    assert "input (784,), SoftmaxCrossEntropy(), float32" in found.text
    assert "details" not in found.names()


def test_shapes_are_those_of_the_last_input():
    net = Model([Conv2d(1, 2, 3), Flatten(), Linear(72, 2)], SoftmaxCrossEntropy())
    assert read(net).rows[1] == ["0: Conv2d(1, 2, 3)", "20"]
    net.predict(np.zeros((5, 8, 8, 1)))
    assert read(net).rows[1] == ["0: Conv2d(1, 2, 3)", "(6, 6, 2)", "20"]
    assert "input (8, 8, 1)" in read(net).text
    copied = Model([Conv2d(1, 2, 3), GlobalAvgPool(), Linear(2, 2)], SoftmaxCrossEntropy())
    copied.loss(np.zeros((5, 8, 8, 1)), np.zeros(5, int))
    read(copied)
    copied.backward()  # looking has not spoiled it
    assert copied.summary() == copied.summary((8, 8, 1))


def test_shapes_that_cannot_be_known_are_left_out():
    class Loud(Layer):
        def forward(self, x):
            raise RuntimeError("never on zeros")

        def backward(self, grad):
            return grad

    for layers in (
        [Conv2d(1, 2, 3)],
        [ReLU()],
        [Linear(3, 2), Loud()],
        [GlobalAvgPool(), Linear(2, 2)],
    ):
        found = read(Model(layers, MeanSquaredError()))
        assert all(len(line) == 2 for line in found.rows[1:]), layers
        assert "input" not in found.text
    with pytest.raises(RuntimeError, match="never on zeros"):
        Model([Linear(3, 2), Loud()], MeanSquaredError()).outline(3)


def test_containers_open_and_close():
    inner = Residual([Linear(4, 4), Sequential([Tanh(), Linear(4, 4)])])
    found = read(Model([Linear(3, 4), inner], MeanSquaredError()))
    assert [tag for tag, _ in found.tags if tag == "details"] == ["details"] * 3
    labels = [line[0] for line in found.rows]
    assert "1.inner.1.1: Linear(4, 4)" in labels
    assert found.rows[labels.index("1.inner.1.1: Linear(4, 4)")][1:] == ["(4,)", "20"]


def test_every_layer_shows_itself():
    from cases import LAYERS

    for case in LAYERS:
        net = Model([case.build()], MeanSquaredError())
        rng = np.random.default_rng(0)
        shape = case.shapes[-1]
        x = case.inputs(rng, shape) if case.inputs else rng.standard_normal(shape)
        y = net.predict(x)
        found = read(net)
        assert found.rows[1][1] == repr(y.shape[1:]), case.name
        assert found.rows[1][0].startswith("0: "), case.name


def test_a_long_net_is_folded():
    net = Model([layer for _ in range(100) for layer in (Linear(3, 3), Tanh())], MeanSquaredError())
    found = read(net)
    assert [line for line in found.rows if line[0] == "170 more layers"] == [
        ["170 more layers", "1,020"]
    ]
    assert len(found.rows) == 203
    assert len(net._repr_html_()) < 60_000


def test_hostile_names_are_text():
    class Odd(Layer):
        def __init__(self, name):
            self.name = name

        def forward(self, x):
            return x

        def backward(self, grad):
            return grad

    Odd.__name__ = HOSTILE
    found = read(Model([Odd(HOSTILE), Sequential([Odd(HOSTILE)])], MeanSquaredError()))
    assert "script" not in found.names()
    assert "<script>alert" in found.text


# -- histories ----------------------------------------------------------------------------------


def best_of(found):
    marked = [i for i, (_, a) in enumerate(t for t in found.tags if t[0] == "tr")
              if a.get("class") == "best"]  # fmt: skip
    return [found.rows[i] for i in marked]


def test_a_history_marks_its_best_row():
    made = history(
        {"loss": 0.5, "validation_accuracy": 0.5},
        {"loss": 0.25, "validation_accuracy": 0.75},
        {"loss": 0.1, "validation_accuracy": 0.7},
    )
    found = read(made)
    assert found.rows[0] == ["epoch", "loss", "validation accuracy"]
    assert best_of(found) == [["2", "0.25", "0.75"]]
    assert "3 epochs; marked: the best validation accuracy" in found.text
    only_loss = history({"loss": 0.5}, {"loss": 0.25}, {"loss": 0.3})
    assert best_of(read(only_loss)) == [["2", "0.25"]]
    losses = history({"loss": 1.0, "validation_loss": 0.2}, {"loss": 0.5, "validation_loss": 0.4})
    assert best_of(read(losses)) == [["1", "1", "0.2"]]


def test_a_long_history_is_short():
    made = history(*({"loss": 1 / i, "validation_loss": abs(500 - i)} for i in range(1, 10_001)))
    found = read(made)
    assert [line[0] for line in found.rows[1:]] == [
        "1", "2", "3", "⋯", "500", "⋯", "9995", "9996", "9997", "9998", "9999", "10000",
    ]  # fmt: skip
    assert best_of(found) == [["500", "0.002", "0"]]
    assert len(made._repr_html_()) < 15_000


@pytest.mark.parametrize("epochs", range(1, 16))
def test_no_row_is_lost_or_doubled(epochs):
    found = read(history(*({"loss": float(i)} for i in range(epochs))))
    numbers = [int(line[0]) for line in found.rows[1:] if line[0] != "⋯"]
    assert numbers == sorted(set(numbers))
    assert {1, epochs} <= set(numbers)
    assert len(numbers) == epochs or "⋯" in str(found.rows)


def test_odd_histories():
    assert "No epoch yet" in read(History()).text
    nan = float("nan")
    found = read(history({"loss": nan}, {"loss": nan}))
    assert best_of(found) == []
    assert "svg" not in found.names()
    gaps = history({"loss": 1.0}, {"loss": nan}, {"loss": 0.5}, {"loss": float("inf")})
    (path,) = [a["d"] for tag, a in read(gaps).tags if tag == "path"]
    assert path.count("M") == 2
    assert "nan" not in path
    assert "inf" not in path
    flat = read(history({"loss": 1.0}, {"loss": 1.0}))
    assert best_of(flat) == [["1", "1"]]
    assert "svg" not in read(history({"loss": 1.0})).names()
    missing = history({"loss": 1.0}, {"loss": 0.5, "validation_accuracy": 0.9})
    assert read(missing).rows[1] == ["1", "1", "–"]
    found = read(history({"loss": 1.0, HOSTILE: HOSTILE}))
    assert "script" not in found.names()
    assert found.rows[0][-1] == HOSTILE


def test_points_of_a_long_curve_are_thinned_out():
    made = history(*({"loss": 1 / i} for i in range(1, 5001)))
    (path,) = [a["d"] for tag, a in read(made).tags if tag == "path"]
    assert path.count("L") <= 240


# -- gradient reports ---------------------------------------------------------------------------


def test_a_report_has_the_table_the_words_and_the_picture(rng):
    class Wrong(Linear):
        def backward_parameters(self, grad):
            super().backward_parameters(grad)
            self.grad_b *= -1

    report = check_gradients(Wrong(3, 2), rng.standard_normal((4, 3)))
    found = read(report)
    assert found.rows[0][:3] == ["array", "shape", "compared"]
    assert [(line[0], line[-1]) for line in found.rows[1:]] == [
        ("input", "ok"), ("weights", "ok"), ("biases", "sign"),
    ]  # fmt: skip
    assert "Wrong(3, 2): FAILED" in found.text
    assert "Remedy:" in found.text
    (image,) = [a for tag, a in found.tags if tag == "img"]
    assert image["src"].startswith("data:image/png;base64,")


def test_odd_reports():
    found = read(GradientReport("empty"))
    assert "Nothing was checked" in found.text
    found = read(GradientReport(HOSTILE, [Finding(HOSTILE, ok=False, shape=())], error=""))
    assert "script" not in found.names()
    assert HOSTILE in found.text
    found = read(GradientReport("x", error=HOSTILE))
    assert "script" not in found.names()


# -- the pieces ---------------------------------------------------------------------------------


def test_no_colour_is_of_one_theme_alone():
    """Everything takes the colour of the page, or is a grey or a mark that lets it through."""
    style = page().partition("<style>")[2].partition("</style>")[0]
    for rule in style.split("}"):
        for name in ("color:", "background:"):
            for rest in rule.split(name)[1:]:
                value = rest.partition(";")[0]
                assert value in ("inherit", "none") or value.startswith("rgba("), rule


def test_pieces_escape():
    for piece in (table([HOSTILE], [[HOSTILE]]), row(HOSTILE, HOSTILE, inside=row(HOSTILE))):
        found = Reader(piece)
        assert "script" not in found.names()
        assert HOSTILE in found.text
