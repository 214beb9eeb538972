"""A layer of one's own that is wrong: what is wrong, and where, is said in words."""

import numpy as np
import pytest

from chainrule import Layer, Linear, MeanSquaredError, Model, ReLU, SoftmaxCrossEntropy
from chainrule.studio.contract import BrokenContractError
from chainrule.studio.numerical import Difference, culprit, numerical
from chainrule.studio.own import resolve
from chainrule.studio.session import Session
from chainrule.studio.trace import trace
from studio.driving import SOON, wait_for

WHERE = "pip install chainrule[studio]"
step_page = pytest.importorskip("chainrule.studio.page.chain_step", reason=WHERE)
touch_page = pytest.importorskip("chainrule.studio.page.chain_touch", reason=WHERE)
agreement, gradient_at = touch_page.agreement, touch_page.gradient_at

SQUARE = """
import numpy as np
from chainrule import Layer, Linear, Model, SoftmaxCrossEntropy

class Square(Layer):
    keeps = ("x",)

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, grad):
        {back}

def build(sample_shape, classes, seed):
    return Model([Linear(64, 8), Square(), Linear(8, classes)], SoftmaxCrossEntropy(), seed=seed)
"""


class Square(Layer):
    keeps = ("x",)

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, grad):
        return self.back(2 * self.x * grad)

    def back(self, right):
        return right


class Half(Square):
    def back(self, right):
        return right / 2


class Noisy(Layer):
    def forward(self, x):
        return x + np.random.default_rng().standard_normal(x.shape).astype(x.dtype)

    def backward(self, grad):
        return grad


def net(layer):
    return Model([Linear(4, 3), layer, Linear(3, 2)], SoftmaxCrossEntropy(), seed=1)


def walked(layer, rng):
    x = rng.standard_normal((2, 4)).astype(np.float32)
    y = np.array([0, 1])
    model = net(layer)
    place = ("0.weights", (1, 1))
    found = trace(model, x, y)
    return found, agreement(gradient_at(found, place), numerical(model, x, y, place))


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (lambda right: right.sum(axis=0), r"its backward returned shape \(3,\)"),
        (lambda right: right[:, :2], r"its backward returned shape \(2, 2\)"),
        (lambda right: None, "its backward returned nothing"),
        (lambda right: right.tolist(), "its backward returned a list"),
        (lambda right: 3.0, "its backward returned a float"),
    ],
)
def test_what_no_layer_can_take_is_told_with_the_layer(back, words, rng):
    layer = Square()
    layer.back = back
    with pytest.raises(BrokenContractError, match=rf"^layer 1, Square\(\): {words}.*\(2, 3\)\.$"):
        walked(layer, rng)


def test_a_forward_that_gives_nothing(rng):
    layer = Square()
    layer.forward = lambda x: None
    with pytest.raises(BrokenContractError, match="its forward returned nothing"):
        walked(layer, rng)


def test_the_training_says_so_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SQUARE.format(back="return (2 * self.x * grad).sum(axis=0)")
    (tmp_path / "net.py").write_text(text)
    session = Session(resolve("net.py:build", None))
    try:
        session.step().result(30)
        assert session.frame.state == "failed"
        assert "layer 1, Square(): its backward returned shape (8,)" in session.frame.words
    finally:
        session.close()


