"""Measured figures beside published ones: which row of a board stands beside which published row, and how far off."""

from dataclasses import dataclass

from bench.report.leaderboard import Board, Row
from bench.report.reasons import reasons_of
from bench.report.reported import Reported, ReportedRow, Source


@dataclass(frozen=True)
class Published:
    """A published row and where it comes from."""

    row: ReportedRow
    source: Source


@dataclass(frozen=True)
class Beside:
    """A row of a board, the published row of its detector, and what the record gives as reasons for a difference."""

    row: Row
    published: Published
    reasons: tuple[str, ...]

    @property
    def differences(self) -> dict[str, float]:
        """Metric -> mean measured minus reported, where both have it; AP in fractions."""
        reported = self.published.row.metrics
        return {key: self.row.values[key].mean - value for key, value in reported.items() if key in self.row.values}

    @property
    def cost_ratios(self) -> dict[str, float]:
        """Cost -> (measured - reported) / reported. Operations compare at the same input size, of one view alone."""
        measured, reported = self.row.record.cost, self.published.row.cost
        if measured is None or reported is None:
            return {}
        ratios = {"cost/params": measured.params / reported.params - 1}
        if measured.input_size == reported.input_size and not measured.views:
            ratios["cost/macs"] = measured.macs / reported.macs - 1
        return ratios


@dataclass(frozen=True)
class PublishedBoard:
    """What was published under the protocol of a board: beside its rows in their order, and what has no such row."""

    beside: tuple[Beside, ...] = ()
    unmeasured: tuple[Published, ...] = ()


def beside_published(board: Board, reported: Reported | None) -> PublishedBoard:
    """Set the published rows of the board's dataset, split and protocol beside the rows of their detectors."""
    if reported is None:
        return PublishedBoard()
    rows = [Published(row, reported.sources[row.source]) for row in reported.rows_of(board.record)]
    beside = tuple(
        Beside(row, published, reasons_of(row, published.row, reported))
        for row in board.rows
        for published in rows
        if row.detector in published.row.detectors
    )
    measured = {row.detector for row in board.rows}
    return PublishedBoard(beside, tuple(p for p in rows if measured.isdisjoint(p.row.detectors)))
