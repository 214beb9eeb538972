"""The runs of a folder, whatever lies in it; and a run that is opened."""

import os

import numpy as np
import pytest

from chainrule import Linear, MeanSquaredError, Model
from chainrule.cli.errors import UsageError
from chainrule.studio.own import resolve
from chainrule.studio.recipe import Recipe
from chainrule.studio.runs import FOLDER, PNG, Past, Shelf, past_runs, picture
from chainrule.studio.session import Session

SOON = 60
SETTINGS = '[train]\ndata = "digits"\nmodel = "mlp"\nlr = 0.1\noptimizer = "sgd"\n'
HISTORY = "epoch,loss,validation_loss,validation_accuracy\n1,2.0,1.5,0.5\n2,1.0,0.5,0.9\n"


def make(folder, name="a", settings=SETTINGS, history=HISTORY):
    run = folder / name
    run.mkdir(parents=True)
    (run / "run.toml").write_text(settings)
    if history is not None:
        (run / "history.csv").write_text(history)
    return run


def test_an_empty_folder_and_none(tmp_path):
    assert past_runs(tmp_path) == []
    assert past_runs(tmp_path / "none") == []
    (tmp_path / "file").write_text("")
    (tmp_path / "no run").mkdir()
    assert past_runs(tmp_path) == []


def test_a_run(tmp_path):
    run = make(tmp_path)
    (run / "curves.png").write_bytes(PNG + b"...")
    [found] = past_runs(tmp_path)
    assert (found.name, found.words, found.saved, found.pictures) == ("a", "", False, ("curves",))
    assert found.settings["lr"] == 0.1
    assert found.best == ("best_validation_accuracy", 0.9)
    assert found.curves["validation_loss"] == [(1, 1.5), (2, 0.5)]
    assert picture(found, "curves").startswith(PNG)
    assert picture(found, "weights") is None
    assert picture(found, "../../secret") is None


def huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("run.toml", lambda p: p.write_text("[train"), "no TOML"),
        ("run.toml", lambda p: p.write_bytes(os.urandom(999)), "no TOML"),
        ("run.toml", lambda p: p.write_text(""), "no table"),
        ("run.toml", lambda p: p.write_text("train = 3"), "no table"),
        ("run.toml", lambda p: p.write_text("[train]\n__class__ = 3"), "no setting"),
        ("run.toml", lambda p: p.write_text("[train]\nlr = 'high'"), "must be of type"),
        ("run.toml", lambda p: p.write_text("a=" + "[" * 30_000), "no TOML"),
        ("run.toml", huge, "too large"),
        ("history.csv", huge, "too large"),
        ("history.csv", lambda p: p.write_text("epoch,loss\n1,low"), "damaged"),
        ("history.csv", lambda p: p.write_text("epoch,loss\n1,1,1,1"), "damaged"),
        ("history.csv", lambda p: p.write_text("loss\n1"), "damaged"),
        ("history.csv", lambda p: p.write_text("epoch,loss\ninf,1"), "damaged"),
        ("history.csv", lambda p: p.write_text("epoch,loss\n" + "9" * 200_000), "damaged"),
        ("history.csv", lambda p: p.write_bytes(b"epoch,loss\n\xff\xfe"), "damaged"),
    ],
)
def test_a_damaged_run_says_so_and_the_others_are_there(tmp_path, file, spoil, words):
    make(tmp_path, "good")
    spoil(make(tmp_path, "bad") / file)
    found = {past.name: past for past in past_runs(tmp_path)}
    assert set(found) == {"good", "bad"}
    assert words in found["bad"].words
    assert str(tmp_path) not in found["bad"].words
    assert len(found["bad"].words) < 300
    assert found["good"].words == ""


def test_pipes_and_links_are_not_waited_for(tmp_path):
    pipe(make(tmp_path, "pipe") / "run.toml")
    pipe(make(tmp_path, "history") / "history.csv")
    run = make(tmp_path, "picture")
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG + b"secret")
    (run / "curves.png").symlink_to(secret)
    (run / "weights.png").write_text("<script>")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = {past.name: past for past in past_runs(tmp_path)}
    assert set(found) == {"history", "picture"}
    assert found["history"].words == ""  # a pipe is no history
    assert picture(found["picture"], "curves") is None
    assert picture(found["picture"], "weights") is None


@pytest.mark.parametrize(
    "history",
    [None, "", "epoch,loss\n", "epoch,loss\n1,nan\n", "epoch,loss,validation_loss\n1,nan,nan\n"],
)
def test_a_run_without_a_best_figure(tmp_path, history):
    make(tmp_path, history=history)
    [found] = past_runs(tmp_path)
    assert (found.words, found.best) == ("", None)


