"""The chain rule on the page: its numbers are the library's, also of numbers changed by hand."""

import copy
import re

import numpy as np
import pytest

import cases
from chainrule import Linear, MeanSquaredError, Model, ReLU
from chainrule.studio.layout import arrange, thumbnail
from chainrule.studio.numerical import numerical
from chainrule.studio.page.chain_arrays import arrays_of, number
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.source import source, working
from chainrule.studio.trace import trace
from chainrule.studio.walk import edits_as_words, read_edits, read_place, spoilt, walk

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
pytest.importorskip("nicegui", reason="pip install chainrule[studio]")
expect = sync_api.expect
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def begun():
    """The net that the server starts with, and sample 3."""
    session = Session()
    session.set_up(Recipe())
    model, data = session.twin(), session.data
    session.frame.into(model)
    session.close()
    return model, data.rows[3:4], data.labels[3:4]


@pytest.fixture
def reference(begun):
    """A copy of it, with its gradients for sample 3, by the library alone."""
    model, x, y = begun
    model = copy.deepcopy(model)
    model.training = True
    loss = float(model.loss(x, y)[0])
    model.backward()
    return model, x, y, loss


def open_at(server, tab, query, **options):
    page = tab(**options)
    page.goto(f"{server.address}chain-rule?sample=3&{query}")
    expect(page.locator(".walk-facts")).to_have_text(re.compile("^Step"))
    return page


def test_the_walk_goes_forward_and_back(server, tab):
    page = open_at(server, tab, "")
    facts, here = page.locator(".walk-facts"), page.locator(".walk a[aria-current=step]")
    expect(facts).to_contain_text("Step 1 of 8")
    for i, name in enumerate(["forward, 1", "forward, 2", "forward, loss", "backward, loss"], 2):
        page.locator("body").press("ArrowRight")
        expect(facts).to_contain_text(f"Step {i} of 8")
        expect(here).to_have_attribute("aria-label", re.compile(f"^{name}"))
    page.get_by_role("button", name="The next step").click()
    expect(page.locator("#step-heading")).to_have_text("Backward through layer 2")
    expect(page.locator(".step-words math").first).to_be_visible()
    expect(page.locator(".source").first).to_contain_text("def backward")
    expect(page.locator(".source-marked").first).to_be_visible()
    page.wait_for_function(
        "() => { const [a, b] = document.querySelectorAll('.source-line'); "
        "return b && b.offsetTop > a.offsetTop; }"
    )
    page.wait_for_url(re.compile("layer=2&way=backward"))
    page.reload()
    expect(facts).to_contain_text("Step 6 of 8")
    page.get_by_role("link", name=re.compile("^forward, 0")).click()
    expect(facts).to_contain_text("Step 1 of 8")


def test_a_weight_changed_by_hand(server, tab, reference):
    model, x, y, loss = reference
    gradient = model.layers[2].grad_w[5, 1]
    page = open_at(server, tab, "layer=2&way=backward&place=2.weights:5.1")
    words = page.locator(".touch-words")
    expect(words).to_have_text(f"Loss {number(loss)}. Gradient there {number(gradient)}.")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("they agree.")
    page.get_by_label("Value").fill("1.5")
    page.get_by_label("Value").press("Enter")
    before = model.layers[2].weights[5, 1]
    model.layers[2].weights[5, 1] = 1.5
    changed = float(model.loss(x, y)[0])
    model.backward()
    after = model.layers[2].grad_w[5, 1]
    model.layers[2].weights[5, 1] = before
    assert changed != loss
    expect(words).to_contain_text(f"Loss {number(loss)} → {number(changed)}")
    expect(words).to_contain_text(f"Gradient there {number(gradient)} → {number(after)}.")
    page.wait_for_url(re.compile("edits="))
    page.get_by_role("button", name="Take it back").click()
    expect(words).to_have_text(f"Loss {number(loss)}. Gradient there {number(gradient)}.")


