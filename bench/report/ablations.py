"""What one idea is worth: pairs of rows that differ in a single axis, compared seed by seed.

Along most axes both rows are of one detector; along an axis that names the detectors of a budget (`bench.report.slots`)
they are of its two sides.
"""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.report.leaderboard import Board, Row, cost_values, labels_key
from bench.report.slots import SLOT, Slots, slots_of
from bench.report.statistics import Stat, summarise_by_key

DEFAULT = "default"
_FIRST = (DEFAULT, "off", "none", "nms")  # the usual "before" of a comparison


@dataclass(frozen=True)
class Comparison:
    """Row `after` minus row `before`, which differ in `axis` alone; `deltas` is empty where they share no seed.

    `names`: labels of `before` that only say what its detector is.
    """

    axis: str
    before: Row
    after: Row
    deltas: dict[str, Stat]
    seeds: int
    names: frozenset[str] = frozenset()

    @property
    def change(self) -> str:
        return f"{label_of(self.before, self.axis)} → {label_of(self.after, self.axis)}"

    @property
    def detector(self) -> str:
        """The detector of both rows, or both detectors where the axis names them."""
        before, after = self.before.detector, self.after.detector
        return before if before == after else f"{before} → {after}"

    @property
    def held(self) -> dict[str, str]:
        """The labels that both rows share."""
        return held_fixed(self.before, {self.axis})


def compare_axes(board: Board) -> list[Comparison]:
    """Every pair of rows of the board that differs in one axis alone, by axis, then detector.

    A row that does not set an axis has the label "default" there, unless the axis names the detectors of the row's
    budget: then only rows that set it are compared. Rows whose labels are the same as another's are left out: they
    differ in something unnamed, which a pair would charge to the axis. A budget is no axis; it says which rows belong
    together.
    """
    slots = slots_of(board)
    comparisons = []
    for axis in axes_of(board):
        for members in grouped(board, slots, {axis}):
            members.sort(key=lambda row, axis=axis: label_order(label_of(row, axis)))  # type: ignore[misc]
            pairs = itertools.combinations(members, 2)
            comparisons += [_compare(axis, before, after, slots) for before, after in pairs]
    return comparisons


def axes_of(board: Board) -> list[str]:
    """The axes along which rows of the board can be compared."""
    return sorted({axis for row in board.rows if not row.ambiguous for axis in row.labels} - {SLOT})


def grouped(board: Board, slots: Slots, axes: Collection[str]) -> list[list[Row]]:
    """Rows that agree in all but `axes`, and in the detector too unless one of the axes names it; by detector."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in board.rows:
        if not row.ambiguous:
            named = any(slots.names_detector(row.record, axis) for axis in axes)
            groups.setdefault(labels_key(row.record, without=axes, detector=not named), []).append(row)
    return [members for _, members in sorted(groups.items())]


def held_fixed(row: Row, axes: Collection[str]) -> dict[str, str]:
    """The labels that rows compared along `axes` share, and what sets the comparison apart from others."""
    labels = {axis: label for axis, label in sorted(row.labels.items()) if axis not in axes}
    return labels | {"schedule": row.record.provenance.schedule}


def in_words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis}={label}" for axis, label in labels.items())


def values_by_seed(row: Row) -> dict[int, dict[str, float]]:
    """Seed -> metrics and cost."""
    return {record.seed: {**record.metrics, **cost_values(record)} for record in row.records}


def label_of(row: Row, axis: str) -> str:
    return row.labels.get(axis, DEFAULT)


def label_order(label: str) -> tuple[int, str]:
    """What the "before" of a comparison is sorted by."""
    return (_FIRST.index(label) if label in _FIRST else len(_FIRST)), label


def _compare(axis: str, before: Row, after: Row, slots: Slots) -> Comparison:
    first, second = values_by_seed(before), values_by_seed(after)
    shared = sorted(first.keys() & second.keys())
    differences = [
        {key: second[seed][key] - first[seed][key] for key in first[seed].keys() & second[seed].keys()}
        for seed in shared
    ]
    names = slots.names_of(before.record)
    return Comparison(axis, before, after, summarise_by_key(differences), len(shared), names)
