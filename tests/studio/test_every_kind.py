"""The chain rule and the net on the page, for nets of every kind; numbers beside the library's."""

import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.studio.own import resolve
from chainrule.studio.page.chain_arrays import number
from chainrule.studio.session import Session
from chainrule.studio.views import Views

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
pytest.importorskip("nicegui", reason="pip install chainrule[studio]")
expect = sync_api.expect
expect.set_options(timeout=30_000)
NETS = Path(__file__).parent / "own_nets.py"


def by_hand(name, data, **options):
    """Return a sample's trace, of the net that the studio begins with."""
    session = Session(resolve(f"{NETS}:{name}", data))
    try:
        return Views(session).sample("train", 3, **options)
    finally:
        session.close()


def opened(page, studio, query):
    page.goto(f"{studio.address}chain-rule?sample=3&{query}")
    expect(page.locator(".walk-facts")).to_have_text(re.compile("^Step"))
    expect(page.locator(".step-array canvas").first).to_be_visible()
    return page


def walk_through(page, count):
    """Press the right arrow to the end; each stop must show lines, arrays with shapes, words."""
    expect(page.locator(".walk-facts")).to_contain_text(f"Step 1 of {count},")
    for i in range(2, count + 1):
        page.locator("body").press("ArrowRight")
        expect(page.locator(".walk-facts")).to_contain_text(f"Step {i} of {count},")
        expect(page.locator(".walk a[aria-current=step] .walk-number")).to_contain_text(str(i))
        expect(page.locator(".step-source .source-marked").first).to_be_attached()
        expect(page.locator(".step-array .step-shape").first).to_be_attached()
        shown = page.locator(".step-words")
        said = shown.locator("math").or_(shown.get_by_text("lines below"))
        expect(said.first).to_be_attached()


def loss_and_gradient(found, path, name, place):
    gradient = found.step(path).gradients[name][place]
    return f"Loss {number(found.loss)}. Gradient there {number(gradient)}."


def test_a_recurrent_net(start, tab):
    studio, page = start(f"{NETS}:recurrent"), tab()
    opened(page, studio, "")
    walk_through(page, 12)
    opened(page, studio, "layer=1.twin&way=backward&place=1.twin.recurrent_weights:2.5")
    found = by_hand("recurrent", "digits")
    expect(page.locator(".touch-words")).to_have_text(
        loss_and_gradient(found, "1.twin", "recurrent_weights", (2, 5))
    )
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("they agree.")
    expect(page.locator(".walk-lane")).to_have_count(2)
    expect(page.locator(".source").filter(has_text="def step_back(")).to_be_visible()
    page.goto(f"{studio.address}net?layer=1.layer&sample=3")
    expect(page.locator(".net-lane")).to_have_count(2)
    expect(page.get_by_text("from the last step back")).to_be_visible()


@pytest.fixture
def tokens(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, (200, 8))
    np.savez(tmp_path / "tokens.npz", x=x, y=x[:, -1] % 4)
    return str(tmp_path / "tokens.npz")


def test_attention_and_tokens(start, tab, tokens):
    studio, page = start(f"{NETS}:tiny_gpt", "--data", tokens), tab()
    opened(page, studio, "layer=2.attention&place=2.attention.weights:1.4&way=backward")
    found = by_hand("tiny_gpt", tokens)
    expect(page.locator(".touch-words")).to_have_text(
        loss_and_gradient(found, "2.attention", "weights", (1, 4))
    )
    page.get_by_role("link", name=re.compile("^forward, 2.attention,")).click()
    p = page.get_by_role("img", name=re.compile("^self.p, shape 1 × 2 × 8 × 8"))
    expect(p).to_be_visible()
    for _ in range(2):
        p.press("ArrowDown")
    value = found.step("2.attention").kept["p"][0, 0, 2, 0]
    expect(p).to_have_attribute("aria-label", re.compile(re.escape(f"[0, 0, 2, 0] = {value:.4g}")))
    # As in training: dropout drops, always the same numbers.
    page.get_by_label("Layers behave").select_option("train")
    other = by_hand("tiny_gpt", tokens, training=True)
    assert other.loss != found.loss
    expect(page.locator(".walk-facts")).to_contain_text(f"loss {number(other.loss)}")
    page.wait_for_url(re.compile("mode=train"))
    page.get_by_label("Layers behave").select_option("predict")
    # A token is another token, or an error in words; and has no derivative.
    page.get_by_role("link", name=re.compile("^backward, 0,")).click()
    expect(page.get_by_text("the way back ends here")).to_be_visible()
    page.get_by_role("link", name=re.compile("^forward, 0,")).click()
    picture = page.get_by_role("img", name=re.compile("^x, in"))
    picture.press("ArrowRight")
    picture.press("Enter")
    expect(page.locator(".touch-words")).to_contain_text("there is no derivative")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("nothing to compare")
    page.get_by_label("Value").fill("99")
    page.get_by_label("Value").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="from 0 to 19")).to_be_visible()
    token = 1 + int(found.x[0, 1]) % 19
    page.get_by_label("Value").fill(str(token))
    page.get_by_label("Value").press("Enter")
    expect(page.locator(".walk-facts")).to_contain_text("by hand")
    page.goto(f"{studio.address}net?layer=0")
    expect(page.locator(".net-detail h2")).to_have_text("Layer 0")
    expect(page.get_by_text("+ x = u")).to_be_visible()


