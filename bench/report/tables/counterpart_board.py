"""A board with the published figures in its rows: the short form, for a README."""

from bench.report.columns import column_of
from bench.report.compare.board_report import BoardReport
from bench.report.tables.board_tables import row_cells
from bench.report.tables.formatting import Cell
from bench.report.tables.reported_tables import counterpart_cells, counterpart_columns, shared_reasons, telling_once
from bench.report.tables.table import Table, table_of

NAMES = ("ablations", "postprocess", "settings", "schedule", "epochs", "weights")
FACTS = ("cost/params", "cost/macs", "cost/input_size", "train_set", "reasons")
SHAREABLE = frozenset({*NAMES, "cost/input_size", "train_set"})


def counterpart_board_table(report: BoardReport) -> Table:
    """The ranked rows, each metric that was published measured, reported and their difference.

    A row that was published twice comes twice; one that was not has the measured figures alone.
    """
    rows, pairs = report.board.rows, report.published.counterparts
    found = [[pair for pair in pairs if pair.row is row] for row in rows]
    shared = shared_reasons(pairs) if all(found) else []
    lines: list[dict[str, Cell]] = []
    for row, counterparts in zip(rows, found, strict=True):
        beside = [counterpart_cells(pair, shared) for pair in counterparts]
        lines += [row_cells(row) | cells for cells in beside or [{}]]
    keys = ("rank", "detector", *NAMES)
    columns = [*map(column_of, keys), *counterpart_columns(pairs), *map(column_of, FACTS)]
    return telling_once(table_of(columns, lines, SHAREABLE, always={"rank", "detector"}, ranked=True), shared)