def test_a_pixel_is_clicked_and_changed(server, tab):
    page = open_at(server, tab, "", width=390, height=844)
    picture = page.get_by_role("img", name=re.compile("^x, in"))
    picture.focus()
    picture.press("ArrowDown")
    picture.press("Enter")
    expect(page.locator(".touch-name")).to_have_text("x[0, 8]")
    page.get_by_label("Value").fill("3")
    page.get_by_label("Value").press("Enter")
    expect(page.locator(".walk-facts")).to_contain_text("by hand")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("they agree.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_changes_are_seen_before_and_after_and_taken_back(server, tab, reference):
    model, x, y, loss = reference
    other = copy.deepcopy(model)
    other.layers[2].weights[5, 1], other.layers[2].weights[6, 1] = 1.5, -2.0
    changed = float(other.loss(x, y)[0])
    other.backward()
    query = "layer=2&way=backward&place=2.weights:5.1&edits=2.weights:5.1:1.5;2.weights:6.1:-2.0"
    page = open_at(server, tab, query)
    expect(page.locator(".walk-facts")).to_contain_text(f"loss {number(loss)} → {number(changed)}")
    picture = page.locator("[role=img][aria-label^='∂L/∂biases']")
    g, then = other.layers[2].grad_b, model.layers[2].grad_b
    for look, array in {"after": g, "before": then, "change": g - then}.items():
        page.get_by_label("Show", exact=True).select_option(look)
        lowest = f"{float(f'{array.min():.4g}'):g}".replace("-", "−")
        expect(picture).to_have_attribute("aria-label", re.compile(re.escape(f"{lowest} to ")))
    page.wait_for_url(re.compile("view=change"))
    page.get_by_role("button", name="Take all back").click()
    expect(page.locator(".touch-words")).to_have_text(
        f"Loss {number(loss)}. Gradient there {number(model.layers[2].grad_w[5, 1])}."
    )
    expect(page.get_by_label("Show", exact=True)).to_be_hidden()
    page.wait_for_url(lambda address: "edits" not in address)


def test_the_numerical_value_is_that_of_the_difference_quotient(server, tab, reference):
    model, x, y, _ = reference
    wanted = numerical(model, x, y, ("0.weights", (20, 4))).quotient
    gradient = model.layers[0].grad_w[20, 4]
    assert wanted == pytest.approx(gradient, rel=1e-3)
    page = open_at(server, tab, "place=0.weights:20.4")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text(
        f" = {number(wanted)}. backward says {number(gradient)}: they agree."
    )


def test_the_state_is_in_the_address(server, tab):
    """Opened anew elsewhere, it shows the same."""
    page = open_at(server, tab, "split=test&layer=1&way=backward&place=0.weights:20.4")
    page.get_by_label("Value").fill("2")
    page.get_by_label("Value").press("Enter")
    expect(page.locator(".walk-facts")).to_contain_text("by hand")
    page.get_by_label("Show", exact=True).select_option("change")
    page.wait_for_url(re.compile("view=change"))
    other = tab(390, 844, "dark")
    other.goto(page.url)
    for place in (".walk-facts", ".touch-words", "#step-heading", ".step-array h3"):
        expect(other.locator(place)).to_have_text(page.locator(place).all_text_contents())
    for each in (page, other):
        here = each.locator(".walk a[aria-current=step]")
        expect(here).to_have_count(1)
        expect(here).to_have_attribute("data-stop", "backward 1")
    # A stop opened in a tab of its own: a link, with all the rest of the state.
    link = page.get_by_role("link", name=re.compile("^forward, 2,"))
    expect(link).to_have_attribute("href", re.compile("edits=.*view=change"))
    other.goto(server.address + link.get_attribute("href").lstrip("/"))
    expect(other.locator("#step-heading")).to_have_text("Forward through layer 2")
    expect(other.locator(".walk-facts")).to_contain_text("by hand")


def test_the_focus_goes_along(server, tab):
    page = open_at(server, tab, "", width=390, height=844)
    page.get_by_role("link", name=re.compile("^forward, 0,")).focus()
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".walk-facts")).to_contain_text("Step 5 of 8, backward through the loss")
    page.wait_for_function("() => document.activeElement.dataset.stop === 'backward loss'")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.activeElement.dataset.stop === 'forward 0'")


def test_a_sample_that_there_is_not(server, tab):
    page = tab()
    page.goto(f"{server.address}chain-rule?sample=99999&split=test")
    expect(page.locator(".walk-facts")).to_contain_text("sample 358")
    expect(page.get_by_role("alert").filter(has_text="samples 0 to 358")).to_be_visible()
    page.get_by_role("spinbutton", name="Number").fill("-3")
    page.get_by_role("spinbutton", name="Number").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="whole number from 0 to 358")).to_be_visible()
    page.get_by_label("Walk with").select_option("batch")
    expect(page.locator(".walk-facts")).to_contain_text("64 samples of the last mini-batch")
    page.goto(f"{server.address}chain-rule?sample=x&layer=0")
    expect(page.get_by_role("alert").filter(has_text="sample must be")).to_be_visible()


