"""What pages show: data, nets, views and results."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from chainrule import Conv2d, Linear, load_digits
from chainrule.studio import data as sets
from chainrule.studio import nets, results, views
from chainrule.studio.drawing import as_sample
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session
from chainrule.studio.survey import histogram

SOON = 60


def npz(**arrays):
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def test_an_uploaded_file(rng):
    x, y = rng.standard_normal((60, 3)), np.arange(60) % 3
    data = sets.read_upload("../../etc/My data.npz", npz(x=x, y=y))
    assert (data.name, data.sample_shape, data.outputs) == ("My-data", (3,), 3)


class Bomb:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "needs an .npz file"),
        (pickle.dumps(Bomb()), "needs an .npz file"),
        (npz(x=np.array([Bomb()], dtype=object), y=np.zeros(1)), "Python objects"),
        (npz(z=np.zeros(3)), "needs the arrays x and y"),
        (npz(x=np.zeros((3, 2)), y=np.zeros(4, int)), "3|4"),
        (npz(x=np.zeros((9, 2)), y=np.arange(9) * 0), "nothing to learn"),
        (npz(x=np.full((9, 2), np.nan), y=np.arange(9) % 2), "NaN"),
        (npz(x=np.zeros((60, 2)), y=np.arange(60) % 2)[:200], "damaged|npz"),
        (b"\0" * (sets.MOST_BYTES + 1), "at most 64"),
    ],
)
def test_a_hostile_upload_is_refused_in_a_line(content, words, capsys):
    with pytest.raises(ValueError, match=words) as caught:
        sets.read_upload("a.npz", content)
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_bomb_is_not_unpacked():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 30,)}
        )
        file.writestr("x.npy", header.getvalue() + b"\0" * 1000)
        file.writestr("y.npy", header.getvalue())
    with pytest.raises(ValueError, match=r"bytes|damaged|truncated"):
        sets.read_upload("a.npz", content.getvalue())


@pytest.mark.parametrize("name", sorted(nets.KINDS))
def test_every_kind_of_layer_can_be_built(name):
    model = nets.build(name, "softmax-cross-entropy", (8, 8), 10)
    label = nets.KINDS[name].label
    assert label in {type(part).__name__ for layer in model.layers for part in layer.walk()}
    assert model.predict(np.zeros((2, 64), np.float32)).shape == (2, 10)


@pytest.mark.parametrize("loss", nets.LOSSES)
def test_every_loss_learns(loss):
    images, labels = load_digits("train")
    x = (images.reshape(len(images), -1) / 16).astype(np.float32)
    model = nets.build("conv2d-4,relu,maxpool2d-2,linear-16,relu", loss, (8, 8), 10)
    targets = nets.targets(model.cost, labels, 10)
    before = model.loss(x, targets).mean()
    for _ in range(10):
        model.loss(x, targets)
        model.backward()
        model.parameters -= 0.1 * model.gradients
    assert model.loss(x, targets).mean() < before
    found = results.probabilities(model.cost, model.predict(x[:5]))
    assert found.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ("lineer-3", "there is no layer 'lineer'"),
        ("linear-0", "units must be a whole number from 1 to 2048"),
        ("linear-1e9", "units"),
        ("linear-nan", "units"),
        ("linear-3-4", "takes 1 numbers"),
        (",".join(["relu"] * 25), "up to 24"),
        (",".join(["linear-2048"] * 8), "too large"),
        ("linear-4,conv2d-4", "works on images"),
        ("maxpool2d-8,maxpool2d-2", "do not fit"),
        ("__import__('os')", "there is no layer"),
    ],
)
def test_a_net_that_makes_no_sense(net, words):
    with pytest.raises(ValueError, match=words):
        nets.build(net, "softmax-cross-entropy", (8, 8), 10)


def test_a_recipe_and_its_address():
    recipe = Recipe("moons", "linear-4,tanh", "huber", "adam", 0.003, 16, 5)
    assert Recipe.of(recipe.query()) == recipe
    for query in ({"lr": "fast"}, {"lr": "nan"}, {"batch": "0"}, {"optimizer": "x"}, {"seed": "-1"},
                  {"loss": "x"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be|no loss|no optimiser|has 1 to"):
            Recipe.of(query)


@pytest.fixture
def session():
    made = Session()
    yield made
    made.close()


def test_a_view_is_computed_once_for_all_tabs(session):
    shown = views.Views(session)
    calls = []

    def compute(model, data, frame):
        calls.append(frame.number)
        return model.parameters.copy()

    first, second = shown.of("key", compute), shown.of("key", compute)
    assert first is second
    assert (first == session.frame.parameters).all()
    session.step().result(SOON)
    assert (shown.of("key", compute) == session.frame.parameters).all()
    session.set_up(Recipe(data="moons", net="linear-3"))
    assert shown.of("key", compute).shape == (3 * 2 + 3 + 3 * 2 + 2,)
    assert len(calls) == 3


def test_what_is_remembered_is_bounded_and_of_the_newest_frame(session, monkeypatch):
    found = views.Views(session)
    for i in range(100):
        found.sample("train", i)
    assert len(found._kept) == views.KEPT
    size = views.nbytes(found.sample("train", 99))
    monkeypatch.setattr(views, "MOST_BYTES", int(3.5 * size))
    for i in range(10):
        found.sample("train", i)
    assert [key[2] for key in found._kept] == [7, 8, 9]
    monkeypatch.setattr(views, "MOST_BYTES", 1)  # the newest is kept, however large it is
    assert found.sample("train", 3) is found.sample("train", 3)
    session.step().result(SOON)
    found.sample("train", 5)
    assert [key[2] for key in found._kept] == [5]  # those of an old frame are let go


def test_the_last_mini_batch_is_shown(session):
    shown = views.Views(session)
    session.step().result(SOON)
    frame = session.frame
    found = shown.batch()
    assert (found.x == session.data.rows[frame.batch]).all()
    with pytest.raises(ValueError, match="samples 0 to 1437"):
        shown.sample("train", 1438)
    with pytest.raises(ValueError, match="split"):
        shown.sample("all", 0)


def test_thinning_shows_values_that_are_there(rng):
    array = rng.standard_normal((3, 500, 70))
    small, (down, across) = views.shrunk(array)
    assert small.size <= 64 * 64
    assert (small == array.reshape(-1, 70)[::down, ::across]).all()
    assert views.shrunk(np.float64(3.0))[0].tolist() == [[3.0]]


def test_histograms():
    found = histogram(np.array([0.0, 0.0, 2.0, np.inf]), bins=4)
    assert (found.low, found.high, found.zeros, found.broken) == (0.0, 2.0, 2 / 3, 1)
    assert found.counts.sum() == 3
    assert histogram(np.full(3, np.nan)).broken == 3


def test_templates(rng):
    layer = Linear(6, 4)
    assert (views.templates(layer, (2, 3))[1].ravel() == layer.weights[:, 1]).all()
    assert views.templates(layer, (8, 8)) == []
    kernel = Conv2d(2, 5, 3)
    found = views.templates(kernel, None)
    assert len(found) == 5
    assert (found[4] == kernel.weights[:, :, 0, 4]).all()


def test_vanishing_and_exploding_gradients_are_told(session):
    session.set_up(Recipe(net=",".join(["linear-16,sigmoid"] * 11)))
    words = views.Views(session).figures().words
    assert any("vanish" in line for line in words)


def test_a_good_net_has_nothing_to_say(session):
    found = views.Views(session).figures()
    assert found.words == []
    assert found.samples >= 256


def test_judgement(session):
    for _ in range(3):
        session.epoch().result(SOON)
    model, frame = session.twin(), session.frame
    frame.into(model)
    found = results.judge(model, session.data, "test")
    assert found.accuracy == pytest.approx(frame.figures["validation_accuracy"])
    assert found.confusion.sum() == len(session.data.rows_test)
    wrong = found.mistakes(5)
    assert (found.predicted[wrong] != found.labels[wrong]).all()
    sure = found.probabilities[wrong, found.labels[wrong]]
    assert (np.diff(sure) >= 0).all()
    cell = found.cell(3, 3)
    assert len(cell) == found.confusion[3, 3]


def test_the_plane(session):
    session.set_up(Recipe(data="circles", net="linear-8,tanh"))
    found = results.plane(session.twin(), session.data, size=10)
    assert found.probabilities.shape == (10, 10, 2)
    low, high = found.edge
    corner = session.data.held.preparation.rows(np.array([[low, high]], np.float32))  # x, y
    expected = session.twin().predict_proba(corner)[0]
    assert found.probabilities[-1, 0] == pytest.approx(expected, abs=1e-5)
    session.set_up(Recipe())
    with pytest.raises(ValueError, match="no points in the plane"):
        results.plane(session.twin(), session.data)


def test_saliency_is_the_slope_of_a_score(session):
    model = session.twin().astype(np.float64)
    row = session.data.rows[0].astype(np.float64)
    found = results.saliency(model, row, model.predict(row[None])[0], 3)
    step = np.zeros(64)
    step[20] = 1e-6
    slope = (model.predict((row + step)[None]) - model.predict((row - step)[None]))[0, 3] / 2e-6
    assert found[20] == pytest.approx(slope, abs=1e-5)


def test_a_drawing_is_centred_as_mnist_was_made():
    preparation = sets.load("digits").held.preparation
    assert as_sample(np.zeros((112, 112), np.uint8), preparation) is None
    ink = np.zeros((112, 112), np.uint8)
    ink[5:40, 70:100] = 255
    moved = np.roll(ink, (50, -60), axis=(0, 1))
    image = as_sample(ink, preparation)
    assert image.shape == (8, 8)
    assert image.max() == 16
    assert (image == as_sample(moved, preparation)).all()
    with pytest.raises(ValueError, match="no images"):
        as_sample(ink, sets.load("moons").held.preparation)
