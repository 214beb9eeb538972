"""Predict, as a person uses it: drawings, samples, numbers, and one step on one sample."""

import re

import numpy as np
import pytest

from chainrule.studio.data import load
from chainrule.studio.drawing import as_sample
from chainrule.studio.own import resolve
from chainrule.studio.page.numbers import number
from chainrule.studio.shipped import shipped
from studio.drawings import STROKES, inked
from studio.driving import SOON, alert, draw, serious_faults, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=SOON)


def said(page, pattern):
    expect(page.locator(".predict-said")).to_have_text(re.compile(pattern))


def shares(page):
    """Return what the bars say: of a page that has been answered, and will not be again."""
    return page.locator(".bar-share").all_inner_texts()


def shares_of_all(page, tab, strokes, **options):
    """Wait for the answer to the whole drawing, not to its first strokes; return a page with it.

    A page that opens the drawing's address is answered once.
    """
    page.wait_for_url(re.compile(f"drawing={'_'.join(['[0-9a-z]+'] * len(strokes))}(&|$)"))
    other = tab(**options)
    other.goto(page.url)
    said(other, "%")
    expect(page.locator(".bar-share")).to_have_text(shares(other))
    return other


@pytest.fixture
def page(server, tab):
    page = tab()
    page.goto(f"{server.address}predict")
    said(page, "Nothing is drawn")
    return page


def test_a_drawn_7_is_called_7_and_taught(page, tab):
    page.get_by_text("the one that comes with the studio answers").wait_for()
    page.get_by_text("will stand here").wait_for()
    draw(page, STROKES[7])
    before = shares(shares_of_all(page, tab, STROKES[7]))
    said(page, "^7, ")
    expect(page.get_by_label("It is", exact=True)).to_have_value("7")  # its own guess
    page.get_by_label("It is", exact=True).select_option("1")
    page.get_by_label("Step", exact=True).select_option("0.01")
    page.get_by_role("button", name="Teach it: one step on this sample").click()
    page.get_by_text(f"One step of 0.01: 1 was {before[1]}, is ").wait_for()
    page.get_by_text("the one that comes with the studio answers").wait_for(state="hidden")
    words = page.get_by_text("One step of 0.01").inner_text()
    after = re.search(r"is ([\d.]+ %)", words)[1]
    one = page.locator(".bar-share").nth(1)
    expect(one).to_have_text(after)
    assert float(after[:-2]) > float(before[1][:-2])
    page.get_by_role("button", name="Teach it: one step on this sample").click()
    said(page, "^1, ")  # its mind is changed
    page.get_by_role("button", name="Take the last step back").click()
    expect(one).to_have_text(after)
    page.get_by_role("button", name="Take the last step back").click()
    expect(page.locator(".bar-share")).to_have_text(before)
    expect(page.get_by_role("button", name="Take the last step back")).to_be_hidden()
    for kind in ("the drawing as PNG", "saliency as SVG", "prepared image as PNG"):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"Save {kind}").click()
        assert caught.value.path().read_bytes().startswith((b"\x89PNG", b"<svg"))


def test_a_drawing_stays_in_the_address(page, server, tab):
    draw(page, STROKES[7])
    other = shares_of_all(page, tab, STROKES[7], width=390, height=844, colour="dark")
    said(page, "^7, ")
    said(other, "^7, ")
    sheet, answer = (other.locator(name).bounding_box() for name in (".draw-ink", ".bars"))
    assert answer["y"] + answer["height"] < 844 - 130  # seen while one draws, above the controls
    assert answer["x"] >= sheet["x"] + sheet["width"]
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    other.get_by_role("button", name="Clear").click()
    said(other, "Nothing is drawn")
    other.wait_for_url(re.compile("predict$"))
    other.goto(f"{server.address}predict?drawing=%3Cscript%3E")
    said(other, "Nothing is drawn")
    page.get_by_role("button", name="Undo").click()
    said(page, "Nothing is drawn")


def test_what_is_seen_on_the_page_is_what_the_library_says(page, tab):
    draw(page, STROKES[4])
    answered = shares_of_all(page, tab, STROKES[4])
    said(page, "^4, ")
    preparation = load("digits").held.preparation
    words = re.search("drawing=([0-9a-z_]+)", page.url)[1]
    strokes = [
        [(int(p[:2], 36), int(p[2:], 36)) for p in re.findall("....", line)]
        for line in words.split("_")
    ]
    row = preparation.rows(as_sample(inked(strokes), preparation)[None])
    mine = 100 * shipped().cost.probabilities(shipped().predict(row))[0]
    shown = [float(words[:-2]) for words in shares(answered)]
    assert np.abs(mine - shown).max() < 2  # the browser's ink is smoother at the edges


def test_by_finger(server, tab):
    page = tab(width=390, height=844, has_touch=True, is_mobile=True)
    page.goto(f"{server.address}predict")
    said(page, "Nothing is drawn")
    box = page.locator(".draw-ink").bounding_box()
    size = box["width"] / 224
    hand = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", STROKES[7][0][:1]),
        *(("touchMove", [(65 + t * 90, 45)]) for t in np.linspace(0, 1, 12)),
        *(("touchMove", [(155 - t * 50, 45 + t * 140)]) for t in np.linspace(0, 1, 12)),
        ("touchEnd", []),
    ):
        places = [{"x": box["x"] + size * x, "y": box["y"] + size * y} for x, y in points]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
    said(page, "^7, ")
    assert page.evaluate("scrollY") == 0  # the page stays where it is


