"""What the checker found, for a terminal, a notebook and a program."""

import json
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.gradcheck.mistakes import MISTAKES
from chainrule.layer import Array

__all__ = ["Finding", "GradientReport"]

GREEN, RED, YELLOW, BOLD, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


@dataclass
class Finding:
    """What was found of one array: the input, or a parameter.

    Attributes
    ----------
    name : str
        ``"input"``, or the parameter's name.
    ok : bool
        Whether its gradient was checked, and is right.
    unproved : bool
        Whether too few elements could be compared to say anything.
    shape : tuple of int
        The array's shape.
    checked, skipped : int
        How many elements were compared; how many have no derivative (kinks).
    directions : int
        Along how many random directions the whole array was compared besides.
    max_error : float
        The greatest relative error; NaN if nothing could be compared.
    index : tuple of int or None
        Where it is.
    analytic, numerical : float
        The two values there.
    mistakes : tuple of str
        Identifiers of the mistakes that explain the numbers; several if they explain them equally.
    evidence : tuple of str
        What was seen, one for each mistake.
    pattern : str
        Where no mistake was named: how the error is spread.
    analytic_array, numerical_array : array or None
        The whole gradients, where they are known.
    """

    name: str
    ok: bool
    shape: tuple[int, ...]
    checked: int = 0
    skipped: int = 0
    directions: int = 0
    unproved: bool = False
    max_error: float = float("nan")
    index: tuple[int, ...] | None = None
    analytic: float = float("nan")
    numerical: float = float("nan")
    mistakes: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    pattern: str = ""
    analytic_array: Array | None = field(default=None, repr=False)
    numerical_array: Array | None = field(default=None, repr=False)

    @property
    def mistake(self) -> str | None:
        """The mistake that was named, or None."""
        return self.mistakes[0] if self.mistakes else None

    @property
    def verdict(self) -> str:
        """What is said of the array in a word or two."""
        if self.ok:
            return "ok"
        return ", ".join(self.mistakes) or ("not proved" if self.unproved else "wrong")

    @property
    def words(self) -> list[str]:
        """What is wrong, the evidence and the remedy, in sentences."""
        if self.ok:
            return []
        lines = [self.pattern] if self.unproved else []
        for mistake, evidence in zip(self.mistakes, self.evidence, strict=True):
            known = MISTAKES[mistake]
            lines.append(f"{mistake}: {known.sentence}: {evidence}. Remedy: {known.remedy}")
        return lines or [f"No known mistake explains the numbers. {self.pattern}"]


@dataclass
class GradientReport:
    """The verdict on a layer, loss or model.

    ``print(report)`` is a table, coloured on a terminal; in a notebook the report shows the table
    and a picture of the gradients.

    Attributes
    ----------
    subject : str
        What was checked.
    findings : list of Finding
        One for each array.
    error : str
        What the code under test raised, with its own line; empty if it did not.
    """

    subject: str
    findings: list[Finding] = field(default_factory=list)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether every array was checked, and is right."""
        return not self.error and bool(self.findings) and all(f.ok for f in self.findings)

    @property
    def max_error(self) -> float:
        """The greatest relative error of all arrays; NaN if nothing could be compared."""
        errors = [f.max_error for f in self.findings if not np.isnan(f.max_error)]
        return max(errors, default=float("nan"))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Every mistake named, each once."""
        return tuple(dict.fromkeys(m for finding in self.findings for m in finding.mistakes))

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of the array of that name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no array {name!r}; there are: {', '.join(f.name for f in self.findings)}.")

    def __str__(self) -> str:
        return self.text(colour=sys.stdout.isatty())

    def text(self, *, colour: bool = False) -> str:
        """Return the report as a table, with the words about each mistake under it."""

        def paint(words: str, code: str) -> str:
            return f"{code}{words}{PLAIN}" if colour else words

        verdict = paint("ok", GREEN) if self.ok else paint("FAILED", RED)
        lines = [f"{paint(self.subject, BOLD)}: {verdict}"]
        if self.error:
            return "\n".join([*lines, self.error])
        if not self.findings:
            return f"{lines[0]}\nNothing was checked: no float input, and no parameters were found."
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for number, row in enumerate(rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            code = BOLD if number == 0 else GREEN if self.findings[number - 1].ok else RED
            lines.append(paint(line.rstrip(), code))
        for finding in self.findings:
            lines += [paint(f"{finding.name}: ", YELLOW) + words for words in finding.words]
        return "\n".join(lines)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table, line by line; the first line is its head."""
        head = ("array", "shape", "compared", "max error", "at", "analytic", "numerical", "")
        return [head, *(_row(finding) for finding in self.findings)]

    def to_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON knows."""
        return {
            "subject": self.subject,
            "ok": self.ok,
            "error": self.error,
            "max_error": _finite(self.max_error),
            "findings": [
                {
                    "name": f.name,
                    "ok": f.ok,
                    "shape": list(f.shape),
                    "checked": f.checked,
                    "skipped": f.skipped,
                    "unproved": f.unproved,
                    "directions": f.directions,
                    "max_error": _finite(f.max_error),
                    "index": None if f.index is None else list(f.index),
                    "analytic": _finite(f.analytic),
                    "numerical": _finite(f.numerical),
                    "mistake": f.mistake,
                    "mistakes": list(f.mistakes),
                    "words": f.words,
                }
                for f in self.findings
            ],
        }

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def _repr_html_(self) -> str:
        from chainrule.gradcheck.picture import html

        return html(self)


def _row(finding: Finding) -> tuple[str, ...]:
    compared = f"{finding.checked:,}"
    if finding.directions:
        compared += f" + {finding.directions} directions"
    if finding.skipped:
        compared += f" ({finding.skipped:,} skipped at kinks)"
    index = "" if finding.index is None else str(finding.index)
    return (
        finding.name,
        str(finding.shape),
        compared,
        "" if np.isnan(finding.max_error) else f"{finding.max_error:.1e}",
        index,
        "" if np.isnan(finding.analytic) else f"{finding.analytic:.6g}",
        "" if np.isnan(finding.numerical) else f"{finding.numerical:.6g}",
        finding.verdict,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
