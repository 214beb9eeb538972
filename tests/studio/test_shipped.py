"""The net that reads drawings, and what is taught by hand."""

from dataclasses import replace

import numpy as np
import pytest

from chainrule import SGD
from chainrule.studio import nets
from chainrule.studio.data import load
from chainrule.studio.drawing import as_placed_sample, as_sample
from chainrule.studio.recipe import Recipe
from chainrule.studio.shipped import RECIPE, serves, shipped
from studio.drawings import OTHER_HANDS, STROKES, inked


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
