"""Files of one's own that are sent by the page: numbers to predict, and tables."""

import importlib.util
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("nicegui", reason="needs the extra: pip install 'chainrule[studio]'")

from chainrule.cli.prepare import load_data
from chainrule.studio import data as sets
from chainrule.studio import results
from chainrule.studio.own import resolve
from chainrule.studio.page.numbers import number
from chainrule.studio.recipe import Recipe
from chainrule.studio.sent import read_table, suggested
from chainrule.studio.session import Session
from studio.driving import SOON, alert, choose, serious_faults, type_into, wait_for
from yes_no import write

try:
    from playwright.sync_api import expect

    expect.set_options(timeout=SOON)
except ModuleNotFoundError:  # then there is no browser, and its tests are skipped
    expect = None

NUMBERS = {"loss": "mean-squared-error", "lr": 0.01}


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Begin a session in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    begun = []

    def begin(own=None):
        begun.append(Session(own))
        return begun[-1]

    yield begin
    for session in begun:
        session.close()


def prices(rows=200, whole=False):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, (rows, 3)).round(3)
    y = 5000 + 120 * x[:, 0] - 40 * x[:, 1] + rng.normal(0, 5, rows)
    return x, y.round(0 if whole else 2)


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def the_net(session):
    frame, training = session.snapshot()
    model = training.twin()
    frame.into(model)
    return model


# -- numbers in an .npz file ----------------------------------------------------------------------


def test_numbers_that_are_sent_are_learned_saved_and_opened(opened, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = prices()
    (tmp_path / "prices.npz").write_bytes(npz(x=x, y=y))
    session = opened()
    data = session.catalogue.add_upload("prices.npz", (tmp_path / "prices.npz").read_bytes())
    assert data.regression
    assert data.held.preparation == load_data("prices.npz").preparation
    session.set_up(Recipe("prices", "linear-16,relu", **NUMBERS))
    for _ in range(20):
        session.epoch().result(SOON)
    found = results.fit(the_net(session), data)
    true = data.held.values_test
    np.testing.assert_allclose(found.true, true, rtol=1e-6)
    assert set(true) <= set(y)
    rmse = metrics.root_mean_squared_error(true, found.predicted)
    assert found.rmse == pytest.approx(rmse, rel=1e-5)
    assert found.r2 == pytest.approx(metrics.r2_score(true, found.predicted), abs=1e-6)
    assert found.r2 > 0.9
    folder = session.save()
    settings = (folder / "run.toml").read_text()
    assert 'task = "regression"' in settings
    # The folder alone is enough: for the command line, for the page, and for `train --config`.
    other = opened(resolve(str(folder), None))
    session.open(folder)
    for again in (other, session):
        np.testing.assert_array_equal(again.data.held.y, data.held.y)
        np.testing.assert_array_equal(again.data.rows_test, data.rows_test)
        assert results.fit(the_net(again), again.data).rmse == found.rmse
        again.epoch().result(SOON)
    assert settings.split("[made_with]")[1] in (other.save() / "run.toml").read_text()


def test_whole_numbers_are_predicted_if_it_is_said(opened, tmp_path):
    x, y = prices(whole=True)
    np.savez(tmp_path / "whole.npz", x=x, y=y)
    session = opened(resolve("whole.npz", None, task="regression"))
    assert session.frame.recipe.loss == "mean-squared-error"
    session.epoch().result(SOON)
    folder = session.save()
    (tmp_path / "whole.npz").rename(tmp_path / "gone.npz")
    session.epoch().result(SOON)
    folder = session.save()  # what it was made from is gone: it keeps the data itself
    again = opened(resolve(str(folder), None))
    assert again.data.regression
    np.testing.assert_array_equal(again.data.held.values, session.data.held.values)
    # A model that predicts numbers takes whole ones as such.
    model = str(folder / "model.safetensors")
    assert opened(resolve(model, "gone.npz")).data.regression


def test_several_numbers_a_sample_are_refused_in_words(opened):
    x, y = prices()
    with pytest.raises(ValueError, match=r"several numbers give one, y\[:, 0\]"):
        opened().catalogue.add_upload("two.npz", npz(x=x, y=np.column_stack([y, -y])))


# -- tables ---------------------------------------------------------------------------------------


def sent(folder, target="well", **more):
    """Return a table as bytes, which lies in the folder too."""
    pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")
    return write(folder, target, **more).read_bytes()


@pytest.mark.parametrize("target", ["well", "price"])
def test_a_column_is_learned_as_the_command_learns_it(opened, tmp_path, target):
    content = sent(tmp_path, target)
    session = opened()
    table = session.catalogue.add_table("../../patients.csv", content)
    assert table.columns == ("age", "dose", target)
    assert suggested(table) == target
    data = session.catalogue.learn(table, target)
    assert session.catalogue.learn(table, target) is data
    assert session.catalogue.add_table("patients.csv", content) is table
    held = load_data("patients.csv", target)
    assert data.name == f"patients-{target}"
    assert data.held.preparation == held.preparation
    np.testing.assert_array_equal(data.held.y, held.y)
    numbers = NUMBERS if data.regression else {}
    session.set_up(Recipe(data.name, "linear-8,relu", **numbers))
    session.epoch().result(SOON)
    folder, learned = session.save(), session.frame.parameters
    # The folder keeps the table: it is all that is needed.
    assert (folder / "data.csv").read_bytes() == content
    assert not (folder / "data.npz").exists()
    (tmp_path / "patients.csv").unlink()
    settings = (folder / "run.toml").read_text()
    assert f'target = "{target}"' in settings
    other = opened(resolve(str(folder), None))
    session.open(folder)
    for again in (other, session):
        np.testing.assert_array_equal(again.frame.parameters, learned)
        np.testing.assert_array_equal(again.data.held.y, data.held.y)
        assert again.data.held.preparation == data.held.preparation
        again.epoch().result(SOON)
        assert settings.split("[made_with]")[1] in (again.save() / "run.toml").read_text()


def test_a_run_on_a_table_that_was_sent_is_repeated_evaluated_and_predicts(opened, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
    session = opened()
    data = session.catalogue.learn(
        session.catalogue.add_table("patients.csv", sent(tmp_path, "price")), "price"
    )
    session.set_up(Recipe(data.name, "linear-8,relu", **NUMBERS))
    session.epoch().result(SOON)
    folder = session.save()
    path = folder / "model.safetensors"

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "chainrule", *map(str, words)], cwd=tmp_path, check=True,
            capture_output=True, text=True,
        ).stdout  # fmt: skip

    found = json.loads(run("evaluate", path, "patients.csv", "--json"))
    table = load_data("patients.csv", "price")
    rows = data.held.preparation.rows(np.concatenate([table.x, table.x_test]))
    predicted = data.held.preparation.values(the_net(session).predict(rows))
    true = np.concatenate([table.values, table.values_test])
    assert found["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(true, predicted), rel=1e-5
    )
    assert found["r2"] == pytest.approx(metrics.r2_score(true, predicted), rel=1e-5, abs=1e-6)
    assert run("predict", path, "patients.csv").startswith("patients.csv[0]: price ")
    words = run("train", "--config", folder / "run.toml", "--out", "again")
    assert "160 samples, 40 held out" in words
    assert "will differ" not in words