def test_a_sample_by_the_keyboard_and_the_address(page, server):
    field = page.get_by_label("Or a sample held out, 0 to 358")
    field.fill("5")
    field.press("Enter")
    page.get_by_text("Truly: ").wait_for()
    page.wait_for_url(re.compile("sample=5"))
    said(page, "%")
    page.reload()
    page.get_by_text("Truly: ").wait_for()
    said(page, "%")
    expect(field).to_have_value("5")


def test_points_in_the_plane_and_a_narrow_window(server, tab):
    page = tab(width=390, height=844)
    page.goto(f"{server.address}train?data=moons&net=linear-8,relu")
    button = page.get_by_role("button", name=re.compile("Build it"))
    button.click()
    expect(button).to_be_hidden()  # it is built
    page.get_by_text("points in the plane").wait_for()
    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_label("x0").fill("1.5")
    page.get_by_label("x0").press("Enter")
    page.wait_for_url(re.compile(r"x=1\.5%2C"))
    said(page, "%")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colour", ["light", "dark"])
def test_axe_finds_no_serious_fault(server, tab, width, colour):
    page = tab(width=width, colour=colour)
    page.goto(f"{server.address}predict?sample=3")
    page.locator(".predict-said", has_text=re.compile("%|:")).wait_for()
    assert serious_faults(page) == []


def uploaded(server, tab, tmp_path, name, x, y):
    """Train one epoch on a file of one's own, and open Predict."""
    np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    page = tab()
    page.goto(f"{server.address}train")
    page.locator(".layer-code").first.wait_for()
    page.get_by_role("button", name="Begin anew").click()
    wait_for(page, "state", "ready")  # so that other data are built at once
    page.locator("input[type=file]").set_input_files(tmp_path / f"{name}.npz")
    page.wait_for_url(re.compile(f"data={name}&"))
    wait_for(page, "state", "ready")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.get_by_role("link", name="Predict", exact=True).click()
    return page


def test_colour_images_cannot_be_drawn(server, tab, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (90, 6, 6, 3), dtype=np.uint8)
    page = uploaded(server, tab, tmp_path, "colours", x, np.arange(90) % 3)
    page.get_by_text("Images of several channels cannot be drawn here").wait_for()
    said(page, "%")
    expect(page.locator(".draw-ink")).to_have_count(0)
    page.get_by_role("img", name=re.compile("^saliency, shape 6 × 6")).wait_for()


def test_of_many_classes_the_likeliest_are_shown(server, tab, tmp_path):
    x = np.random.default_rng(0).standard_normal((600, 3))
    page = uploaded(server, tab, tmp_path, "many", x, np.arange(600) % 30)
    said(page, "%")
    page.get_by_text("The 20 likeliest of 30 classes.").wait_for()
    found = [float(words[:-2]) for words in shares(page)]
    assert len(found) == 20
    assert found == sorted(found, reverse=True)
    page.get_by_label("x1", exact=True).fill("2.5")
    page.get_by_label("x1", exact=True).press("Enter")
    page.wait_for_url(re.compile(r"x=.*%2C2\.5%2C"))
    page.reload()
    said(page, "%")
    expect(page.get_by_label("x1", exact=True)).to_have_value("2.5")
    page.get_by_label("x1", exact=True).fill("")
    page.get_by_label("x1", exact=True).press("Enter")
    alert(page, "A feature is a finite number.")


def test_numbers_and_a_net_that_gives_none(start, tab, tmp_path, run_here):
    lines = [f"{i / 100},{i % 7},{i / 50}" for i in range(100)]
    (tmp_path / "table.csv").write_text("\n".join(["age,rooms,price", *lines]))
    words = "train table.csv --target price --task regression --epochs 1 --out run"
    assert run_here(*words.split()).returncode == 0
    page = tab()
    page.goto(f"{start('run').address}predict?sample=2")
    said(page, r"^price: −?[\d.]+")
    own = resolve("run", None)
    row = own.data.rows_test[2][None]
    mine = own.data.held.preparation.values(own.make().predict(row))
    expect(page.locator(".predict-said")).to_have_text(f"price: {number(float(mine.ravel()[0]))}")
    expect(page.locator(".bars")).to_have_count(0)
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\n"
        "class Broken(Layer):\n"
        "    def forward(self, x):\n        return x * float('nan')\n\n"
        "    def backward(self, grad):\n        return grad\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        "    return Model([Linear(64, 10), Broken()], SoftmaxCrossEntropy(), seed=seed)\n"
    )
    page.goto(f"{start('net.py:build').address}predict?sample=2")
    said(page, "no finite numbers. Begin anew with a lower rate")
    page.get_by_role("button", name="Teach it").click()
    alert(page, "no finite numbers")
