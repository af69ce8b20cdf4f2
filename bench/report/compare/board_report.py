"""All that is published about one board, worked out once for Markdown, CSV, page and figures."""

from dataclasses import dataclass

from bench.records.reported import Reported
from bench.report.compare.ablations import Comparison, compare_axes
from bench.report.compare.crossings import Crossing, crossings
from bench.report.compare.interactions import Interaction, find_interactions
from bench.report.compare.leaderboard import Board
from bench.report.compare.published import PublishedFigures, published_for


@dataclass(frozen=True)
class BoardReport:
    """A board, what its rows say about single ideas and pairs of them, and what was published about its detectors."""

    board: Board
    comparisons: list[Comparison]
    interactions: list[Interaction]
    crossings: list[Crossing]
    published: PublishedFigures


def report_on(board: Board, reported: Reported | None = None) -> BoardReport:
    interactions = find_interactions(board)
    published = published_for(board, reported)
    return BoardReport(board, compare_axes(board), interactions, crossings(interactions, board.primary), published)
