"""The command, as a person runs it: a real process, real files, real signals."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
from PIL import Image

import chainrule
from chainrule import load, load_digits
from chainrule.data import write_idx

MADE = ["confusion.png", "curves.png", "history.csv", "mistakes.png", "model.safetensors",
        "weights.png"]  # fmt: skip


def command(*words):
    return [sys.executable, "-m", "chainrule", *map(str, words)]


def run(*words, cwd):
    return subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The main job, once: what it printed, and where."""
    folder = tmp_path_factory.mktemp("home")
    return folder, run("train", cwd=folder)


def picture_is_drawn(path):
    with Image.open(path) as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
        return image.width > 400 and image.height > 250 and len(np.unique(colours, axis=0)) > 20


def test_the_main_job(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    out = folder / "runs" / "digits-001"
    assert sorted(path.name for path in out.iterdir()) == MADE
    assert all(picture_is_drawn(out / name) for name in MADE if name.endswith(".png"))
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert len(rows) == 30
    lines = done.stdout.splitlines()
    assert lines[1].startswith(f"Epoch 1/30: loss = {float(rows[0]['loss']):.4f}")
    accuracy = float(re.search(r"Accuracy on 359 held-out samples: ([\d.]+) %", done.stdout)[1])
    assert accuracy >= 96
    assert accuracy == pytest.approx(
        100 * max(float(r["validation_accuracy"]) for r in rows), abs=0.01
    )
    assert "chainrule predict runs/digits-001/model.safetensors IMAGE.png" in done.stdout
    assert not done.stderr


def test_the_saved_model_is_the_best_one(trained):
    folder, done = trained
    model = load(folder / "runs" / "digits-001" / "model.safetensors")
    images, labels = load_digits("test")
    prepared = model.metadata["preparation"]
    x = (images.reshape(len(images), -1) - prepared["mean"]) / prepared["deviation"]
    right = (model.predict_classes(x) == labels).mean()
    assert f"{100 * right:.2f} %" in done.stdout


def test_the_next_run_gets_the_next_number(trained):
    folder, _ = trained
    done = run("train", "digits", "--epochs", 1, "--hidden", "20,10", "--seed", 3, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Training 64-20-10-10 on digits" in done.stdout
    assert (folder / "runs" / "digits-002" / "model.safetensors").exists()


def test_what_it_says_to_type_next_works(trained, tmp_path):
    folder, done = trained
    words = re.search(r"  chainrule (summary .*)", done.stdout)[1].split()
    shown = run(*words, cwd=folder)
    assert shown.returncode == 0
    assert "Linear(64, 100)" in shown.stdout
    assert "7,510" in shown.stdout
    assert "samples of shape (8, 8), 10 classes" in shown.stdout


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name in "ab":
        done = run("train", "--epochs", 2, "--out", name, "--seed", 5, cwd=tmp_path)
        assert done.returncode == 0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def draw(path, image, *, light, size=200):
    """Draw an 8x8 digit large, with room around it, as a person would."""
    big = Image.fromarray((image * (255 / 16)).astype(np.uint8)).resize((size, size), 0)
    page = Image.new("L", (size + 120, size + 80), 0)
    page.paste(big, (70, 30))
    array = np.asarray(page)
    Image.fromarray(255 - array if light else array).save(path)


@pytest.mark.parametrize("light", [False, True])
def test_drawn_digits_are_read(trained, light, tmp_path):
    folder, _ = trained
    model = folder / "runs" / "digits-001" / "model.safetensors"
    images, _ = load_digits("test")
    np.save(tmp_path / "all.npy", images)
    names = []
    for i in range(60):
        names.append(tmp_path / f"{i}.png")
        draw(names[-1], images[i], light=light)
    drawn = run("predict", model, *names, cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    arrays = run("predict", model, tmp_path / "all.npy", "--all", cwd=tmp_path)
    answers = [
        [line.split(": ")[1][0] for line in done.stdout.splitlines()] for done in (drawn, arrays)
    ]
    agree = sum(a == b for a, b in zip(answers[0], answers[1][:60], strict=True))
    assert agree >= 54
    assert ("inverted: light background" in drawn.stdout) == light


def test_predictions_of_arrays(trained, tmp_path):
    folder, _ = trained
    model = folder / "runs" / "digits-001" / "model.safetensors"
    images, _ = load_digits("test")
    np.savez(tmp_path / "a.npz", x=images[:30])
    np.save(tmp_path / "one.npy", images[0])
    done = run("predict", model, "a.npz", "one.npy", "--out", "p.csv", cwd=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"a\.npz\[0\]: \d \(\d+\.\d %\), then \d \(\d+\.\d %\)", lines[0])
    assert lines[20].startswith("… and 10 more")
    assert lines[21].startswith("one.npy: ")
    rows = list(csv.reader((tmp_path / "p.csv").read_text().splitlines()))
    assert len(rows) == 32


def test_a_user_s_table_and_images(tmp_path, rng):
    x = rng.standard_normal((200, 3))
    np.savez(tmp_path / "table.npz", x=x, y=(x[:, 0] > 0).astype(int))
    done = run("train", "table.npz", "--epochs", 10, "--out", "t", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "t" / "mistakes.png").exists()
    assert float(re.search(r"samples: ([\d.]+) %", done.stdout)[1]) > 85
    np.save(tmp_path / "new.npy", x[:3])
    assert run("predict", "t/model.safetensors", "new.npy", cwd=tmp_path).returncode == 0
    folder = tmp_path / "idx"
    folder.mkdir()
    for kind, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 6, 5), np.uint8)
        write_idx(folder / f"{kind}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{kind}-labels-idx1-ubyte", rng.integers(0, 3, count, np.uint8))
    done = run("train", "idx", "--epochs", 1, "--hidden", "0", "--out", "i", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Training 30-3 on idx" in done.stdout
    assert (tmp_path / "i" / "mistakes.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian"], 2, "Did you mean"),
        (["train", "nosuch"], 2, "no data set, file or folder 'nosuch'"),
        (["train", "--epochs", "0"], 2, "--epochs must be at least 1"),
        (["train", "--epochs", "many"], 2, "--epochs"),
        (["train", "--lr", "nan"], 2, "--lr must be greater than 0"),
        (["train", "--lr", "-1"], 2, "--lr"),
        (["train", "--batch-size", "0"], 2, "--batch-size"),
        (["train", "--hidden", "ten"], 2, "--hidden"),
        (["train", "--seed", "-1"], 2, "--seed"),
        (["train", "--frobnicate"], 2, "--frobnicate"),
        (["train", "--out", "file.txt"], 2, "is a file"),
        (["train", "file.txt"], 2, "needs an .npz file"),
        (["train", "broken.npz"], 1, "broken.npz is damaged"),
        (["train", "."], 1, "there is no train-images-idx3-ubyte"),
        (["train", "--out", "file.txt/run"], 1, "cannot write"),
        (["train", "--lr", "1e6"], 1, "lower learning rate"),
        (["predict", "model"], 2, "name the images"),
        (["predict", "none.safetensors", "a.png"], 1, "no such file"),
        (["summary", "file.txt"], 1, "damaged"),
        (["summary", "."], 1, "is a folder"),
    ],
)
def test_errors_are_one_line(words, code, message, tmp_path):
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 not really")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("chainrule: ")
    assert len(done.stderr.splitlines()) == 1
    debugged = run(*words, "--debug", cwd=tmp_path)
    assert "Traceback" in debugged.stderr
    assert debugged.returncode == code