def test_names_are_fit_to_be_shown(tmp_path):
    for name in ("a\u202eb", "<b>x", "c\nd", "é"):
        make(tmp_path, name)
    (tmp_path / os.fsdecode(b"raw\xff")).mkdir()
    (tmp_path / os.fsdecode(b"raw\xff") / "run.toml").write_text(SETTINGS)
    names = {past.name for past in past_runs(tmp_path)}
    assert names == {"a\\u202eb", "<b>x", "c\\nd", "é", "raw\\udcff"}
    for name in names:
        name.encode()


def test_the_newest_come_first_and_what_has_not_changed_is_not_read_again(tmp_path):
    for i, name in enumerate(("old", "new")):
        os.utime(make(tmp_path, name) / "run.toml", (1e9 + i, 1e9 + i))
    shelf = Shelf(tmp_path)
    before = shelf.look(fresh=True)
    assert [past.name for past in before] == ["new", "old"]
    assert shelf.look(fresh=True) is before
    (tmp_path / "old" / "history.csv").write_text(HISTORY + "3,0.5,0.4,0.95\n")
    after = shelf.look(fresh=True)
    assert after[0] is before[0]
    assert after[1].figures["epochs"] == 3
    make(tmp_path, "third")
    assert len(shelf.look(fresh=True)) == 3


def test_a_long_history_is_drawn_in_a_bounded_number_of_points(tmp_path):
    lines = "".join(f"{i},{1 / i}\n" for i in range(1, 5001))
    make(tmp_path, history="epoch,loss\n" + lines)
    [found] = past_runs(tmp_path)
    assert len(found.curves["loss"]) <= 400
    assert found.curves["loss"][-1][0] == 5000


# -- opening ------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_opened_as_it_was_saved_and_the_command_lines_net_is_not_lost(here):
    (here / "net.py").write_text(
        "from chainrule import *\n\n\ndef build(sample_shape, classes, seed):\n"
        "    layers = [Linear(64, 5), Tanh(), Linear(5, 10)]\n"
        "    return Model(layers, SoftmaxCrossEntropy(), seed=seed)\n"
    )
    session = Session(resolve("net.py:build", None))
    session.set_up(Recipe(data="moons", net="linear-8,relu"))
    assert session.unsaved == 0
    session.step().result(SOON)
    assert session.unsaved == 1
    folder, saved = session.save(), session.frame.parameters
    assert session.unsaved == 0
    session.step().result(SOON)
    assert session.unsaved == 1
    session.open(folder)
    assert np.array_equal(session.frame.parameters, saved)
    assert session.data.in_the_plane
    assert session.unsaved == 0
    assert session.named.name == "net.py:build"
    assert "digits" in session.catalogue.names()
    session.go_back()
    assert session.own is session.named
    assert session.training.model.layers[0].n_out == 5
    session.close()


def test_a_net_that_the_studio_built_is_shown_by_its_layers(here):
    setting = pytest.importorskip("chainrule.studio.page.run_table").setting
    session = Session()
    session.set_up(Recipe(data="moons", net="linear-8,relu"))
    session.step().result(SOON)
    folder = session.save()
    session.close()
    (run,) = past_runs()
    assert run.layers == "Linear(2, 8), ReLU(), Linear(8, 2)"
    assert setting(run, "model") == run.layers
    (folder / "net.py").unlink()
    for write in (
        lambda path: path.write_text("layers = [\n  Linear(2, 8),\n]\n"),  # of somebody else
        lambda path: path.write_bytes(b"\xff" * 99),
        os.mkfifo,  # is not waited for
    ):
        write(folder / "net.py")
        (folder / "run.toml").touch()
        (run,) = past_runs()
        assert (run.layers, setting(run, "model")) == ("", "net.py:build")
        (folder / "net.py").unlink()


def test_a_run_that_cannot_be_opened_leaves_everything_as_it_was(here):
    session = Session()
    before = session.frame
    for name, content in (("none", None), ("bad", b"no model"), ("half", b"\x10\0\0\0\0\0\0\0{")):
        run = make(here / FOLDER, name)
        if content is not None:
            (run / "model.safetensors").write_bytes(content)
        with pytest.raises((ValueError, OSError, UsageError), match=name):
            session.open(run)
        assert session.frame is before
        assert session.own is None
    session.close()


def test_nothing_of_a_run_is_executed(here):
    run = make(here / FOLDER, "evil", settings='[train]\ndata = "digits"\nmodel = "net.py:build"\n')
    for place in (run, here):
        (place / "net.py").write_text("open('executed', 'w')\n")
    Model([Linear(64, 10)], MeanSquaredError()).save(run / "model.safetensors")
    [found] = past_runs(here / FOLDER)
    assert found.saved
    session = Session()
    with pytest.raises(ValueError, match="does not say how its inputs are prepared"):
        session.open(found.folder)
    session.close()
    assert not list(here.rglob("executed"))


def test_a_past_without_figures_has_no_best():
    assert Past("a", FOLDER / "a", 0.0).best is None
