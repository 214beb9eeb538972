"""A table that the page was sent: it is data only when it is said which column is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chainrule.cli.prepare import load_data
from chainrule.cli.tables import read_names
from chainrule.studio import data as sets
from chainrule.studio.data import Data, SentTable

__all__ = ["KIND", "is_table", "learned", "read_table", "suggested"]

KIND = ".csv"
MOST_COLUMNS = 10_000
USUAL = ("target", "label", "y", "class")  # names of what is predicted


def is_table(name: str) -> bool:
    """Whether a file of this name is taken for a table."""
    return Path(name).suffix.lower() == KIND


def read_table(name: str, content: bytes) -> SentTable:
    """Return a table that a user has sent, when it has been read whole; nothing is executed.

    Parameters
    ----------
    name : str
        The name of the file; only its stem is used, and nothing is written under it.
    content : bytes
        The file.

    Raises
    ------
    ValueError
        If it is too large or no table, or if nothing is installed to read it.
    """
    stem = sets.stem_of(name)
    sets.refuse_large(
        name, content, "Open it by the command: chainrule studio FILE.csv --target COLUMN."
    )
    if b"\0" in content:
        raise ValueError(
            f"{stem}.csv holds NUL bytes: it is no text, or text of two bytes a letter (UTF-16). "
            "Save it as CSV in UTF-8."
        )
    first = content.split(b"\n", 1)[0]
    if max(map(first.count, (b",", b";", b"\t"))) >= MOST_COLUMNS:
        raise ValueError(
            f"{stem}.csv has more than {MOST_COLUMNS:,} columns. Send the numbers as arrays x and "
            "y in an .npz file."
        )
    with sets.as_file(f"{stem}{KIND}", content) as path:
        columns = read_names(path)
    if len(columns) < 2:
        raise ValueError(
            f"{stem}.csv has one column, {columns[0]!r:.60}: there is none to predict it from."
        )
    return SentTable(stem, content, tuple(columns))


def suggested(table: SentTable) -> str:
    """Return the column that is most likely to be learned: one named so, else the last.

    Examples
    --------
    >>> suggested(SentTable("a", b"", ("Label", "age"))), suggested(SentTable("b", b"", ("u", "v")))
    ('Label', 'v')
    """
    small = {column.lower(): column for column in reversed(table.columns)}
    return next((small[name] for name in USUAL if name in small), table.columns[-1])


def learned(table: SentTable, column: str, task: str | None = None) -> Data:
    """Return a table as data in which a column is learned from the others.

    Parameters
    ----------
    table : SentTable
    column : str
    task : {"classification", "regression"}, optional
        None looks at the column.

    Raises
    ------
    ValueError
        As ``chainrule train FILE.csv --target COLUMN`` says it.
    """
    with sets.as_file(f"{table.name}{KIND}", table.content) as path:
        return replace(sets.as_data(table.name, load_data(str(path), column, task)), table=table)
