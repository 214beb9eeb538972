"""MNIST: from a folder, and downloaded for real from a server on loopback."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from chainrule import Batches, load_minibatches, load_mnist
from chainrule.data import (
    MiniBatches,
    Source,
    download,
    load_fashion_mnist,
    load_idx_folder,
    write_idx,
)

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte",
         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]  # fmt: skip


def fill(folder, suffix=".gz", samples=12):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(samples)
    for images, labels in (NAMES[:2], NAMES[2:]):
        write_idx(folder / f"{images}{suffix}", rng.integers(0, 256, (samples, 28, 28), np.uint8))
        write_idx(folder / f"{labels}{suffix}", rng.integers(0, 10, samples, np.uint8))
    return folder


@pytest.fixture
def server():
    """Serve files from memory; what a path does is chosen by the test."""
    answers, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers.get(self.path)
            if answer is None:
                self.send_error(404)
                return
            content, declared = answer
            self.send_response(200)
            self.send_header("Content-Length", str(declared))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    httpd.answers, httpd.asked = answers, asked
    httpd.address = f"http://127.0.0.1:{httpd.server_port}"
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def files(tmp_path):
    folder = fill(tmp_path / "origin")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def source(server, files, mirrors):
    checksums = {name: "md5:" + hashlib.md5(data).hexdigest() for name, data in files.items()}
    return Source("small", [f"{server.address}/{mirror}/" for mirror in mirrors], checksums)


def offer(server, mirror, files):
    for name, data in files.items():
        server.answers[f"/{mirror}/{name}"] = (data, len(data))


def test_a_download_and_a_second_call_without_network(server, files, tmp_path):
    pytest.importorskip("pooch")
    offer(server, "good", files)
    small = source(server, files, ["good"])
    folder = download(small, tmp_path / "cache")
    images, labels = load_idx_folder(folder, split="test")
    assert images.shape == (12, 28, 28)
    assert labels.dtype == np.int64
    asked = len(server.asked)
    assert download(small, tmp_path / "cache") == folder
    assert len(server.asked) == asked == 4


def test_mirrors_are_tried_in_turn(server, files, tmp_path):
    pytest.importorskip("pooch")
    offer(server, "corrupt", {name: data[:-1] + b"?" for name, data in files.items()})
    offer(server, "good", files)
    for name, data in files.items():  # says it is longer than what it sends, then hangs up
        server.answers[f"/broken/{name}"] = (data[:100], len(data))
    small = source(server, files, ["absent", "corrupt", "broken", "good"])
    folder = download(small, tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_a_broken_download_goes_on_where_it_stopped(server, files, tmp_path):
    pytest.importorskip("pooch")
    some = dict(list(files.items())[:2])
    offer(server, "good", some)
    small = source(server, files, ["good"])
    with pytest.raises(OSError, match="could not be downloaded"):
        download(small, tmp_path / "cache")
    there = {path.name for path in (tmp_path / "cache" / "small").iterdir()}
    assert there == set(some)
    server.asked.clear()
    offer(server, "good", files)
    download(small, tmp_path / "cache")
    assert not any(path.endswith(tuple(some)) for path in server.asked)


def test_without_network_the_message_says_what_to_do(server, files, tmp_path):
    pytest.importorskip("pooch")
    offer(server, "corrupt", {name: data + b"?" for name, data in files.items()})
    small = source(server, files, ["absent", "corrupt"])
    with pytest.raises(OSError, match=r"absent/: .*corrupt/: .*CHAINRULE_DATA.*embedded") as caught:
        download(small, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache" / "small").glob("*.gz"))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder(suffix, tmp_path, monkeypatch):
    folder = fill(tmp_path / "mine", suffix)
    images, labels = load_mnist(folder, split="train")
    assert images.shape == (12, 28, 28)
    assert len(labels) == 12
    monkeypatch.setenv("CHAINRULE_DATA", str(folder))
    np.testing.assert_array_equal(load_mnist()[0], images)
    with pytest.raises(ValueError, match='"train" or "test"'):
        load_mnist(split="validation")


def test_the_folders_inside_the_named_one(tmp_path, monkeypatch):
    fill(tmp_path / "mnist", samples=5)
    fill(tmp_path / "fashion-mnist", samples=7)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    assert len(load_mnist()[0]) == 5
    assert len(load_fashion_mnist()[0]) == 7


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    folder = fill(tmp_path / "mine")
    (folder / f"{NAMES[1]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no {NAMES[1]}, plain or .gz"):
        load_mnist(folder)
    write_idx(folder / f"{NAMES[1]}.gz", np.zeros(11, np.uint8))
    with pytest.raises(ValueError, match="one label for each image"):
        load_mnist(folder)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_mnist()


def test_mini_batches_as_in_the_article(tmp_path):
    folder = fill(tmp_path / "mine")
    data = load_minibatches(5, folder=folder, shuffle=False)
    assert len(data) == 3
    assert [len(y) for _, y in data[1:]] == [5, 2]
    with pytest.raises(IndexError):
        data[3]
    assert [x.shape for x, _ in data] == [(5, 784), (5, 784), (2, 784)]
    images, labels = load_mnist(folder)
    x, y = data[0]
    assert x.dtype == y.dtype == np.float32
    expected = (images[0].ravel() / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(x[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(y.argmax(axis=1), labels[:5])
    assert (y.sum(axis=1) == 1).all()


def test_shuffling_deals_anew():
    x = np.arange(20.0)
    data, same = (MiniBatches(x, x * 2, 6, seed=4) for _ in range(2))
    assert all(np.shares_memory(inputs, x) for inputs, _ in data)  # no copy before the first
    orders = []
    for _ in range(3):
        data.shuffle()
        orders.append(np.concatenate([inputs for inputs, _ in data]))
        assert all((targets == 2 * inputs).all() for inputs, targets in data)
        assert sorted(orders[-1]) == sorted(x)
    assert not np.array_equal(orders[0], orders[1])
    same.shuffle()
    np.testing.assert_array_equal(np.concatenate([inputs for inputs, _ in same]), orders[0])


def test_the_real_mnist(mnist_folder):
    images, labels = load_mnist()
    assert images.shape == (60_000, 28, 28)
    hashes = [
        hashlib.sha256(load_mnist(split=split)[0].tobytes()).hexdigest()[:8]
        for split in ("train", "test")
    ]
    assert len(set(hashes)) == 2
    assert np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    batches = Batches(images, labels, 64)
    assert len(batches) == 938


@pytest.mark.parametrize("targets", [3, 5])
def test_minibatches_need_as_many_inputs_as_targets(targets):
    with pytest.raises(ValueError, match=f"as many inputs as targets, got 4 and {targets}"):
        MiniBatches(np.zeros((4, 2)), np.zeros(targets), 2)