def test_a_table_may_be_learned_column_by_column(opened, tmp_path):
    session = opened()
    table = session.catalogue.add_table(
        "a.csv", sent(tmp_path, "kind", columns=("age", "dose", "price"))
    )
    session.set_up(Recipe(session.catalogue.learn(table, "kind").name))
    first = session.data
    for column in ("age", "dose", "price"):
        with pytest.raises(ValueError, match="these columns hold no numbers: kind"):
            session.catalogue.learn(table, column)
    names = [f"c {i}" for i in range(6)] + [f"c-{i}" for i in range(6)]
    rng = np.random.default_rng(0)
    lines = [",".join(names), *(",".join(map(str, row)) for row in rng.random((30, 12)).round(3))]
    wide = session.catalogue.add_table("w.csv", "\n".join(lines).encode())
    found = [session.catalogue.learn(wide, name) for name in names]  # more than are kept
    assert found[0].name == "w-c-0"
    assert found[6].name == "w-c-0-2" or found[6].name == "w-c-0"  # if the first is forgotten
    assert [data.held.preparation.target for data in found] == names
    assert session.data is first is session.catalogue.known(first.name)
    assert len(session.catalogue.uploads) <= 8
    whole = session.catalogue.learn(wide, "c 5", "regression")
    assert whole.name == "w-c-5-regression"


def rows(*lines):
    return "\n".join(lines).encode()


