"""Tables with a name over each column: CSV and Parquet, read by pandas or polars."""

import difflib
import importlib.util
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.cli.errors import UsageError
from chainrule.layer import Array

__all__ = [
    "TABLES", "Found", "Table", "are_numbers", "labels_or_values", "read_columns",
    "read_names", "read_table",
]  # fmt: skip

TABLES = (".csv", ".parquet")
MOST_CLASSES = 1000
LONGEST = 10  # names in an error


@dataclass
class Table:
    """A table's numbers, and the column that is predicted.

    Attributes
    ----------
    x : array, shape (rows, columns), float64
    columns : list of str
    target : array, shape (rows,)
        As it stands in the file: numbers, booleans or text.
    target_name : str
    """

    x: Array
    columns: list[str]
    target: Array
    target_name: str


@dataclass
class Found:
    """What the target is: labels with names, or values where ``names`` is None."""

    y: Array
    names: list[str] | None


def read_table(path: Path, target: str | None) -> Table:
    """Read a table, and part it into what is known and what is predicted.

    Raises
    ------
    UsageError
        If the target is not named, or not there.
    ValueError
        If the file cannot be read, or a column holds text, or values are missing.
    """
    columns = _read(path)
    names = _listed(list(columns))
    if target is None:
        raise UsageError(
            f"{path}: say which column is to be predicted: --target COLUMN of {names}."
        )
    if target not in columns:
        close = difflib.get_close_matches(target, columns, n=1, cutoff=0.4)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are {names}."
        raise UsageError(f"{path}: there is no column {target!r}. {hint}")
    y = columns.pop(target)
    if not columns:
        raise ValueError(f"{path}: there is no column besides {target!r} to predict it from.")
    _refuse_missing(path, {target: y})
    return Table(_numbers(path, columns), list(columns), y, target)


def read_names(path: Path) -> list[str]:
    """Return the names of a table's columns, when it has been read whole.

    Raises
    ------
    UsageError
        If there is no such file, or nothing is installed to read it.
    ValueError
        If the file cannot be read.
    """
    return list(_read(path))


def read_columns(path: Path, wanted: Sequence[str]) -> Array:
    """Return the numbers of these columns, in this order; others may be there.

    Raises
    ------
    ValueError
        If one is not there, holds text, or values are missing.
    """
    columns = _read(path)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ValueError(
            f"{path}: there is no column {_listed(missing)}; the model was trained on "
            f"{_listed(wanted)}."
        )
    return _numbers(path, {name: columns[name] for name in wanted})


def are_numbers(y: Array, task: str | None = None) -> bool:
    """Whether targets are numbers to predict, and no classes: if some are not whole.

    Parameters
    ----------
    y : array
        As it stands in a file.
    task : {"classification", "regression"}, optional
        Overrides what they look like.

    Examples
    --------
    >>> are_numbers(np.array([0.5, 1.0])), are_numbers(np.array([0.0, 1.0]))
    (True, False)
    >>> are_numbers(np.array([3, 4]), "regression")
    True
    """
    if task is not None:
        return task == "regression"
    return y.dtype.kind == "f" and bool((y != np.round(y)).any())


def labels_or_values(path: Path, table: Table, task: str | None, *, to_learn: bool = True) -> Found:
    """Return the target as labels, or as values to predict.

    Whole numbers, booleans and text are classes, other numbers values; ``task`` overrides it.
    ``to_learn``: whether a target that is the same in every row is refused.

    Raises
    ------
    ValueError
        If there is nothing to learn, there are too many classes, or text is no value.
    """
    y, name = table.target, table.target_name
    text = y.dtype.kind not in "fiub"
    if are_numbers(y, task):
        if text:
            raise ValueError(f"{path}: {name!r} holds text, and text is no value to predict.")
        y = y.astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError(f"{path}: {name!r} has infinite values. Take those rows away.")
        if to_learn and (y == y[0]).all():
            raise ValueError(
                f"{path}: {name!r} is {y[0]:g} in every row: there is nothing to learn."
            )
        return Found(y, None)
    labels, y = np.unique(y.astype(str) if text else y, return_inverse=True)
    if to_learn and len(labels) < 2:
        raise ValueError(
            f"{path}: {name!r} is {labels[0]} in every row: there is nothing to learn."
        )
    if len(labels) > MOST_CLASSES:
        raise ValueError(
            f"{path}: {name!r} has {len(labels):,} different values, and there are {MOST_CLASSES} "
            "classes at most. To predict a number: --task regression."
        )
    return Found(y.astype(np.int64), [_label(label) for label in labels])


# -- inner parts ---------------------------------------------------------------------------------