def test_branches_are_shown_as_branches(start, tab):
    studio, page = start(f"{NETS}:branches"), tab(390, 844)
    found = by_hand("branches", "digits")
    opened(page, studio, "layer=2&way=backward")
    groups = page.locator(".walk-group")
    expect(groups).to_have_count(5)
    for i, ways in enumerate((2, 2, 2, 1, 2)):
        expect(groups.nth(i).locator("> .walk-lane")).to_have_count(ways)
    expect(page.get_by_text("v0 is the input", exact=True)).to_be_attached()
    expect(page.get_by_text("v5 = v2 · v4", exact=True)).to_be_attached()  # a stop of its own
    expect(page.get_by_text("v4 = Sigmoid(v3)")).to_be_attached()
    # The two ways back add up, to the digits shown.
    lowest = found.step("2").grad_input.min()
    parts = found.step("2.inner.0").grad_input + found.step("2.shortcut").grad_input
    assert found.step("2").grad_input == pytest.approx(parts)
    expect(page.locator(".step-array h3")).to_have_text([
        "g = ∂L/∂y, arriving", "Back past the layers", "Back through the layers", "∂L/∂x, leaving",
    ])  # fmt: skip
    label = page.locator("[role=img][aria-label^='∂L/∂x, leaving']")
    shown = f"{float(f'{lowest:.4g}'):g}".replace("-", "−")
    expect(label).to_have_attribute("aria-label", re.compile(re.escape(f"{shown} to ")))
    # Where one stands is in view, though the walk is wider than the page.
    page.wait_for_function(
        "() => { const b = document.querySelector('.walk'); return b.scrollWidth > b.clientWidth; }"
    )
    page.locator("body").press("L")
    page.wait_for_function(
        "() => { const a = document.querySelector('.walk a[aria-current]'), "
        "b = document.querySelector('.walk').getBoundingClientRect(), "
        "r = a.getBoundingClientRect(); "
        "return a.dataset.stop === 'forward loss' && r.left >= b.left && r.right <= b.right; }"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"{studio.address}net?layer=3.2")
    expect(page.locator(".net-lane")).to_have_count(8)
    link = page.get_by_role("link", name="step by step: layer 3.2", exact=True)
    link.click()
    expect(page.locator("#step-heading")).to_have_text("Forward through layer 3.2")
    page.get_by_role("link", name="See it in The net").click()
    expect(page.get_by_role("button", name="Tanh()", pressed=True)).to_be_attached()


def test_a_layer_of_ones_own(start, tab):
    studio, page = start(f"{NETS}:own"), tab()
    opened(page, studio, "layer=2&way=backward")
    expect(page.locator(".step-docs")).to_contain_text("It keeps what came in for the way back.")
    expect(page.locator(".step-source .source")).to_contain_text("return 2 * self.x * grad")
    expect(page.locator(".step-source figcaption").first).to_contain_text("own_nets.py, line ")
    # Its backward is wrong, and the page says so.
    found = by_hand("own", "digits")
    place = tuple(int(i) for i in np.unravel_index(
        np.abs(found.step("0").gradients["weights"]).argmax(), (64, 8)))  # fmt: skip
    opened(page, studio, f"layer=4&way=backward&place=0.weights:{place[0]}.{place[1]}")
    expect(page.get_by_text("No docstring: the lines below")).to_be_visible()
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text(
        "they differ. Layer 4, Cube(): its gradient of the input is wrong."
    )
    # Batch normalisation: other formulas for a sample and for a mini-batch.
    opened(page, studio, "layer=1&way=backward")
    expect(page.locator(".step-remark")).to_contain_text("As in predicting")
    formulas = page.locator(".step-words math")
    expect(formulas).to_have_count(3)
    alone = formulas.last.text_content()
    page.get_by_label("Walk with").select_option("batch")
    expect(page.locator(".step-remark")).to_contain_text("As in training")
    expect(formulas).to_have_count(3)
    expect(formulas.last).not_to_have_text(alone)
    expect(page.get_by_role("spinbutton", name="Number")).to_be_hidden()
    page.wait_for_url(re.compile("split=batch"))
    page.reload()
    expect(page.locator(".walk-facts")).to_contain_text("64 samples of the last mini-batch")


def build(page, studio, query):
    page.goto(f"{studio.address}train?{query}")
    page.get_by_role("button", name=re.compile("Build it")).click()
    expect(page.get_by_role("button", name=re.compile("Build it"))).to_be_hidden()


def test_points_in_the_plane_and_a_net_that_has_diverged(start, tab):
    studio, page = start(), tab()
    build(page, studio, "data=moons&net=linear-6,tanh&loss=binary-cross-entropy&batch=1")
    opened(page, studio, "layer=0&place=x:0.1")
    expect(page.get_by_role("img", name=re.compile("^x, in, shape 1 × 2"))).to_be_visible()
    page.get_by_label("Value").fill("2.5")
    page.get_by_label("Value").press("Enter")
    expect(page.locator(".walk-facts")).to_contain_text("by hand")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("they agree.")
    page.get_by_label("Walk with").select_option("batch")
    expect(page.locator(".walk-facts")).to_contain_text("1 sample of the last mini-batch")
    build(
        page, studio, "data=digits&net=linear-64,linear-64,linear-64&loss=mean-squared-error&lr=1e6"
    )
    page.get_by_role("button", name="One epoch").click()
    expect(page.locator(".figure").first).to_contain_text("stopped by an error")
    opened(page, studio, "layer=1")
    words = page.locator(".walk-broken")
    expect(words).to_contain_text(
        "No finite numbers (NaN or ∞): they begin at step 5, forward through the loss: what it "
        "makes of finite numbers is too large"
    )
    expect(words).to_contain_text("lower learning rate")
    words.get_by_role("link").click()
    expect(page.locator("#step-heading")).to_have_text("Forward through the loss")
    expect(words.get_by_role("link")).to_be_hidden()
    expect(page.locator(".walk-facts")).to_contain_text("loss ∞")
    page.goto(f"{studio.address}net")
    expect(page.locator(".net-finding")).to_contain_text("no finite number")
