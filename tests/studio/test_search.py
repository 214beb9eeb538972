"""What is computed beside the page: judgements, the loss around, a learning rate; and errands."""

import threading
from functools import partial

import numpy as np
import pytest

from chainrule import (
    BatchNorm,
    Conv2d,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Linear,
    MeanSquaredError,
    Model,
    ReLU,
    Reshape,
    SoftmaxCrossEntropy,
    evaluate,
    find_learning_rate,
)
from chainrule.cli import recipes
from chainrule.cli.prepare import load_data
from chainrule.data import Batches
from chainrule.metrics import confusion_matrix
from chainrule.studio import results, search
from chainrule.studio.landscape import direction, landscape
from chainrule.studio.own import _data
from chainrule.studio.recipe import Recipe
from chainrule.studio.search import DONE, FAILED, JUDGED, RUNNING, STOPPED, Errands
from chainrule.studio.session import Session

SOON = 60


@pytest.fixture
def session():
    made = Session()
    yield made
    made.close()


def images_net():
    layers = [
        Reshape([8, 8, 1]), Conv2d(1, 4, 3), BatchNorm(4), ReLU(), GlobalAvgPool(), Linear(4, 10),
    ]  # fmt: skip
    return Model(layers, SoftmaxCrossEntropy(), seed=1)


def test_a_direction_is_as_long_as_each_filter_and_leaves_vectors_alone():
    model = images_net()
    flat = direction(model, np.random.default_rng(3))
    assert flat.size == model.parameters.size
    begin, seen = 0, set()
    for name, array in model.named_parameters():
        piece = flat[begin : begin + array.size].reshape(array.shape)
        begin += array.size
        if array.ndim == 1:
            assert not piece.any()
            continue
        seen.add(name)
        for i in range(array.shape[-1]):  # a kernel, or a unit
            assert np.linalg.norm(piece[..., i]) == pytest.approx(
                np.linalg.norm(array[..., i]), rel=1e-5
            )
            assert not np.allclose(piece[..., i], array[..., i])
    assert seen == {"1.weights", "5.weights"}


def test_the_filters_of_an_embedding_are_its_rows():
    model = Model([Embedding(5, 3), Flatten(), Linear(6, 2)], SoftmaxCrossEntropy(), seed=0)
    table = model.layers[0].weights
    piece = direction(model, np.random.default_rng(0))[: table.size].reshape(table.shape)
    assert np.linalg.norm(piece, axis=1) == pytest.approx(np.linalg.norm(table, axis=1), rel=1e-5)


def test_the_loss_around_is_that_of_the_net_at_each_place(session):
    model, before = images_net(), None
    x, y = session.data.rows[:50], session.data.labels[:50]
    before = model.parameters.copy()
    told = []
    found = landscape(
        model, x, y, size=5, reach=0.5, seed=7, note=lambda done, total: told.append((done, total))
    )
    assert (model.parameters == before).all()
    assert model.training
    assert told == [(i, 25) for i in range(1, 26)]
    assert found.steps.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    rng = np.random.default_rng(7)
    first, second = direction(model, rng), direction(model, rng)
    for i, j in ((0, 0), (4, 1), (2, 2), (1, 3)):
        a, b = found.steps[i], found.steps[j]
        model.parameters = before + a * first + b * second
        assert found.losses[i, j] == pytest.approx(evaluate(model, (x, y))["loss"], rel=1e-5)
    other = landscape(model, x, y, size=5, reach=0.5, seed=8)
    assert not np.allclose(other.losses, found.losses)


def test_the_rate_is_that_of_the_library(session):
    session.set_up(Recipe(optimizer="adam", lr=0.002, batch=32, seed=5))
    for _ in range(2):
        session.step().result(SOON)
    frame, training = session.snapshot()
    told = []
    for present in (False, True):
        found = search.rates(frame, training, lambda *now: told.append(now), present=present)
        model = training.twin()
        if present:
            frame.into(model)
        batches = Batches(session.data.rows, session.data.labels, 32, seed=5)
        optimizer = recipes.optimizer("adam", 0.002, 0.0)
        expected = find_learning_rate(model, batches, optimizer=optimizer, steps=search.STEPS)
        assert found.suggestion == expected.suggestion
        assert (found.smoothed == expected.smoothed).all()
        assert (found.rates == expected.rates).all()
    assert told[1] == (1, search.STEPS)
    assert (session.frame.parameters == frame.parameters).all()


def test_a_judgement_is_that_of_the_metrics(session):
    session.epoch().result(SOON)
    frame, training = session.snapshot()
    found = search.judged(frame, training, lambda *now: None)
    model, data = training.twin(), session.data
    frame.into(model)
    predicted = model.predict(data.rows_test).argmax(axis=1)
    assert (found.confusion == confusion_matrix(predicted, data.labels_test, 10)).all()
    figures = evaluate(model, (data.rows_test, data.labels_test))
    assert found.accuracy == pytest.approx(figures["accuracy"])
    assert found.broken == 0
    assert found.wrong == (predicted != data.labels_test).sum()
    off = found.confusion - np.diag(np.diag(found.confusion))
    assert off[found.confused(1)[0]] == off.max()
    assert all(true != taken for true, taken in found.confused(50))


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "mean-squared-error", "cross-entropy"])
def test_any_loss_of_the_studio_is_judged_as_its_training_says(session, loss):
    session.set_up(Recipe(data="moons", net="linear-8,tanh", loss=loss))
    session.epoch().result(SOON)
    frame, training = session.snapshot()
    found = search.judged(frame, training, lambda *now: None)
    assert found.accuracy == pytest.approx(frame.figures["validation_accuracy"])
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    assert found.confusion.shape == (2, 2)


