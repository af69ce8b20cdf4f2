"""What was published beside what was measured: the published row of each detector on a board, and how far off it is."""

from dataclasses import dataclass

from bench.records.reported import Reported, ReportedRow, Source
from bench.report.compare.leaderboard import Board
from bench.report.compare.reasons import reasons_of
from bench.report.compare.rows import Row


@dataclass(frozen=True)
class Published:
    """A published row and where it comes from."""

    row: ReportedRow
    source: Source


@dataclass(frozen=True)
class Counterpart:
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
        """Cost -> (measured - reported) / reported. Operations compare at the same input size, of one look alone."""
        measured, reported = self.row.record.cost, self.published.row.cost
        if measured is None or reported is None:
            return {}
        ratios = {"cost/params": measured.params / reported.params - 1}
        if measured.input_size == reported.input_size and not measured.looks:
            ratios["cost/macs"] = measured.macs / reported.macs - 1
        return ratios


@dataclass(frozen=True)
class PublishedFigures:
    """What was published under the protocol of a board: the counterparts of its rows in their order, and the rest."""

    counterparts: tuple[Counterpart, ...] = ()
    unmeasured: tuple[Published, ...] = ()
    whole: bool = False  # measured on as many images as published: the figures may stand in one table


def published_for(board: Board, reported: Reported | None) -> PublishedFigures:
    """Set the published rows of the board's dataset, split and protocol beside the rows of their detectors."""
    if reported is None:
        return PublishedFigures()
    rows = [Published(row, reported.sources[row.source]) for row in reported.rows_of(board.record)]
    counterparts = tuple(
        Counterpart(row, published, reasons_of(row, published.row, reported))
        for row in board.rows
        for published in rows
        if row.detector in published.row.detectors
    )
    measured = {row.detector for row in board.rows}
    unmeasured = tuple(p for p in rows if measured.isdisjoint(p.row.detectors))
    return PublishedFigures(counterparts, unmeasured, board.record.dataset.images == reported.images)
