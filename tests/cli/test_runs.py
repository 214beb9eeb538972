"""Runs that are repeated, resumed and compared; the options of `chainrule train`."""

import csv
import json
import os
import random
import re
import shlex
import signal

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
from PIL import Image

from chainrule import Batches, MonitorLearningRate, load, train
from chainrule.cli import recipes
from chainrule.cli.prepare import load_data
from chainrule.cli.settings import Settings
from chainrule.cli.train import built

OPTIONS = (
    "train", "--epochs", 4, "--hidden", "30,20", "--dropout", 0.2, "--optimizer", "nadam",
    "--schedule", "1cycle", "--weight-decay", 0.01, "--clip-norm", 1, "--accumulate", 2,
    "--patience", 3, "--seed", 7, "--checkpoint-steps", 1,
)  # fmt: skip


def content(folder, *names):
    return [(folder / name).read_bytes() for name in names or ("model.safetensors", "history.csv")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, run_alone):
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_alone(*OPTIONS, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def last_checkpoint(folder):
    names = sorted(os.listdir(folder / "checkpoints"))
    return (folder / "checkpoints" / names[-1]).read_bytes()


def test_run_toml_repeats_the_run(whole, run_here, tmp_path):
    done = run_here("train", "--config", whole / "run.toml", "--out", "again")
    assert done.returncode == 0, done.stderr
    names = ("model.safetensors", "history.csv", "run.toml")
    assert content(tmp_path / "again", *names) == content(whole, *names)
    assert last_checkpoint(tmp_path / "again") == last_checkpoint(whole)


def test_an_option_goes_before_the_file(whole, run_here, tmp_path):
    done = run_here("train", "--config", whole, "--seed", 8, "--epochs", 1, "--out", "other")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "other" / "run.toml").read_text()
    assert "seed = 8" in text
    assert 'optimizer = "nadam"' in text
    assert content(tmp_path / "other")[0] != content(whole)[0]


def test_other_data_than_then_are_told(whole, run_here, tmp_path):
    text = (whole / "run.toml").read_text()
    (tmp_path / "run.toml").write_text(text.replace("sha256:", "sha256:0"))
    done = run_here("train", "--config", "run.toml", "--epochs", 1, "--out", "other")
    assert done.returncode == 0
    assert "the data are not those of the run that is repeated" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepoch = 3\n", "no setting 'epoch'"),
        ('[train]\nepochs = "many"\n', "epochs must be of type int, got 'many'"),
        ("[train]\nlr = true\n", "lr must be of type float"),
        ("[run]\nepochs = 3\n", "no table [train]"),
        ("epochs = = 3\n", "is no TOML file"),
        ("[train]\nepochs = -3\n", "--epochs must be at least 1"),
        ("[train]\nlr = 1\nepochs = 1\n", None),
        (f"[train]\nlr = 1{'0' * 400}\n", "lr must be of type float, got 10000"),
        (f"[train]\nseed = 1{'0' * 400}\n", "--seed must be below 2 to the power of 63"),
        (f"[train]\nseed = 1{'0' * 5000}\n", "is no TOML file"),
        (f"a = {'[' * 3000}\n", "is no TOML file"),
        ('[train]\ndata = ""\n', "the data have no name"),
    ],
)
def test_files_of_settings(text, message, run_here, tmp_path):
    (tmp_path / "run.toml").write_text(text)
    done = run_here("train", "--config", "run.toml")
    assert done.returncode == (0 if message is None else 2)
    assert (message or "") in done.stderr
    assert len(done.stderr.splitlines()) == (message is not None)
    assert run_here("train", "--config", "none.toml").returncode == 2


# -- resume --------------------------------------------------------------------------------------


def test_killed_again_and_again(whole, start, run, tmp_path):
    """The same command with --resume: six times killed, twice while a checkpoint is written."""
    moments = random.Random(1)
    killed = 0
    for kill in range(6):
        with start(
            *OPTIONS, "--out", "run", *(["--resume"] if kill else []), cwd=tmp_path
        ) as child:
            for line in child.stdout:
                if line.startswith("Epoch" if kill % 2 else "Training"):
                    break
            folder = tmp_path / "run" / "checkpoints"
            wanted = moments.randint(1, 12)
            while child.poll() is None:
                names = os.listdir(folder) if folder.is_dir() else []
                if kill % 3 == 0 and any(name.endswith(".part") for name in names):
                    break
                if any(int(name[11:20]) >= wanted for name in names if name[0] != "."):
                    break
            child.kill()
            child.stdout.read()
        killed += child.returncode == -signal.SIGKILL
    assert killed >= 3
    done = run(*OPTIONS, "--out", "run", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "run") == content(whole)
    assert last_checkpoint(tmp_path / "run") == last_checkpoint(whole)


