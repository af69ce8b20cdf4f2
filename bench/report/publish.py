"""Everything that is published, from the records alone: Markdown, CSV, figures, the page, the README's table."""

import logging
from pathlib import Path

from bench.report.ablations import compare_axes
from bench.report.figures import draw_figures
from bench.report.leaderboard import Board, build_boards
from bench.report.markdown import markdown_boards, markdown_document
from bench.report.page import render_page
from bench.report.pictures import embed_pictures
from bench.report.readme import write_between_marks
from bench.report.records import RecordError, read_records, write_text_atomically
from bench.report.tables import ablation_csv, leaderboard_csv

logger = logging.getLogger(__name__)


def publish(records_dir: Path, output_dir: Path, readme: Path | None = None) -> list[Path]:
    """Write the leaderboards of all records below `records_dir` into `output_dir`; returns the paths written.

    index.html (self-contained), leaderboard.md, per board a CSV of rows, a CSV of ablations where there are pairs, and
    figures/. Pictures in `<records_dir>/pictures/<dataset>/` go into the page. `readme`: a file with the marks of
    `bench.report.readme`, whose table is replaced. The same records give the same files.

    Raises RecordError if there is no record or a broken one, ReadmeError if the README lacks its marks.
    """
    boards = build_boards(read_records(records_dir))
    if not boards:
        raise RecordError(f"{records_dir}: expected records (*/*/*/seed*.json), found none; run `bench grid` first")
    datasets = {board.record.dataset.name for board in boards}
    pictures = {name: embed_pictures(records_dir / "pictures" / name) for name in sorted(datasets)}
    written = [
        write_text_atomically(output_dir / "index.html", render_page(boards, pictures)),
        write_text_atomically(output_dir / "leaderboard.md", markdown_document(boards)),
    ]
    for board in boards:
        written += _publish_board(board, output_dir)
    if readme is not None:
        written.append(write_between_marks(readme, markdown_boards(boards)))
    logger.info("published %d leaderboards in %s", len(boards), output_dir)
    return written


def _publish_board(board: Board, output_dir: Path) -> list[Path]:
    written = []
    if board.rows:
        written.append(write_text_atomically(output_dir / f"{board.slug}.csv", leaderboard_csv(board)))
    comparisons = compare_axes(board)
    if comparisons:
        path = output_dir / f"{board.slug}_ablations.csv"
        written.append(write_text_atomically(path, ablation_csv(comparisons)))
    return written + draw_figures(board, output_dir / "figures")
