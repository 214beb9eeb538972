"""Runs, as a person uses it."""

import os
import re
import shutil

import pytest

from chainrule.studio.recipe import Recipe
from chainrule.studio.runs import PNG
from chainrule.studio.session import Session

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=30_000)
LONG = 30_000
SETTINGS = (
    '[train]\ndata = "{data}"\nmodel = "mlp"\nhidden = "100"\nlr = {lr}\noptimizer = "sgd"\n'
    "batch_size = 64\n"
)
HISTORY = "epoch,loss,validation_loss,validation_accuracy\n1,2.0,1.5,0.5\n2,1.0,{loss},{best}\n"


def make(folder, name, *, lr=0.1, best=0.9, data="digits"):
    run = folder / "runs" / name
    run.mkdir(parents=True)
    (run / "run.toml").write_text(SETTINGS.format(lr=lr, data=data))
    (run / "history.csv").write_text(HISTORY.format(best=best, loss=1 - best))
    return run


def figure(page, name):
    return page.locator(f".readings .figure:has(dt:text-is('{name}')) dd")


def names(page):
    return page.locator(".runs-table td.name").all_inner_texts()


def wait_for_names(page, *expected):
    page.wait_for_function(
        "expected => JSON.stringify([...document.querySelectorAll('.runs-table td.name')]"
        ".map(cell => cell.innerText)) === JSON.stringify(expected)",
        arg=list(expected),
        timeout=LONG,
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def emptied(server, monkeypatch):
    """The folder of the server that the tests of this file share: no run is in it yet."""
    shutil.rmtree(server.folder / "runs", ignore_errors=True)
    monkeypatch.chdir(server.folder)
    return server.folder


def saved(**recipe):
    """Save a run as the studio does; return its folder, and the parameters."""
    session = Session()
    session.set_up(Recipe(**recipe))
    session.epoch().result(60)
    folder, parameters = session.save(), session.frame.parameters
    session.close()
    return folder, parameters


def test_none_yet_and_one_that_is_saved_later(emptied, server, tab):
    page = tab()
    page.goto(f"{server.address}runs")
    page.get_by_text("There are no runs in").wait_for()
    page.get_by_text("chainrule train digits").wait_for()
    folder, _ = saved(net="linear-4,relu")  # by another process
    wait_for_names(page, folder.name)
    expect(page.get_by_text("There are no runs in")).to_have_count(0)
    make(emptied, "later")
    wait_for_names(page, "later", folder.name)
    (folder / "history.csv").write_text("epoch,loss\n1,low\n")
    page.locator("td.broken", has_text="history.csv is damaged").wait_for(timeout=LONG)
    wait_for_names(page, "later", folder.name)


def test_side_by_side(emptied, server, tab):
    for i, (name, lr, best) in enumerate((("a", 0.1, 0.9), ("b", 0.5, 0.97), ("c", 0.01, 0.4))):
        os.utime(make(emptied, name, lr=lr, best=best) / "run.toml", (1e9 + i, 1e9 + i))
    (emptied / "runs" / "b" / "confusion.png").write_bytes(PNG)
    page = tab()
    page.goto(f"{server.address}runs")
    wait_for_names(page, "c", "b", "a")  # the newest first
    page.get_by_role("button", name="best held out").click()
    wait_for_names(page, "b", "a", "c")
    page.get_by_role("button", name="best held out").click()
    wait_for_names(page, "c", "a", "b")
    page.get_by_role("button", name="rate").click()
    wait_for_names(page, "c", "a", "b")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("^rate"))
    page.get_by_label("Side by side: a").check()
    page.get_by_role("heading", name="a", exact=True).wait_for()
    page.get_by_label("Side by side: b").press("Space")  # by keyboard
    page.get_by_role("heading", name="Side by side").wait_for()
    curves = page.get_by_role("img", name=re.compile("^Loss, held out"))
    expect(curves).to_have_attribute("aria-label", "Loss, held out: a 0.1, b 0.03")
    row = page.locator(".beside tr", has_text="learning rate")
    expect(row).to_have_class(re.compile("differs"))
    expect(row.locator("td")).to_have_text(["0.1", "0.5"])
    expect(page.locator(".beside tr", has_text="mini-batch")).not_to_have_class(
        re.compile("differs")
    )
    expect(page.locator(".beside tr", has_text="best, held out")).to_contain_text("97.00 %")
    page.get_by_label("Pictures of the runs").select_option("confusion")
    image = page.locator(".runs-pictures img")
    expect(image).to_have_attribute("alt", "what was taken for what, of b")
    page.wait_for_url(re.compile(r"runs=a%2Fb&picture=confusion"))
    address = page.url
    fresh = tab(width=390, height=844, colour="dark")
    fresh.goto(address)
    fresh.get_by_role("heading", name="Side by side").wait_for()
    fresh.locator(".runs-pictures img").wait_for()
    wait_for_names(fresh, "c", "a", "b")  # sorted as it was
    assert fresh.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Show those with the words").fill("NOTHING like this")
    page.get_by_text("0 of 3 runs").wait_for()
    page.get_by_label("Show those with the words").fill("b sgd")
    wait_for_names(page, "b")


