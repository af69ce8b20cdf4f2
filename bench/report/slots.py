"""Slots: detectors that are sides of one idea, such as a baseline and its redistributed network at the same budget.

Records that carry the label `budget` (this name is the convention) with the same value stand in one slot. Inside a slot
an axis may name the detector: `computation_redistribution=off` is the baseline there, `on` is SCRFD. Rows are compared
across detectors along such an axis alone; along every other one the detector is held fixed.
"""

from dataclasses import dataclass

from bench.report.leaderboard import Board
from bench.report.records import Record

SLOT = "budget"
NEVER_NAMING = frozenset({SLOT, "postprocess", "overrides"})  # the evaluation, and what a command line changed


@dataclass(frozen=True)
class Slots:
    """For each budget of a board the axes that name its detectors."""

    naming: dict[str, frozenset[str]]

    def names_detector(self, record: Record, axis: str) -> bool:
        """Whether the record's label of `axis` stands for its detector; one without a label is named by nothing."""
        return axis in record.ablations and axis in self.naming.get(record.ablations.get(SLOT, ""), ())

    def names_of(self, record: Record) -> frozenset[str]:
        """The labels that only say what the detector is: its budget, and the axes that name it."""
        return frozenset(axis for axis in record.ablations if axis == SLOT or self.names_detector(record, axis))


def slots_of(board: Board) -> Slots:
    """The slots of a board, from every record on it, those without a result too: a side that failed is still a side.

    An axis names the detectors of a slot if, over the slot's records that set it, it has at least two labels and each
    goes with one detector; and if no detector of the board, in a slot or outside, has two labels of it: an axis that
    was seen to change within a detector is a setting, whatever an unfinished grid looks like. What cannot be seen is a
    setting that has changed only together with the detector so far: label every cell of a budget with the axis that
    names its detector, and such cells differ in two axes, which nothing compares.
    """
    records = [record for row in board.rows for record in row.records] + list(board.failures)
    slots: dict[str, list[Record]] = {}
    for record in records:
        if SLOT in record.ablations:
            slots.setdefault(record.ablations[SLOT], []).append(record)
    settings = _changed_within_a_detector(records)
    return Slots({budget: _naming(members) - settings for budget, members in slots.items()})


def _naming(records: list[Record]) -> frozenset[str]:
    axes = {axis for record in records for axis in record.ablations} - NEVER_NAMING
    return frozenset(axis for axis in axes if _tells_apart(_sides(records, axis)))


def _sides(records: list[Record], axis: str) -> set[tuple[str, str]]:
    """The pairs of label and detector that occur."""
    return {(record.ablations[axis], record.detector) for record in records if axis in record.ablations}


def _tells_apart(sides: set[tuple[str, str]]) -> bool:
    """Whether there are two labels or more, of one detector each."""
    return len(sides) >= 2 and len({label for label, _ in sides}) == len(sides)


def _changed_within_a_detector(records: list[Record]) -> frozenset[str]:
    axes = {axis for record in records for axis in record.ablations}
    return frozenset(
        axis for axis in axes if len(sides := _sides(records, axis)) > len({detector for _, detector in sides})
    )
