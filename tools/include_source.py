"""Bring the code in the docs up to date with the source that it is taken from.

In a page, the comment names a function, method or class; the fence after it is written from there,
without the docstring:

    <!-- source: src/chainrule/layers/linear.py Linear.forward -->
    ```python
    ```

Run: python tools/include_source.py [--check]
"""

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
MARK = re.compile(r"^<!-- source: (\S+) (\S+) -->\n```python\n(.*?)```$", re.MULTILINE | re.DOTALL)


def source(path: str, name: str) -> str:
    """Return the code of a dotted name in a file, its docstring left out."""
    text = (ROOT / path).read_text()
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [n for n in getattr(node, "body", []) if getattr(n, "name", None) == part]
        if not found:
            raise SystemExit(f"{path} has no {name}")
        node = found[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    lines = text.splitlines()
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    chosen = lines[first - 1 : node.end_lineno]
    if ast.get_docstring(node, clean=False) is not None:
        doc = node.body[0]
        assert doc.end_lineno is not None
        del chosen[doc.lineno - first : doc.end_lineno - first + 1]
    return textwrap.dedent("\n".join(chosen)) + "\n"


def refreshed(page: str) -> str:
    """Return the text of a page with every included piece as the source has it now."""
    return MARK.sub(
        lambda m: f"<!-- source: {m[1]} {m[2]} -->\n```python\n{source(m[1], m[2])}```", page
    )


def main() -> int:
    stale = []
    for path in sorted((ROOT / "docs").rglob("*.md")):
        old = path.read_text()
        new = refreshed(old)
        if new != old:
            stale.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(new)
    for path in stale:
        print(f"{path}: code from the source is {'stale' if '--check' in sys.argv else 'renewed'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
