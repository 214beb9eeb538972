"""`chainrule predict`: drawings, photos, arrays, and files that are none of these."""

import csv
import re
import struct
import zlib

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
from PIL import Image

import chainrule
from chainrule import load, load_digits
from chainrule.cli.picture import read_picture
from chainrule.cli.preparation import Preparation


def page(image, *, ink=255, paper=0, size=200):
    """Draw an 8x8 digit large, with room around it, as a person would."""
    big = Image.fromarray((image * (255 / 16)).astype(np.uint8)).resize((size, size), 0)
    room = Image.new("L", (size + 120, size + 80), 0)
    room.paste(big, (70, 30))
    strength = np.asarray(room) / 255
    return Image.fromarray((paper + (ink - paper) * strength).round().astype(np.uint8))


@pytest.mark.parametrize(
    ("ink", "paper"),
    [(255, 0), (0, 255), (70, 190), (60, 110), (190, 120)],
    ids=["white on black", "black on white", "photo", "dark photo", "chalk"],
)
def test_held_out_digits_drawn_large_are_read_as_their_arrays(ink, paper, model, tmp_path):
    net = load(model)
    preparation = Preparation.of(net, model)
    images, _ = load_digits("test")
    drawn = []
    for image in images[:150]:
        page(image, ink=ink, paper=paper).save(tmp_path / "a.png")
        array, inverted = read_picture(
            tmp_path / "a.png", (8, 8), maximum=16, margin=0.0, background="dark"
        )
        assert inverted == (ink < paper)
        drawn.append(array)
    as_drawn = net.predict_classes(preparation.rows(np.array(drawn)))
    as_arrays = net.predict_classes(preparation.rows(images[:150]))
    assert (as_drawn == as_arrays).mean() >= 0.9


def formats():
    digit = page(load_digits("test")[0][0], ink=0, paper=255)
    strength = Image.fromarray(255 - np.asarray(digit))
    for name, ink in (("black", 0), ("white", 255)):
        on_nothing = Image.new("LA", digit.size, (ink, 0))
        on_nothing.putalpha(strength)
        yield f"{name}-on-nothing.png", on_nothing, {}
    yield "sixteen-bits.png", Image.fromarray(np.asarray(digit).astype(np.uint16) * 257), {}
    yield "palette.png", digit.convert("P"), {}
    yield "photo.jpg", digit.convert("RGB"), {}
    yield "print.jpg", digit.convert("CMYK"), {}
    yield "old.GIF", digit, {}
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    yield "turned.jpg", digit.rotate(90, expand=True), {"exif": turned}


@pytest.mark.parametrize(
    ("name", "image", "options"), [pytest.param(*f, id=f[0]) for f in formats()]
)
def test_every_kind_of_image_is_read_alike(name, image, options, tmp_path):
    page(load_digits("test")[0][0]).save(tmp_path / "plain.png")
    image.save(tmp_path / name, **options)
    plain, read = (
        read_picture(tmp_path / n, (8, 8), maximum=16, margin=0.0, background="dark")[0]
        for n in ("plain.png", name)
    )
    np.testing.assert_allclose(read, plain, atol=0.5)  # of 16


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path):
    image = load_digits("test")[0][3]
    Image.fromarray(image * 15).save(tmp_path / "a.png")
    read, _ = read_picture(tmp_path / "a.png", (8, 8), maximum=16, margin=0.0, background="dark")
    np.testing.assert_allclose(read, image * 15 * (16 / 255), rtol=1e-6)


@pytest.mark.parametrize("background", ["dark", "light", None])
def test_an_image_is_inverted_only_against_the_training_data(background, tmp_path):
    page(load_digits("test")[0][0], ink=0, paper=255).save(tmp_path / "a.png")
    read, inverted = read_picture(
        tmp_path / "a.png", (20, 20), maximum=255, margin=None, background=background
    )
    assert inverted == (background == "dark")
    assert read[0, 0] == (0 if inverted else 255)


def test_what_is_printed(model, run_here, tmp_path):
    images, _ = load_digits("test")
    page(images[0], ink=0, paper=255).save(tmp_path / "a.png")
    np.savez(tmp_path / "a.npz", x=images[:30])
    np.save(tmp_path / "one.npy", images[0])
    np.save(tmp_path / "flat.npy", images[0].ravel())
    done = run_here("predict", model, "a.png", "a.npz", "one.npy", "flat.npy", "--out", "p.csv")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    answer = r"\d \(\d+\.\d %\), then \d \(\d+\.\d %\)"
    assert re.fullmatch(rf"a\.png: {answer}  \[inverted: light background\]", lines[0])
    assert re.fullmatch(rf"a\.npz\[0\]: {answer}", lines[1])
    assert lines[21].startswith("… and 10 more")
    assert lines[22].startswith("one.npy: ")
    assert lines[22].partition(": ")[2] == lines[23].partition(": ")[2]
    rows = list(csv.reader((tmp_path / "p.csv").read_text().splitlines()))
    assert rows[0] == ["sample", "predicted", "probability"]
    assert len(rows) == 34
    assert len(run_here("predict", model, "a.npz", "--all").stdout.splitlines()) == 30


