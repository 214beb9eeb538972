"""The docs show the code as it is, and every layer has its derivation."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule.layers
import chainrule.losses

PAGES = Path(__file__).parent.parent / "docs" / "layers"
TOOL = Path(__file__).parent.parent / "tools" / "include_source.py"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="tools/ is not in this copy")


def test_code_in_the_docs_is_the_source():
    ran = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}Run: python tools/include_source.py"


def shown(page):
    """Return the words of a page's headings, and the names of the code included in it."""
    outside = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    headings = " ".join(re.findall(r"^#+ (.*)$", outside, re.MULTILINE))
    included = re.findall(r"^<!-- source: \S+ (\w+)", page, re.MULTILINE)
    return {*re.findall(r"\w+", headings), *included}


def test_what_a_page_shows():
    page = "# One, `Two`\n```python\n# No\n```\n<!-- source: a.py Three.forward -->\nFour\n"
    assert shown(page) == {"One", "Two", "Three"}


def test_every_layer_and_loss_is_derived():
    classes = [
        getattr(package, name)
        for package in (chainrule.layers, chainrule.losses)
        for name in package.__all__
    ]
    has_page = set().union(*(shown(path.read_text()) for path in PAGES.glob("*.md")))
    missing = sorted({cls.__name__ for cls in classes} - has_page - {"Loss"})
    assert not missing, (
        f"No page under docs/layers derives {', '.join(missing)}. "
        "Give each a heading with its name, or include its code."
    )


def test_the_index_lists_every_page():
    index = (PAGES / "README.md").read_text()
    pages = {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    missing = sorted(page for page in pages if f"({page})" not in index)
    assert not missing, f"docs/layers/README.md does not list {', '.join(missing)}."
