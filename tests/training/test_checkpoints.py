"""Files of checkpoints that are damaged, and disks that cannot be written."""

import contextlib
import subprocess
import warnings

import numpy as np
import pytest

from chainrule import Callback, Hook, Linear, MeanSquaredError, Model
from training.program import simple

# -- damaged files -------------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    whole = simple(tmp_path / "whole")
    simple(tmp_path / "a", epochs=2)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    before, newest = sorted(files)
    content = files[newest]
    for i, damaged in enumerate((content[:-1], content[:100], b"", content[:-9] + bytes(9))):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / before).write_bytes(files[before])
        (folder / newest).write_bytes(damaged)
        with pytest.warns(RuntimeWarning, match=f"{newest} is damaged.*Going on from {before}"):
            np.testing.assert_array_equal(simple(folder, resume=True), whole)


def test_after_a_damaged_checkpoint_the_last_two_are_whole(tmp_path):
    """One of a later step than the one that was gone back to takes the place of none."""
    counts = []

    def count(run):
        names = [path.name for path in sorted(tmp_path.iterdir())]
        counts.append([int(name[11:20]) for name in names])

    simple(tmp_path, epochs=4, callbacks=[Hook()])
    newest = tmp_path / "checkpoint-000000004.safetensors"
    (tmp_path / "checkpoint-000000008.safetensors").write_bytes(newest.read_bytes()[:-1])
    newest.unlink()
    with pytest.warns(RuntimeWarning, match="damaged"):
        simple(tmp_path, epochs=9, resume=True, callbacks=[Hook(on_epoch_begin=count)])
    assert counts == [[3, 8], [3, 4, 8], [4, 5, 8], [5, 6, 8], [6, 7, 8], [7, 8]]


def test_every_flipped_byte_is_found(tmp_path):
    from chainrule.training.checkpoint_file import read_state

    simple(tmp_path, epochs=1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for i in range(0, len(content), max(1, len(content) // 400)):
        for change in (1, 0x20, 0x80):
            flipped = bytearray(content)
            flipped[i] ^= change
            path.write_bytes(flipped)
            with pytest.raises(ValueError, match=path.name):
                read_state(path)
    path.write_bytes(content)
    read_state(path)


def test_when_all_are_damaged_it_says_so(tmp_path):
    simple(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"damaged.*damaged.*Remove the file"):
        simple(tmp_path, resume=True)


def test_another_version_and_a_model(tmp_path):
    from chainrule.storage import read_arrays, write_arrays
    from chainrule.training.checkpoint_file import read_state

    simple(tmp_path, epochs=1)
    (path,) = tmp_path.iterdir()
    arrays, description = read_arrays(path)
    write_arrays(path, arrays, {**description, "checkpoint": 2})
    with pytest.raises(ValueError, match="a checkpoint of format 2, and this chainrule reads 1"):
        simple(tmp_path, resume=True)
    Model([Linear(3, 2)], MeanSquaredError()).save(path)
    with pytest.raises(ValueError, match=r"is no checkpoint\. If it is a model: chainrule.load"):
        read_state(path)


# -- what cannot be written ----------------------------------------------------------------------


def test_a_full_disk_does_not_stop_the_training(small_disk, tmp_path):
    class Fill(Callback):
        """Fill the disk after the second epoch, and make room after the fourth."""

        def on_epoch_begin(self, run):
            filler = small_disk / "filler"
            if run.epoch == 3:
                with filler.open("wb", 0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * 512)
            elif run.epoch == 5:
                filler.unlink()

    folder = small_disk / "c"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        full = simple(folder, epochs=6, callbacks=[Fill()])
    messages = [str(warning.message) for warning in caught]
    assert [m.split("step ")[1].split(" could")[0] for m in messages] == ["3", "3", "4", "4"]
    assert all("No space left" in m and "The training goes on." in m for m in messages)
    assert "The last one is checkpoint-000000002.safetensors." in messages[0]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint-000000005.safetensors", "checkpoint-000000006.safetensors"]
    np.testing.assert_array_equal(full, simple(tmp_path / "other", epochs=6))


def test_a_disk_that_is_read_only(small_disk):
    folder = small_disk / "c"
    simple(folder, epochs=1)
    kept = [path.read_bytes() for path in folder.iterdir()]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match=r"cannot write checkpoints into.*Read-only file system"):
        simple(folder, resume=True)
    assert [path.read_bytes() for path in folder.iterdir()] == kept


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    class Remove(Callback):
        def on_epoch_begin(self, run):
            for path in (tmp_path / "c").iterdir():
                path.unlink()
            (tmp_path / "c").rmdir()

    simple(tmp_path / "c", callbacks=[Remove()])
    assert len(list((tmp_path / "c").iterdir())) == 1


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(OSError, match="cannot write checkpoints into"):
        simple(tmp_path / "c")
    assert (tmp_path / "c").read_text() == "mine"
