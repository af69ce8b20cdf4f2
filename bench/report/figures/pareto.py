"""Accuracy against cost: the points of a board and its Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.records.identity import in_words
from bench.report.columns import column_of
from bench.report.compare.distinctions import settings_in_words
from bench.report.compare.leaderboard import Board
from bench.report.compare.row_names import short_names
from bench.report.compare.rows import Row
from bench.report.tables.formatting import format_cell


@dataclass(frozen=True)
class Point:
    """A row with a cost: multiply-accumulates and the mean primary metric, both unscaled; `front`: nothing beats it."""

    row: Row
    macs: float
    score: float
    front: bool
    label: str


def pareto_points(board: Board) -> list[Point]:
    """The rows of the board that have a cost and the primary metric, cheapest first."""
    if board.primary is None:
        return []
    key = board.primary
    rows = [
        row
        for row in board.rows
        if key in row.values and "cost/macs" in row.values and row.values["cost/macs"].mean > 0
    ]
    costs = [row.values["cost/macs"].mean for row in rows]
    scores = [row.values[key].mean for row in rows]
    sign = -1.0 if column_of(key).lower_is_better else 1.0
    front = pareto_front(costs, [sign * score for score in scores])
    points = [Point(*values) for values in zip(rows, costs, scores, front, short_names(rows), strict=True)]
    return sorted(points, key=lambda point: (point.macs, point.score, point.label))


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """For each point whether no other one costs no more and scores no less, being better in at least one of the two."""
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -scores[index]))
    front = [False] * len(costs)
    best: tuple[float, float] | None = None  # score and cost of the last point on the front
    for index in order:
        if best is None or scores[index] > best[0] or (scores[index], costs[index]) == best:
            front[index] = True
            best = scores[index], costs[index]
    return front


def describe_point(point: Point, primary: str) -> str:
    """The point in lines of text: its name, what sets it apart, score and cost."""
    row, score, macs, params = point.row, column_of(primary), column_of("cost/macs"), column_of("cost/params")
    choices = in_words(dict(sorted(row.ablations.items())) | dict(sorted(row.changes.items())))
    lines = [row.detector, choices]
    lines += [settings_in_words(row.settings)] if row.settings else []
    lines += [
        f"{score.title}: {format_cell(score, row.values[primary])}",
        f"{macs.title}: {format_cell(macs, row.values['cost/macs'])}",
        f"{params.title}: {format_cell(params, row.values['cost/params'])}",
        f"schedule {row.record.provenance.schedule}, weights {row.record.provenance.weights}",
    ]
    return "\n".join(lines)
