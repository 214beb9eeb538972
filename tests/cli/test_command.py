"""`chainrule train` and `summary`: a real process, real files, real signals."""

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

MADE = ["checkpoints", "confusion.png", "curves.png", "history.csv", "mistakes.png",
        "model.safetensors", "run.toml", "weights.png"]  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def history(folder):
    return list(csv.DictReader((folder / "history.csv").read_text().splitlines()))


def accuracy(printed):
    return float(re.search(r"held-out samples: ([\d.]+) %", printed)[1])


def picture_is_drawn(path):
    with Image.open(path) as image:
        return image.width > 400 and image.height > 250 and len(image.getcolors(1 << 20)) > 20


def test_a_small_convolutional_net_on_the_digits(run, tmp_path):
    done = run("train", "--model", "lenet", "--out", "net", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy = float(done.stdout.split("held-out samples: ")[1].split(" %")[0])
    assert accuracy >= 98
    assert (tmp_path / "net" / "weights.png").exists()
    told = run("summary", "net/model.safetensors", cwd=tmp_path)
    assert "Conv2d(16, 32, 3, padding='same')" in told.stdout


def test_a_convolutional_net_needs_images(run, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((40, 5)), y=np.arange(40) % 2)
    done = run("train", "rows.npz", "--model", "lenet", cwd=tmp_path)
    assert done.returncode == 2
    assert "images of at least 4 x 4" in done.stderr
    assert "--model mlp" in done.stderr


@pytest.mark.parametrize("option", [("--threads", "1"), ("--threads", "auto"), ("--compiled",)])
def test_faster_forms_learn_as_well(run, tmp_path, option):
    if option == ("--compiled",):
        pytest.importorskip("numba", reason="numba is not installed")
    done = run("train", "--epochs", "5", *option, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "digits-001" / "model.safetensors").exists()
    accuracy = float(done.stdout.split("held-out samples: ")[1].split(" %")[0])
    assert accuracy > 90


def test_the_main_job(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    out = folder / "runs" / "digits-001"
    assert names(out) == MADE
    assert all(picture_is_drawn(out / name) for name in MADE if name.endswith(".png"))
    rows = history(out)
    assert len(rows) == 30
    lines = done.stdout.splitlines()
    assert lines[1].startswith(f"Epoch 1/30: loss = {float(rows[0]['loss']):.4f}")
    assert "Accuracy on 359 held-out samples" in done.stdout
    best = max(float(row["validation_accuracy"]) for row in rows)
    assert accuracy(done.stdout) == pytest.approx(100 * best, abs=0.01)
    assert accuracy(done.stdout) >= 96
    assert "chainrule predict runs/digits-001/model.safetensors IMAGE.png" in done.stdout
    assert not done.stderr


def test_the_saved_model_is_the_best_one(trained, model):
    saved = load(model)
    images, labels = load_digits("test")
    prepared = saved.metadata["preparation"]
    x = (images.reshape(len(images), -1) - prepared["mean"]) / prepared["deviation"]
    right = (saved.predict_classes(x) == labels).mean()
    assert f"{100 * right:.2f} %" in trained[1].stdout


def test_what_it_says_to_type_next_works(trained, run):
    folder, done = trained
    words = re.search(r"  chainrule (summary .*)", done.stdout)[1].split()
    shown = run(*words, cwd=folder)
    assert shown.returncode == 0
    assert "Linear(64, 100)" in shown.stdout
    assert "7,510" in shown.stdout
    assert "samples of shape (8, 8), 10 classes" in shown.stdout


def test_a_run_gets_the_next_free_number(run_here, tmp_path):
    (tmp_path / "runs" / "digits-001").mkdir(parents=True)
    done = run_here("train", "digits", "--epochs", 1, "--hidden", "20,10", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert "Training 64-20-10-10 on digits" in done.stdout
    assert names(tmp_path / "runs" / "digits-002") == MADE
    assert names(tmp_path / "runs" / "digits-001") == []


def test_a_profile(run_here, tmp_path):
    words = ("train", "--epochs", 2, "--hidden", "20,10", "--seed", 5)
    done = run_here(*words, "--profile", "--out", "with")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "with") == sorted([*MADE, "profile.csv", "profile.png"])
    assert picture_is_drawn(tmp_path / "with" / "profile.png")
    rows = list(csv.DictReader((tmp_path / "with" / "profile.csv").read_text().splitlines()))
    layers = ["Linear(64, 20)", "ReLU()", "Linear(20, 10)", "ReLU()", "Linear(10, 10)"]
    assert [row["layer"] for row in rows][2:7] == layers
    for layer in layers:
        assert f": {layer}" in done.stdout
    assert "profile.png        time and memory of a step, layer by layer" in done.stdout
    plain = run_here(*words, "--out", "without")
    assert names(tmp_path / "without") == MADE
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("with", "without")]
    assert files[0] == files[1]
    assert "Mini-batches of 64" not in plain.stdout
    assert "holds a run already" in run_here("train", "--out", "with").stderr


def test_a_signal_leaves_the_profile_so_far(start, tmp_path):
    words = ("train", "--epochs", 100_000, "--profile", "--out", "run")
    with start(*words, cwd=tmp_path) as child:
        rest, errors = stop(child, "Epoch 3/", signal.SIGINT)
    assert child.returncode == 130
    assert not errors
    assert names(tmp_path / "run") == sorted([*MADE, "profile.csv", "profile.png"])
    assert "0: Linear(64, 100)" in rest


def test_the_same_seed_gives_the_same_file(run_here, tmp_path):
    for name in "ab":
        assert run_here("train", "--epochs", 2, "--out", name, "--seed", 5).returncode == 0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_a_user_s_table(run_here, tmp_path, rng):
    x = rng.standard_normal((200, 3))
    # An offset that float32 cannot tell from the values, a constant column, and a rare class.
    x = np.column_stack([x + 1.7e9, np.full(200, 0.1)])
    y = (x[:, 0] > 1.7e9).astype(int) + 2 * (np.arange(200) % 20 == 0)
    y[y > 2] = 2
    np.savez(tmp_path / "table.npz", x=x, y=y)
    done = run_here("train", "table.npz", "--epochs", 10, "--out", "t")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "t") == [name for name in MADE if name != "mistakes.png"]
    assert accuracy(done.stdout) > 80
    np.save(tmp_path / "new.npy", x[:3])
    assert len(run_here("predict", "t/model.safetensors", "new.npy").stdout.splitlines()) == 3
    image = run_here("predict", "t/model.safetensors", "a.png")
    assert "takes samples of shape (4,), no images" in image.stderr