def test_what_makes_no_sense_is_told_in_words(server, tab):
    page = open_at(server, tab, "layer=9&edits=9.weights:0.0:1")
    expect(page.get_by_role("alert").filter(has_text="no")).not_to_be_empty()


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_axe_finds_no_serious_fault(server, tab, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_at(server, tab, "layer=0&way=backward&place=0.weights:3.1", colour=colour)
    expect(page.locator(".source").first).to_be_visible()
    found = axe.Axe().run(page).response["violations"]
    assert [
        (f["id"], [node["html"][:120] for node in f["nodes"]])
        for f in found
        if f["impact"] in ("serious", "critical")
    ] == []


@pytest.mark.parametrize(
    "shape",
    [(), (5,), (1, 64), (1, 100), (300, 200), (1, 8, 8, 3), (2, 5, 5, 4), (3, 4, 5), (0, 3)],
)
def test_each_cell_is_a_number_of_the_array(shape):
    places = arrange(shape, (8, 8))
    shown = places[places >= 0]
    assert len(set(shown.tolist())) == len(shown)
    count = int(np.prod(shape))
    assert len(shown) == count or places.size <= 96 * 96
    assert shown.size == 0 or shown.max() < count


def test_changes_in_an_address():
    edits = read_edits("x:0.5:-1.5;0.weights:3.1:0.5;x:0.5:2.0")
    assert [e.value for e in edits] == [0.5, 2.0]
    assert read_edits(edits_as_words(edits)) == edits
    for bad in ("x", "x:0", "x:a:1", "x:0:nan", ":0:1", "x:-1:1"):
        with pytest.raises(ValueError, match="written as"):
            read_edits(bad)
    with pytest.raises(ValueError, match="at most"):
        read_edits(";".join(f"x:0.{i}:1" for i in range(21)))
    with pytest.raises(ValueError, match="written as"):
        read_place("0.weights")


def test_small_pictures():
    assert thumbnail(np.zeros((0, 3))).shape == (1, 1)
    assert thumbnail(np.arange(64.0).reshape(1, 64)).shape == (7, 10)
    assert (
        thumbnail(np.arange(64.0).reshape(1, 64), (8, 8)).tolist()
        == np.arange(64.0).reshape(8, 8).tolist()
    )
    assert thumbnail(np.zeros((500, 700))).size <= 28 * 28
    assert thumbnail(np.float64(3.0)).tolist() == [[3.0]]


def test_where_numbers_stop_being_finite(rng):
    net = Model([Linear(3, 4), ReLU(), Linear(4, 2)], MeanSquaredError())
    x, y = rng.standard_normal((2, 3)).astype(np.float32), np.zeros((2, 2), np.float32)
    assert spoilt(trace(net, x, y)) is None
    stop, words = spoilt(trace(net, np.full_like(x, np.nan), y))
    assert (stop.path, stop.way) == ("0", "forward")
    assert words == "its input is no finite number everywhere"
    net.layers[2].biases[1] = np.inf
    stop, words = spoilt(trace(net, x, y))
    assert (stop.path, words) == ("2", "1 of the 2 numbers in its biases is NaN or infinite")
    net.layers[2].biases[1] = 0
    net.layers[2].weights[...] = 1e30
    stop, words = spoilt(trace(net, x, y))
    assert (stop.path, stop.way) == ("loss", "forward")  # its square is too large for float32


@pytest.mark.parametrize("case", cases.LAYERS, ids=lambda case: case.name)
def test_every_layer_can_be_walked(case, rng):
    layer = case.build()
    shape = case.shapes[-1]
    x = rng.standard_normal(shape) if case.inputs is None else case.inputs(rng, shape)
    plain = copy.deepcopy(layer).astype(np.float64)
    plain.training = False
    model = Model([layer], MeanSquaredError(), dtype=np.float64)
    found = trace(model, x, rng.standard_normal(plain.forward(x).shape))
    stops = walk(found)
    assert [s.path for s in stops] == [s.path for s in stops][::-1]
    for stop in stops:
        step = found.step(stop.path)
        for each in arrays_of(found, found, stop):
            places = arrange(each.array.shape, kernels=each.kernels, planes=each.planes)
            assert places.max() < each.array.size
            assert each.array.shape == each.before.shape
        lines = source(step.thing, stop.way)
        assert lines is not None
        assert working(lines)