MANY = [f"{i},{i % 3},{i % 2}" for i in range(30)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its first line is empty"),
        (b"\n\n\n", "its first line is empty"),
        (rows("a,b,y"), "no row in the table"),
        (rows("a,b,y", "1,2,3"), "'y' is 3 in every row"),
        (rows("a,b,y", "1,2,0.5", "1,2,1"), "2 rows are too few to hold out"),
        (rows("a,b,y", "1,2,0", "1,2,1"), "too few samples to hold out"),
        (rows("1,2,3", "4,5,6"), "its first line holds numbers"),
        (rows("a,a,y", *MANY), "several columns are called a"),
        (rows("y", *"0101010101"), "has one column"),
        (rows("a,b,y", "1,2,3,4,5,6", *MANY), "cannot be read as a table"),
        (rows("a,b,y", "1,2", *MANY), "values are missing in y"),
        (rows("a,b,y", "1,,0", *MANY), "values are missing in b (1)"),
        (rows("a,b,y", "inf,2,0", *MANY), "infinite values in a"),
        (rows("a,b,y", "nan,2,0", *MANY), "values are missing in a"),
        (rows("a,b,y", "here,2,0", *MANY), "these columns hold no numbers: a"),
        (rows("a,b,y", *["1,2,7"] * 30), "'y' is 7 in every row"),
        (rows("a,b,y", '1,2,"0', *MANY), "cannot be read as a table"),
        (rows("a,b,y", *MANY).replace(b"5", b"\0"), "NUL bytes"),
        (rows("a,b,y", *MANY).decode().encode("utf-16"), "NUL bytes"),
        (rows("gr\u00f6\u00dfe,b,y", *MANY).decode().encode("latin-1"), "no text in UTF-8"),
        (b"PK\x03\x04" + bytes(100), "NUL bytes"),
        (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n1", "more than 10,000 columns"),
        (b"a,b,y\n" + b"1," * 1_000_000, "cannot be read as a table"),
        (b"a,b,y\n" + b"9" * 5000 + b",1,1\n" + rows(*MANY), "infinite|no numbers|cannot be read"),
    ],
)  # fmt: skip
def test_a_table_that_nothing_can_be_learned_from(opened, content, words):
    pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")
    session = opened()

    def take():
        return session.catalogue.learn(session.catalogue.add_table("/tmp/mine.csv", content), "y")

    pattern = words if "|" in words else re.escape(words)
    with pytest.raises(ValueError, match=pattern) as caught:
        take()
    said = str(caught.value)
    assert len(said) <= 300
    assert said.isprintable()
    assert "mine.csv" in said
    assert "tmp" not in said.replace("mine.csv", "")
    assert session.catalogue.uploads == {}


def test_what_is_missing_to_read_tables_is_named(opened, tmp_path, monkeypatch):
    content, find = sent(tmp_path), importlib.util.find_spec
    absent = ("pandas", "polars")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name in absent else find(name)
    )
    with pytest.raises(ValueError, match=re.escape("pip install 'chainrule[tables]'")):
        opened().catalogue.add_table("patients.csv", content)


def test_a_table_that_is_too_large(monkeypatch):
    monkeypatch.setattr(sets, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="at most 0 can be sent"):
        read_table("a.csv", b"a,b\n" * 10)


def test_a_damaged_run_on_a_table_says_so(opened, tmp_path):
    session = opened()
    data = session.catalogue.learn(
        session.catalogue.add_table("patients.csv", sent(tmp_path)), "well"
    )
    session.set_up(Recipe(data.name))
    session.step().result(SOON)
    folder = session.save()
    (folder / "data.csv").write_bytes(b"age,dose\n1,2\n")
    with pytest.raises(ValueError, match="there is no column 'well'"):
        session.open(folder)
    assert session.data is data


# -- the page -------------------------------------------------------------------------------------


def part(page, name):
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, level=1).wait_for()


def send(page, path):
    """Choose a file, on a page that is ready to take it."""
    page.locator(".layer-code").first.wait_for()
    page.get_by_label("Or your own file").set_input_files(path)


