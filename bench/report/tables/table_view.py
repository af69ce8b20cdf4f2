"""Tables as the page shows them: texts, what a column sorts by, and what stands out."""

from dataclasses import dataclass

from bench.report.columns import Column
from bench.report.compare.statistics import Stat
from bench.report.tables.formatting import Cell, format_cell, sort_value
from bench.report.tables.table import Table


@dataclass(frozen=True)
class CellView:
    """A cell as the page shows it: its text, the spread after it, what it sorts by, and whether it stands out."""

    text: str
    spread: str
    sort: str
    mark: str = ""


@dataclass(frozen=True)
class TableView:
    """A table as the page shows it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[CellView, ...], ...]
    primary: str | None = None
    shared: tuple[tuple[Column, str], ...] = ()


def view(table: Table, primary: str | None = None) -> TableView:
    """What the page shows of a table; the title of the `primary` column stands out."""
    best = {column.key: _best(table, column) if table.ranked else None for column in table.columns}
    rows = tuple(
        tuple(_cell(column, row.get(column.key), best[column.key]) for column in table.columns) for row in table.rows
    )
    return TableView(table.columns, rows, primary, table.shared)


def _cell(column: Column, cell: Cell, best: float | None) -> CellView:
    mark = ""
    if isinstance(cell, Stat):
        if column.signed:
            mark = _verdict(column, cell)
        elif cell.mean == best:
            mark = "best"
    text = "" if cell is None and column.key == "rank" else format_cell(column, cell)
    mean, _, spread = (text, "", "") if column.kind == "text" else text.partition(" ± ")
    return CellView(mean, f"± {spread}" if spread else "", sort_value(cell), mark)


def _best(table: Table, column: Column) -> float | None:
    """The best mean of a column, where there is anything to choose from."""
    means = [cell.mean for row in table.rows if isinstance(cell := row.get(column.key), Stat)]
    if len(set(means)) < 2:
        return None
    return min(means) if column.lower_is_better else max(means)


def _verdict(column: Column, difference: Stat) -> str:
    """Better or worse; neither while the spread over seeds reaches across zero, or with one seed, which shows none."""
    if difference.std is None or abs(difference.mean) <= difference.std:
        return ""
    return "good" if (difference.mean < 0) == column.lower_is_better else "bad"
