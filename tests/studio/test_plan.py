"""What is looked at before it is built: layers that fit, data that are here, files one sends."""

import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.studio import data as sets
from chainrule.studio.own import resolve
from chainrule.studio.plan import plan
from chainrule.studio.recipe import Recipe
from chainrule.studio.session import Session


@pytest.mark.parametrize(
    ("net", "part", "words", "known"),
    [
        ("linear-8,conv2d-4-3", 1, "layer 2, Conv2d: it works on images", 1),
        ("conv2d-4-3,maxpool2d-8,maxpool2d-2", 2, "layer 3, MaxPool2d: squares of 2 by 2", 2),
        ("linear-2048,linear-2048,linear-2048,linear-2048,linear-2048,linear-2048", 5,
         "layer 6, Linear: the net is too large", 5),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found_at_its_layer(session, net, part, words, known):
    found = plan(session, Recipe(net=net))
    assert found.part == part
    assert found.words.startswith(words)
    assert sum(bool(row.shape) for row in found.rows) == known
    assert session.frame.recipe == Recipe()  # nothing was changed


def test_numbers_want_a_loss_of_numbers(tmp_path, run_here):
    lines = [f"{i / 100},{i % 7},{i / 50}" for i in range(100)]
    Path("table.csv").write_text("\n".join(["a,b,price", *lines]))
    words = "train table.csv --target price --task regression --epochs 1 --out run"
    assert run_here(*words.split()).returncode == 0
    session = Session(resolve("run", None))
    name = session.own.data.name
    found = plan(session, Recipe(data=name, net="linear-4,relu"))
    assert "numbers to predict: choose the loss mean squared error or" in found.words
    assert plan(session, Recipe(data=name, net="linear-4,relu", loss="huber")).words == ""
    session.close()


def test_mnist_must_be_fetched_first(session, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "chainrule" / "mnist"
    folder.mkdir(parents=True)
    assert "mnist" in session.catalogue.names()
    assert plan(session, Recipe(data="mnist")).absent
    with pytest.raises(ValueError, match="not on this computer"):
        session.set_up(Recipe(data="mnist"))
    assert sets.fetched() == 0
    (folder / "train-images-idx3-ubyte.gz").write_bytes(bytes(sets.MNIST_SIZE // 2))
    assert 0.49 < sets.fetched() < 0.51
    for pair in sets.FILES.values():
        for name in pair:
            (folder / f"{name}.gz").touch()
    assert sets.is_here("mnist")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.ones(3)}, "needs the arrays x and y"),
        ({"x": np.ones((9, 2)), "y": np.ones(4, int)}, "x has 9 samples, its targets"),
        ({"x": np.full((90, 2), np.nan), "y": np.arange(90) % 2}, "NaN or infinite"),
        ({"x": np.ones((9, 2)), "y": np.array([{}] * 9)}, "holds Python objects"),
        ({"x": np.ones((0, 2)), "y": np.ones(0, int)}, "x is empty"),
        ({"x": np.ones((90, 2)), "y": np.zeros(90, int)}, "there is nothing to learn"),
    ],
)
def test_a_file_that_nothing_can_be_learned_from(session, tmp_path, arrays, words):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(words)):
        session.catalogue.add_upload("mine.npz", (tmp_path / "mine.npz").read_bytes())


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "pickle"])
def test_a_damaged_file(session, tmp_path, damage):
    np.savez(tmp_path / "mine.npz", x=np.ones((90, 2)), y=np.arange(90) % 2)
    whole = (tmp_path / "mine.npz").read_bytes()
    content = {
        "empty": b"", "cut": whole[: len(whole) // 2],
        "flipped": whole[:300] + bytes(99) + whole[399:],
        "pickle": b"\x80\x04\x95cos\nsystem\n",
    }[damage]  # fmt: skip
    with pytest.raises(ValueError, match=r"damaged|needs an \.npz"):
        session.catalogue.add_upload("../../mine.npz", content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.npz"]


def test_the_name_of_a_file_leads_nowhere(session, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.eye(90, 2), y=np.arange(90) % 2)
    content = (tmp_path / "mine.npz").read_bytes()
    data = session.catalogue.add_upload("../../../etc/pass wd\n.npz", content)
    assert data.name == "pass-wd-"
    session.set_up(Recipe(data=data.name, net="linear-4"))
    session.step().result(timeout=30)
    assert session.save().resolve().is_relative_to(tmp_path / "runs")
