"""Train: which column of a table that was sent is learned."""

from __future__ import annotations

from chainrule.studio.data import Data, SentTable
from chainrule.studio.page import widgets as w
from chainrule.studio.page.draft import Draft
from chainrule.studio.runs import shown
from chainrule.studio.sent import suggested

__all__ = ["ColumnChoice"]

KINDS = {"": "as it looks", "classification": "classes", "regression": "numbers"}
LONGEST = 60  # letters of a column's name
GONE = (
    "That table is not here any more, as the studio was started again. Choose the file once more."
)


class ColumnChoice:
    """The questions that a table asks, where one was sent or is learned from.

    Which table asks is in the address, as ``table``, until a column of it is learned.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft, self.tab = draft, draft.tab
        self.table: SentTable | None = None
        self.data: Data | None = None  # that of the draft
        self.asked = self.tab.query.get("table", "")
        self.chosen, self.task = "", ""
        self.box = w.block("column-choice", "section").props('aria-label="Column to learn"')
        with self.box:
            self.words = w.text("", classes="facts")
            self.words.props["role"] = "status"
            self.columns = w.Choice("Column to learn", {}, "", self.choose)
            self.kinds = w.Choice("It holds", KINDS, "", self.choose_kind)
            self.button = w.button("Learn this column", self.learn, classes="primary")
        self._lay_out()

    def ask(self, name: str) -> None:
        """Ask about a table that was sent just now."""
        self.asked, self.table = name, None
        self.tab.remember(table=name)
        self._lay_out()
        self.box.client.run_javascript(f"chainruleStudio.ask({self.box.html_id!r})")

    def leave(self) -> None:
        """Ask no more: other data are chosen."""
        if self.asked:
            self.asked = ""
            self.tab.remember(table=None)
            self._lay_out()

    def show(self, data: Data | None) -> None:
        """Show which column the data of the draft have, unless another table asks."""
        if data is not self.data:
            self.data = data
            self._lay_out()

    def choose(self, column: str) -> None:
        """Choose a column; it is learned when the button says so."""
        self.chosen = column

    def choose_kind(self, task: str) -> None:
        """Choose whether it holds classes or numbers."""
        self.task = task

    async def learn(self) -> None:
        """Learn the column, or say why it cannot be learned."""
        table, column, task = self.table, self.chosen, self.task or None
        if table is None:
            return
        self.words.show(f"Reading {_label(column)} of {table.name}.")
        data = await self.tab.compute(self.tab.session.catalogue.learn, table, column, task)
        if not self.tab.is_here() or table is not self.table:
            return
        self.words.show(_words(table))
        if data is not None:
            self.asked = ""
            self.tab.remember(table=None)
            await self.draft.change(data=data.name)

    def _lay_out(self) -> None:
        """Show the table that asks, or that is learned from; nothing, if there is none."""
        asks = self.tab.session.catalogue.tables.get(self.asked)
        mine = self.data.table if self.data is not None and not self.asked else None
        table = asks or mine
        self.box.set_visibility(table is not None or bool(self.asked))
        for part in (self.columns, self.kinds, self.button):
            part.set_visibility(table is not None)
        self.words.show(GONE if table is None else _words(table))
        if table is None or (table is self.table and table is asks):
            self.table = table
            return
        if table is not self.table:
            self.task = ""
        self.table, self.chosen = table, suggested(table)
        if mine is not None and self.data is not None:
            self.chosen = self.data.held.preparation.target or self.chosen
        self.columns.offer({column: _label(column) for column in table.columns})
        self.columns.show(self.chosen)
        self.kinds.show(self.task)


def _label(column: str) -> str:
    return shown(column, LONGEST) or "(without a name)"


def _words(table: SentTable) -> str:
    return f"{table.name}: {len(table.columns):,} columns. All but the one to learn are inputs."
