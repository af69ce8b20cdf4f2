"""The leaderboards as Markdown: the whole document, and the short form for a README."""

from collections.abc import Iterable, Sequence

from bench.report.ablations import compare_axes
from bench.report.columns import STATISTICS, column_of, in_order
from bench.report.formatting import format_cell
from bench.report.leaderboard import Board
from bench.report.tables import Table, ablation_table, failure_table, leaderboard_table

DIRTY = "† measured from a working tree with uncommitted changes."


def markdown_document(boards: Sequence[Board]) -> str:
    """Every board with its failures and ablations, then the definition of every column."""
    parts = ["# Leaderboards\n"]
    tables: list[Table] = []
    for board in boards:
        parts.append(markdown_board(board, heading="##"))
        tables.append(leaderboard_table(board))
        comparisons = compare_axes(board)
        if comparisons:
            tables.append(ablation_table(comparisons))
            parts.append(f"### Ablations\n\n{markdown_table(tables[-1])}")
    parts.append(f"## Columns\n\n{markdown_definitions(tables)}")
    return "\n".join(parts)


def markdown_boards(boards: Sequence[Board]) -> str:
    """The tables alone, for a README."""
    return "\n".join(markdown_board(board, heading="###") for board in boards)


def markdown_board(board: Board, heading: str) -> str:
    """One board: title, ranked rows, and beneath them what has no number."""
    parts = [f"{heading} {board.title}\n"]
    if board.rows:
        table = leaderboard_table(board)
        parts.append(markdown_table(table))
        if table.shared:
            told = ", ".join(f"{column.title} {text}" for column, text in table.shared)
            parts.append(_escape(f"In every row: {told}.") + "\n")
    if any(row.dirty for row in board.rows):
        parts.append(f"{DIRTY}\n")
    if board.failures:
        parts.append(f"Without a result:\n\n{markdown_table(failure_table(board))}")
    return "\n".join(parts)


def markdown_table(table: Table) -> str:
    """The table in Markdown, numbers aligned to the right."""
    lines = [
        [_escape(column.title) for column in table.columns],
        ["---" if column.kind == "text" else "---:" for column in table.columns],
        *([_escape(format_cell(column, row.get(column.key))) for column in table.columns] for row in table.rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_definitions(tables: Iterable[Table]) -> str:
    """What each column of the tables means, as a list, then how values are averaged."""
    keys = in_order(column.key for table in tables for column in table.described if not column.signed)
    lines = [f"- **{_escape(column_of(key).title)}**: {column_of(key).definition}\n" for key in keys]
    return "".join(lines) + f"\n{STATISTICS}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
