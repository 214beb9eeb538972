"""Whatever is chosen stands in the address: a new tab shows it, and so does the way back."""

import re

import pytest

from studio.driving import FRESH, choose, type_into, wait_for
from studio.test_runs import make

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
pytest.importorskip("nicegui", reason="pip install chainrule[studio]")
expect = sync_api.expect
expect.set_options(timeout=30_000)


@pytest.fixture
def again(tab):
    """Open what a page shows in a new tab: again(page)."""

    def open_again(page):
        other = tab()
        other.goto(page.url)
        return other

    return open_again


def walking(page, words):
    expect(page.locator(".walk-facts")).to_have_text(re.compile(words))
    return page


def test_train_the_logarithmic_axis_and_the_kind_of_layer_to_add(page, again):
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.get_by_role("button", name="log", exact=True).click()
    choose(page, "Add a layer", "dropout")
    page.wait_for_url(re.compile("log=loss.*more=dropout"))
    other = again(page)
    expect(other.get_by_role("button", name="log", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(other.get_by_label("Add a layer")).to_have_value("dropout")
    expect(other.get_by_text(re.compile("^Dropout: "))).to_be_visible()
    page.get_by_role("button", name="log", exact=True).click()
    page.wait_for_function("() => !location.search.includes('log=')")


def test_train_a_rate_and_a_batch_that_change_while_it_trains(page, again):
    assert "lr=0.1&" in page.url
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    type_into(page, "Learning rate", "0.05")
    page.wait_for_url(re.compile("lr=0.05&"))
    page.get_by_role("button", name="Double the rate").click()
    type_into(page, "Mini-batch", "32")
    page.wait_for_url(re.compile("lr=0.1&batch=32"))
    other = again(page)
    expect(other.get_by_label("Learning rate")).to_have_value("0.1")
    expect(other.get_by_label("Mini-batch")).to_have_value("32")
    wait_for(other, "step", "^1$")
    expect(other.get_by_text("This is not what is being trained.")).to_be_hidden()


def test_the_chain_rule_what_was_compared(page, server, again):
    page.goto(f"{server.address}chain-rule?sample=3&layer=0&way=backward&place=0.weights:20.3")
    walking(page, "^Step 8")
    page.get_by_role("button", name="Compare with the numerical value").click()
    expect(page.locator(".touch-numbers")).to_contain_text("they agree.")
    page.wait_for_url(re.compile("compare=yes"))
    other = again(page)
    words = page.locator(".touch-numbers").inner_text()
    expect(other.locator(".touch-numbers")).to_have_text(words)
    type_into(page, "Value", "0.5")  # it was of other numbers
    page.wait_for_function("() => !location.search.includes('compare')")
    expect(page.locator(".touch-numbers")).to_have_text("")
    page.go_back()
    expect(page.locator(".touch-numbers")).to_have_text(words)


def test_back_and_forward_go_through_the_stops_of_the_walk(page, server):
    page.goto(f"{server.address}chain-rule?sample=3")
    walking(page, "^Step 1 of")
    page.locator("body").press("ArrowRight")
    walking(page, "^Step 2 of")
    page.get_by_role("link", name=re.compile("^backward, 2,")).click()
    walking(page, "^Step 6 of")
    type_into(page, "Number", "5")
    walking(page, "^Step 6 of.*sample 5")
    page.go_back()
    walking(page, "^Step 6 of.*sample 3")
    page.go_back()
    walking(page, "^Step 2 of")
    page.go_back()
    walking(page, "^Step 1 of")
    page.go_forward()
    walking(page, "^Step 2 of")
    page.get_by_role("link", name="The chain rule", exact=True).click()  # its beginning
    walking(page, "^Step 1 of.*sample 0")


def test_back_goes_through_layers_and_samples_of_the_net(page, server):
    page.goto(f"{server.address}net")
    heading = page.locator(".net-detail h2")
    expect(heading).to_have_text("Layer 0")
    page.get_by_role("button", name="ReLU()").click()
    expect(heading).to_have_text("Layer 1")
    page.get_by_role("button", name="The next sample").click()
    expect(page.get_by_label("Sample", exact=True).and_(page.locator("input"))).to_have_value("1")
    page.wait_for_url(re.compile("layer=1&split=train&sample=1"))
    page.go_back()
    expect(page.get_by_label("Sample", exact=True).and_(page.locator("input"))).to_have_value("0")
    expect(heading).to_have_text("Layer 1")
    page.go_back()
    expect(heading).to_have_text("Layer 0")


def test_a_link_to_a_cell_that_was_left_shows_it_again(page, server):
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.goto(f"{server.address}results")
    pair = page.locator(".results-pairs a").first
    pair.click()
    words = page.locator("#cell-heading")
    expect(words).to_contain_text("taken for")
    before, address = words.inner_text(), re.compile(re.escape(pair.get_attribute("href")) + "$")
    page.wait_for_url(address)
    page.locator(".confusion-cell").first.click()
    expect(words).not_to_have_text(before)
    page.wait_for_url(lambda url: not address.search(url))
    pair.click()
    expect(words).to_have_text(before)
    page.wait_for_url(address)  # which comes after the words
    page.go_back()
    expect(words).not_to_have_text(before)
    page.get_by_role("link", name="Results", exact=True).click()
    expect(words).to_have_text(re.compile("^samples of a cell$", re.IGNORECASE))


def test_what_is_set_for_a_search_stands_there_before_it_begins(page, server, again):
    page.goto(f"{server.address}results")
    choose(page, "Begin with", "now")
    choose(page, "Places", "11")
    choose(page, "Reach", "0.5")
    type_into(page, "Directions", "7")
    page.wait_for_url(re.compile("from=now&places=11&reach=0.5&seed=7"))
    other = again(page)
    for label, value in {
        "Begin with": "now",
        "Places": "11",
        "Reach": "0.5",
        "Directions": "7",
    }.items():
        expect(other.get_by_label(label, exact=True)).to_have_value(value)
    page.get_by_role("button", name="Look around the net").click()
    page.wait_for_url(re.compile("around=11"))
    expect(page.locator(".around")).to_be_visible()
    # An address that asks for another look gets it; the tab of the first says that it is another.
    other.goto(f"{server.address}results?around=15&reach=1")
    expect(other.locator(".around rect:not(.confusion-at)")).to_have_count(225)
    expect(page.get_by_text("It is another look: 15 × 15 places, reach 1.")).to_be_visible()


def test_runs_the_axis_and_all_of_many(tmp_path, start, tab, again):
    for i in range(101):
        make(tmp_path, f"run-{i:03d}")
    studio, page = start(), tab()
    page.goto(f"{studio.address}runs?sort=name")
    page.get_by_role("button", name="Show all 101").click()
    page.get_by_label("Side by side: run-100").check()
    page.get_by_role("button", name="log", exact=True).last.click()
    page.wait_for_url(re.compile("all=yes.*runs=run-100.*log=loss"))
    other = again(page)
    expect(other.locator(".runs-table td.name")).to_have_count(101)
    logs = other.get_by_role("button", name="log", exact=True)
    expect(logs.last).to_have_attribute("aria-pressed", "true")
    expect(logs.first).to_have_attribute("aria-pressed", "false")
    other.get_by_label("Side by side: run-099").check()  # drawn anew, it stays as it was chosen
    expect(other.locator(".plot-key", has_text="run-099").first).to_be_visible()
    expect(logs.last).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page.locator(".beside")).to_have_count(0)


def test_a_drawing_too_long_for_an_address_is_made_to_fit(page, server, again):
    page.goto(f"{server.address}predict")
    sheet = page.locator(".draw-ink")
    expect(sheet).to_be_visible()
    # To and fro in 40 lines of 40 places: too many for a mouse that waits for each.
    sheet.evaluate("""sheet => {
        const box = sheet.getBoundingClientRect();
        const at = (type, x, y) => sheet.dispatchEvent(new PointerEvent(type, {
            pointerId: 1, clientX: box.left + x, clientY: box.top + y, bubbles: true,
        }));
        sheet.setPointerCapture = () => {};
        at("pointerdown", 10, 10);
        for (let i = 0; i < 1600; i++)
            at("pointermove", 10 + 5 * (i % 40), 10 + 5 * Math.floor(i / 40));
        at("pointerup", 200, 200);
    }""")
    page.wait_for_url(re.compile("drawing=[0-9a-z]{400,2000}$"))
    other = again(page)
    expect(other.locator(".draw-ink")).to_have_attribute("aria-label", re.compile("^Drawing of 1 "))
    ink = "c => [...c.getContext('2d').getImageData(0, 0, 224, 224).data].join()"
    drawn = f"ink => ({ink})(document.querySelector('.draw-ink')) === ink"
    other.wait_for_function(drawn, arg=sheet.evaluate(ink))


def test_there_is_one_main_landmark(server, tab):
    page = tab()
    page.goto(f"{server.address}{FRESH}")
    expect(page.get_by_role("heading", name="Train", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_have_count(1)
