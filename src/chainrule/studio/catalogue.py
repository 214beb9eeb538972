"""The data that can be chosen: those that come with the studio, one's own, those that were sent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from chainrule.studio import data as sets
from chainrule.studio import saving, sent
from chainrule.studio.data import Data, SentTable

__all__ = ["Catalogue"]

MOST_UPLOADS = 8


class Catalogue:
    """The data that can be chosen, by their names.

    Parameters
    ----------
    named : Data, optional
        Those that the command line named.

    Examples
    --------
    >>> catalogue = Catalogue()
    >>> catalogue.names()[:2]
    ['digits', 'mnist']
    >>> catalogue.find("moons").sample_shape
    (2,)
    """

    def __init__(self, named: Data | None = None) -> None:
        self.named = self.opened = named  # opened: of the run that was opened, if one was
        self.trained: Data | None = None  # what is learned from now, and is never forgotten
        self.uploads: dict[str, Data] = {}
        self.tables: dict[str, SentTable] = {}  # which were sent, of which a column may be learned

    def names(self) -> list[str]:
        """Return the names of all, one's own first."""
        own = [data.name for data in (self.opened, self.named) if data is not None]
        return list(dict.fromkeys([*own, *sets.names(), *self.uploads]))

    def find(self, name: str) -> Data:
        """Return data by their name; read them if they come with the studio.

        Raises
        ------
        ValueError, OSError
            If there are none of that name, or they cannot be read.
        """
        return self.known(name) or sets.load(name)

    def known(self, name: str) -> Data | None:
        """Return data of one's own, of the command line or sent, by their name; None if none."""
        for data in (self.opened, self.named):
            if data is not None and name == data.name:
                return data
        return self.uploads.get(name)

    def add_upload(self, name: str, content: bytes) -> Data:
        """Take in an .npz file that a user has sent, and return its data.

        Raises
        ------
        ValueError
            As :func:`chainrule.studio.data.read_upload`; or if there are many already.
        """
        read = sets.read_upload(name, content)
        if self._is_taken(read.name):
            read = replace(read, name=f"{read.name}-own")
        self._make_room(self.uploads, read.name)
        self.uploads[read.name] = read
        return read

    def add_table(self, name: str, content: bytes) -> SentTable:
        """Take in a .csv file that a user has sent; :meth:`learn` makes data of it.

        Raises
        ------
        ValueError
            As :func:`chainrule.studio.sent.read_table`; or if there are many already.
        """
        table = sent.read_table(name, content)
        if table == self.tables.get(table.name):  # once more the same
            return self.tables[table.name]
        self._make_room(self.tables, table.name)
        self.tables[table.name] = table
        return table

    def learn(self, table: SentTable, column: str, task: str | None = None) -> Data:
        """Return a table that was sent as data in which a column is learned.

        Raises
        ------
        ValueError
            As :func:`chainrule.studio.sent.learned`; or if there are many data already.
        """
        first = "-".join(filter(None, (table.name, sets.stem_of(f"{column}.csv"), task)))
        for name in itertools.chain([first], (f"{first}-{i}" for i in itertools.count(2))):
            there = self.uploads.get(name)
            if there is None and not self._is_taken(name):
                break
            if there and there.table is table and there.held.preparation.target == column:
                return there
        self._make_room(self.uploads, name)
        self.uploads[name] = replace(sent.learned(table, column, task), name=name)
        return self.uploads[name]

    def _is_taken(self, name: str) -> bool:
        """Whether data have this name that were not sent."""
        known = (*sets.names(), *saving.COMMAND_KNOWS)
        return name in known or (self.opened is not None and name == self.opened.name)

    def _make_room(self, held: Mapping[str, object], name: str) -> None:
        """Refuse more than a few; of other columns of a table that are not trained, forget one."""
        if len(held) < MOST_UPLOADS or name in held:
            return
        idle = (n for n, data in self.uploads.items() if data.table and data is not self.trained)
        chosen = next(idle, None) if held is self.uploads else None
        if chosen is None:
            raise ValueError(
                f"there are {MOST_UPLOADS} files already. Start the studio again to make room."
            )
        self.uploads.pop(chosen, None)
