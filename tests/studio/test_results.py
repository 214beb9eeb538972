"""Results and Runs, as a person uses them."""

import re

import numpy as np

from chainrule.studio import results, search
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session


def test_results_and_runs(server, tab):
    page = tab()
    page.goto(f"{server.address}train")
    page.get_by_role("button", name="One epoch").click()
    page.locator(".readings .figure:has(dt:text-is('epoch')) dd", has_text="1").wait_for()
    page.get_by_role("button", name="Save the run").click()
    page.get_by_text(re.compile("^Saved in")).wait_for()
    page.goto(f"{server.address}results?cell=3-3")
    page.get_by_role("heading", name=re.compile("^3 taken for 3: [1-9]")).wait_for()
    page.get_by_role("button", name="Search for one").click()
    page.get_by_role("button", name="Take it").click()
    page.get_by_text(re.compile("^The learning rate is")).wait_for()
    page.get_by_role("button", name="Look around").click()
    page.get_by_role("img", name=re.compile("loss along two random")).wait_for()
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("button", name="Show the curves of studio-digits-001").click()
    page.get_by_role("img", name=re.compile("^validation loss")).wait_for()
    page.get_by_role("button", name="Open studio-digits-001").click()
    page.get_by_text("studio-digits-001 is open").wait_for()


def test_a_run_is_opened_as_it_was_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session()
    session.set_up(Recipe(data="moons", net="linear-8,relu"))
    session.step().result(timeout=30)
    folder, saved = session.save(), session.frame.parameters
    session.set_up(Recipe())
    session.open(folder)
    assert np.array_equal(session.frame.parameters, saved)
    assert session.data.in_the_plane
    _, training = session.snapshot()
    around = search.around(session)
    model = training.twin()
    chosen = np.random.default_rng(0).permutation(len(training.data.rows))[: search.SAMPLES]
    model.training = False
    model.loss(training.data.rows[chosen], training.targets[chosen])
    assert np.isclose(around.losses[7, 7], model.cost.mean())
    direction = results._direction(model, np.random.default_rng(0))[:16].reshape(2, 8)
    weights = model.layers[0].weights
    assert np.allclose(np.linalg.norm(direction, axis=0), np.linalg.norm(weights, axis=0))
    session.close()
