"""A table: columns, and rows whose cells are still in full precision."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bench.report.columns import Column, column_of, in_order
from bench.report.tables.formatting import Cell


@dataclass(frozen=True)
class Table:
    """Columns and, per row, a cell under each column's key; a key that is missing is an empty cell.

    `shared`: columns that would read the same in every row, with that text, to be told once beneath the table.
    `ranked`: whether the best value of a column stands out.
    """

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    shared: tuple[tuple[Column, str], ...] = ()
    ranked: bool = False

    @property
    def described(self) -> tuple[Column, ...]:
        """Every column a reader meets."""
        return self.columns + tuple(column for column, _ in self.shared)


def table_of(
    columns: Iterable[Column],
    rows: Iterable[dict[str, Cell]],
    shareable: Collection[str] = (),
    always: Collection[str] = (),
    ranked: bool = False,
) -> Table:
    """A table without columns that no row fills, but `always`; those of `shareable` are told once if they can be."""
    lines, columns = tuple(rows), list(columns)
    told = [(column, _shared_text(lines, column.key)) for column in columns if column.key in shareable]
    shared = tuple((column, text) for column, text in told if text)
    once = {column.key for column, _ in shared}
    kept = [
        column
        for column in columns
        if column.key in always or (column.key not in once and any(row.get(column.key) for row in lines))
    ]
    return Table(tuple(kept), lines, shared, ranked)


def definitions_of(tables: Iterable[Table]) -> list[Column]:
    """The columns that a reader meets in any of the tables and that need a definition, each once.

    A column that stands for another's difference or published value is explained by the text beneath its table.
    """
    keys = in_order(column.key for table in tables for column in table.described if ":" not in column.key)
    return [column_of(key) for key in keys]


def _shared_text(rows: tuple[dict[str, Cell], ...], key: str) -> str | None:
    """The text that two or more rows have under the key, if all have it or nothing."""
    texts = [text for row in rows if (text := row.get(key))]
    if len(texts) < 2 or len(set(texts)) > 1 or not isinstance(texts[0], str):
        return None
    return texts[0] if len(texts) == len(rows) else f"{texts[0]} (where known)"
