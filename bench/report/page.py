"""The leaderboard page: one HTML file with everything inside, no request to anywhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.report.ablations import compare_axes
from bench.report.columns import STATISTICS, Column, column_of, in_order
from bench.report.formatting import Cell, format_cell, sort_value
from bench.report.leaderboard import Board
from bench.report.markdown import DIRTY
from bench.report.pareto import pareto_points
from bench.report.pareto_svg import marker_svg, pareto_svg
from bench.report.plot_style import PALETTE, styles_of
from bench.report.statistics import Stat
from bench.report.tables import Table, ablation_table, failure_table, leaderboard_table

Pictures = Mapping[str, Sequence[tuple[str, str]]]


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


def render_page(boards: Sequence[Board], pictures: Pictures | None = None, title: str = "Detector leaderboard") -> str:
    """The page of all boards; `pictures`: dataset name -> (caption, data URI) each."""
    environment = Environment(
        loader=PackageLoader("bench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["is_number"] = lambda column: column.kind != "text"
    template = environment.get_template("page.html")
    sections = [_section(board, pictures or {}) for board in boards]
    counts = {
        "boards": len(boards),
        "detectors": len({row.detector for board in boards for row in board.rows}),
        "records": sum(len(row.records) for board in boards for row in board.rows),
        "failures": sum(len(board.failures) for board in boards),
    }
    html = template.render(
        title=title, sections=sections, counts=counts, palette=PALETTE, statistics=STATISTICS, dirty=DIRTY
    )
    return "\n".join(line.rstrip() for line in html.splitlines() if line.strip()) + "\n"


def _section(board: Board, pictures: Pictures) -> dict[str, Any]:
    leaderboard = leaderboard_table(board)
    comparisons = ablation_table(compare_axes(board))
    failures = failure_table(board)
    shown = [table for table in (leaderboard, comparisons, failures) if table.rows]
    keys = in_order(column.key for table in shown for column in table.described if not column.signed)
    dataset, protocol = board.record.dataset, board.record.protocol
    return {
        "board": board,
        "dataset": dataset,
        "protocol": protocol,
        "settings": _shared_settings(board),
        "primary": column_of(board.primary).title if board.primary else None,
        "svg": Markup(pareto_svg(board)),
        "legend": _legend(board),
        "leaderboard": _view(leaderboard, board.primary),
        "ablations": _view(comparisons),
        "failures": _view(failures),
        "dirty": any(row.dirty for row in board.rows),
        "definitions": [column_of(key) for key in keys],
        "pictures": pictures.get(dataset.name, ()),
    }


def _shared_settings(board: Board) -> list[tuple[str, str]]:
    """The protocol's settings that are the same in every row."""
    settings = [row.record.protocol.settings for row in board.rows] or [board.record.protocol.settings]
    return [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, value in sorted(settings[0].items())
        if all(key in other and other[key] == value for other in settings)
    ]


def _legend(board: Board) -> list[tuple[str, int, Markup]]:
    styles = styles_of(point.row.detector for point in pareto_points(board))
    return [(name, colour, Markup(marker_svg(marker, 8, 8))) for name, (colour, marker) in styles.items()]


def _view(table: Table, primary: str | None = None) -> TableView:
    best = {column.key: _best(table, column) for column in table.columns}
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
    mean, _, spread = text.partition(" ± ") if isinstance(cell, Stat) else (text, "", "")
    return CellView(mean, f"± {spread}" if spread else "", sort_value(cell), mark)


def _best(table: Table, column: Column) -> float | None:
    """The best mean of a column, where there is anything to choose from."""
    means = [cell.mean for row in table.rows if isinstance(cell := row.get(column.key), Stat)]
    if len(set(means)) < 2:
        return None
    return min(means) if column.lower_is_better else max(means)


def _verdict(column: Column, difference: Stat) -> str:
    """Better or worse; neither while the spread over seeds reaches across zero."""
    if difference.mean == 0 or abs(difference.mean) <= (difference.std or 0.0):
        return ""
    return "good" if (difference.mean < 0) == column.lower_is_better else "bad"
