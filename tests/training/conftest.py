import os
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let tests mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