@pytest.mark.parametrize(
    ("number", "out", "folder"),
    [(signal.SIGINT, (), "runs/digits-001"), (signal.SIGTERM, ("--out", "my run"), "my run")],
)
def test_a_signal_and_what_it_says_to_type(number, out, folder, start, run, tmp_path):
    words = ("train", "--epochs", 200, "--schedule", "cosine")
    with start(*words, *out, cwd=tmp_path) as child:
        for line in child.stdout:
            if line.startswith("Epoch 3/"):
                child.send_signal(number)
                break
        rest, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert not errors
    command = shlex.split(rest.rstrip().splitlines()[-1])
    assert command == ["chainrule", "train", "--resume", "--out", folder]
    done = run(*command[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Going on from {folder}/checkpoints/checkpoint-" in done.stdout
    assert run(*words, "--out", "whole", cwd=tmp_path).returncode == 0
    assert content(tmp_path / folder) == content(tmp_path / "whole")


def test_resume_finds_the_newest_run_with_the_same_settings(run_here, tmp_path):
    for seed in (1, 2, 1):
        assert run_here("train", "--epochs", 1, "--seed", seed).returncode == 0
    done = run_here("train", "--epochs", 1, "--seed", 2, "--resume")
    assert done.returncode == 0, done.stderr
    assert "Going on from runs/digits-002" in done.stdout
    done = run_here("train", "--epochs", 1, "--seed", 3, "--resume")
    assert "Made in runs/digits-004" in done.stdout


def test_resume_with_other_settings_is_refused(whole, run_here):
    before = content(whole)
    done = run_here("train", "--resume", "--out", whole, "--lr", 0.5, "--hidden", 10)
    assert done.returncode == 2
    assert "--hidden was 30,20, and is 10; --lr was 0.004, and is 0.5" in done.stderr
    assert content(whole) == before


def test_resume_on_other_data_or_another_net_is_refused(run_here, tmp_path):
    rows = [f"{i / 40},{i % 3},{i % 2}" for i in range(40)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + "\n".join(rows))
    assert run_here("train", "t.csv", "--target", "y", "--epochs", 2, "--out", "r").returncode == 0
    before = content(tmp_path / "r", "model.safetensors", "history.csv", "run.toml")
    (tmp_path / "t.csv").write_text("a,b,y\n7,7,1\n" + "\n".join(rows[1:]))
    done = run_here("train", "--resume", "--out", "r")
    assert done.returncode == 2
    assert "the data are not those that the run in r was begun with" in done.stderr
    assert content(tmp_path / "r", "model.safetensors", "history.csv", "run.toml") == before
    (tmp_path / "net.py").write_text(NET)
    words = ("train", "--model", "net.py:build", "--epochs", 2, "--out")
    assert run_here(*words, "s").returncode == 0
    (tmp_path / "net.py").write_text(NET.replace("2 * x", "3 * x"))
    done = run_here(*words, "s", "--resume")
    assert done.returncode == 2
    assert "the lines of the net's file are not those that the run in s" in done.stderr
    done = run_here("train", "--config", "s", "--out", "again")
    assert "the lines of the net's file are not those of the run that is repeated" in done.stdout


def test_a_finished_run_without_its_model_gets_it_back(run_here, tmp_path):
    assert run_here("train", "--epochs", 2, "--out", "r").returncode == 0
    before = content(tmp_path / "r")
    (tmp_path / "r" / "model.safetensors").rename(tmp_path / "r" / ".model.safetensors.0f.part")
    done = run_here("train", "--resume", "--out", "r")
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "r") == before
    assert not list((tmp_path / "r").glob("*.part"))


def test_a_finished_run_resumed_is_as_it_was(whole, run_here):
    before = content(whole)
    done = run_here("train", "--resume", "--out", whole)
    assert done.returncode == 0, done.stderr
    assert content(whole) == before


# -- options -------------------------------------------------------------------------------------


def accuracy_after(epochs, optimizer, schedule):
    """Train as the command does, without its pictures."""
    settings = Settings(optimizer=optimizer, schedule=schedule).spelled_out()
    data = load_data("digits")
    model, rows = built(settings, data.preparation), data.preparation.rows
    batches = Batches(rows(data.x), data.y, seed=0)
    return train(
        model, None, epochs, batches, validation_data=(rows(data.x_test), data.y_test),
        optimizer=recipes.optimizer(optimizer, settings.lr, 0.0), verbose=False,
        schedule=recipes.schedule(schedule, epochs, epochs * len(batches), "validation_accuracy"),
        callbacks=[MonitorLearningRate()],
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_every_optimizer_learns_at_its_own_rate(optimizer):
    assert accuracy_after(8, optimizer, "constant")["validation_accuracy"][-1] > 0.93


@pytest.mark.parametrize("schedule", recipes.SCHEDULES)
def test_every_schedule_learns(schedule):
    history = accuracy_after(8, "sgd", schedule)
    assert (len(set(history["learning_rate"])) > 1) == (schedule not in ("constant", "plateau"))
    assert history["validation_accuracy"][-1] > 0.9


def test_optimizer_and_schedule_reach_the_training(run_here, tmp_path):
    done = run_here("train", "--optimizer", "ADAM", "--schedule", "exponential", "--epochs", 3,
                    "--out", "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == pytest.approx([0.001 * 0.01 ** (i / 3) for i in range(3)])


def test_a_residual_net(run_here, tmp_path):
    done = run_here("train", "--model", "resnet", "--epochs", 8, "--dropout", 0.1, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("held-out samples: ")[1].split(" %")[0]) > 95
    assert any(
        "Residual" in repr(layer) for layer in load(tmp_path / "run/model.safetensors").layers
    )


def test_patience_stops_early(run_here, tmp_path):
    done = run_here("train", "--epochs", 500, "--patience", 3, "--out", "run")
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert done.returncode == 0
    assert len(rows) < 100
    values = [float(row["validation_accuracy"]) for row in rows]
    assert values.index(max(values)) == len(rows) - 4


NET = """
import chainrule as cr

class Twice(cr.Layer):
    def forward(self, x):
        return 2 * x
    def backward(self, grad):
        return 2 * grad

def build(sample_shape, classes, seed):
    return cr.Model([cr.Linear(64, classes), Twice()], cr.SoftmaxCrossEntropy(), seed=seed)

def wrong(sample_shape, classes, seed):
    return cr.Model([cr.Linear(64, 3)], cr.SoftmaxCrossEntropy(), seed=seed)

def conv(sample_shape, classes, seed):
    return cr.Model([cr.Conv2d(1, 2, 3), cr.Flatten(), cr.Linear(72, classes)],
                    cr.SoftmaxCrossEntropy())

def fails(sample_shape, classes, seed):
    return 1 / 0

number = 3
"""


def test_tokens_go_to_an_embedding_as_they_are(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\ndef build(sample_shape, classes, seed):\n"
        "    layers = [Embedding(20, 8), Flatten(), Linear(8 * sample_shape[0], classes)]\n"
        "    return Model(layers, SoftmaxCrossEntropy(), seed=seed)\n"
    )
    x = np.random.default_rng(0).integers(0, 20, (300, 3))
    np.savez(tmp_path / "tokens.npz", x=x, y=x[:, 1] % 4)
    words = ("--model", "net.py:build", "--optimizer", "adam", "--lr", "0.05")
    done = run("train", "tokens.npz", *words, "--epochs", 12, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("evaluate", "run/model.safetensors", "tokens.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    share = float(re.search(r"accuracy\D*([\d.]+)", done.stdout)[1])
    assert share > 0.95, done.stdout
    done = run("find-lr", "tokens.npz", *words[:2], "--steps", 20, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_net_of_one_s_own(run, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    done = run("train", "--model", "net.py:build", "--epochs", 5, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model = tmp_path / "run" / "model.safetensors"
    done = run("summary", model, cwd=tmp_path)
    assert done.returncode == 1
    assert "--code FILE.py" in done.stderr
    done = run("summary", model, "--code", "net.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Twice()" in done.stdout
    done = run("evaluate", model, "digits", "--code", "net.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "again").mkdir()
    done = run("train", "--config", "run/run.toml", "--out", "again/run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "again/run") == content(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        (
            "net.py:wrong",
            1,
            "must have 10 outputs and a loss for classes, and has outputs of shape",
        ),
        ("net.py:conv", 1, "Put Reshape([8, 8]) first"),
        ("net.py:fails", 1, "net.py: line 21: ZeroDivisionError: division by zero"),
        ("net.py:number", 2, "no function number(sample_shape, classes, seed)"),
        ("none.py:build", 2, "no such file"),
    ],
)
def test_nets_that_do_not_fit(name, code, message, run_here, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    done = run_here("train", "--model", name)
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optimizer", "adamm"], "--optimizer must be one of sgd, momentum"),
        (["--schedule", "2cycle"], "--schedule must be one of constant"),
        (["--dropout", "1"], "--dropout must be from 0 to below 1"),
        (["--weight-decay", "-1"], "--weight-decay must be 0 or more"),
        (["--patience", "0"], "--patience must be at least 1"),
        (["--clip-norm", "nan"], "--clip-norm must be greater than 0"),
        (["--target", "y"], "--target and --task are for tables"),
        (["--image-size", "8"], "--image-size is for a folder of images"),
    ],
)
def test_options_that_make_no_sense(words, message, run_here, tmp_path):
    done = run_here("train", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


# -- compare -------------------------------------------------------------------------------------


def test_compare(whole, run_here, tmp_path):
    assert run_here("train", "--epochs", 2, "--out", "other").returncode == 0
    done = run_here("compare", whole, "other", "--out", "both.png")
    assert done.returncode == 0, done.stderr
    head, first, second, *_ = done.stdout.splitlines()
    assert head.split()[:2] == ["run", "hidden"]
    assert "nadam" in first
    assert "sgd" in second
    with Image.open(tmp_path / "both.png") as image:
        assert len(image.getcolors(1 << 20)) > 20
    done = run_here("compare", whole, "other", "--json")
    rows = json.loads(done.stdout)
    assert [row["optimizer"] for row in rows] == ["nadam", "sgd"]
    assert rows[1]["parameters"] == 7510
    best = max(
        float(row["validation_accuracy"])
        for row in csv.DictReader((whole / "history.csv").read_text().splitlines())
    )
    assert rows[0]["best_validation_accuracy"] == best
    assert "batch_size" not in rows[0]


def test_compare_what_cannot_be(whole, run_here, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is no run" in run_here("compare", whole, "empty").stderr
    assert "at least two" in run_here("compare", whole).stderr
    (tmp_path / "stopped").mkdir()
    text = (whole / "run.toml").read_text().replace('data = "digits"', 'data = "mnist"')
    text = text.split("[made_with]")[0]
    (tmp_path / "stopped" / "run.toml").write_text(text)
    done = run_here("compare", whole, "stopped")
    assert done.returncode == 0
    assert "stopped was stopped before its first epoch ended" in done.stdout
    assert "different data" in done.stdout
    (tmp_path / "stopped" / "run.toml").write_text(
        (whole / "run.toml").read_text().replace("sha256:", "sha256:0")
    )
    assert "different data" in run_here("compare", whole, "stopped").stdout
    (tmp_path / "stopped" / "history.csv").write_text("epoch,loss\n1,a lot\n")
    assert "history.csv is damaged" in run_here("compare", whole, "stopped").stderr
    history = tmp_path / "stopped" / "history.csv"
    for damaged in ("epoch,loss\ninf,1\n", "epoch,loss\n" + "9" * 200_000, "loss\n1\n"):
        history.write_text(damaged)
        done = run_here("compare", whole, "stopped")
        assert "history.csv is damaged" in done.stderr
        assert len(done.stderr) < 600
    for without_a_best in ("epoch,loss\n1,nan\n", "epoch,loss,validation_loss\n1,nan,nan\n"):
        history.write_text(without_a_best)
        assert run_here("compare", whole, "stopped").returncode == 0


def test_find_lr_takes_the_same_nets(run_here, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    done = run_here("find-lr", "--model", "net.py:build", "--optimizer", "adam")
    assert done.returncode == 0, done.stderr
    assert "--model net.py:build --optimizer adam --lr " in done.stdout


def test_the_data_s_numbers_are_what_was_hashed(whole):
    text = (whole / "run.toml").read_text()
    assert "sha256:" in text
    assert f'numpy = "{np.__version__}"' in text
