"""The command as a person runs it, and what the main job leaves."""

import subprocess
import sys

import pytest


def begin(*words, cwd, **options):
    """Start the real command as a real process."""
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        **options,
    )


def finish(*words, cwd, **options):
    with begin(*words, cwd=cwd, **options) as child:
        out, err = child.communicate(timeout=300)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


@pytest.fixture
def start():
    return begin


@pytest.fixture
def run():
    """Run the command to its end."""
    return finish


@pytest.fixture(scope="session")
def run_alone():
    """The same, for fixtures that last longer than a test."""
    return finish


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The main job, once: where it ran, and what it printed."""
    folder = tmp_path_factory.mktemp("home")
    return folder, finish("train", cwd=folder)


@pytest.fixture
def model(trained):
    folder, _ = trained
    return folder / "runs" / "digits-001" / "model.safetensors"
