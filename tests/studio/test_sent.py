"""Files of one's own that are sent by the page: numbers to predict, and tables."""

import io
import re

import numpy as np
import pytest

pytest.importorskip("nicegui", reason="needs the extra: pip install 'chainrule[studio]'")

from chainrule.cli.prepare import load_data
from chainrule.studio import results
from chainrule.studio.own import resolve
from chainrule.studio.page.numbers import number
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from studio.driving import SOON, alert, choose, type_into, wait_for

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
    data = session.add_upload("prices.npz", (tmp_path / "prices.npz").read_bytes())
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
        opened().add_upload("two.npz", npz(x=x, y=np.column_stack([y, -y])))


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
    session.add_upload("prices.npz", (tmp_path / "prices.npz").read_bytes())
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
