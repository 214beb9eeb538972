"""What can be measured of how it looks: nothing is cut, covered, too small, or too wide."""

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from studio.conftest import running
from studio.driving import wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=30_000)

NETS = Path(__file__).parent / "own_nets.py"
# Each part, and what stands there when all that it has to say has come.
SIGNS = {
    "train": ".layer-shape:has-text('parameters')",
    "net": ".net-card .bars svg rect",
    "chain-rule": ".step-array canvas",
    "predict": ".predict-said",
    "results": "#mistakes-heading",
    "runs": ".runs-table .button",
}
DIVERGES = "train?net=linear-32,relu&lr=100000"

FAULTS = r"""() => {
  const found = [], wide = innerWidth;
  if (document.scrollingElement.scrollWidth > wide) found.push("the page is wider than the window");
  const name = (e) => `${e.tagName} .${e.getAttribute("class") || ""} ${e.textContent.trim().slice(0, 40)}`;
  const styles = (e) => getComputedStyle(e);
  const scroller = (e) => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (styles(p).overflowX !== "visible") return p;
    return null;
  };
  const words = [];
  for (const e of document.querySelectorAll(".studio *")) {
    const box = e.getBoundingClientRect(), style = styles(e);
    if (box.width < 2 || box.height < 2 || style.visibility === "hidden" || e.closest(".skip, .sr-only, .samples-drawing, math, option")) continue;
    if (!e.closest("svg") && !scroller(e) && box.right > wide + 1) found.push(`beyond the window: ${name(e)}`);
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const svg = e.closest("svg"), view = svg && svg.viewBox.baseVal;
    const times = view && view.width ? svg.getBoundingClientRect().width / view.width : 1;
    if (parseFloat(style.fontSize) * times < (svg ? 9 : 11)) found.push(`too small: ${name(e)}`);
    if (["hidden", "clip"].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth) found.push(`cut: ${name(e)}`);
    const range = document.createRange();
    range.selectNodeContents(e);
    if (!svg) words.push([e, [...range.getClientRects()].filter((r) => r.width > 1), scroller(e), e.closest(".controls")]);
  }
  words.forEach(([a, rects, within, strip], i) => {
    for (const [b, others, inside, bar] of words.slice(i + 1)) {
      if (within !== inside || strip !== bar || a.contains(b) || b.contains(a)) continue;
      if (rects.some((p) => others.some((q) => Math.min(p.right, q.right) - Math.max(p.left, q.left) > 3
          && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 5))) found.push(`over each other: ${name(a)} / ${name(b)}`);
    }
  });
  return found;
}"""  # noqa: E501


def houses(folder):
    """Write a table of numbers, of which one is predicted."""
    rows = [f"{i % 7},{30 + 3 * i},{90 - i % 90},{200_000 + 6300 * i}" for i in range(80)]
    (folder / "houses.csv").write_text("\n".join(["rooms,area,age,price", *rows]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with runs: of a table of numbers, one with a long name, and one that is damaged."""
    folder = tmp_path_factory.mktemp("looks")
    houses(folder)
    words = ["houses.csv", "--target", "price", "--task", "regression", "--out", "runs/houses"]
    command = [sys.executable, "-m", "chainrule", "train", *words, "--epochs", "1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copytree(folder / "runs/houses", folder / "runs/houses-with-a-name-that-is-rather-long")
    (folder / "runs" / "damaged").mkdir()
    (folder / "runs" / "damaged" / "run.toml").write_text("[train\n")
    return folder


def open_part(page, address, part, query=""):
    page.goto(f"{address}{part}{query}")
    page.locator(SIGNS[part]).first.wait_for()


def nothing_is_wrong(page, where):
    """Wait until nothing is: a window that has become narrow is drawn anew in the next frame."""
    with contextlib.suppress(sync_api.TimeoutError):  # what is wrong then is told below
        page.wait_for_function(f"() => ({FAULTS})().length === 0")
    assert page.evaluate(FAULTS) == [], where


def look_at_all(page, address):
    """Look at all parts, in a wide window and in one that becomes as narrow as a phone."""
    for part in SIGNS:
        open_part(page, address, part)
        nothing_is_wrong(page, part)
        page.set_viewport_size({"width": 390, "height": 844})
        nothing_is_wrong(page, f"{part}, on a phone")
        page.set_viewport_size({"width": 1280, "height": 800})


def one_epoch(page):
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "state", "paused|stopped by an error")


@pytest.mark.parametrize("net", ["runs/houses", f"{NETS}:branches"], ids=["table", "branches"])
def test_nothing_is_cut_covered_or_too_wide(folder, tab, net):
    with running(folder, net) as studio:
        page = tab()
        open_part(page, studio.address, "train")
        one_epoch(page)
        look_at_all(page, studio.address)


def test_nor_before_anything_is_trained_in_the_plane_or_when_it_has_diverged(folder, tab):
    with running(folder) as studio:
        page = tab()
        look_at_all(page, studio.address)
        for recipe in (
            "data=moons&net=linear-8,tanh,linear-8,tanh,linear-8,tanh",
            "data=digits&net=linear-32,relu&lr=100000",
        ):
            page.goto(f"{studio.address}train?{recipe}")
            page.get_by_role("button", name=re.compile("Build it")).click()
            wait_for(page, "state", "ready")
            one_epoch(page)
            look_at_all(page, studio.address)


def test_a_phone_shows_the_whole_table_of_runs(folder, tab):
    with running(folder) as studio:
        page = tab(390, 844)
        open_part(page, studio.address, "runs")
        table = page.locator(".runs-scroll")
        expect(page.get_by_role("button", name=re.compile("^Open "))).not_to_have_count(0)
        assert table.evaluate("e => e.scrollWidth - e.clientWidth") == 0
        for button in page.get_by_role("button", name=re.compile("^Open ")).all():
            box = button.bounding_box()
            assert box["x"] + box["width"] <= 390
        words = page.locator("td.broken")
        assert words.inner_text().startswith("run.toml is no TOML file")
        box = words.bounding_box()
        assert box["x"] + box["width"] <= 390


def test_what_matters_is_on_the_first_screen(folder, tab):
    with running(folder) as studio:
        page = tab(1280, 800)
        open_part(page, studio.address, "train")
        bottom = page.get_by_role("button", name="Save Accuracy as PNG").bounding_box()
        assert bottom["y"] + bottom["height"] <= 800
        open_part(page, studio.address, "chain-rule", "?layer=0")  # x times W and b is y: a line
        expect(page.locator(".step-array")).to_have_count(4)
        boxes = [box.bounding_box() for box in page.locator(".step-array").all()]
        assert len({box["y"] for box in boxes}) == 1
        assert all(box["y"] + box["height"] <= 800 for box in boxes)
        page.set_viewport_size({"width": 390, "height": 844})
        open_part(page, studio.address, "train")
        assert page.get_by_role("img", name=re.compile("^Loss: ")).bounding_box()["y"] < 700


def test_numbers_without_powers_of_ten_that_nobody_needs(folder, tab):
    with running(folder, "runs/houses") as studio:
        page = tab()
        open_part(page, studio.address, "results")
        truth = re.compile(r"\d{2,3},\d{3}, truly \d{3},\d{3}")
        expect(page.locator(".samples").get_by_text(truth).first).to_be_visible()
        shown = page.locator(".part").inner_text()
        assert not re.search(r"\de[+−-]?\d", shown)
        expect(page.get_by_text("accuracy", exact=True)).to_have_count(1)  # and it is hidden
        expect(page.get_by_text("accuracy", exact=True)).to_be_hidden()