def test_the_held_out_fifth_has_every_class(tmp_path):
    from chainrule.cli.prepare import load_data

    np.savez(tmp_path / "a.npz", x=np.zeros((200, 2)), y=np.arange(200) % 40)
    data = load_data(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(np.bincount(data.y_test), np.ones(40))
    assert len(data.y) == 160


def test_a_folder_of_idx_files(run_here, tmp_path, rng):
    folder = tmp_path / "idx"
    folder.mkdir()
    for kind, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 6, 5), np.uint8)
        write_idx(folder / f"{kind}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{kind}-labels-idx1-ubyte", rng.integers(0, 3, count, np.uint8))
    done = run_here("train", "idx", "--epochs", 1, "--hidden", "0", "--out", "i")
    assert done.returncode == 0, done.stderr
    assert "Training 30-3 on idx" in done.stdout
    assert names(tmp_path / "i") == MADE


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((50, 3)), np.zeros(50, int), "every sample is of class 0"),
        (np.ones((50, 3)), np.arange(100).reshape(50, 2) / 7, "and one a sample is learned"),
        (np.ones((50, 3)), np.full(50, 0.5), "y is 0.5 for every sample"),
        (np.ones((5, 3)), np.arange(5) / 7, "5 rows are too few"),
        (np.ones((50, 3)), np.arange(50) * 100, "up to 999"),
        (np.ones((50, 3)), np.arange(50) - 1, "-1 to 48"),
        (np.arange(150.0).reshape(50, 3) * 1e305, np.arange(50) % 2, "too large"),
        (np.ones((4, 3)), np.arange(4) % 2, "too few"),
        (np.full((50, 3), np.nan), np.arange(50) % 2, "NaN"),
    ],
)
def test_tables_that_nothing_can_be_learned_from(x, y, message, run_here, tmp_path):
    np.savez(tmp_path / "table.npz", x=x, y=y)
    done = run_here("train", "table.npz")
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian"], 2, "Did you mean"),
        (["train", "nosuch"], 2, "no data set, file or folder 'nosuch'"),
        (["train", "digits", "more"], 2, "unexpected: more"),
        (["train", "--epochs", "0"], 2, "--epochs must be at least 1"),
        (["train", "--epochs", "many"], 2, "--epochs"),
        (["train", "--seed", "1.5"], 2, "--seed: needs a whole number, got '1.5'"),
        (["train", "--lr", "nan"], 2, "--lr must be greater than 0"),
        (["train", "--lr", "-1"], 2, "--lr"),
        (["train", "--threads", "0"], 2, "--threads must be 1 or more, or auto, got '0'"),
        (
            ["train", "--model", "net"],
            2,
            "--model must be mlp, lenet or resnet, or FILE.py:build, got 'net'",
        ),
        (["train", "--threads", "many"], 2, "--threads"),
        (["train", "--lr"], 2, "--lr requires an argument"),
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
        (["predict"], 2, "MODEL requires an argument"),
        (["predict", "model"], 2, "name the images"),
        (["predict", "none.safetensors", "a.png"], 1, "no such file"),
        (["summary"], 2, "MODEL requires an argument"),
        (["summary", "file.txt"], 1, "damaged"),
        (["summary", "."], 1, "is a folder"),
    ],
)
def test_errors_are_one_line(words, code, message, run_here, tmp_path):
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 not really")
    done = run_here(*words)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("chainrule: ")
    assert len(done.stderr.splitlines()) == 1
    debugged = run_here("--debug", *words)
    assert "Traceback" in debugged.stderr
    assert debugged.returncode == code
    # A run that failed before it made anything leaves its number free.
    assert not list((tmp_path / "runs").glob("*"))


