"""Every picture of every part can be saved, as PNG and as SVG, in both themes."""

import io
import re
from xml.etree import ElementTree

import pytest

from studio.driving import choose, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
pytest.importorskip("nicegui", reason="pip install chainrule[studio]")
Image = pytest.importorskip("PIL.Image", reason="pip install pillow")
expect = sync_api.expect
expect.set_options(timeout=30_000)
SAVE = re.compile(r"^Save .* as (PNG|SVG)$")
PAPER = {"light": (252, 252, 250), "dark": (20, 23, 27)}
# Pictures that nothing beside them, or round them, saves.
UNSAVED = """() => [...document.querySelectorAll('#content canvas, #content svg, #content img')]
    .filter((picture) => picture.getClientRects().length)
    .filter((picture) => {
        const round = picture.closest('figure:has(.heat-save), .samples, .draw');
        const beside = picture.closest('.walk, .net-flow, ol.bars');
        const own = round ?? (beside ?? picture).parentElement;
        return !own.querySelector("button[aria-label^='Save '][aria-label$='PNG']")
            || !own.querySelector("button[aria-label^='Save '][aria-label$='SVG']");
    }).map((picture) => picture.outerHTML.slice(0, 200))"""


def saved(page, button):
    """Save a picture; return it decoded, or its root."""
    with page.expect_download() as caught:
        button.click()
    content, name = caught.value.path().read_bytes(), caught.value.suggested_filename
    if name.endswith(".svg"):
        root = ElementTree.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.get("width")) > 0
        assert float(root.get("height")) > 0
        assert b"color(" not in content  # which few programs know
        assert b"var(" not in content
        return root
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert len(picture.convert("RGBA").getcolors(1 << 24)) > 1, f"{name} is empty"
    return picture.convert("RGB")


def save_all(page, count):
    """Press every button that saves; none may be missing, and each file must be whole."""
    buttons = page.get_by_role("button", name=SAVE)
    expect(buttons).to_have_count(count)  # the page comes in pieces: now it is all there
    assert page.evaluate(UNSAVED) == []
    for i in range(count):
        if i % 8 == 7:  # the browser takes no more than ten files in a row from a page
            page.reload()
            expect(buttons).to_have_count(count)
        saved(page, buttons.nth(i))


@pytest.fixture(scope="module")
def learned(server, browser):
    """The server, with a net that has learned for an epoch."""
    page = browser.new_page()
    page.goto(f"{server.address}train")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.close()
    return server


# Each part, a picture that is ready when it is, and how many buttons save one.
PARTS = {
    "train": (".curves svg", 6),
    "train?data=moons": (".plane-dots", 6),
    "net?layer=1": (".net-detail .bars svg", 10),
    "chain-rule?layer=0&way=backward": (".step-array canvas", 12),
    "predict?drawing=1c1c1c3k3k3k_2o0u2o50": (".predict-pictures canvas", 8),
    "results?cell=3-3&around=11&rate=searched": (".around svg", 10),
}


@pytest.mark.parametrize("part", PARTS)
def test_every_picture_of_a_part_is_saved(learned, tab, part):
    colour = "dark" if list(PARTS).index(part) % 2 else "light"
    page = tab(colour=colour)
    page.goto(f"{learned.address}{part}")
    ready, count = PARTS[part]
    expect(page.locator(ready).first).to_be_visible()
    if part.startswith("results"):
        expect(page.locator(".confusion svg")).to_be_visible()
    save_all(page, count)


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_the_walk_is_saved_whole_with_its_words(learned, tab, colour):
    page = tab(width=300, height=844, colour=colour)  # narrower than the walk
    page.goto(f"{learned.address}chain-rule?sample=3")
    expect(page.locator(".walk-facts")).to_have_text(re.compile("^Step 1"))
    width = page.locator(".walk").evaluate("walk => walk.scrollWidth")
    root = saved(page, page.get_by_role("button", name="Save the walk as SVG"))
    assert width > 300
    assert float(root.get("width")) >= width
    text = "".join(root.itertext())
    for words in ("Linear", "ReLU", "SoftmaxCrossEntropy", "4 →", "← 8"):
        assert words in text
    assert len(root.findall(".//{*}image")) == 8  # a picture a stop
    picture = saved(page, page.get_by_role("button", name="Save the walk as PNG"))
    assert picture.getpixel((1, 1)) == PAPER[colour]
    assert picture.width == 2 * int(root.get("width"))


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_curves_are_saved_with_what_they_mean(learned, tab, colour):
    page = tab(colour=colour)
    page.goto(f"{learned.address}train")
    expect(page.locator(".plot-key b").first).to_be_visible()
    root = saved(page, page.get_by_role("button", name="Save Loss as SVG"))
    text = "".join(root.itertext())
    for words in ("Loss", "trained on", "held out", "step"):
        assert words in text
    picture = saved(page, page.get_by_role("button", name="Save Loss as PNG"))
    assert picture.getpixel((1, 1)) == PAPER[colour]


def test_the_pictures_of_a_run_are_saved(tmp_path, start, tab):
    from studio.test_runs import make

    picture = io.BytesIO()
    drawn = Image.new("RGB", (8, 4), "white")
    drawn.putpixel((1, 1), (0, 0, 0))
    drawn.save(picture, "PNG")
    (make(tmp_path, "a") / "curves.png").write_bytes(picture.getvalue())
    page = tab()
    page.goto(f"{start().address}runs?runs=a")
    choose(page, "Pictures of the run", "curves")
    expect(page.locator(".runs-pictures img")).to_be_visible()
    save_all(page, 8)
    button = page.locator(".runs-pictures button")
    assert saved(page, button.first).size == (8, 4)
    assert saved(page, button.last).find("{*}image").get("width") == "8"