def _label(label: Any) -> str:
    whole = isinstance(label, np.floating) and float(label).is_integer()
    return str(int(label)) if whole else str(label)


def _read(path: Path) -> dict[str, Array]:
    """Return the columns by name: numbers and booleans as such, all else as objects."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    if importlib.util.find_spec("pandas") is not None:
        read = _with_pandas
    elif importlib.util.find_spec("polars") is not None:
        read = _with_polars
    else:
        raise UsageError(f"{path}: tables need pandas or polars: pip install 'chainrule[tables]'")
    try:
        columns = read(path)
    except (OSError, UsageError):
        raise
    except UnicodeDecodeError as error:
        words = f"{path} is no text in UTF-8 ({error}). Save it as CSV in UTF-8."
        raise ValueError(words) from error
    except Exception as error:  # each library has errors of its own
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if not columns or not len(next(iter(columns.values()))):
        raise ValueError(f"{path}: there is no row in the table.")
    return columns


def _with_pandas(path: Path) -> dict[str, Array]:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path)
    else:
        head = _header(path)
        # The names are ours to compare: pandas would call a second "a" "a.1".
        options = {"sep": head.separator, "encoding": "utf-8-sig", "skipinitialspace": True}
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a row with more values than names loses some
            frame = pd.read_csv(
                path, header=None, skiprows=1, index_col=False, names=range(len(head.names)),
                low_memory=False, **options,
            )  # fmt: skip
        frame.columns = head.names
    names = [str(name) for name in frame.columns]
    _refuse_doubles(path, names)
    return {
        name: column.to_numpy() if column.dtype.kind in "fiub" else _objects(column, pd.isna)
        for name, (_, column) in zip(names, frame.items(), strict=True)
    }


def _with_polars(path: Path) -> dict[str, Array]:
    import polars as pl  # type: ignore[import-not-found, unused-ignore]

    if path.suffix.lower() == ".parquet":
        frame = pl.read_parquet(path)
    else:
        head = _header(path)
        frame = pl.read_csv(path, separator=head.separator, has_header=False, skip_rows=1,
                            infer_schema_length=None)  # fmt: skip
        frame.columns = head.names
    _refuse_doubles(path, list(frame.columns))
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            columns[name] = column.to_numpy()
        else:
            columns[name] = np.array(column.to_list(), dtype=object)
    return columns


@dataclass
class _Header:
    names: list[str]
    separator: str


def _header(path: Path) -> _Header:
    """Return the names in the first line of a CSV file, and what parts them."""
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline()
    if not line.strip():
        raise ValueError("its first line is empty; the names of the columns belong there")
    bare = re.sub(r'"[^"]*"', "", line)  # a name in quotes may hold any of them
    separator = max((",", ";", "\t"), key=bare.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"its first line holds numbers ({line.strip():.60}); the names of the columns belong "
            "there"
        )
    _refuse_doubles(path, names)
    return _Header(names, separator)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _objects(column: Any, missing: Any) -> Array:
    values = np.array(column, dtype=object)
    values[missing(values)] = None
    return values


def _refuse_doubles(path: Path, names: list[str]) -> None:
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise UsageError(f"{path}: several columns are called {_listed(doubles)}. Rename them.")


def _refuse_missing(path: Path, columns: dict[str, Array]) -> None:
    counts = {name: int(_missing(column).sum()) for name, column in columns.items()}
    holes = [f"{name} ({count:,})" for name, count in counts.items() if count]
    if holes:
        raise ValueError(
            f"{path}: values are missing in {_listed(holes)}. Fill them in or take the rows away, "
            "as by scikit-learn's SimpleImputer or pandas' dropna."
        )


def _missing(column: Array) -> Array:
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([value is None for value in column])
    return np.zeros(len(column), bool)


def _numbers(path: Path, columns: dict[str, Array]) -> Array:
    text = [name for name, column in columns.items() if column.dtype.kind not in "fiub"]
    text = [name for name in text if not _missing(columns[name]).all()]
    if text:
        raise ValueError(
            f"{path}: these columns hold no numbers: {_listed(text)}. Make numbers of them, as by "
            "scikit-learn's ColumnTransformer with OneHotEncoder, or leave them out; .npz files "
            "with arrays x and y are read too."
        )
    _refuse_missing(path, columns)
    x = np.column_stack([column.astype(np.float64) for column in columns.values()])
    endless = [
        name for name, column in zip(columns, x.T, strict=True) if not np.isfinite(column).all()
    ]
    if endless:
        raise ValueError(f"{path}: there are infinite values in {_listed(endless)}.")
    return x


def _listed(names: Sequence[str]) -> str:
    more = len(names) - LONGEST
    return ", ".join(names[:LONGEST]) + (f" and {more} more" if more > 0 else "")
