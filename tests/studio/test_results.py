"""Results, as a person uses it."""

import json
import re

import numpy as np
import pytest

from chainrule import Adam, Linear, MeanSquaredError, Model, ReLU, evaluate, train
from chainrule.cli.prepare import load_data
from chainrule.cli.settings import Settings, write_settings
from chainrule.metrics import confusion_matrix
from chainrule.studio import search
from chainrule.studio.own import resolve
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from studio.driving import build_it, pause, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=30_000)

LONG = 30_000
SAMPLE = re.compile(r"sample (\d+)")


def figure(page, name):
    return page.locator(f".figure:has(dt:text-is('{name}')) dd")


def wait(page, condition, arg=None):
    page.wait_for_function(condition, arg=arg, timeout=LONG)


def build(page, address, **recipe):
    """Build a net on the page; return the session that the library makes of the same recipe.

    It is built when the page says that it rests, and that nothing is left to be built.
    """
    made = Recipe(**recipe)
    query = "&".join(f"{name}={value}" for name, value in made.query().items())
    page.goto(f"{address}train?{query}")
    wait_for(page, "state", "ready|paused|running|stopped")
    page.locator(".layer-code").first.wait_for()
    build_it(page)
    wait_for(page, "state", "ready")
    page.get_by_text("This is not what is being trained.").wait_for(state="hidden")
    session = Session()
    session.set_up(made)
    return session


def epochs(page, session, many):
    for _ in range(many):
        session.epoch().result(60)
        page.get_by_role("button", name="One epoch").click()
        steps = re.compile(f"^{session.frame.step:,}$")
        figure(page, "step").filter(has_text=steps).wait_for()  # the epoch begins with its number


def go_to(page, part):
    page.get_by_role("link", name=part, exact=True).click()
    page.get_by_role("heading", name=part, level=1).wait_for()
    page.wait_for_url(re.compile(rf"/{part.lower()}(\?|$)"))


def judged(page):
    figure(page, "right").filter(has_text=re.compile(r"\d")).wait_for()


def shown_counts(page):
    """Return the numbers that stand in the cells of the matrix."""
    words = page.locator(".confusion-cell").evaluate_all(
        "cells => cells.map(cell => cell.querySelector('text')?.textContent || '0')"
    )
    side = round(len(words) ** 0.5)
    return np.array(list(map(int, words))).reshape(side, side)


def test_the_matrix_counts_what_the_library_counts(server, tab):
    page = tab()
    session = build(page, server.address, seed=1)
    epochs(page, session, 2)
    go_to(page, "Results")
    judged(page)
    frame, training = session.snapshot()
    model, data = training.twin(), session.data
    frame.into(model)
    session.close()
    predicted = model.predict(data.rows_test).argmax(axis=1)
    expected = confusion_matrix(predicted, data.labels_test, 10)
    assert (shown_counts(page) == expected).all()
    accuracy = evaluate(model, (data.rows_test, data.labels_test))["accuracy"]
    assert figure(page, "accuracy").last.inner_text() == f"{100 * accuracy:.2f} %"
    assert figure(page, "wrong").inner_text() == str((predicted != data.labels_test).sum())

    # A cell by pointer: its samples are those of the library, the surest first.
    off = expected - np.diag(np.diag(expected))
    true, taken = map(int, np.unravel_index(off.argmax(), off.shape))
    page.locator(".confusion-cell").nth(10 * true + taken).click()
    page.get_by_role("heading", name=f"{true} taken for {taken}: {off.max()}").wait_for()
    cards = page.locator(".results-cell .samples li")
    expect(cards).to_have_count(min(int(off.max()), 12))
    words = cards.all_inner_texts()
    found = [int(SAMPLE.search(text)[1]) for text in words]
    assert (
        sorted(found) == np.flatnonzero((data.labels_test == true) & (predicted == taken)).tolist()
    )
    sure = [float(re.search(r"([\d.]+) % sure", text)[1]) for text in words]
    assert sure == sorted(sure, reverse=True)
    page.wait_for_url(re.compile(f"cell={true}-{taken}$"))

    # Another by keyboard.
    matrix = page.get_by_role("img", name=re.compile("^Confusion matrix of 10 classes"))
    matrix.focus()
    matrix.press("ArrowDown" if true < 9 else "ArrowUp")
    matrix.press("Enter")
    other = true + 1 if true < 9 else true - 1
    page.get_by_role("heading", name=re.compile(f"^{other} taken for {taken}: ")).wait_for()
    page.wait_for_url(re.compile(f"cell={other}-{taken}$"))

    # The worst mistake, and the way to its chain rule: the page that opens shows that very sample.
    worst = page.locator("section:has(#mistakes-heading) .samples a").first
    sample = int(SAMPLE.search(worst.inner_text())[1])
    chances = model.predict_proba(data.rows_test)[np.arange(len(predicted)), data.labels_test]
    wrong = np.flatnonzero(predicted != data.labels_test)
    assert chances[sample] == pytest.approx(chances[wrong].min())
    worst.click()
    page.get_by_role("heading", name=re.compile("The chain rule"), level=1).wait_for()
    expect(page.get_by_label("Walk with")).to_have_value("test")
    expect(page.get_by_label("Number", exact=True)).to_have_value(str(sample))
    loss = float(model.loss(data.rows_test[sample][None], data.labels_test[sample][None])[0])
    facts = page.locator(".walk-facts", has_text=f"sample {sample}, labelled ")
    assert float(re.search(r"loss ([\d.]+)", facts.inner_text())[1]) == pytest.approx(loss, 1e-3)