def test_numbers_are_sent_and_shown_in_every_part(start, tab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = prices()
    np.savez(tmp_path / "prices.npz", x=x, y=y)
    page = tab()
    page.goto(f"{start().address}train")
    send(page, tmp_path / "prices.npz")
    page.get_by_text("160 samples of 3 to learn from, 40 held out; a number to predict").wait_for()
    page.wait_for_url(re.compile(r"data=prices&.*loss=mean-squared-error.*lr=0\.01"))
    wait_for(page, "state", "ready")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    wait_for(page, "state", "paused")
    session = Session()
    session.catalogue.add_upload("prices.npz", (tmp_path / "prices.npz").read_bytes())
    session.set_up(Recipe("prices", **NUMBERS))
    session.epoch().result(SOON)
    found = results.fit(the_net(session), session.data)
    part(page, "Results")
    for name, value in (("RMSE", found.rmse), ("R²", found.r2)):
        page.locator(f".figure:has(dt:text-is('{name}')) dd", has_text=number(value)).wait_for()
    page.get_by_role("heading", name="Predicted over true: the number").wait_for()
    part(page, "The chain rule")
    page.locator(".walk-go").first.wait_for()
    part(page, "Predict")
    truth = float(session.data.held.values_test[0])
    page.get_by_text(f"Truly: {number(truth)}.").wait_for()
    type_into(page, "It truly is", "5500")
    page.wait_for_url(re.compile(r"as=5500"))
    choose(page, "Step", "0.003")
    page.get_by_role("button", name="Teach it").click()
    row = session.data.rows_test[0]
    said, says = (
        session.data.held.preparation.values(o[None]).item()
        for o in session.teach(row, 5500.0, 0.003)
    )
    page.get_by_text(f"it said {said:.6g}, and says {says:.6g}; truly 5500.").wait_for()
    session.close()
    part(page, "Train")
    page.get_by_role("button", name="Save the run in its folder").click()
    page.get_by_text("Saved in runs/studio-prices-001").wait_for()
    part(page, "Runs")
    page.locator("tbody").get_by_text("studio-prices-001").first.wait_for()


def test_two_columns_of_numbers_are_refused_on_the_page(start, tab, tmp_path):
    x, y = prices()
    np.savez(tmp_path / "two.npz", x=x, y=np.column_stack([y, -y]))
    page = tab(390, 844)
    page.goto(f"{start().address}train")
    send(page, tmp_path / "two.npz")
    alert(page, "one a sample is learned")
    page.get_by_text("10 classes").wait_for()  # the digits are still there


def table_page(start, tab, tmp_path, *size, **more):
    sent(tmp_path, **more)
    page = tab(*size)
    page.goto(f"{start().address}train")
    send(page, tmp_path / "patients.csv")
    return page


def test_the_column_of_a_table_is_chosen_by_the_keyboard(start, tab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = table_page(start, tab, tmp_path, target="price")
    column = page.get_by_label("Column to learn", exact=True).and_(page.locator("select"))
    expect(column).to_have_value("price")
    expect(column).to_be_focused()
    expect(column).to_be_in_viewport()
    page.wait_for_url(re.compile("table=patients"))
    page.reload()  # it still asks
    expect(column).to_have_value("price")
    expect(page.locator(".facts", has_text="10 classes")).to_be_visible()  # nothing is changed yet
    column.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("It holds", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Learn this column")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_text("160 points in the plane to learn from, 40 held out; a number").wait_for()
    page.wait_for_url(re.compile(r"data=patients-price&(?!.*table=)"))
    wait_for(page, "state", "ready")
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    wait_for(page, "state", "paused")
    session = Session()
    table = session.catalogue.add_table("patients.csv", (tmp_path / "patients.csv").read_bytes())
    session.set_up(Recipe(session.catalogue.learn(table, "price").name, **NUMBERS))
    session.epoch().result(SOON)
    found = results.fit(the_net(session), session.data)
    session.close()
    part(page, "Results")
    page.locator(".figure:has(dt:text-is('RMSE')) dd", has_text=number(found.rmse)).wait_for()
    part(page, "Predict")
    page.get_by_label("age", exact=True).wait_for()
    page.get_by_label("price truly is", exact=True).wait_for()


def test_a_column_that_cannot_be_learned_says_so_and_another_can(start, tab, tmp_path):
    page = table_page(start, tab, tmp_path, 390, 844, target="well")
    column = page.get_by_label("Column to learn", exact=True).and_(page.locator("select"))
    expect(column).to_have_value("well")
    column.select_option("age")
    page.get_by_role("button", name="Learn this column").click()
    alert(page, "these columns hold no numbers: well")
    expect(column).to_have_value("age")
    column.select_option("well")
    choose(page, "It holds", "regression")
    page.get_by_role("button", name="Learn this column").click()
    alert(page, "'well' holds text, and text is no value to predict")
    choose(page, "It holds", "")
    page.get_by_role("button", name="Learn this column").click()
    page.get_by_text("160 points in the plane to learn from, 40 held out; 2 classes").wait_for()
    expect(page.get_by_role("alert").filter(has_text="text")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_faults(page) == []
    # Other data: the table asks no more.
    choose(page, "Learn from", "moons")
    page.get_by_text("400 points in the plane").wait_for()
    expect(column).to_be_hidden()


def test_a_table_that_is_damaged_or_gone_is_said_on_the_page(start, tab, tmp_path):
    page = tab()
    studio = start()
    page.goto(f"{studio.address}train?table=nowhere")
    page.get_by_text("That table is not here any more").wait_for()
    (tmp_path / "bad.csv").write_bytes(b"a,b\0\n1,2\n")
    send(page, tmp_path / "bad.csv")
    alert(page, "NUL bytes")
    (tmp_path / "<img src=x onerror=alert(1)>.csv").write_text(
        "<b>a</b>,<script>y,b\n" + "".join(f"{i},{i % 2},{i}\n" for i in range(30))
    )
    send(page, tmp_path / "<img src=x onerror=alert(1)>.csv")
    column = page.get_by_label("Column to learn", exact=True).and_(page.locator("select"))
    column.select_option("<script>y")
    page.get_by_role("button", name="Learn this column").click()
    page.get_by_text("24 points in the plane to learn from, 6 held out; 2 classes").wait_for()
    assert page.locator(".column-choice b, .column-choice img").count() == 0
