"""The page as a person uses it: the frame round all parts."""

import re
import signal
from urllib.parse import urlsplit

import pytest

from studio.driving import FRESH, SOON, choose, pause, reading, serious_faults, wait_for

PARTS = ["Train", "The net", "The chain rule", "Predict", "Results", "Runs"]


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_one_step_one_epoch_and_reset_by_button_and_key(page):
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "step", "^23$")
    assert reading(page, "epoch") == "1"
    page.locator("body").press("s")
    wait_for(page, "step", "^24$")
    page.locator("body").press("r")
    wait_for(page, "step", "^0$")


def test_two_tabs_show_one_training(page, server, tab):
    other = tab(width=390, height=844)
    other.goto(f"{server.address}train")
    wait_for(other, "state", "ready")
    page.get_by_role("button", name="One epoch").click()
    wait_for(other, "step", "^23$")
    other.get_by_label("Learning rate").fill("0.05")
    other.get_by_label("Learning rate").press("Enter")
    page.wait_for_function(
        "() => [...document.querySelectorAll('input')].some(i => i.value === '0.05')"
    )
    choose(other, "Learn from", "moons")
    other.get_by_role("button", name=re.compile("Build it")).click()
    page.get_by_text("points in the plane").wait_for()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    other.close()
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")


def shows_nothing_until_it_is_seen(other, page):
    other.locator("body").press("s")  # comes by the same wire, after the word that it is hidden
    wait_for(page, "step", "^1$")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "step", "^23$")
    page.reload()
    wait_for(page, "step", "^23$")
    assert reading(other, "step") == "0"
    other.evaluate(HIDE, False)
    wait_for(other, "step", "^23$")


def test_a_tab_behind_another_is_sent_nothing_until_it_is_seen(page, server, tab):
    other = tab()
    other.goto(f"{server.address}train")
    wait_for(other, "state", "ready")
    other.evaluate(HIDE, True)
    shows_nothing_until_it_is_seen(other, page)


def test_a_tab_opened_behind_another_is_sent_nothing_either(page, server, tab):
    other = tab()
    other.add_init_script(
        "Object.defineProperty(document, 'hidden', { configurable: true, "
        "get: () => { window.asked = Boolean(window.did_handshake); return true; } })"
    )
    other.goto(f"{server.address}train")
    wait_for(other, "state", "ready")
    other.wait_for_function("window.asked")  # and has told it
    shows_nothing_until_it_is_seen(other, page)


def test_a_tab_that_came_back_while_the_network_was_away_is_not_forgotten(page, server, tab):
    other = tab()
    other.goto(f"{server.address}train")
    wait_for(other, "state", "ready")
    other.evaluate(HIDE, True)
    other.locator("body").press("s")
    wait_for(page, "step", "^1$")
    other.evaluate("() => { window.sent = window.socket.emit; window.socket.emit = () => {}; }")
    other.evaluate(HIDE, False)  # which nobody hears
    other.evaluate("() => { window.socket.emit = window.sent; window.socket.io.engine.close(); }")
    wait_for(other, "step", "^1$")


def test_a_reload_in_the_middle_of_training(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "epoch", "[1-9]")
    page.reload()
    wait_for(page, "state", "running")
    before = int(reading(page, "step").replace(",", ""))
    page.wait_for_function(
        "before => before < "
        "Number(document.querySelectorAll('.readings dd')[2].innerText.replaceAll(',', ''))",
        arg=before,
    )
    pause(page)


def test_every_part_has_an_address_and_the_back_button_works(page, server):
    for name in PARTS[1:]:
        page.get_by_role("link", name=name, exact=True).click()
        page.locator("nav a[aria-current=page]", has_text=name).wait_for()
    page.wait_for_url(f"{server.address}runs")
    page.go_back()
    page.locator("nav a[aria-current=page]", has_text="Results").wait_for()
    page.wait_for_function("document.title === 'Results · chainrule studio'")


def test_light_and_dark(server, tab):
    page = tab(colour="dark")
    page.goto(f"{server.address}train")
    page.get_by_role("heading", name="Train", level=1).wait_for()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(20, 23, 27)", "rgb(252, 252, 250)")
    page.reload()
    page.get_by_role("heading", name="Train", level=1).wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


