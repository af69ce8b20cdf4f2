"""The leaderboards as Markdown: the whole document, and the short form for a README."""

import re
from collections.abc import Sequence

from bench.records.identity import in_words
from bench.records.reported import Source
from bench.report.columns import STATISTICS
from bench.report.compare.board_report import BoardReport
from bench.report.compare.crossings import Crossing
from bench.report.compare.interactions import Interaction
from bench.report.compare.leaderboard import Board
from bench.report.compare.marks import notes_of
from bench.report.tables.board_tables import ablation_table, failure_table, leaderboard_table
from bench.report.tables.counterpart_board import counterpart_board_table
from bench.report.tables.formatting import format_cell
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
from bench.report.tables.table import Table, definitions_of

_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # an underscore beside something that is no letter or digit


def markdown_document(reports: Sequence[BoardReport]) -> str:
    """Every board with all that is published about it, then the definition of every column."""
    parts = ["# Leaderboards\n"]
    tables: list[Table] = []
    for report in reports:
        board, published = report.board, report.published
        parts += _board(board, leaderboard_table(board), heading="##")
        counterparts, cost = counterpart_table(published.counterparts), cost_table(published.counterparts)
        comparisons, unmeasured = ablation_table(report.comparisons), unmeasured_table(published.unmeasured)
        sources, other_sources = sources_of(published)
        if counterparts.rows:
            parts.append(f"### Measured beside reported\n\n{_with_shared(counterparts)}\n{COUNTERPART_NOTE}\n")
            parts += [f"{_with_shared(cost)}\n{COST_NOTE}\n"] if cost.rows else []
            parts.append(_sources(sources))
        if comparisons.rows:
            parts.append(f"### Ablations\n\n{_with_shared(comparisons)}")
        parts += [_crossing(report, crossing) for crossing in report.crossings]
        if unmeasured.rows:
            parts.append(f"### Published, not measured here\n\n{UNMEASURED}\n\n{_with_shared(unmeasured)}")
            parts += [_sources(other_sources)] if other_sources else []
        tables += [leaderboard_table(board), counterparts, cost, comparisons, unmeasured]
    parts.append(f"## Columns\n\n{markdown_definitions([table for table in tables if table.rows])}")
    return "\n".join(parts)


def markdown_boards(reports: Sequence[BoardReport]) -> str:
    """The boards alone, for a README: first those of all the images published on, measured beside published."""
    parts = []
    for report in sorted(reports, key=_published_first):
        if has_published_beside(report):
            parts += _board(report.board, counterpart_board_table(report), heading="###")
            parts.append(_reported_by(sources_of(report.published)[0]))
        else:
            parts += _board(report.board, leaderboard_table(report.board), heading="###")
    return "\n".join(parts)


def _published_first(report: BoardReport) -> tuple[int, int]:
    return (0, -report.board.record.dataset.images) if has_published_beside(report) else (1, 0)


def has_published_beside(report: BoardReport) -> bool:
    """Whether rows stand beside published figures of as many images."""
    return report.published.whole and bool(report.published.counterparts)


def _board(board: Board, table: Table, heading: str) -> list[str]:
    """One board: title, its table of ranked rows, and beneath them what has no number."""
    parts = [f"{heading} {_escape(board.title)}\n"]
    if table.rows:
        parts.append(_with_shared(table))
    parts += [f"{note}\n" for note in notes_of(board.rows)]
    if board.failures:
        parts.append(f"Without a result:\n\n{markdown_table(failure_table(board))}")
    return parts


def markdown_table(table: Table) -> str:
    """The table in Markdown, numbers aligned to the right."""
    lines = [
        [_escape(column.title) for column in table.columns],
        ["---" if column.kind == "text" else "---:" for column in table.columns],
        *([_escape(format_cell(column, row.get(column.key))) for column in table.columns] for row in table.rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_definitions(tables: Sequence[Table]) -> str:
    """What each column of the tables means, as a list, then how values are averaged."""
    lines = [f"- **{_escape(column.title)}**: {column.definition}\n" for column in definitions_of(tables)]
    return "".join(lines) + f"\n{STATISTICS}\n"


def _with_shared(table: Table) -> str:
    told = ", ".join(f"{column.title} {text}" for column, text in table.shared)
    return markdown_table(table) + (f"\n{_escape(f'In every row: {told}.')}\n" if told else "")


def _crossing(report: BoardReport, crossing: Crossing) -> str:
    parts = [f"### {_escape(crossing.title)}\n"]
    if crossing.metric:
        figure = f"figures/{crossing.figure_name}_{report.board.slug}.svg"
        parts.append(f"![{_escape(crossing.title)}]({figure})\n")
    parts += [_interaction(crossing, interaction) for interaction in crossing.shown]
    return "\n".join([*parts, *(f"{note}\n" for note in crossing.notes)])


def _interaction(crossing: Crossing, interaction: Interaction) -> str:
    detectors, held = ", ".join(interaction.detectors), in_words(interaction.held)
    seeds = ONE_SEED if interaction.seeds == 1 else f"{interaction.seeds} seeds."
    parts = [f"**{_escape(crossing.name_of(interaction))}**: {_escape(f'{detectors}; {held}.')} {seeds}\n"]
    if crossing.metric:
        parts.append(markdown_table(corner_table(interaction, crossing.metric)))
    return "\n".join([*parts, markdown_table(effect_table(interaction))])


def _sources(sources: Sequence[Source]) -> str:
    lines = [
        f"- [{_escape(source.title)}]({source.url}){f': {_escape(source.note)}' if source.note else ''}\n"
        for source in sources
    ]
    return "".join(lines)


def _reported_by(sources: Sequence[Source]) -> str:
    links = ", ".join(f"[{_escape(source.title)}]({source.url})" for source in sources)
    return f"Δ is measured minus reported, in percentage points. Reported: {links}.\n"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is; inside a word an underscore needs nothing, at its edge it is emphasis."""
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return _EDGE.sub(r"\_", text)
