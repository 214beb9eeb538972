"""What importing costs, and the public names."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import chainrule

HEAVY = ["matplotlib", "rich", "typer", "cyclopts", "pooch", "PIL", "safetensors", "scipy",
         "pandas", "torch", "sklearn"]  # fmt: skip


def test_importing_loads_numpy_and_nothing_of_weight():
    code = f"import sys, chainrule; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_star_brings_the_public_names():
    names = {}
    exec("from chainrule import *", names)
    assert set(names) - {"__builtins__"} == set(chainrule.__all__)
    assert chainrule.Relu is chainrule.ReLU


def modules():
    yield "chainrule"
    for module in pkgutil.walk_packages(chainrule.__path__, "chainrule."):
        if not module.name.endswith("__main__"):
            yield module.name


@pytest.mark.parametrize("name", list(modules()))
def test_every_listed_name_exists(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", []):
        assert hasattr(module, public)