def test_whatever_lies_there(emptied, server, tab):
    make(emptied, "good")
    make(emptied, "<img src=x onerror=document.title='bad'>", data="<script>document.title='bad'")
    (make(emptied, "broken") / "run.toml").write_text("[train")
    with (make(emptied, "huge") / "run.toml").open("wb") as file:
        file.truncate(1 << 40)
    fifo = make(emptied, "pipe") / "history.csv"
    fifo.unlink()
    os.mkfifo(fifo)
    page = tab()
    page.goto(f"{server.address}runs?runs=good/broken/nowhere/<img src=x onerror=document.title=")
    page.get_by_role("heading", name="good", exact=True).wait_for()
    page.locator("td.broken", has_text="no TOML file").wait_for()
    page.locator("td.broken", has_text="too large").wait_for()
    expect(page.get_by_text("5 runs")).to_be_visible()
    page.get_by_label("Side by side: <img").check()
    page.get_by_role("heading", name="Side by side").wait_for()
    expect(page.locator("main img")).to_have_count(0)
    assert "bad" not in page.title()


def test_a_thousand_runs(emptied, server, tab):
    for i in range(1010):
        run = make(emptied, f"run-{i:04d}", lr=0.001 * (i + 1), best=i / 1010)
        os.utime(run / "run.toml", (1e9 + i, 1e9 + i))
    page = tab()
    page.goto(f"{server.address}runs?sort=-best&words=run-10")
    wait_for_names(page, *[f"run-{i}" for i in range(1009, 999, -1)])
    page.get_by_label("Show those with the words").fill("")
    page.get_by_role("button", name="Show all 1,000").click()
    page.wait_for_function("() => document.querySelectorAll('.runs-table td.name').length === 1000")
    assert names(page)[:2] == ["run-1009", "run-1008"]


def test_opening_asks_first_and_there_is_a_way_back(here, start, tab):
    (here / "net.py").write_text(
        "from chainrule import *\n\n\ndef build(sample_shape, classes, seed):\n"
        "    layers = [Linear(64, 5), Tanh(), Linear(5, 10)]\n"
        "    return Model(layers, SoftmaxCrossEntropy(), seed=seed)\n"
    )
    folder, _ = saved(data="moons", net="linear-6,relu", seed=2)
    assert folder.name == "studio-moons-001"
    studio, page = start("net.py:build"), tab()
    page.goto(f"{studio.address}runs")
    page.get_by_role("button", name="One step").click()
    figure(page, "step").filter(has_text=re.compile("^1$")).wait_for()
    page.get_by_role("button", name="Open studio-moons-001").click()
    page.get_by_text("has made 1 step that is not saved").wait_for()
    page.wait_for_function("() => document.activeElement.innerText === 'Save it first'")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alertdialog").wait_for(state="hidden")
    assert figure(page, "step").inner_text() == "1"  # nothing was given up
    page.get_by_role("button", name="Open studio-moons-001").dblclick()
    page.get_by_role("button", name="Save it first").click()
    page.get_by_text("studio-moons-001 is open").wait_for()
    wait_for_names(page, "studio-digits-001", "studio-moons-001")  # what was saved first
    figure(page, "step").filter(has_text=re.compile("^0$")).wait_for()
    page.get_by_text("The command line named net.py:build; a run is open instead.").wait_for()
    page.get_by_role("link", name="Train", exact=True).click()
    page.locator(".layer-code", has_text="Linear(2, 6)").wait_for()
    page.get_by_role("button", name="One step").click()
    figure(page, "step").filter(has_text=re.compile("^1$")).wait_for()
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("button", name="Go back to it").click()
    page.get_by_role("button", name="Give it up").click()
    page.get_by_text("net.py:build is back").wait_for()
    page.get_by_role("button", name="Go back to it").wait_for(state="hidden")
    page.get_by_role("link", name="Train", exact=True).click()
    page.locator(".layer-code", has_text="Linear(64, 5)").wait_for()


def test_a_run_that_cannot_be_opened_says_why(here, start, tab):
    (make(here, "foreign") / "model.safetensors").write_bytes(b"no model")
    (make(here, "evil", data="evil") / "model.safetensors").write_bytes(b"")
    (here / "runs" / "evil" / "net.py").write_text("open('executed', 'w')\n")
    studio, page = start(), tab()
    page.goto(f"{studio.address}runs")
    for name in ("foreign", "evil"):
        page.get_by_role("button", name=f"Open {name}").click()
        page.get_by_role("alert").filter(has_text=f"{name}/model.safetensors is damaged").wait_for()
    assert not list(here.rglob("executed"))
    page.get_by_role("button", name="One step").click()  # all else works
    figure(page, "step").filter(has_text=re.compile("^1$")).wait_for()


@pytest.mark.parametrize(("width", "colour"), [(1280, "dark"), (390, "light")])
def test_axe_and_a_narrow_window(emptied, server, tab, width, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    make(emptied, "a")
    make(emptied, "b", lr=0.2)
    (make(emptied, "c") / "run.toml").write_text("")
    page = tab(width=width, height=844, colour=colour)
    page.goto(f"{server.address}runs?runs=a/b")
    page.get_by_role("heading", name="Side by side").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    serious = [f for f in found if f["impact"] in ("serious", "critical")]
    assert [(f["id"], f["nodes"][0]["html"][:200]) for f in serious] == []
