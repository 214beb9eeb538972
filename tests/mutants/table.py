"""The README of gradcheck, with the table of mistakes made against mistakes named.

    python tests/mutants/table.py

writes it anew.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chainrule import check_gradients
from chainrule.gradcheck import MISTAKES
from mutants import RIGHT, WRONG

README = Path(__file__).parents[2] / "src" / "chainrule" / "gradcheck" / "README.md"

TEXT = """# The gradient checker

`check_gradients(thing, x, y)` holds the gradients of a layer, loss or model against numerical ones,
and names the mistake where they differ. `docs/checking-gradients.md` is the guide; this page says
how it works and how well.

| file | what it does |
|---|---|
| `check.py` | from the copies to the report; the budget; random directions |
| `subject.py` | the thing under test as a pure function of its arrays |
| `parts.py` | what is inside it: its parts, their parameters, what they draw from |
| `numerical.py` | central differences, Richardson's extrapolation, kinks |
| `comparison.py` | whether both agree, element by element, to rounding |
| `conduct.py` | what may not be changed, remembered or overwritten; large inputs |
| `case.py`, `diagnosis.py` | from wrong numbers to the mistake |
| `hypotheses.py`, `axes.py` | what may have gone wrong: about values; about axes and positions |
| `mistakes.py` | the mistakes, in words |
| `report.py`, `picture.py` | the report, for a terminal, a program and a notebook |

## The checker, checked

`tests/mutants/` holds {wrong} wrong layers and losses, short classes as a student would write
them, and {right} right ones, some with kinks, large values or tiny gradients. Each line is a
mistake; how often it was made; how often it was caught; and what the report named. Two names stand
together where both explain the numbers equally.

| mistake made | made | caught | named |
|---|---|---|---|
{rows}

Of {wrong} wrong ones, {caught} failed, and {named} were given their own mistake ({rate:.0f} %). Of
{right} right ones, {passed} passed. The hypotheses and these classes have the same authors: other
people's mistakes will be named less often. Then the report says so, and how the error is spread.
"""


def readme() -> str:
    """Return the page."""
    named: dict[str, Counter[str]] = {mistake: Counter() for mistake in MISTAKES}
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for entry in WRONG:
        report = check_gradients(entry.build(), entry.x, entry.y)
        made[entry.mistake] += 1
        caught[entry.mistake] += not report.ok
        named[entry.mistake][" or ".join(sorted(report.mistakes)) or "none"] += 1
    passed = sum(check_gradients(e.build(), e.x, e.y).ok for e in RIGHT)
    own = sum(count for m in MISTAKES for words, count in named[m].items() if m in words.split())
    rows = [
        f"| `{m}` | {made[m]} | {caught[m]} | "
        + ", ".join(f"{words}: {count}" for words, count in sorted(named[m].items()))
        + " |"
        for m in MISTAKES
    ]
    return TEXT.format(
        wrong=len(WRONG),
        right=len(RIGHT),
        rows="\n".join(rows),
        caught=sum(caught.values()),
        named=own,
        rate=100 * own / len(WRONG),
        passed=passed,
    )


if __name__ == "__main__":
    README.write_text(readme())