def test_the_process_exits_with_the_code(run, tmp_path):
    for words, code in ((["train", "nosuch"], 2), (["summary", "none"], 1)):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == code
        assert done.stderr.startswith("chainrule: ")
        assert len(done.stderr.splitlines()) == 1


def test_an_existing_run_is_not_written_over(model, run_here):
    before = model.read_bytes()
    done = run_here("train", "--out", model.parent)
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert model.read_bytes() == before


def stop(child, at, number):
    """Send a signal when the command prints a line; return what it printed after that."""
    for line in child.stdout:
        if line.startswith(at):
            child.send_signal(number)
            break
    return child.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly_and_keeps_the_best(number, start, tmp_path):
    with start("train", "--epochs", 100_000, "--out", "run", cwd=tmp_path) as child:
        rest, errors = stop(child, "Epoch 3/", number)
    assert child.returncode == 128 + number
    assert "keeping the best model so far" in rest
    assert not errors
    assert names(tmp_path / "run") == MADE
    best = max(float(row["validation_accuracy"]) for row in history(tmp_path / "run"))
    assert f"{100 * best:.2f} %" in rest


def test_a_signal_in_the_first_epoch_saves_the_net_as_it_is(start, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (200_000, 4), np.uint8)  # an epoch of 200,000 steps
    np.savez(tmp_path / "long.npz", x_train=x, y_train=x[:, 0], x_test=x[:9], y_test=x[:9, 0])
    words = ("train", "long.npz", "--batch-size", 1, "--epochs", 1000, "--profile", "--out", "run")
    with start(*words, cwd=tmp_path) as child:
        rest, errors = stop(child, "Training", signal.SIGINT)
    assert child.returncode == 130
    assert not errors
    assert "before the first epoch ended" in rest
    assert "the model, as it was when stopped" in rest
    made = {"confusion.png", "model.safetensors", "run.toml", "weights.png"}
    # With no step measured yet there is no profile, and before it a folder for checkpoints.
    perhaps = {"checkpoints", "profile.csv", "profile.png"}
    assert set(names(tmp_path / "run")) - perhaps == made
    load(tmp_path / "run" / "model.safetensors")