def test_a_link_to_a_cell_opens_it_and_back_leads_back(server, tab):
    page = tab()
    session = build(page, server.address)
    session.close()
    page.goto(f"{server.address}results?cell=0-0")
    page.get_by_role("heading", name=re.compile("^0 taken for 0: ")).wait_for()
    page.get_by_role("link", name=re.compile(r"^\d for \d \(")).first.click()
    page.wait_for_url(re.compile(r"cell=(?!0-0)"))
    page.get_by_role("heading", name=re.compile("^0 taken for 0: ")).wait_for(state="detached")
    page.go_back()
    page.get_by_role("heading", name=re.compile("^0 taken for 0: ")).wait_for()
    for nonsense in ("99-0", "x", "-1-2", "1-1-1", "²-1"):
        page.goto(f"{server.address}results?cell={nonsense}")
        page.get_by_role("heading", name="Samples of a cell").wait_for()
        judged(page)


def test_the_plane_moves_while_it_trains(server, tab):
    page = tab()
    session = build(
        page, server.address, data="spirals", net="linear-32,tanh,linear-32,tanh",
        optimizer="adam", lr=0.003, batch=4,
    )  # fmt: skip
    session.close()
    page.goto(f"{server.address}results?cell=0-0")
    page.get_by_role("img", name="spirals in the plane").wait_for()
    picture = "document.querySelector('.results-plane .plane-ground').toDataURL()"
    wait(page, "() => document.querySelector('.results-plane .plane-ground').width === 48")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    seen = [page.evaluate(picture)]
    for _ in range(4):
        wait(page, f"seen => !seen.includes({picture})", arg=seen)
        assert page.get_by_role("button", name="Pause").is_visible()  # it goes on
        seen.append(page.evaluate(picture))
    pause(page)
    words = page.locator(".results-cell .samples a").first.inner_text()
    assert re.search(r"x0 −?[\d.]+, x1 −?[\d.]+", words)  # values, no image


def test_a_rate_is_searched_and_taken(server, tab):
    page, other = tab(), tab()
    session = build(page, server.address, seed=3)
    page.goto(f"{server.address}results?rate=searched")  # a link is enough
    button = page.get_by_role("button", name=re.compile("^Take "))
    button.wait_for(timeout=LONG)
    expected = search.rates(*session.snapshot(), lambda *now: None, present=False)
    session.close()
    rate = f"{expected.suggestion:.2g}"
    expect(button).to_have_text(f"Take {float(rate):g}")
    plot = page.get_by_role("img", name=re.compile("^Loss, smoothed: "))
    last = float(re.search(r"([\d.]+)$", plot.get_attribute("aria-label"))[1])
    assert last == pytest.approx(expected.smoothed[-1], rel=1e-3)
    expect(page.locator(".plot-mark")).to_have_count(1)
    other.goto(f"{server.address}results")  # another tab sees it without searching
    other.get_by_role("button", name=f"Take {float(rate):g}").wait_for()
    button.click()
    page.get_by_text(f"The learning rate is {float(rate):g} now.").wait_for()
    go_to(page, "Train")
    page.wait_for_function(
        "rate => [...document.querySelectorAll('input')].some(i => Number(i.value) === rate)",
        arg=float(rate),
    )


def test_the_loss_around_is_looked_at_and_can_be_stopped(server, tab):
    page, other = tab(), tab()
    session = build(
        page, server.address, net="linear-512,relu,linear-512,relu,linear-512,relu", seed=4
    )
    session.step().result(60)
    page.get_by_role("button", name="One step").click()
    figure(page, "step").filter(has_text=re.compile("^1$")).wait_for()
    go_to(page, "Results")
    other.goto(f"{server.address}results")
    page.get_by_text("The hills and valleys around the net").wait_for()
    page.get_by_label("Places").select_option("31")
    page.get_by_role("button", name="Look around").click()
    other.get_by_role("button", name="Stop: Look around").click()  # from any tab
    page.get_by_text("It was stopped.").wait_for()
    page.get_by_label("Places").select_option("11")
    page.get_by_label("Directions", exact=True).fill("5")
    page.get_by_label("Directions", exact=True).press("Enter")
    page.get_by_role("button", name="Look around").click()
    picture = page.get_by_role("img", name=re.compile("^The loss along two random directions"))
    picture.wait_for(timeout=LONG)
    frame, training = session.snapshot()
    found = search.around(frame, training, lambda *now: None, size=11, reach=1.0, seed=5)
    session.close()
    words = f"In the middle, the net after 1 step: loss {found.losses[5, 5]:.4g}."
    page.get_by_text(words).wait_for()
    picture.focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):  # two rows up, a column to the left
        picture.press(key)
    wait(page, "() => / across, /.test(document.querySelector('.around .heat-read').innerText)")
    read = page.locator(".around .heat-read").inner_text().replace("−", "-")
    assert read.startswith("-0.2 across, 0.4 up: loss ")
    assert float(read.split()[-1]) == pytest.approx(found.losses[7, 4], rel=1e-3)
    page.wait_for_url(re.compile(r"around=11&reach=1&seed=5"))
    page.reload()  # what was found is still known
    page.get_by_text(words).wait_for()
    page.get_by_role("button", name="Begin anew").click()  # another net: it was not of that one
    page.get_by_text("The hills and valleys around the net").wait_for()


