"""The net: layers from left to right, the chosen one in full, what is wrong in words."""

import re

import numpy as np
import pytest

from chainrule.studio import anatomy
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.views import Views

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect

SOON = 30_000


def shown(value):
    """Return a number as the page's scripts write it, where no power of ten is needed."""
    return f"{float(f'{value:.4g}'):g}".replace("-", "\N{MINUS SIGN}")


def opened(page, address):
    page.goto(address)
    expect(page.locator(".net-detail .bars-bar").first).to_be_attached(timeout=SOON)
    return page


def test_the_numbers_are_those_of_the_library(server, tab):
    page = opened(tab(), f"{server.address}net?layer=2&sample=3")
    session = Session()
    try:
        session.set_up(Recipe())
        found = Views(session).sample("train", 3)
    finally:
        session.close()
    step = found.step("2")
    expect(page.locator(".net-sample .facts")).to_contain_text(
        f"Loss {found.loss:.4g}.", timeout=SOON
    )
    for name, array in (
        ("what layer 2 gives", step.output[0]),
        ("gradient of biases of layer 2", step.gradients["biases"]),
    ):
        picture = page.get_by_role("img", name=re.compile(f"^{name}, "))
        expect(picture).to_have_attribute(
            "aria-label", re.compile(f"{re.escape(shown(array.min()))} to "), timeout=SOON
        )
        picture.press("ArrowRight")
        picture.press("ArrowRight")
        expect(picture).to_have_attribute(
            "aria-label", re.compile(re.escape(f"[1] = {shown(array.ravel()[1])}"))
        )


def test_a_layer_is_chosen_and_has_an_address(server, tab):
    page = opened(tab(390, 844, "dark"), f"{server.address}net")
    assert page.locator(".net-choose").all_inner_texts() == [
        "Linear(64, 32)", "ReLU()", "Linear(32, 10)", "SoftmaxCrossEntropy()",
    ]  # fmt: skip
    expect(page.get_by_text("Weights, what each unit looks for")).to_be_visible()
    page.get_by_role("button", name="ReLU()").press("Enter")
    expect(page.get_by_text("It has nothing to learn.")).to_be_visible(timeout=SOON)
    page.wait_for_url(re.compile(r"net\?layer=1$"))
    page.get_by_role("button", name="The next sample").click()
    page.wait_for_url(re.compile("sample=1"))
    link = page.get_by_role("link", name="step by step: layer 1", exact=True)
    expect(link).to_have_attribute("href", "/chain-rule?layer=1&split=train&sample=1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save what layer 1 gives as PNG").click()
    assert caught.value.path().read_bytes().startswith(b"\x89PNG")


def test_it_follows_the_training(server, tab):
    page = opened(tab(), f"{server.address}net?layer=0")
    weights = page.get_by_role("img", name=re.compile("^weights of layer 0, "))
    before = weights.get_attribute("aria-label")
    page.get_by_role("button", name="One epoch").click()
    expect(weights).not_to_have_attribute("aria-label", before, timeout=SOON)
    page.get_by_role("button", name="Begin anew").click()
    expect(weights).to_have_attribute("aria-label", before, timeout=SOON)


def test_ways_beside_each_other(start, tab, tmp_path):
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\ndef build(sample_shape, classes, seed):\n"
        "    block = Residual([Linear(64, 64), ReLU()])\n"
        "    other = Residual([Linear(64, 8)], shortcut=Linear(64, 8))\n"
        "    return Model([block, other, Linear(8, classes)], SoftmaxCrossEntropy(), seed=seed)\n"
    )
    page = opened(tab(), f"{start('net.py:build').address}net")
    expect(page.get_by_text("+ the input, as it is")).to_be_visible()
    expect(page.get_by_text("+ the shortcut beside them")).to_be_visible()
    assert page.locator(".net-card").count() == 6
    page.goto("about:blank")


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_axe_finds_no_serious_fault(server, tab, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(tab(colour=colour), f"{server.address}net")
    found = axe.Axe().run(page)
    serious = [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_large_arrays_are_thinned():
    found = anatomy.pictures(np.arange(28 * 28 * 16.0).reshape(28, 28, 16), 1024)
    assert found.values.size <= 1024
    assert found.values[3, 1, 1] == (found.skip * 28 + found.skip) * 16 + 3
    assert anatomy.pictures(np.zeros((9, 5000)), 1024).values.size <= 1024
    assert anatomy.pictures(np.float32(2.0)).values.shape == (1, 1, 1)
