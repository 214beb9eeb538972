"""Small tables from the command line: yes or no, and numbers, in every part of the studio."""

import re

import numpy as np
import pytest

pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")

from chainrule import SGD
from chainrule.cli.errors import UsageError
from chainrule.cli.prepare import load_data
from chainrule.studio import data as sets
from chainrule.studio import results
from chainrule.studio.own import resolve
from chainrule.studio.page.numbers import number
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.views import Views
from studio.driving import SOON, alert, choose, type_into, wait_for
from yes_no import write


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def begin(here):
    """Begin a session on what the command line names."""
    begun = []

    def begin(*words, **options):
        begun.append(Session(resolve(*words, **options)))
        return begun[-1]

    yield begin
    for session in begun:
        session.close()


def the_net(session):
    frame, training = session.snapshot()
    model = training.twin()
    frame.into(model)
    return model


def stepped(model, row, target, rate):
    """Return the parameters after one step on one sample, by the library alone."""
    model.loss(row[None], target)
    model.backward()
    SGD(rate).step(model.parameters, model.gradients)
    return model.parameters.copy()


# -- yes or no ------------------------------------------------------------------------------------


def test_one_output_is_judged_as_pytorch_and_scikit_learn_do(here, begin):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("sklearn.metrics")
    write(here, "well")
    session = begin("net.py:build", "patients.csv", column="well")
    session.set_learning_rate(0.05)
    for _ in range(5):
        session.epoch().result(SOON)
    data, model, frame = session.data, the_net(session), session.frame
    logits = torch.tensor(model.predict(data.rows_test)[:, 0])
    truth = torch.tensor(data.labels_test)
    judged = results.judge(model, data, "test")
    yes = torch.sigmoid(logits).numpy()
    np.testing.assert_allclose(judged.probabilities[:, 1], yes, rtol=1e-5)
    np.testing.assert_allclose(judged.probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(judged.confusion, metrics.confusion_matrix(truth, yes > 0.5))
    assert judged.accuracy == frame.figures["validation_accuracy"] > 0.8
    loss = torch.nn.BCEWithLogitsLoss()(logits, truth.float())
    assert frame.figures["validation_loss"] == pytest.approx(float(loss), rel=1e-5)
    # The worst mistakes are those whose class it thinks least likely.
    wrong = judged.mistakes()
    assert (judged.predicted[wrong] != judged.labels[wrong]).all()
    shares = judged.probabilities[wrong, judged.labels[wrong]]
    assert (np.diff(shares) >= 0).all()
    # One sample on its way: its loss, and what comes back from it.
    trace = Views(session).sample("test", 0)
    loss = torch.nn.BCEWithLogitsLoss()(logits[:1], truth[:1].float())
    assert trace.loss == pytest.approx(float(loss), rel=1e-5)
    back = trace.steps[-1].grad_input
    assert back.ravel() == pytest.approx(yes[:1] - truth[:1].numpy(), abs=1e-6)
    named = results.answer(model.cost, trace.outputs, data.classes)
    assert named == ("yes" if yes[0] > 0.5 else "no")


def test_the_score_of_a_no_is_that_of_a_yes_with_its_sign(here, begin):
    write(here, "well")
    session = begin("net.py:build", "patients.csv", column="well")
    model, row = the_net(session), session.data.rows_test[0]
    outputs = model.predict(row[None])[0]
    yes, no = (results.saliency(model, row, outputs, label) for label in (1, 0))
    np.testing.assert_array_equal(yes, -no)
    small = 1e-2 * np.eye(2, dtype=np.float32)
    numerical = [(model.predict((row + e)[None]) - model.predict((row - e)[None])) for e in small]
    np.testing.assert_allclose(yes, np.ravel(numerical) / 2e-2, rtol=1e-2, atol=1e-3)


def test_a_yes_or_no_is_taught_taken_back_saved_and_opened(here, begin):
    write(here, "well")
    session = begin("net.py:build", "patients.csv", column="well")
    session.epoch().result(SOON)
    before, row = session.frame.parameters, session.data.rows_test[0]
    for label in (0, 1):
        said, says = session.teach(row, label, 0.1)
        wanted = stepped(begin_net(session, before), row, np.array([label]), 0.1)
        np.testing.assert_array_equal(session.frame.parameters, wanted)
        assert (says > said).all() == bool(label)
        session.unteach()
        np.testing.assert_array_equal(session.frame.parameters, before)
    with pytest.raises(ValueError, match="no class 2"):
        session.teach(row, 2, 0.1)
    folder = session.save()
    settings = (folder / "run.toml").read_text()
    assert 'data = "patients.csv"' in settings
    assert 'target = "well"' in settings
    for again in (
        begin(str(folder), None),
        begin(str(folder / "model.safetensors"), "patients.csv"),
    ):
        np.testing.assert_array_equal(again.frame.parameters, before)
        assert again.data.classes == ["no", "yes"]
        again.step().result(SOON)
        assert again.frame.words == ""


def begin_net(session, parameters):
    model = session.twin()
    model.parameters = parameters
    return model


def test_a_net_of_layers_for_two_classes_has_one_output_under_binary_cross_entropy(here, begin):
    session = begin(None, None)
    session.set_up(Recipe("moons", "linear-8,relu", "binary-cross-entropy", "adam", 0.02))
    assert session.twin().predict(session.data.rows[:3]).shape == (3, 1)
    for _ in range(15):
        session.epoch().result(SOON)
    judged = results.judge(the_net(session), session.data, "test")
    assert judged.accuracy == session.frame.figures["validation_accuracy"] > 0.8
    plane = results.plane(the_net(session), session.data, 8).probabilities
    assert plane.shape == (8, 8, 2)
    assert plane[..., 1].min() < 0.2
    assert plane[..., 1].max() > 0.8


# -- tables ---------------------------------------------------------------------------------------


def test_a_table_is_data_as_for_train(here, begin):
    write(here, "well")
    session = begin("patients.csv", None, column="well")
    held = load_data("patients.csv", "well")
    np.testing.assert_array_equal(session.data.rows, held.preparation.rows(held.x))
    assert session.data.held.preparation == held.preparation
    assert session.frame.recipe.net == Recipe().net
    session.epoch().result(SOON)
    folder = session.save()
    assert not (folder / "data.npz").exists()
    assert begin(str(folder), None).data.classes == ["no", "yes"]
    # Points in the plane are drawn as the net takes them: the columns differ in size.
    assert session.data.points[0] is session.data.rows
    model, reach = the_net(session), 1.1 * np.abs(session.data.rows).max()
    corner = results.probabilities(model.cost, model.predict(np.full((1, 2), reach, np.float32)))
    plane = results.plane(model, session.data, 5)
    np.testing.assert_allclose(plane.probabilities[-1, -1], corner[0], rtol=1e-5)


def test_a_run_on_the_table_that_is_open_is_opened_from_the_page(here, begin):
    write(here, "well")
    first = begin("net.py:build", "patients.csv", column="well")
    first.epoch().result(SOON)
    folder = first.save()
    session = begin("patients.csv", None, column="well")
    session.open(folder)
    np.testing.assert_array_equal(session.frame.parameters, first.frame.parameters)
    session.epoch().result(SOON)
    other = session.save()
    assert 'target = "well"' in (other / "run.toml").read_text()
    assert not (other / "data.npz").exists()
    write(here, "price", "price.csv")
    with pytest.raises(ValueError, match="data that are not known here"):
        begin("price.csv", None, column="price").open(folder)


@pytest.mark.parametrize(
    ("words", "options", "error"),
    [
        (("patients.csv", None), {}, "say which column is to be predicted: --target COLUMN of age"),
        (("patients.csv", None), {"column": "wel"}, "Did you mean 'well'"),
        (("patients.csv", "digits"), {}, "are both data. Name one"),
        (("nothing.csv", None), {"column": "well"}, "there is no such file"),
        ((None, "digits"), {"column": "well"}, "are for tables"),
        ((None, None), {"column": "well"}, "are for tables"),
        (("patients.csv", None), {"column": "well", "task": "guess"}, "--task must be"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_said_enough_of(here, words, options, error):
    write(here, "well")
    with pytest.raises(UsageError, match=error):
        resolve(*words, **options)


def test_a_model_takes_another_table_by_the_names_of_columns_and_classes(here, begin):
    write(here, "well")
    session = begin("net.py:build", "patients.csv", column="well")
    session.epoch().result(SOON)
    path = str(session.save() / "model.safetensors")
    held = session.data.held
    write(here, "well", "turned.csv", ("dose", "price", "age"))
    other = resolve(path, "turned.csv").data
    np.testing.assert_array_equal(other.held.x, held.x)
    np.testing.assert_allclose(other.rows, session.data.rows, atol=1e-6)
    np.testing.assert_array_equal(other.labels, session.data.labels)
    write(here, "well", "short.csv", ("age", "price"))
    with pytest.raises(ValueError, match="takes the columns age, dose, and short has no dose"):
        resolve(path, "short.csv")
    write(here, "price", "price.csv")
    with pytest.raises(ValueError, match="predicts classes, and the target of price is a number"):
        resolve(path, "price.csv", column="price", task="regression")
    write(here, "kind", "kinds.csv")
    with pytest.raises(ValueError, match="does not know the classes a, b, c"):
        resolve(path, "kinds.csv", column="kind")


def test_a_table_that_is_no_text_is_not_taken_from_the_page():
    with pytest.raises(ValueError, match=r"chainrule studio FILE\.parquet --target COLUMN"):
        sets.read_upload("patients.parquet", b"PAR1")


# -- numbers --------------------------------------------------------------------------------------


def test_a_number_is_taught_as_sgd_does_and_taken_back(here, begin):
    write(here, "price")
    session = begin("patients.csv", None, column="price")
    session.epoch().result(SOON)
    before, row = session.frame.parameters, session.data.rows_test[3]
    made, truth = session.data.held.preparation, 123.456
    target = np.array([[(truth - made.target_mean) / made.target_deviation]], np.float32)
    said, says = session.teach(row, truth, 0.01)
    wanted = stepped(begin_net(session, before), row, target, 0.01)
    np.testing.assert_array_equal(session.frame.parameters, wanted)
    assert abs(says - target.ravel()) < abs(said - target.ravel())
    session.teach(row, truth, 0.01)
    session.unteach()
    np.testing.assert_array_equal(session.frame.parameters, wanted)
    session.unteach()
    np.testing.assert_array_equal(session.frame.parameters, before)
    for wild in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="must be finite"):
            session.teach(row, wild, 0.01)
    np.testing.assert_array_equal(session.frame.parameters, before)


def test_a_run_with_numbers_is_opened_again(here, begin):
    write(here, "price")
    session = begin("patients.csv", None, column="price")
    session.epoch().result(SOON)
    again = begin(str(session.save()), None)
    np.testing.assert_array_equal(again.frame.parameters, session.frame.parameters)
    assert again.data.regression


# -- the page -------------------------------------------------------------------------------------


def part(page, name):
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, level=1).wait_for()


def test_yes_or_no_in_every_part(start, tab, tmp_path, monkeypatch):
    from playwright.sync_api import expect

    write(tmp_path, "well")
    words = ["net.py:build", "--data", "patients.csv", "--target", "well"]
    page = tab()
    page.goto(f"{start(*words).address}train")
    page.get_by_text("160 points in the plane to learn from, 40 held out; 2 classes").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    monkeypatch.chdir(tmp_path)
    session = Session(resolve("net.py:build", "patients.csv", column="well"))
    session.epoch().result(SOON)
    wait_for(page, "step", f"^{session.frame.step}$")
    model, data = the_net(session), session.data
    judged = results.judge(model, data, "test")
    part(page, "Results")
    right = len(judged.labels) - judged.wrong
    page.locator(".figure:has(dt:text-is('right')) dd", has_text=str(right)).wait_for()
    cells = page.locator(".confusion-cell")
    expect(cells).to_have_count(4, timeout=SOON)
    shown = [int(cell.text_content() or 0) for cell in cells.locator("text").all()]
    assert sorted(shown) == sorted(n for n in judged.confusion.ravel().tolist() if n)
    page.locator(".plane").get_by_text("age to the right, dose up").wait_for()
    page.get_by_text(
        re.compile("no, taken for yes|yes, taken for no|There are none")
    ).first.wait_for()
    part(page, "The chain rule")
    answer = results.answer(model.cost, model.predict(data.rows[:1]), data.classes)
    truth = data.classes[int(data.labels[0])]
    page.get_by_text(f"labelled {truth}, the net says {answer}").wait_for()
    part(page, "The net")
    page.get_by_text(re.compile(f"Label {truth}, the net says {answer}")).wait_for()
    part(page, "Predict")
    share = 100 * results.probabilities(model.cost, model.predict(data.rows_test[:1]))[0]
    page.locator(".bar-share").nth(1).filter(has_text=f"{share[1]:.1f} %").wait_for()
    other = int(share.argmin())
    choose(page, "It is", str(other))
    choose(page, "Step", "0.1")
    page.get_by_role("button", name="Teach it").click()
    _, says = session.teach(data.rows_test[0], other, 0.1)
    now = 100 * results.probabilities(model.cost, says[None])[0, other]
    name = data.classes[other]
    page.get_by_text(f"{name} was {share[other]:.1f} %, is {now:.1f} %").wait_for()
    page.get_by_role("button", name="Take the last step back").click()
    page.locator(".bar-share").nth(1).filter(has_text=f"{share[1]:.1f} %").wait_for()
    session.close()


def test_a_true_number_is_typed_and_one_step_moves_the_prediction(
    start, tab, tmp_path, monkeypatch
):
    from playwright.sync_api import expect

    write(tmp_path, "price")
    page = tab(width=390, height=844)
    page.goto(f"{start('patients.csv', '--target', 'price').address}train")
    page.get_by_text("a number to predict").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    monkeypatch.chdir(tmp_path)
    session = Session(resolve("patients.csv", None, column="price"))
    session.epoch().result(SOON)
    wait_for(page, "step", f"^{session.frame.step}$")
    part(page, "Predict")
    held = session.data.held
    truth = held.preparation.values(held.y_test[:1]).item()
    field = page.get_by_label("price truly is", exact=True)
    page.get_by_text(f"Truly: {number(truth)}.").wait_for()
    expect(field).to_have_value(f"{truth:.6g}", timeout=SOON)
    type_into(page, "age", "45")  # a row that is typed in
    type_into(page, "price truly is", "")
    alert(page, "The true number is a finite one.")
    type_into(page, "price truly is", "250.5")
    page.wait_for_url(re.compile(r"as=250\.5"))
    page.get_by_role("button", name="Teach it").click()
    raw = held.x_test[0].copy()
    raw[0] = 45
    row = held.preparation.rows(raw[None])[0]
    said, says = (held.preparation.values(o[None]).item() for o in session.teach(row, 250.5, 0.003))
    words = f"One step of 0.003: it said {said:.6g}, and says {says:.6g}; truly 250.5."
    page.get_by_text(words).wait_for()
    page.locator(".predict-said", has_text=f"price: {number(says)}").wait_for()
    assert abs(says - 250.5) < abs(said - 250.5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Take the last step back").click()
    page.locator(".predict-said", has_text=f"price: {number(said)}").wait_for()
    page.reload()
    expect(field).to_have_value("250.5", timeout=SOON)
    session.close()
