"""The leaderboard page: one HTML file with everything inside; nothing is fetched from anywhere."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.records.identity import in_words, leaves
from bench.report.columns import STATISTICS, column_of
from bench.report.compare.board_report import BoardReport
from bench.report.compare.crossings import Crossing
from bench.report.compare.interactions import Interaction
from bench.report.compare.leaderboard import Board, images_in_words, protocol_title
from bench.report.compare.marks import notes_of
from bench.report.figures.interaction_figure import interaction_figure
from bench.report.figures.matplotlib_style import figure_bytes
from bench.report.figures.pareto import pareto_points
from bench.report.figures.pareto_svg import marker_svg, pareto_svg
from bench.report.figures.plot_style import PALETTE, styles_of
from bench.report.tables.board_tables import ablation_table, failure_table, leaderboard_table
from bench.report.tables.interaction_tables import ONE_SEED, corner_table, effect_table
from bench.report.tables.reported_tables import (
    COST_NOTE,
    COUNTERPART_NOTE,
    UNMEASURED,
    cost_table,
    counterpart_table,
    sources_of,
    unmeasured_table,
)
from bench.report.tables.table import definitions_of
from bench.report.tables.table_view import view

Pictures = Mapping[str, Sequence[tuple[str, str]]]
NOTES = {
    "statistics": STATISTICS,
    "counterparts": COUNTERPART_NOTE,
    "cost": COST_NOTE,
    "unmeasured": UNMEASURED,
    "one_seed": ONE_SEED,
}


def render_page(
    reports: Sequence[BoardReport], pictures: Pictures | None = None, title: str = "Detector leaderboard"
) -> str:
    """The page of all boards; `pictures`: dataset name -> (caption, data URI) each."""
    environment = Environment(
        loader=PackageLoader("bench.report.site"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["is_number"] = lambda column: column.kind != "text"
    template = environment.get_template("page.html")
    boards = [report.board for report in reports]
    counts = {
        "boards": len(boards),
        "detectors": len({row.detector for board in boards for row in board.rows}),
        "records": sum(len(row.records) for board in boards for row in board.rows),
        "failures": sum(len(board.failures) for board in boards),
    }
    sections = [_section(report, pictures or {}) for report in reports]
    html = template.render(title=title, sections=sections, counts=counts, palette=PALETTE, notes=NOTES)
    return "\n".join(line.rstrip() for line in html.splitlines() if line.strip()) + "\n"


def _section(report: BoardReport, pictures: Pictures) -> dict[str, Any]:
    board, published = report.board, report.published
    tables = {
        "leaderboard": leaderboard_table(board),
        "counterparts": counterpart_table(published.counterparts),
        "cost": cost_table(published.counterparts),
        "ablations": ablation_table(report.comparisons),
        "failures": failure_table(board),
        "unmeasured": unmeasured_table(published.unmeasured),
    }
    dataset = board.record.dataset
    sources, other_sources = sources_of(published)
    return {
        "board": board,
        "dataset": dataset,
        "protocol": protocol_title(board.record.protocol),
        "images": images_in_words(dataset.images),
        "settings": _shared_settings(board),
        "primary": column_of(board.primary).title if board.primary else None,
        "svg": Markup(pareto_svg(board)),
        "legend": _legend(board),
        "tables": {name: view(table, board.primary if table.ranked else None) for name, table in tables.items()},
        "sources": sources,
        "other_sources": other_sources,
        "crossings": [_crossing(crossing) for crossing in report.crossings],
        "marks": notes_of(board.rows),
        "definitions": definitions_of([table for table in tables.values() if table.rows]),
        "pictures": pictures.get(dataset.name, ()),
    }


def _crossing(crossing: Crossing) -> dict[str, Any]:
    figure = interaction_figure(crossing)
    data = base64.b64encode(figure_bytes(figure, "svg")).decode("ascii") if figure else None
    return {
        "title": crossing.title,
        "picture": f"data:image/svg+xml;base64,{data}" if data else None,
        "panels": len(crossing.shown),
        "interactions": [_interaction(crossing, interaction) for interaction in crossing.shown],
        "notes": crossing.notes,
    }


def _interaction(crossing: Crossing, interaction: Interaction) -> dict[str, Any]:
    return {
        "name": crossing.name_of(interaction),
        "detectors": ", ".join(interaction.detectors),
        "held": in_words(interaction.held),
        "seeds": interaction.seeds,
        "corners": view(corner_table(interaction, crossing.metric)) if crossing.metric else None,
        "effects": view(effect_table(interaction)),
    }


def _shared_settings(board: Board) -> list[tuple[str, str]]:
    """What of the evaluation is the same in every row: path and value."""
    first, *others = [leaves(row.record.evaluation) for row in board.rows] or [leaves(board.record.evaluation)]
    return [
        (path, value if isinstance(value, str) else json.dumps(value))
        for path, value in sorted(first.items())
        if all(path in other and other[path] == value for other in others)
    ]


def _legend(board: Board) -> list[tuple[str, int, Markup]]:
    styles = styles_of(point.row.detector for point in pareto_points(board))
    return [(name, colour, Markup(marker_svg(marker, 8, 8))) for name, (colour, marker) in styles.items()]