def test_numbers_that_are_predicted(start, tab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [
        f"{a:.1f},{r},{3 * a + 20 * r + 9 * rng.normal():.2f}"
        for a, r in zip(rng.uniform(30, 200, 300), rng.integers(1, 7, 300), strict=True)
    ]
    (tmp_path / "houses.csv").write_text("\n".join(["area,rooms,price", *lines]))
    held = load_data("houses.csv", "price")
    net = Model([Linear(2, 16), ReLU(), Linear(16, 1)], MeanSquaredError(), seed=0)
    train(net, None, 5, (held.preparation.rows(held.x), held.y), optimizer=Adam(0.01))
    held.preparation.into(net)
    run = tmp_path / "runs" / "houses-001"
    run.mkdir(parents=True)
    net.save(run / "model.safetensors")
    write_settings(run, Settings(data="houses.csv", target="price").spelled_out(), {})
    studio = start("runs/houses-001")
    page = tab()
    page.goto(f"{studio.address}results")
    figure(page, "RMSE").filter(has_text=re.compile(r"\d")).wait_for()
    own = resolve("runs/houses-001", None)
    model, data = own.make(), own.data
    figures = evaluate(model, (data.rows_test, data.labels_test), metrics=["rmse", "r2"])
    scale = data.held.preparation.target_deviation
    assert float(figure(page, "RMSE").inner_text()) == pytest.approx(
        figures["rmse"] * scale, rel=1e-3
    )
    assert float(figure(page, "R²").inner_text()) == pytest.approx(figures["r2"], rel=1e-3)
    expect(page.locator(".scatter-dot")).to_have_count(len(data.rows_test))
    expect(page.locator(".samples a").first).to_contain_text("area")  # by the names of the columns
    plot = page.get_by_role("img", name=re.compile("^Predicted over true numbers of 60 samples"))
    plot.focus()
    plot.press("ArrowRight")
    least = int(np.argmin(data.labels_test))
    wait(page, "() => /^sample /.test(document.querySelector('.scatter .heat-read').innerText)")
    assert page.locator(".scatter .heat-read").inner_text().startswith(f"sample {least}: true ")
    plot.press("Enter")
    page.wait_for_url(re.compile(rf"chain-rule\?split=test&sample={least}$"))
    expect(page.get_by_label("Number", exact=True)).to_have_value(str(least))


def test_a_net_that_has_diverged_is_said_to(server, tab):
    page = tab()
    build(page, server.address, loss="mean-squared-error", lr=100000.0, net="linear-8,relu").close()
    page.get_by_role("button", name="Play").click()
    figure(page, "state").filter(has_text="stopped by an error").wait_for()
    go_to(page, "Results")
    judged(page)
    assert shown_counts(page).sum() == 359
    page.get_by_role("button", name="Begin anew").click()
    figure(page, "state").filter(has_text="ready").wait_for()


def test_pictures_are_saved(server, tab):
    page = tab()
    build(page, server.address, data="moons", net="linear-4,tanh").close()
    page.goto(f"{server.address}results?around=11&rate=searched&cell=0-0")
    judged(page)
    page.get_by_role("button", name="Save the loss around as PNG").wait_for(timeout=LONG)
    page.get_by_role("button", name=re.compile("^Take|^Search")).first.wait_for()
    for name in ("the confusion matrix", "the loss around", "Loss, smoothed", "moons in the plane"):
        for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
            with page.expect_download() as caught:
                page.get_by_role("button", name=f"Save {name} as {kind}").click()
            assert caught.value.path().read_bytes().startswith(start), name
    build(page, server.address).close()
    page.goto(f"{server.address}results")
    judged(page)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save the worst mistakes as SVG").click()
    content = caught.value.path().read_text()
    assert content.count("<image") == 12
    assert "taken for" in content


@pytest.mark.parametrize(("width", "colour"), [(1280, "light"), (390, "dark")])
def test_axe_and_a_narrow_window(server, tab, width, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = tab(width=width, height=844, colour=colour)
    page.goto(f"{server.address}results?around=11&cell=1-1&rate=searched")
    judged(page)
    page.get_by_role("button", name="Save the loss around as PNG").wait_for(timeout=LONG)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == [], json.dumps(
        [f["nodes"][0]["html"][:200] for f in found]
    )
