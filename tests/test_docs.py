"""The docs show the code as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "include_source.py"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="tools/ is not in this copy")


def test_code_in_the_docs_is_the_source():
    ran = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}Run: python tools/include_source.py"
