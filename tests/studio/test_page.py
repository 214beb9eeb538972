"""The page as a person uses it: the frame round all parts, and Train."""

import re

import numpy as np
import pytest

PARTS = ["Train", "The net", "The chain rule", "Predict", "Results", "Runs"]


def reading(page, name):
    """Return what a figure of the control strip says."""
    return page.locator(f".readings .figure:has(dt:text-is('{name}')) dd").inner_text()


def wait_for(page, name, pattern):
    figure = page.locator(f".readings .figure:has(dt:text-is('{name}')) dd")
    page.wait_for_function(
        "([element, pattern]) => new RegExp(pattern).test(element.innerText)",
        arg=[figure.element_handle(), pattern],
    )


FRESH = "train?data=digits&net=linear-32,relu&loss=softmax-cross-entropy&optimizer=sgd&lr=0.1"


@pytest.fixture
def page(server, tab):
    """Train, on a net that has learned nothing."""
    page = tab()
    page.goto(f"{server.address}{FRESH}&batch=64&seed=0")
    wait_for(page, "state", r"ready|paused|running|stopped")  # so it knows what is trained
    if reading(page, "state") == "running":
        page.get_by_role("button", name="Pause").click()
        wait_for(page, "state", "paused")
    build = page.get_by_role("button", name=re.compile("Build it"))
    (build if build.is_visible() else page.get_by_role("button", name="Begin anew")).click()
    wait_for(page, "state", "ready")
    return page


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


def test_it_learns_the_digits(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "accuracy", r"^9[5-9]")
    page.get_by_role("button", name="Pause").click()
    wait_for(page, "state", "paused")
    step = reading(page, "step")
    assert int(step.replace(",", "")) > 100
    assert page.locator(".plot-line.series-first").first.get_attribute("d").count("L") > 5
    label = page.get_by_role("img", name=re.compile("^Loss: ")).get_attribute("aria-label")
    assert "trained on" in label
    assert "held out" in label
    assert reading(page, "step") == step


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


def test_a_net_is_built_by_hand(page, server):
    choose(page, "A layer more", "tanh")
    page.get_by_role("button", name="Add the layer").click()
    page.locator(".layer-code", has_text="Tanh()").wait_for()
    page.get_by_label("units").fill("7")
    page.get_by_label("units").press("Enter")
    page.locator(".layer-code", has_text="Linear(64, 7)").wait_for()
    page.get_by_role("button", name="Remove ReLU").click()
    page.locator(".layer-code", has_text="ReLU()").wait_for(state="detached")
    page.get_by_role("button", name="Move Tanh up").click()
    page.wait_for_url(re.compile(r"net=tanh%2Clinear-7&"))
    assert page.locator(".layer-code").all_inner_texts() == [
        "Tanh()", "Linear(64, 7)", "Linear(7, 10)",
    ]  # fmt: skip
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.get_by_label("units").fill("9")
    page.get_by_label("units").press("Enter")
    page.get_by_text("This is not what is being trained.").wait_for()
    page.get_by_role("button", name="Keep what trains").click()
    page.locator(".layer-code", has_text="Linear(64, 7)").wait_for()
    choose(page, "Or take one", "one")
    page.get_by_role("button", name="Build it, and give up 1 step", exact=True).click()
    wait_for(page, "step", "^0$")


def test_what_makes_no_sense_is_told_in_words(page):
    page.get_by_label("units").fill("0")
    page.get_by_label("units").press("Enter")
    words = "units must be a whole number from 1 to 2048"
    page.get_by_role("alert").filter(has_text=words).wait_for()
    page.get_by_label("Learning rate").fill("-1")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("alert").filter(has_text="the learning rate must be above 0").wait_for()
    assert page.get_by_label("Learning rate").input_value() == "0.1"


def test_what_is_typed_stays_while_it_trains(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "epoch", "[1-9]")
    field = page.get_by_label("Learning rate")
    field.fill("0.0")
    epoch = int(reading(page, "epoch").replace(",", ""))
    wait_for(page, "epoch", f"^(?!{epoch}$)")
    assert field.input_value() == "0.0"
    field.press("End")
    field.press_sequentially("7")
    field.press("Enter")
    page.wait_for_function("field => field.value === '0.07'", arg=field.element_handle())
    assert reading(page, "state") == "running"
    page.get_by_role("button", name="Pause").click()


