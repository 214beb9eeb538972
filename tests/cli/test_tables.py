"""Tables and folders of images: trained on, predicted, evaluated; and what is wrong with some."""

import csv
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("cyclopts", reason="needs the extra: pip install 'chainrule[cli]'")
pytest.importorskip("pandas", reason="needs the extra: pip install 'chainrule[tables]'")
from PIL import Image

from chainrule import load
from chainrule.cli.image_folder import read_image
from chainrule.cli.prepare import load_data


def write_csv(path, columns, separator=",", start=""):
    lines = [separator.join(columns)]
    lines += [separator.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text(start + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def flowers(rng, rows=150):
    kind = np.arange(rows) % 3
    return {
        "length": np.round(kind + 0.2 * rng.standard_normal(rows) + 1e6, 4),
        "width": np.round(-kind + 0.2 * rng.standard_normal(rows), 4),
        "constant": np.full(rows, 3),
        "wet": rng.random(rows) < 0.5,
        "species": np.array(["setosa", "versicolor", "virginica"])[kind],
    }


def houses(rng, rows=300):
    size, age = rng.uniform(50, 200, rows), rng.integers(0, 100, rows)
    price = 1000 * size - 500 * age + 50_000 + 500 * rng.standard_normal(rows)
    return {"size": np.round(size, 3), "age": age, "price": np.round(price, 2)}


def printed_accuracy(done):
    return float(done.stdout.split("held-out samples: ")[1].split(" %")[0])


def test_classes_from_a_csv_file(run_here, tmp_path, rng):
    columns = flowers(rng)
    write_csv(tmp_path / "flowers.csv", columns)
    done = run_here("train", "flowers.csv", "--target", "species", "--epochs", 30, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert printed_accuracy(done) > 90
    assert "chainrule predict run/model.safetensors FILE.csv" in done.stdout
    model = "run/model.safetensors"
    preparation = load(tmp_path / model).metadata["preparation"]
    assert preparation["columns"] == ["length", "width", "constant", "wet"]
    assert preparation["names"] == ["setosa", "versicolor", "virginica"]
    # New rows, in another order of columns, without the target.
    new = {name: columns[name][:9] for name in ("wet", "width", "length", "constant")}
    write_csv(tmp_path / "new.csv", new)
    done = run_here("predict", model, "new.csv", "--out", "answers.csv")
    assert done.returncode == 0, done.stderr
    answers = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    right = [
        row["predicted"] == name for row, name in zip(answers, columns["species"], strict=False)
    ]
    assert sum(right) >= 8
    done = run_here("evaluate", model, "flowers.csv", "--json", "--out", "drawn")
    figures = json.loads(done.stdout.split("Drawn")[0])
    assert figures["samples"] == 150
    assert figures["accuracy"] > 0.9
    assert {"precision", "recall", "f1", "loss"} <= figures.keys()
    assert (tmp_path / "drawn" / "confusion.png").exists()
    assert "3 classes (setosa, versicolor, virginica)" in run_here("summary", model).stdout


def test_numbers_from_a_parquet_file(run_here, tmp_path, rng):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="needs the extra: pip install 'chainrule[tables]'")
    columns = houses(rng)
    pandas.DataFrame(columns).to_parquet(tmp_path / "houses.parquet")
    done = run_here("train", "houses.parquet", "--target", "price", "--epochs", 60, "--lr", 0.01,
                    "--out", "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "R² 0.99" in done.stdout
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"predicted.png", "curves.png", "model.safetensors"} <= made
    assert "confusion.png" not in made
    rmse = float(done.stdout.split("RMSE ")[1].split(",")[0])
    assert 400 < rmse < 4000  # in the target's own units
    write_csv(tmp_path / "new.csv", {name: values[:30] for name, values in columns.items()})
    done = run_here("predict", "run/model.safetensors", "new.csv", "--out", "answers.csv", "--all")
    assert done.stdout.startswith("new.csv[0]: price ")
    answers = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    predicted = np.array([float(row["predicted"]) for row in answers])
    assert np.sqrt(((predicted - columns["price"][:30]) ** 2).mean()) < 2 * rmse
    done = run_here("evaluate", "run/model.safetensors", "houses.parquet", "--json")
    assert json.loads(done.stdout)["r2"] > 0.99
    assert "predicts price" in run_here("summary", "run/model.safetensors").stdout


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_forms_of_csv(tmp_path, rng, separator):
    columns = flowers(rng)
    path = write_csv(tmp_path / "t.csv", columns, separator, start="\ufeff")
    data = load_data(str(path), "species")
    assert data.preparation.columns == ["length", "width", "constant", "wet"]
    assert len(data.x) + len(data.x_test) == 150
    # A large offset is taken away before the digits are.
    rows = data.preparation.rows(data.x)
    assert 0.9 < rows[:, 0].std() < 1.1


def test_names_in_quotes_that_hold_separators(tmp_path):
    rows = "\n".join(f"{i};{i % 3};{i % 2}" for i in range(40))
    (tmp_path / "t.csv").write_text(f'"a,x,z";"b,y,w";y\n{rows}\n')
    assert load_data(str(tmp_path / "t.csv"), "y").preparation.columns == ["a,x,z", "b,y,w"]


def test_rows_of_one_class_can_be_judged(run_here, tmp_path, rng):
    columns = flowers(rng)
    write_csv(tmp_path / "t.csv", columns)
    words = ("--target", "species", "--epochs", 30, "--out", "run")
    assert run_here("train", "t.csv", *words).returncode == 0
    write_csv(tmp_path / "one.csv", {name: values[1:2] for name, values in columns.items()})
    write_csv(tmp_path / "same.csv", {name: values[1::3] for name, values in columns.items()})
    for name, count in (("one.csv", 1), ("same.csv", 50)):
        done = run_here("evaluate", "run/model.safetensors", name, "--json")
        assert done.returncode == 0, done.stderr
        figures = json.loads(done.stdout)
        assert figures["samples"] == count
        assert figures["accuracy"] > 0.9


def test_both_libraries_read_the_same(tmp_path, rng, monkeypatch):
    pytest.importorskip("polars", reason="polars is not installed")
    from chainrule.cli import tables

    write_csv(tmp_path / "t.csv", flowers(rng))
    one, other = tables._with_pandas(tmp_path / "t.csv"), tables._with_polars(tmp_path / "t.csv")
    for name in one:
        assert list(one[name]) == list(other[name])


def test_the_task_can_be_said(tmp_path, rng):
    path = write_csv(tmp_path / "t.csv", {"a": rng.standard_normal(60), "n": np.arange(60) % 7})
    assert load_data(str(path), "n").preparation.names == list("0123456")
    assert load_data(str(path), "n", "regression").preparation.regression


@pytest.mark.parametrize(
    ("content", "target", "code", "message"),
    [
        ("a,b,y\n1,2,0\n", None, 2, "--target COLUMN of a, b, y"),
        ("size,b,y\n1,2,0\n", "sise", 2, "Did you mean 'size'?"),
        ("a,b,y\n1,2,0\n", "zzzz", 2, "There are a, b, y"),
        ("a,a,y\n1,2,0\n", "y", 2, "several columns are called a"),
        ("city,day,b,y\nRome,2020-01-01,2,0\nOslo,2021-01-01,3,1\n", "y", 1,
         "hold no numbers: city, day. Make numbers of them, as by scikit-learn's Column"),
        ("a,b,y\n1,,0\n2,,1\n,3,1\n", "y", 1, "values are missing in a (1), b (2)"),
        ("a,b,y\n1,2,\n2,3,1\n", "y", 1, "values are missing in y (1)"),
        ("a,y\n1,0\n2,1\n", "y", 1, "too few samples"),
        ("a,y\n1,0\n2,0\n", "y", 1, "is 0 in every row"),
        ("a,y\n" + "\n".join(f"{i},{i}" for i in range(9)), "y", 1, "--task regression"),
        ("a,y\n1,0.5\n2,0.5\n", "y", 1, "is 0.5 in every row"),
        ("a,y\n1,0.5\n2,0.7\n", "y", 1, "rows are too few"),
        ("a,y\ninf,0\n2,1\n", "y", 1, "infinite values in a"),
        ("a,y\n1,0,9\n2,1,9\n", "y", 1, "cannot be read as a table"),
        ("a,y\n", "y", 1, "no row in the table"),
        ("", "y", 1, "first line is empty"),
        ("1,2\n3,4\n", "y", 1, "first line holds numbers"),
        ("y\n1\n2\n", "y", 1, "no column besides 'y'"),
        ("a,y\n1\x00\xff,2\n", "y", 1, "t.csv"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be(content, target, code, message, run_here, tmp_path):
    (tmp_path / "t.csv").write_text(content, encoding="latin-1")
    words = [] if target is None else ["--target", target]
    done = run_here("train", "t.csv", *words)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_parquet_file_that_is_none(run_here, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    done = run_here("train", "t.parquet", "--target", "y")
    assert done.returncode == 1
    assert "t.parquet cannot be read as a table" in done.stderr


def test_numbers_too_wide(tmp_path):
    path = write_csv(tmp_path / "t.csv", {"a": [2**53 + i for i in range(60)], "b": [1e300] * 60,
                                          "y": [i % 2 for i in range(60)]})  # fmt: skip
    data = load_data(str(path), "y")
    assert np.isfinite(data.preparation.rows(data.x)).all()


def test_predicting_a_table_that_lacks_a_column(run_here, tmp_path, rng):
    write_csv(tmp_path / "t.csv", flowers(rng))
    assert (
        run_here("train", "t.csv", "--target", "species", "--epochs", 1, "--out", "r").returncode
        == 0
    )
    write_csv(tmp_path / "new.csv", {"width": [1.0], "wet": [True]})
    done = run_here("predict", "r/model.safetensors", "new.csv")
    assert done.returncode == 1
    assert "no column length, constant; the model was trained on length, width" in done.stderr
    write_csv(tmp_path / "other.csv", {**flowers(rng), "species": ["rose"] * 75 + ["tulip"] * 75})
    done = run_here("evaluate", "r/model.safetensors", "other.csv")
    assert "does not know the classes rose, tulip; it knows setosa" in done.stderr
    done = run_here("predict", "r/model.safetensors", "a.png")
    assert "trained on a table" in done.stderr


# -- folders of images ---------------------------------------------------------------------------


def draw(folder, rng, size=(8, 8), count=20, coloured=False, ending="png"):
    """Two classes: bright above, bright below."""
    for name, half in (("above", slice(None, 4)), ("below", slice(4, None))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = rng.integers(0, 60, (*size, 3) if coloured else size, np.uint8)
            pixels[half] += 150
            Image.fromarray(pixels).save(folder / name / f"{i:03}.{ending}")
    (folder / ".hidden").mkdir(exist_ok=True)
    (folder / "above" / ".junk.png").write_bytes(b"no image")
    (folder / "above" / "notes.txt").write_text("no image")


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_images(run_here, tmp_path, rng, coloured, model):
    draw(tmp_path / "data", rng, coloured=coloured)
    done = run_here("train", "data", "--model", model, "--epochs", 10, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert printed_accuracy(done) == 100
    assert (tmp_path / "run" / "mistakes.png").exists()
    done = run_here("predict", "run/model.safetensors", "data/below/003.png", "data/above/004.png")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("data/below/003.png: below (")
    assert second.startswith("data/above/004.png: above (")
    done = run_here("evaluate", "run/model.safetensors", "data")
    assert "accuracy   1.0000" in done.stdout


@pytest.mark.parametrize("coloured", [False, True])
def test_images_that_are_no_squares(run_here, tmp_path, rng, coloured):
    draw(tmp_path / "data", rng, size=(8, 12), coloured=coloured)
    draw(tmp_path / "large", rng, size=(16, 24))  # without colours
    shutil.rmtree(tmp_path / "large" / "below")
    for path in (tmp_path / "large" / "above").glob("0*.png"):
        with Image.open(tmp_path / "data" / "above" / path.name) as image:
            image.convert("L").resize((24, 16), Image.Resampling.NEAREST).save(path)
    assert run_here("train", "data", "--epochs", 10, "--out", "run").returncode == 0
    for name, count in (("data", 40), ("large", 20)):
        done = run_here("evaluate", "run/model.safetensors", name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[1] == str(count)
        assert "accuracy   1.0000" in done.stdout
    done = run_here("predict", "run/model.safetensors", "data/above/001.png")
    assert done.stdout.startswith("data/above/001.png: above (")


def test_images_of_16_bits_and_turned_ones(tmp_path, rng):
    pixels = rng.integers(0, 256, (6, 6)).astype(np.uint16)
    Image.fromarray(pixels * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), pixels)
    upright = Image.fromarray(pixels[:4].astype(np.uint8))
    about = Image.Exif()
    about[0x0112] = 6  # its camera was turned
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=about)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), pixels[:4])


def test_a_table_s_model_is_not_for_images(run_here, tmp_path, rng):
    write_csv(tmp_path / "t.csv", flowers(rng))
    words = ("--target", "species", "--epochs", 1, "--out", "run")
    assert run_here("train", "t.csv", *words).returncode == 0
    draw(tmp_path / "data", rng, count=1)
    done = run_here("evaluate", "run/model.safetensors", "data")
    assert done.returncode == 2
    assert "was not trained on images" in done.stderr


def test_a_folder_to_test_on(run_here, tmp_path, rng):
    draw(tmp_path / "data" / "train", rng)
    draw(tmp_path / "data" / "test", rng, count=3)
    data = load_data(str(tmp_path / "data"))
    assert (len(data.x), len(data.x_test)) == (40, 6)
    assert data.preparation.names == ["above", "below"]
    (tmp_path / "data" / "test" / "left").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "data" / "test" / "left" / "1.png")
    done = run_here("train", "data")
    assert done.returncode == 1
    assert "left: there are no images of that in" in done.stderr


def test_images_of_several_sizes(run_here, tmp_path, rng):
    draw(tmp_path / "data", rng)
    Image.new("L", (9, 12)).save(tmp_path / "data" / "below" / "odd.png")
    done = run_here("train", "data")
    assert done.returncode == 1
    assert (
        "differ in size: data/above/000.png is 8 x 8, data/below/odd.png is 9 x 12" in done.stderr
    )
    assert "--image-size 8" in done.stderr
    assert load_data(str(tmp_path / "data"), image_size=6).x.shape[1:] == (6, 6)


def test_folders_of_images_that_cannot_be(run_here, tmp_path, rng):
    draw(tmp_path / "data", rng)
    (tmp_path / "data" / "below" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    done = run_here("train", "data")
    assert done.returncode == 1
    assert "data/below/broken.png cannot be read as an image" in done.stderr
    (tmp_path / "one" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "one" / "cat" / "1.png")
    done = run_here("train", "one")
    assert "at least two classes, has cat" in done.stderr


def test_evaluate_sets_with_a_name(model, run_here):
    done = run_here("evaluate", model, "digits")
    assert done.returncode == 0, done.stderr
    assert "samples    359" in done.stdout