def test_a_signal_while_drawing_leaves_the_model(start, tmp_path):
    with start("train", "--epochs", 2, "--out", "run", cwd=tmp_path) as child:
        rest, errors = stop(child, "Drawing", signal.SIGINT)
    assert child.returncode == 130
    assert errors == "chainrule: stopped. The model is in run/model.safetensors.\n"
    assert "Made in" not in rest
    assert len(history(tmp_path / "run")) == 2
    load(tmp_path / "run" / "model.safetensors")


def test_sigkill_leaves_the_best_model_so_far(start, tmp_path):
    with start("train", "--epochs", 100_000, "--out", "run", cwd=tmp_path) as child:
        stop(child, "Epoch 5/", signal.SIGKILL)
    assert load(tmp_path / "run" / "model.safetensors").predict(np.zeros((1, 64))).shape == (1, 10)
    assert len(history(tmp_path / "run")) >= 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(run_here, tmp_path):
    tmp_path.chmod(0o500)
    done = run_here("train")
    assert done.returncode == 1
    assert "cannot write into runs" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounting needs root")
@pytest.mark.parametrize(("size", "fits"), [("20k", False), ("64k", True)])
def test_a_full_disk_is_one_line_and_the_model_stays(size, fits, run_here, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let tests mount a small disk")
    try:
        done = run_here("train", "--epochs", 2, "--out", "disk/run")
        assert done.returncode == 1
        assert "disk/run: No space left on device." in done.stderr
        *warned, error = done.stderr.splitlines()
        assert all("No space left on device. " in line and "goes on." in line for line in warned)
        assert len(warned) == (3 if fits else 4)  # two checkpoints, and models
        assert ("The best model so far, of epoch 1," in error) == fits
        if fits:  # the model, but not the second one or the pictures beside it
            assert load(disk / "run" / "model.safetensors").layers
        else:
            assert names(disk / "run") == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_help_and_version(run_here):
    for words in ([], ["--help"]):
        done = run_here(*words)
        assert done.returncode == 0
        assert all(name in done.stdout for name in ("train", "predict", "summary"))
    assert run_here("--version").stdout.strip() == chainrule.__version__
    assert "--batch-size" in run_here("train", "--help").stdout


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # Help is quick: no library of pictures or downloads is loaded for it.
        (
            "from chainrule.cli.app import run; run(['train', '--help']); "
            "print([m for m in ('matplotlib', 'PIL', 'pooch') if m in sys.modules])",
            "[]",
        ),
        (
            "sys.modules['cyclopts'] = None; from chainrule.cli import main; main(['--help'])",
            "chainrule: the command line needs its extra: pip install 'chainrule[cli]'",
        ),
        # Said before an hour of training, not after it.
        (
            "sys.modules['matplotlib'] = None; from chainrule.cli import main; main(['train'])",
            "chainrule: the pictures need matplotlib: pip install 'chainrule[cli]'",
        ),
    ],
)
def test_what_is_loaded_and_what_is_missing(code, expected, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (done.stdout + done.stderr).splitlines()[-1] == expected
    assert done.returncode == (0 if expected == "[]" else 2)
    assert not (tmp_path / "runs").exists()