def test_the_command_as_a_process(model, run, tmp_path):
    page(load_digits("test")[0][0]).save(tmp_path / "a.png")
    done = run("predict", model, "a.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("a.png: ")


def bomb():
    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def test_files_that_cannot_be_read_do_not_stop_the_others(model, run_here, tmp_path):
    page(load_digits()[0][3]).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "bomb.png").write_bytes(bomb())
    Image.new("L", (300, 200), 255).save(tmp_path / "blank.png")
    np.save(tmp_path / "wrong.npy", np.zeros((3, 5)))
    np.save(tmp_path / "nan.npy", np.full((8, 8), np.nan))
    np.save(tmp_path / "large.npy", np.full((1, 8, 8), 1e300))
    np.save(tmp_path / "none.npy", np.zeros((0, 8, 8)))
    np.save(tmp_path / "number.npy", np.float32(3))
    np.save(tmp_path / "complex.npy", np.zeros((1, 8, 8), complex))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 8, 8)), b=np.zeros((1, 8, 8)))
    (tmp_path / "folder").mkdir()
    bad = sorted(path.name for path in tmp_path.iterdir() if path.name != "good.png")
    done = run_here("predict", model, *bad, "missing.png", "good.png")
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["good.png"]
    errors = done.stderr.splitlines()
    assert len(errors) == len(bad) + 1
    for error, name in zip(errors, [*bad, "missing.png"], strict=True):
        assert error.startswith("chainrule: ")
        assert name in error


@pytest.mark.parametrize("out", ["photo.png", "mine.csv", "nowhere/p.csv", "folder"])
def test_no_file_of_the_user_s_is_written_over(out, model, run_here, tmp_path):
    page(load_digits()[0][3]).save(tmp_path / "a.png")
    for name in ("photo.png", "mine.csv"):
        (tmp_path / name).write_text("precious")
    (tmp_path / "folder").mkdir()
    done = run_here("predict", model, "a.png", "--out", out)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout  # said before the work, not after it
    assert {(tmp_path / n).read_text() for n in ("photo.png", "mine.csv")} == {"precious"}


def test_predictions_may_be_written_anew(model, run_here, tmp_path):
    np.save(tmp_path / "a.npy", load_digits()[0][:2])
    for _ in range(2):
        assert run_here("predict", model, "a.npy", "--out", "p.csv").returncode == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 3


def test_a_model_made_in_python_is_said_to_have_no_preparation(run_here, tmp_path):
    net = chainrule.Model([chainrule.Linear(4, 2)], chainrule.SoftmaxCrossEntropy())
    net.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    done = run_here("predict", "net.safetensors", "a.npy")
    assert done.returncode == 1
    assert "does not say how its inputs are prepared" in done.stderr
    shown = run_here("summary", "net.safetensors")
    assert shown.returncode == 0
    assert "Linear(4, 2)" in shown.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sample_shape", "abc"), ("sample_shape", [-1, 2]), ("names", []), ("maximum", None),
        ("mean", "x"), ("mean", float("nan")), ("deviation", 0), ("margin", 7),
        ("background", None), ("unknown", 1),
    ],
)  # fmt: skip
def test_a_damaged_preparation_is_refused(name, value, model, run_here, tmp_path):
    net = load(model)
    net.metadata["preparation"] = {**net.metadata["preparation"], name: value}
    net.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "a.npy", np.zeros((1, 8, 8)))
    done = run_here("predict", "net.safetensors", "a.npy")
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_weights_that_are_nan_give_no_prediction(model, run_here, tmp_path):
    net = load(model)
    net.layers[0].weights[:] = np.nan
    net.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "a.npy", np.ones((1, 8, 8)))
    done = run_here("predict", "net.safetensors", "a.npy")
    assert (done.returncode, done.stdout) == (1, "")
    assert "NaN" in done.stderr


def test_a_closed_pipe_is_silent(model, start, tmp_path):
    np.save(tmp_path / "many.npy", np.zeros((20_000, 8, 8)))
    with start("predict", model, "many.npy", "--all", cwd=tmp_path) as child:
        child.stdout.readline()
        child.stdout.close()
        errors = child.stderr.read()
    assert errors == ""
