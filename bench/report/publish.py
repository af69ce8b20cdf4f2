"""Everything that is published, from the records alone: Markdown, CSV, figures, the page, the README's table."""

import logging
from pathlib import Path

from bench.records.record import RecordError, read_records, write_text_atomically
from bench.records.reported import Reported
from bench.report.compare.board_report import BoardReport, report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.figures.board_figures import draw_figures
from bench.report.site.page import render_page
from bench.report.site.pictures import embed_pictures
from bench.report.site.readme import write_between_marks
from bench.report.tables.interaction_tables import interaction_csv
from bench.report.tables.markdown import markdown_boards, markdown_document
from bench.report.tables.reported_tables import reported_csv
from bench.report.tables.spreadsheets import ablation_csv, leaderboard_csv

logger = logging.getLogger(__name__)


def publish(
    records_dir: Path, output_dir: Path, readme: Path | None = None, reported: Reported | None = None
) -> list[Path]:
    """Write the leaderboards of all records below `records_dir` into `output_dir`; returns the paths written.

    index.html (self-contained), leaderboard.md, figures/, and per board a CSV of rows and, where there are any, CSVs of
    ablations, of pairs of ideas and of figures published elsewhere (`reported`). Pictures in
    `<records_dir>/pictures/<dataset>/` go into the page. `readme`: a file with the marks of `bench.report.site.readme`;
    the table between them is replaced. The same records and published figures give the same files.

    Raises RecordError if there is no record or a broken one, ReadmeError if the README lacks its marks.
    """
    boards = build_boards(read_records(records_dir))
    if not boards:
        raise RecordError(f"{records_dir}: expected records (*/*/*/seed*.json), found none; run `bench grid` first")
    reports = [report_on(board, reported) for board in boards]
    datasets = {board.record.dataset.name for board in boards}
    pictures = {name: embed_pictures(records_dir / "pictures" / name) for name in sorted(datasets)}
    written = [
        write_text_atomically(output_dir / "index.html", render_page(reports, pictures)),
        write_text_atomically(output_dir / "leaderboard.md", markdown_document(reports)),
    ]
    for report in reports:
        written += [*_write_tables(report, output_dir), *draw_figures(report, output_dir / "figures")]
    if readme is not None:
        written.append(write_between_marks(readme, markdown_boards(reports)))
    logger.info("published %d leaderboards in %s", len(boards), output_dir)
    return written


def _write_tables(report: BoardReport, output_dir: Path) -> list[Path]:
    """The CSV files that have a line."""
    texts = {
        "": leaderboard_csv(report.board),
        "_ablations": ablation_csv(report.comparisons),
        "_interactions": interaction_csv(report.interactions),
        "_reported": reported_csv(report.published),
    }
    return [
        write_text_atomically(output_dir / f"{report.board.slug}{kind}.csv", text)
        for kind, text in texts.items()
        if text
    ]