def test_an_error_in_training_and_the_way_back(page):
    choose(page, "Loss", "mean-squared-error")
    page.get_by_label("Learning rate").fill("100000")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("button", name="Play").click()
    wait_for(page, "state", "stopped by an error")
    page.get_by_role("alert").filter(has_text="Reset begins anew").wait_for()
    page.get_by_label("Learning rate").fill("0.1")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("button", name="Begin anew").click()
    wait_for(page, "state", "ready")
    choose(page, "Loss", "softmax-cross-entropy")


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
    page.get_by_role("button", name="Pause").click()


def test_the_plane_is_painted_as_it_learns(page):
    choose(page, "Learn from", "circles")
    page.get_by_role("img", name="circles in the plane").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.wait_for_function("() => document.querySelector('.plane-ground').width === 48")
    first = page.evaluate("document.querySelector('.plane-ground').toDataURL()")
    for epoch in range(2, 12):
        page.get_by_role("button", name="One epoch").click()
        wait_for(page, "epoch", f"^{epoch}$")
    page.wait_for_function(
        "first => document.querySelector('.plane-ground').toDataURL() !== first", arg=first
    )


def test_a_file_of_ones_own(page, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.savez(tmp_path / "mine.npz", x=x, y=(x[:, 0] > 0).astype(int))
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.npz")
    page.get_by_text("160 samples of 3 to learn from, 40 held out; 2 classes.").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    (tmp_path / "bad.npz").write_bytes(b"no")
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.npz")
    page.get_by_role("alert").filter(has_text="needs an .npz file").wait_for()


def test_a_curve_is_saved_as_a_picture(page):
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"Save Loss as {kind}").click()
        path = caught.value.path()
        assert path.read_bytes().startswith(start)


def test_every_part_has_an_address_and_the_back_button_works(page, server):
    for name in PARTS[1:]:
        page.get_by_role("link", name=name, exact=True).click()
        page.locator("nav a[aria-current=page]", has_text=name).wait_for()
    page.wait_for_url(f"{server.address}runs")
    page.go_back()
    page.locator("nav a[aria-current=page]", has_text="Results").wait_for()
    assert page.title() == "Results · chainrule studio"


def test_a_recipe_in_the_address_waits_to_be_built(page, server):
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.goto(f"{server.address}train?data=moons&net=linear-5,tanh&lr=0.3")
    page.get_by_text("This is not what is being trained.").wait_for()
    assert page.get_by_label("Learn from").input_value() == "moons"
    assert reading(page, "step") == "1"  # opening an address changes nothing
    page.goto(f"{server.address}train?net=nonsense")
    page.get_by_role("alert").filter(has_text="there is no layer 'nonsense'").wait_for()


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
@pytest.mark.parametrize("part", ["train"])
def test_axe_finds_no_serious_fault(server, tab, part, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = tab(colour=colour)
    page.goto(f"{server.address}{part}")
    page.get_by_role("heading", level=1).wait_for()
    wait_for(page, "state", "ready|paused|running")
    found = axe.Axe().run(page)
    serious = [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_stopping_the_server_saves_the_run(start, tab):
    studio = start()
    page = tab()
    page.goto(f"{studio.address}train")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.goto("about:blank")
    assert studio.stop() == 143
    saved = studio.folder / "runs" / "studio-digits-001"
    assert (saved / "model.safetensors").exists()
    assert (saved / "history.csv").exists()


def test_a_net_of_ones_own(start, tab, tmp_path):
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\n"
        "class Double(Layer):\n"
        '    r"""Twice the input.\n\n    .. math:: y = 2 x\n    """\n\n'
        "    def forward(self, x):\n        return 2 * x\n\n"
        "    def backward(self, grad):\n        return 2 * grad\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        "    layers = [Linear(64, 20), Double(), Tanh(), Linear(20, classes)]\n"
        "    return Model(layers, SoftmaxCrossEntropy(), seed=seed)\n"
    )
    studio = start("net.py:build")
    page = tab()
    page.goto(f"{studio.address}train")
    page.locator(".layer-code", has_text="Double()").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    choose(page, "Or take one", "one")
    page.get_by_role("button", name="Build it, and give up 23 steps").click()
    page.locator(".layer-code", has_text="ReLU()").wait_for()
    choose(page, "Or take one", "own")
    page.locator(".layer-code", has_text="Double()").wait_for()
    page.goto("about:blank")