def test_a_fit_is_that_of_evaluate(tmp_path, rng):
    area = rng.uniform(30, 200, 200)
    lines = [f"{a:.1f},{rng.integers(1, 6)},{3 * a + rng.normal():.2f}" for a in area]
    path = tmp_path / "houses.csv"
    path.write_text("\n".join(["area,rooms,price", *lines]))
    data = _data(load_data(str(path), "price"))
    model = Model([Linear(2, 8), ReLU(), Linear(8, 1)], MeanSquaredError(), seed=0)
    found = results.fit(model, data)
    expected = evaluate(model, (data.rows_test, data.labels_test), metrics=["rmse", "r2"])
    scale = data.held.preparation.target_deviation
    assert found.rmse == pytest.approx(expected["rmse"] * scale, rel=1e-5)
    assert found.r2 == pytest.approx(expected["r2"], rel=1e-5)
    worst = found.worst(3)
    assert np.abs(found.residuals[worst[0]]) == np.abs(found.residuals).max()
    model.parameters = model.parameters * np.nan
    assert results.fit(model, data).broken == len(data.rows_test)


def test_a_net_that_gives_no_numbers_is_said_to(session):
    session.do(lambda run: session.training.model.parameters.fill(np.nan))
    frame, training = session.snapshot()
    assert search.judged(frame, training, lambda *now: None).broken == len(session.data.rows_test)


# -- errands ------------------------------------------------------------------------------------


def gate():
    """Return work that begins, and waits until it is let on."""
    begun, on = threading.Event(), threading.Event()

    def work(frame, training, note):
        note(1, 2)
        begun.set()
        assert on.wait(SOON)
        note(2, 2)
        return frame.step

    return work, begun, on


def test_an_errand_tells_how_far_it_is_and_is_kept(session):
    errands = Errands(session)
    work, begun, on = gate()
    errands.begin("a", "key", work)
    assert begun.wait(SOON)
    held = errands.look("a")
    assert (held.state, held.done, held.total) == (RUNNING, 1, 2)
    errands.begin("a", "key", work)  # what runs is not begun again
    on.set()
    done = errands.wait("a")
    assert (done.number, done.state, done.result) == (held.number, DONE, 0)
    errands.begin("a", "key", work)  # nor what is known already
    assert errands.look("a") is done
    session.step().result(SOON)
    errands.begin("a", "key", work)  # of another frame it is
    assert errands.wait("a").result == 1


def test_an_errand_is_ended(session):
    errands = Errands(session)
    work, begun, on = gate()
    errands.begin("a", 1, work)
    assert begun.wait(SOON)
    errands.stop("a")
    on.set()
    assert errands.wait("a").state == STOPPED
    errands.begin("a", 1, work)
    assert errands.wait("a").state == DONE


def test_another_wish_ends_the_first(session):
    errands = Errands(session)
    work, begun, on = gate()
    errands.begin("a", 1, work)
    assert begun.wait(SOON)
    first = errands._threads["a"]
    errands.begin("a", 2, lambda frame, training, note: "second")
    assert errands.wait("a").result == "second"
    on.set()
    first.join(SOON)
    assert errands.look("a").result == "second"


def test_another_net_ends_an_errand_and_hides_what_it_found(session):
    errands = Errands(session)
    work, begun, on = gate()
    errands.begin("a", 1, work)
    assert begun.wait(SOON)
    session.set_up(Recipe(seed=1))
    assert errands.look("a") is None
    on.set()
    assert errands.wait("a").state == STOPPED


def test_an_error_of_an_errand_is_told_in_words(session):
    session.do(lambda run: session.training.model.parameters.fill(np.nan))
    errands = Errands(session)
    errands.begin("rates", 0, partial(search.rates, present=True))
    held = errands.wait("rates")
    assert held.state == FAILED
    assert "no finite number" in held.words or "NaN" in held.words


def test_what_takes_long_to_judge_is_judged_once_an_epoch(session, monkeypatch):
    errands = Errands(session)
    monkeypatch.setattr(search, "CHEAP", -1.0)  # everything takes long
    errands.judge()
    first = errands.wait(JUDGED)
    assert first.result.confusion.sum() == 359
    session.set_speed(5.0)
    session.play()
    while session.frame.state != RUNNING or session.frame.step < 1:
        errands.judge()
    errands.wait(JUDGED)
    during = errands.look(JUDGED)
    while session.frame.step < 3:
        errands.judge()
    assert errands.look(JUDGED).number <= during.number + 1  # the first epoch's, and no more
    session.pause()
    errands.judge()  # paused: as it is now
    assert errands.wait(JUDGED).step == session.frame.step