def test_a_file_is_corrected_while_the_page_is_open(start, tab, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    expect = sync_api.expect
    (tmp_path / "net.py").write_text(SQUARE.format(back="return (self.x * grad)[:, :5]"))
    studio, page = start("net.py:build"), tab()
    page.goto(f"{studio.address}chain-rule")
    expect(page.locator(".notice")).to_contain_text(
        "layer 1, Square(): its backward returned shape (1, 5). It must return d(loss)/d(input), "
        "in the shape of its input: (1, 8).", timeout=SOON
    )  # fmt: skip
    page.get_by_role("button", name="One step", exact=True).click()
    expect(page.locator(".failure")).to_contain_text(
        "Reset reads net.py once more, and begins anew.", timeout=SOON
    )
    (tmp_path / "net.py").write_text("\n" + SQUARE.format(back="return self.x * grad"))
    page.get_by_role("button", name="Begin anew").click()
    wait_for(page, "state", "ready")
    page.goto(f"{studio.address}chain-rule?layer=1&way=backward&place=x:0.20&compare=yes")
    source = page.locator(".step-source .source")
    expect(source).to_contain_text("return self.x * grad", timeout=SOON)
    expect(page.locator(".touch-numbers")).to_contain_text(
        "they differ. Layer 1, Square(): its gradient of the input is wrong.", timeout=SOON
    )
    # The lines are those that run, not those that stand in the file by now.
    (tmp_path / "net.py").write_text("# none\n" * 40)
    page.reload()
    expect(page.locator(".step-source .source")).to_contain_text(
        "return self.x * grad", timeout=SOON
    )


def test_a_wrong_backward_is_found_and_named(rng):
    found, words = walked(Half(), rng)
    assert words.endswith("they differ.")
    said = culprit(found)
    assert said.startswith("Layer 1, Half(): its gradient of the input is wrong.")
    assert "every value is 1/2 x the right one" in said


def test_of_a_right_one_nothing_is_said(rng):
    found, words = walked(Square(), rng)
    assert words.endswith("they agree.")
    assert culprit(found) == ""


def test_a_net_that_is_random_cannot_be_compared(rng):
    _, words = walked(Noisy(), rng)
    assert words.endswith("the loss is another each time: something in the net is random.")


def test_a_kink_excuses_one_sides_slope_alone(rng):
    net = Model([Linear(1, 1), ReLU(), Linear(1, 1, bias=False)], MeanSquaredError(), dtype=float)
    net.parameters = [1.0, 0.0, 3.0]
    x, y, place = np.zeros((1, 1)), np.ones((1, 1)), ("0.biases", (0,))
    found = numerical(net, x, y, place)  # L = (3 max(b, 0) - 1)^2 around b = 0: 0 or -6
    assert gradient_at(trace(net, x, y), place) == 0
    assert found.sides == pytest.approx((0, -6), abs=1e-3)
    for right in (0, -6):
        assert agreement(right, found).endswith("a kink here, and no derivative; backward gives "
                                                "one side's.")  # fmt: skip
    assert agreement(5, found).endswith("backward gives neither: they differ.")


def test_numbers_that_float32_cannot_tell_apart_are_not_said_to_agree():
    tiny = Difference(1.0, 1e-5, 1 + 3e-14, 1 - 3e-14, 1.0)
    assert "both are nearly 0" in agreement(9e-9, tiny)
    assert agreement(0.0, Difference(1.0, 1e-5, 1.0, 1.0, 1.0)).endswith("they agree.")


def test_over_what_the_loss_is_a_mean(rng):
    def said(cost, y, samples, forward=False):
        x = rng.standard_normal((samples, 4)).astype(np.float32)
        return step_page.of_the_mean(trace(Model([Linear(4, 3)], cost), x, y).step("loss"), forward)

    labels, numbers = np.array([0, 2]), np.zeros((2, 3), np.float32)
    assert said(SoftmaxCrossEntropy(), labels, 2) == (
        "L is the mean over 2 samples: each derivative is divided by 2."
    )
    assert said(SoftmaxCrossEntropy(), labels[:1], 1) == ""
    assert said(MeanSquaredError(), numbers, 2) == (
        "L is the mean over 2 samples and 3 outputs: each derivative is divided by 6."
    )
    assert said(MeanSquaredError(), numbers[:1], 1, forward=True) == (
        "L is the mean over 3 outputs."
    )
    weighted = SoftmaxCrossEntropy(class_weights=[1.0, 2.0, 3.0])
    assert said(weighted, labels, 2).startswith("L is a weighted mean: each")
