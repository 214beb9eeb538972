"""The net: layers from left to right, the chosen one in full, what is wrong in words."""

import re

import numpy as np
import pytest

from chainrule import (
    Conv2d,
    Flatten,
    Linear,
    Model,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
)
from chainrule.studio import anatomy
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.survey import survey
from chainrule.studio.trace import trace
from chainrule.studio.views import Views

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=30_000)

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
    expect(page.locator(".net-choose")).to_have_text([
        "Linear(64, 32)", "ReLU()", "Linear(32, 10)", "SoftmaxCrossEntropy()",
    ])  # fmt: skip
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
    expect(weights).to_have_attribute("aria-label", re.compile(" to "))
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
    expect(page.get_by_text("past the layers, as it is")).to_be_visible()
    expect(page.get_by_text("past the layers, by the shortcut")).to_be_visible()
    expect(page.locator(".net-lane")).to_have_count(4)
    expect(page.locator(".net-card")).to_have_count(6)
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


def relu_net(rng, samples):
    model = Model([Linear(4, 6), ReLU(), Linear(6, 3)], SoftmaxCrossEntropy())
    model.layers[0].biases[2] = -100
    return model, rng.standard_normal((samples, 4)).astype(np.float32), rng.integers(0, 3, samples)


def test_a_survey_says_what_a_trace_says(rng):
    model, x, y = relu_net(rng, 300)
    before = model.get_state()
    found, wanted = survey(model, x, y), trace(model, x, y)
    np.testing.assert_equal(model.get_state(), before)
    for path in ("0", "1", "2"):
        step, outputs = wanted.step(path), found.outputs[path]
        assert outputs.counts.sum() == step.output.size
        assert (outputs.low, outputs.high) == (step.output.min(), step.output.max())
        counts, _ = np.histogram(step.output, outputs.counts.size)
        assert np.abs(counts - outputs.counts).sum() <= 4  # of values on an edge
        size = float(np.sqrt(np.mean(step.grad_output.astype(float) ** 2)))
        assert found.sizes[path] == pytest.approx(size, rel=1e-4)
    assert found.gradients["loss"].high == wanted.step("loss").grad_input.max()
    assert set(found.parameters) == {(p, n) for p in "02" for n in ("weights", "biases")}


@pytest.mark.parametrize(("samples", "dead"), [(300, True), (50, False)])
def test_few_samples_call_no_unit_dead(rng, samples, dead):
    found = survey(*relu_net(rng, samples))
    assert f"1 of 6 units {'is dead' if dead else 'gives 0'}" in found.words[0]
    assert f"every one of the {samples} samples" in found.words[0]
    assert ("too few samples to call it dead" in found.words[0]) != dead
    assert found.concerned == {"1"}


def test_what_is_not_finite_is_found(rng):
    model, x, y = relu_net(rng, 50)
    model.layers[0].weights[0, 0] = np.nan
    found = survey(model, x, y)
    assert found.words == [
        "Layer 0, Linear(4, 6): its output is no finite number everywhere. Reset, and begin anew "
        "with a lower learning rate."
    ]
    assert found.outputs["0"].broken == 50


def test_vanishing_gradients_are_found(rng):
    layers = [part for _ in range(12) for part in (Linear(4, 4), Sigmoid())]
    model = Model([*layers, Linear(4, 3)], SoftmaxCrossEntropy())
    found = survey(model, rng.standard_normal((50, 4)), rng.integers(0, 3, 50))
    assert found.words[0].startswith("The gradients vanish: those of layer 0 are about ")


def test_the_layer_that_reads_the_samples(rng):
    x = rng.standard_normal((2, 64)).astype(np.float32)
    y = rng.integers(0, 3, 2)
    for layers, path in (
        ([Linear(64, 3)], "0"),
        ([Reshape([8, 8, 1]), Conv2d(1, 2, 8), Flatten(), Linear(2, 3)], "1"),
        ([Tanh(), Linear(64, 3)], ""),
        ([Residual([Linear(64, 64)]), Linear(64, 3)], "0.inner.0"),
    ):
        found = trace(Model(layers, SoftmaxCrossEntropy()), x, y)
        assert anatomy.reads(found) == path


def test_large_arrays_are_thinned():
    found = anatomy.pictures(np.arange(28 * 28 * 16.0).reshape(28, 28, 16), 1024)
    assert found.values.size <= 1024
    assert found.values[3, 1, 1] == (found.skip * 28 + found.skip) * 16 + 3
    assert anatomy.pictures(np.zeros((9, 5000)), 1024).values.size <= 1024
    assert anatomy.pictures(np.float32(2.0)).values.shape == (1, 1, 1)
