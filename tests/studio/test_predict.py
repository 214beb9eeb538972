"""Predict: drawings, the shipped net, and one step on one sample."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from chainrule import SGD
from chainrule.studio import nets
from chainrule.studio.data import load
from chainrule.studio.drawing import as_placed_sample, as_sample
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.shipped import RECIPE, serves, shipped

ROUND = [(0, -1), (0.5, -0.87), (0.87, -0.5), (1, 0), (0.87, 0.5), (0.5, 0.87), (0, 1),
         (-0.5, 0.87), (-0.87, 0.5), (-1, 0), (-0.87, -0.5), (-0.5, -0.87), (0, -1)]  # fmt: skip


def circle(x, y, wide, high):
    return [(x + wide * a, y + high * b) for a, b in ROUND]


STROKES = {
    0: [circle(112, 112, 45, 72)],
    1: [[(95, 65), (118, 40), (118, 185)]],
    2: [[(72, 75), (85, 48), (112, 38), (140, 50), (146, 80), (125, 115), (70, 182), (155, 182)]],
    3: [[(72, 50), (110, 38), (145, 55), (142, 85), (105, 105), (145, 122), (152, 155), (120, 182),
         (70, 172)]],
    4: [[(115, 38), (65, 130), (160, 130)], [(132, 90), (132, 188)]],
    5: [[(150, 40), (82, 40), (76, 100), (115, 92), (148, 115), (148, 155), (118, 182), (70, 172)]],
    6: [[(130, 38), (92, 75), (75, 130), (85, 172), (115, 184), (146, 165), (142, 130), (112, 116),
         (80, 138)]],
    7: [[(65, 45), (155, 45), (105, 185)]],
    8: [circle(112, 75, 32, 36), circle(112, 148, 40, 38)],
    9: [[(148, 75), (120, 42), (84, 55), (80, 88), (110, 108), (146, 85), (148, 70), (142, 130),
         (125, 186)]],
}  # fmt: skip
OTHER_HANDS = {
    0: [circle(112, 112, 32, 75)],
    1: [[(112, 38), (112, 188)]],
    2: [[(75, 60), (115, 40), (145, 70), (120, 120), (75, 175), (95, 160), (125, 180), (155, 172)]],
    3: [[(70, 45), (150, 45), (105, 95), (145, 115), (148, 155), (115, 182), (70, 168)]],
    4: [[(138, 188), (138, 40), (62, 138), (165, 138)]],
    5: [[(82, 42), (78, 100), (120, 90), (150, 120), (140, 165), (100, 182), (72, 165)],
        [(82, 42), (148, 40)]],
    6: [[(115, 38), (82, 95), (76, 150), (100, 184), (135, 178), (142, 145), (115, 122),
         (82, 145)]],
    7: [[(65, 45), (155, 45), (105, 185)], [(85, 112), (150, 112)]],
    8: [[(140, 55), (105, 40), (80, 65), (112, 105), (145, 145), (115, 184), (78, 150), (112, 108),
         (145, 70), (140, 55)]],
    9: [circle(110, 75, 34, 36), [(144, 70), (144, 188)]],
}  # fmt: skip


def inked(strokes, pen=8.5):
    """Draw as the page does, on 112 by 112 of its 224 by 224."""
    rows, columns = np.mgrid[0:224:2, 0:224:2] + 1.0
    far = np.full(rows.shape, np.inf)
    for line in strokes:
        for (x, y), (x2, y2) in itertools.pairwise(line):
            dx, dy = x2 - x, y2 - y
            t = ((columns - x) * dx + (rows - y) * dy) / (dx * dx + dy * dy)
            t = t.clip(0, 1)
            far = np.minimum(far, np.hypot(columns - x - t * dx, rows - y - t * dy))
    return (255 * ((pen - far) / 2 + 0.5).clip(0, 1)).astype(np.uint8)


@pytest.mark.parametrize("hand", [STROKES, OTHER_HANDS])
def test_the_shipped_net_reads_drawings_of_two_hands_and_three_pens(hand):
    preparation = load("digits").held.preparation
    for pen in (5.0, 8.5, 12.0):
        samples = [as_sample(inked(lines, pen), preparation) for lines in hand.values()]
        said = shipped().predict(preparation.rows(np.stack(samples))).argmax(axis=1)
        assert said[7] == 7
        assert (said == np.arange(10)).sum() >= 9


def test_the_shipped_net_reads_drawings_turned_leaning_narrow_and_shaky():
    preparation, rng = load("digits").held.preparation, np.random.default_rng(5)
    samples, true = [], []
    for digit, lines in [*STROKES.items()] * 20:
        turn, lean = rng.uniform(-0.25, 0.25, 2)
        stretch, pen = rng.uniform(0.6, 1.05, 2), rng.uniform(5, 14)
        into = np.diag(stretch) @ [[1, 0], [lean, 1]]
        into = into @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
        changed = [
            (np.array(line) - 112 + rng.normal(0, 4, (len(line), 2))) @ into + 112 for line in lines
        ]
        samples.append(as_sample(inked([line.tolist() for line in changed], pen), preparation))
        true.append(digit)
    said = shipped().predict(preparation.rows(np.stack(samples))).argmax(axis=1)
    assert (said == true).mean() > 0.95


def test_the_shipped_net_knows_the_digits_held_out():
    data = load("digits")
    right = (shipped().predict(data.rows_test).argmax(axis=1) == data.labels_test).mean()
    assert right > 0.975


def test_the_edges_of_a_sample_in_its_drawing():
    ink = np.zeros((112, 112), np.uint8)
    ink[20:90, 40:75] = 255
    _, place = as_placed_sample(ink, load("digits").held.preparation)
    assert place == (20, 22.5, 70, 70)


@pytest.fixture
def session():
    session = Session()
    yield session
    session.close()


@pytest.mark.parametrize("rate", [0.0003, 0.1])
@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "mean-squared-error"])
def test_teaching_is_one_step_of_the_library(session, loss, rate):
    session.set_up(Recipe(optimizer="adam", loss=loss, lr=0.01))
    own = session.twin()
    row = session.data.rows[3]
    before, after = session.teach(row, 7, rate)
    assert (own.predict(row[None])[0] == before).all()
    own.loss(row[None], nets.targets(own.cost, np.array([7]), 10))
    own.backward()
    SGD(rate).step(own.parameters, own.gradients)
    assert (own.parameters == session.frame.parameters).all()
    assert (own.predict(row[None])[0] == after).all()
    assert session.frame.step == 0


def test_what_was_taught_is_taken_back(session):
    first = session.frame.parameters
    for label in (5, 6):
        session.teach(session.data.rows[0], label, 0.01)
    session.unteach()
    assert not (session.frame.parameters == first).all()
    session.unteach()
    assert (session.frame.parameters == first).all()
    with pytest.raises(ValueError, match="nothing to take back"):
        session.unteach()
    session.teach(session.data.rows[0], 5, 0.01)
    session.step().result(timeout=30)
    changed = session.frame.parameters
    with pytest.raises(ValueError, match="gone on learning"):
        session.unteach()
    assert (session.frame.parameters == changed).all()


@pytest.mark.parametrize(
    "net", ["linear-8,batchnorm,relu,dropout-0.5", "conv2d-4-3,relu,maxpool2d-2"]
)
def test_any_net_can_be_taught(session, net):
    session.set_up(Recipe(net=net))
    before, after = session.teach(session.data.rows[0], 5, 0.01)
    assert after[5] - after.mean() > before[5] - before.mean()
    with pytest.raises(ValueError, match="no class 10"):
        session.teach(session.data.rows[0], 10, 0.01)
    with pytest.raises(ValueError, match="above 0"):
        session.teach(session.data.rows[0], 1, float("nan"))


def test_a_step_that_would_break_the_net_is_not_made(session):
    first = session.frame.parameters
    session.change("0.weights", (0, 0), 1e30)
    broken = session.frame.parameters
    with pytest.raises(ValueError, match="no finite numbers"), np.errstate(all="ignore"):
        session.teach(session.data.rows[0] + 1, 1, 1e6)
    assert (session.frame.parameters == broken).all()
    assert not (first == broken).all()


def test_when_the_shipped_net_answers(session):
    first = session.training.blueprint
    assert serves(session.frame, first)
    assert not serves(replace(session.frame, step=1), first)
    session.adopt(RECIPE, shipped().parameters)
    assert not serves(session.frame, session.training.blueprint)
    assert (session.frame.parameters == shipped().parameters).all()


# -- in the browser ---------------------------------------------------------------------------


def draw(page, strokes):
    page.locator(".draw-ink").evaluate("sheet => sheet.scrollIntoView({block: 'center'})")
    box = page.locator(".draw-ink").bounding_box()
    for line in strokes:
        for i, (x, y) in enumerate(line):
            page.mouse.move(box["x"] + x, box["y"] + y, steps=1 if i == 0 else 4)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def said(page, pattern):
    page.locator(".predict-said", has_text=re.compile(pattern)).wait_for(timeout=30_000)


def shares(page):
    return page.locator(".bar-share").all_inner_texts()


@pytest.fixture
def page(server, tab):
    page = tab()
    page.goto(f"{server.address}predict")
    said(page, "Nothing is drawn")
    return page


def test_a_drawn_7_is_called_7_and_taught(page, tab, server):
    page.get_by_text("the one that comes with the studio answers").wait_for()
    draw(page, STROKES[7])
    said(page, "^7, ")
    sample = as_sample(inked(STROKES[7]), load("digits").held.preparation)
    assert sample.shape == (8, 8)
    before = shares(page)
    page.get_by_label("It is", exact=True).select_option("1")
    page.get_by_role("button", name="Teach it: one step on this sample").click()
    page.get_by_text(re.compile(rf"One step: 1 was {re.escape(before[1])}, is ")).wait_for()
    page.get_by_text("the one that comes with the studio answers").wait_for(state="hidden")
    words = page.locator(".aside", has_text="One step").inner_text()
    after = re.search(r"is ([\d.]+ %)", words)[1]
    page.locator(".bar-share").nth(1).filter(has_text=after).wait_for()
    assert float(after[:-2]) > float(before[1][:-2])
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save the drawing as PNG").click()
    assert caught.value.path().read_bytes().startswith(b"\x89PNG")
    page.get_by_role("button", name="Undo").click()
    said(page, "Nothing is drawn")


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
    assert field.input_value() == "5"


def test_points_in_the_plane_and_a_narrow_window(server, tab):
    page = tab(width=390, height=844)
    page.goto(f"{server.address}train?data=moons&net=linear-8,relu")
    page.get_by_role("button", name=re.compile("Build it")).click()
    page.get_by_text("points in the plane").wait_for()
    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_label("x0").fill("1.5")
    page.get_by_label("x0").press("Enter")
    said(page, "%")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("colour", ["light", "dark"])
def test_axe_finds_no_serious_fault(start, tab, colour):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = tab(colour=colour)
    page.goto(f"{start().address}predict?sample=3")
    said(page, "%")
    found = axe.Axe().run(page)
    assert [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ] == []