def test_files_that_cannot_be_read_do_not_stop_the_others(trained, tmp_path):
    folder, _ = trained
    model = folder / "runs" / "digits-001" / "model.safetensors"
    draw(tmp_path / "good.png", load_digits()[0][3], light=True)
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("hello")
    np.save(tmp_path / "wrong.npy", np.zeros((3, 5)))
    np.save(tmp_path / "nan.npy", np.full((8, 8), np.nan))
    (tmp_path / "folder").mkdir()
    names = ["cut.png", "text.png", "wrong.npy", "nan.npy", "none.png", "folder", "good.png"]
    done = run("predict", model, *names, cwd=tmp_path)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["good.png"]
    errors = done.stderr.splitlines()
    assert len(errors) == 6
    for error, name in zip(errors, names, strict=False):
        assert error.startswith("chainrule: ")
        assert name in error or name == "wrong.npy"


def test_a_model_made_in_python_is_said_to_have_no_preparation(tmp_path):
    net = chainrule.Model([chainrule.Linear(4, 2)], chainrule.SoftmaxCrossEntropy())
    net.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    done = run("predict", "net.safetensors", "a.npy", cwd=tmp_path)
    assert done.returncode == 1
    assert "does not say how its inputs are prepared" in done.stderr
    shown = run("summary", "net.safetensors", cwd=tmp_path)
    assert shown.returncode == 0
    assert "Linear(4, 2)" in shown.stdout


def test_an_existing_run_is_not_written_over(trained):
    folder, _ = trained
    before = (folder / "runs" / "digits-001" / "model.safetensors").read_bytes()
    done = run("train", "--out", "runs/digits-001", cwd=folder)
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert (folder / "runs" / "digits-001" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly_and_keeps_the_best(number, tmp_path):
    words = command("train", "--epochs", 100_000, "--out", "run")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as child:
        for line in child.stdout:
            if line.startswith("Epoch 3/"):
                child.send_signal(number)
                break
        rest, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert "keeping the best model so far" in rest
    assert not errors
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == MADE
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    best = max(float(row["validation_accuracy"]) for row in rows)
    assert f"{100 * best:.2f} %" in rest


def test_sigkill_leaves_the_best_model_so_far(tmp_path):
    words = command("train", "--epochs", 100_000, "--out", "run")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        for line in child.stdout:
            if line.startswith("Epoch 5/"):
                child.kill()
                break
        child.communicate(timeout=60)
    assert load(tmp_path / "run" / "model.safetensors").predict(np.zeros((1, 64))).shape == (1, 10)
    assert (tmp_path / "run" / "history.csv").read_text().startswith("epoch,loss")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    done = run("train", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot write into runs" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounting needs root")
def test_a_full_disk_is_one_line_and_the_model_stays(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let tests mount a small disk")
    try:  # the model fits, the pictures do not
        done = run("train", "--epochs", 2, "--out", disk / "run", cwd=tmp_path)
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert load(disk / "run" / "model.safetensors").layers
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_help_and_version(tmp_path):
    for words in ([], ["--help"]):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0
        assert all(name in done.stdout for name in ("train", "predict", "summary"))
    assert run("--version", cwd=tmp_path).stdout.strip() == chainrule.__version__
    assert "--batch-size" in run("train", "--help", cwd=tmp_path).stdout


def test_help_loads_no_picture_library(tmp_path):
    code = (
        "import sys; from chainrule.cli.app import run; run(['train', '--help']); "
        "print([m for m in ('matplotlib', 'PIL', 'pooch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_silent(trained):
    folder, _ = trained
    np.save(folder / "many.npy", np.zeros((20_000, 8, 8)))
    words = command("predict", "runs/digits-001/model.safetensors", "many.npy", "--all")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as child:
        child.stdout.readline()
        child.stdout.close()
        errors = child.stderr.read()
    assert errors == ""
