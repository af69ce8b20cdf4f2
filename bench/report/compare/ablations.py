"""What one idea is worth: pairs of rows that differ in a single axis, compared seed by seed.

Along most axes both rows are of one detector; along the axis that names the detectors of a budget
(`bench.report.compare.slots`) they are of its two sides.
"""

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bench.report.compare.leaderboard import Board
from bench.report.compare.names import NameKey, name_key, weights_of
from bench.report.compare.rows import Row, cost_values
from bench.report.compare.slots import SLOT, names_detector, names_of
from bench.report.compare.statistics import Stat, summarise_by_key

DEFAULT = "default"
_FIRST = (DEFAULT, "off", "none", "nms")  # the usual "before" of a comparison


@dataclass(frozen=True)
class Comparison:
    """Row `after` minus row `before`, which differ in `axis` alone; `deltas` is empty where they share no seed."""

    axis: str
    before: Row
    after: Row
    deltas: dict[str, Stat]
    seeds: int

    @property
    def change(self) -> str:
        return f"{ablation_of(self.before, self.axis)} → {ablation_of(self.after, self.axis)}"

    @property
    def detector(self) -> str:
        """The detector of both rows, or both detectors where the axis names them."""
        before, after = self.before.detector, self.after.detector
        return before if before == after else f"{before} → {after}"

    @property
    def held(self) -> dict[str, Any]:
        """What both rows share."""
        return held_fixed(self.before, {self.axis})

    @property
    def names(self) -> frozenset[str]:
        """The ablations of `before` that only say what its detector is."""
        return names_of(self.before.record)


def compare_axes(board: Board) -> list[Comparison]:
    """Every pair of rows of the board that differs in one axis alone, by axis, then detector.

    A row that does not set an axis has the label "default" there, unless the axis names the detector: then only rows
    that set it are compared. Rows with a change, or with another protocol setting, are compared with such rows alone.
    Rows of one name are left out: they differ in settings, which a pair would charge to the axis. A budget is no axis;
    it says which rows belong together.
    """
    return [
        _compare(axis, before, after)
        for axis in axes_of(board)
        for members in grouped(board, {axis})
        for before, after in itertools.combinations(_usual_first(members, axis), 2)
        if ablation_of(before, axis) != ablation_of(after, axis)  # two detectors may bear one label in a slot
    ]


def axes_of(board: Board) -> list[str]:
    """The axes along which rows of the board can be compared."""
    return sorted({axis for row in board.rows if not row.alike for axis in row.ablations} - {SLOT})


def grouped(board: Board, axes: Collection[str]) -> list[list[Row]]:
    """Rows that agree in all but `axes`, and in the detector too unless one of the axes names it; by detector."""
    groups: dict[tuple[NameKey, tuple[tuple[str, str], ...]], list[Row]] = {}
    for row in board.rows:
        if not row.alike:
            named = any(names_detector(row.record, axis) for axis in axes)
            key = name_key(row.record, without=axes, detector=not named), tuple(sorted(row.settings.items()))
            groups.setdefault(key, []).append(row)
    return [members for _, members in sorted(groups.items())]


def held_fixed(row: Row, axes: Collection[str]) -> dict[str, Any]:
    """What rows compared along `axes` share, and what sets the comparison apart from others."""
    ablations = {axis: label for axis, label in sorted(row.ablations.items()) if axis not in axes}
    return ablations | dict(sorted(row.changes.items())) | row.settings | weights_of(row.record)


def values_by_seed(row: Row) -> dict[int, dict[str, float]]:
    """Seed -> metrics and cost."""
    return {record.seed: {**record.metrics, **cost_values(record)} for record in row.records}


def ablation_of(row: Row, axis: str) -> str:
    return row.ablations.get(axis, DEFAULT)


def ablation_order(label: str) -> tuple[int, str]:
    """What the "before" of a comparison is sorted by."""
    return (_FIRST.index(label) if label in _FIRST else len(_FIRST)), label


def _usual_first(rows: list[Row], axis: str) -> list[Row]:
    return sorted(rows, key=lambda row: ablation_order(ablation_of(row, axis)))


def _compare(axis: str, before: Row, after: Row) -> Comparison:
    first, second = values_by_seed(before), values_by_seed(after)
    shared = sorted(first.keys() & second.keys())
    differences = [
        {key: second[seed][key] - first[seed][key] for key in first[seed].keys() & second[seed].keys()}
        for seed in shared
    ]
    return Comparison(axis, before, after, summarise_by_key(differences), len(shared))