@pytest.mark.parametrize("colour", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(server, tab, width, colour):
    page = tab(width=width, colour=colour)
    page.goto(f"{server.address}{FRESH}")
    wait_for(page, "state", "ready|paused|running")
    page.locator(".layer-code").first.wait_for()
    assert serious_faults(page) == []


def test_stopping_the_server_saves_the_run(start, tab):
    studio = start()
    page = tab()
    page.goto(f"{studio.address}train")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.goto("about:blank")  # closing the tab stops nothing
    assert studio.stop(signal.SIGINT) == 130
    saved = studio.folder / "runs" / "studio-digits-001"
    assert (saved / "model.safetensors").exists()
    assert (saved / "history.csv").exists()


def test_one_that_a_shell_has_made_deaf_to_ctrl_c_says_so_too(start, tab):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as with &; the server inherits it
    try:
        studio = start()
    finally:
        signal.signal(signal.SIGINT, before)
    page = tab()
    page.goto(f"{studio.address}train")
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.goto("about:blank")
    assert studio.stop(signal.SIGINT) == 0
    assert studio.lines[-1].rstrip() == "The run is saved in runs/studio-digits-001."


def test_stopping_it_where_nothing_can_be_written_is_told_in_a_line(start, tab):
    studio = start()
    page = tab()
    page.goto(f"{studio.address}train")
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.goto("about:blank")
    (studio.folder / "runs").write_text("in the way")
    assert studio.stop() == 1
    assert "The run is not saved: " in studio.lines[-1]


def test_it_comes_back_when_the_server_does(start, tab):
    studio = start()
    page = tab(colour="dark")
    page.goto(f"{studio.address}predict?sample=3")
    page.get_by_text("Truly: ").wait_for()
    studio.process.kill()
    notice = page.locator("#popup", has_text="The studio does not answer.")
    notice.wait_for(timeout=SOON)
    ink, paper = notice.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert ink != paper
    start(port=urlsplit(studio.address).port)
    notice.wait_for(state="hidden", timeout=SOON)
    page.get_by_text("Truly: ").wait_for()
    page.get_by_role("button", name="One step", exact=True).click()
    wait_for(page, "step", "^1$")


def test_the_token_in_a_browser(start, tab):
    studio = start("--host", "0.0.0.0")
    page = tab()
    address, token = studio.address.split("?token=")
    for wrong in ("train", "train?token=", "net?token=wrong"):
        page.goto(f"{address}{wrong}")
        assert page.inner_text("body") == (
            "This needs the token: open the whole address that the studio printed."
        )
    page.goto(f"{address}predict?sample=3&token={token}")
    page.get_by_text("Truly: ").wait_for()
    assert page.url == f"{address}predict?sample=3"  # the token stays in no history
    for name in PARTS:
        page.get_by_role("link", name=name, exact=True).click()
        page.locator("nav a[aria-current=page]", has_text=name).wait_for()
    page.wait_for_url(f"{address}runs")
    page.reload()
    page.get_by_role("heading", level=1, name="Runs").wait_for()
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")


def test_by_the_keyboard_alone(page):
    page.reload()
    page.locator(".layer-code").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, drawn = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            return [e.getAttribute('aria-label') || e.innerText || e.id,
                    s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]; }"""
        )
        if name in ("", None) or page.evaluate("document.activeElement === document.body"):
            break
        assert drawn, name  # where the focus is can be seen
        seen.add(name)
    assert {"Play", "One step", "Add the layer", "Remove ReLU", "Save Loss as PNG"} <= seen
    page.get_by_label("units").focus()
    page.keyboard.press("s")  # is typed, and steps nothing
    page.get_by_role("button", name="Light or dark").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert reading(page, "step") == "0"
    page.keyboard.press("e")
    wait_for(page, "step", "^23$")


def test_on_a_phone_nothing_lies_over_anything(page, tab, server):
    choose(page, "Learn from", "circles")
    page.get_by_role("img", name="circles in the plane").wait_for()
    phone = tab(width=390, height=844)
    phone.goto(f"{server.address}train")
    phone.get_by_role("img", name="circles in the plane").wait_for()
    picture, upload, net = phone.evaluate(
        "() => ['.plane', '.upload', '#net-heading'].map("
        "words => document.querySelector(words).getBoundingClientRect().toJSON())"
    )
    assert picture["bottom"] <= upload["top"]
    assert upload["bottom"] <= net["top"]


def test_on_a_phone_every_part_can_be_reached(server, tab):
    page = tab(width=390, height=844)
    page.goto(f"{server.address}train")
    for name in PARTS:
        link = page.get_by_role("link", name=name, exact=True)
        link.wait_for()
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
