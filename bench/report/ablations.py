"""What one idea is worth: pairs of rows that differ in a single axis, compared seed by seed."""

import itertools
from dataclasses import dataclass

from bench.report.leaderboard import Board, Row, cost_values, labels_key
from bench.report.statistics import Stat, summarise_by_key

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
        return f"{_label(self.before, self.axis)} → {_label(self.after, self.axis)}"

    @property
    def others(self) -> str:
        """The labels both sides share, the axis left out, and what sets the pair apart from other pairs."""
        labels = {axis: label for axis, label in sorted(self.before.labels.items()) if axis != self.axis}
        words = [f"{axis}={label}" for axis, label in labels.items()]
        return ", ".join([*words, f"schedule={self.before.record.provenance.schedule}"])


def compare_axes(board: Board) -> list[Comparison]:
    """Every pair of rows of the board that differs in one axis alone, by axis, then detector.

    A row that does not set an axis has the label "default" there. Rows whose labels are the same as another's are left
    out: they differ in something unnamed, which a pair would charge to the axis.
    """
    rows = [row for row in board.rows if not row.ambiguous]
    comparisons = []
    for axis in sorted({axis for row in rows for axis in row.labels}):
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(labels_key(row.record, without=axis), []).append(row)
        for _, members in sorted(groups.items()):
            members.sort(key=lambda row, axis=axis: _label_order(_label(row, axis)))  # type: ignore[misc]
            pairs = itertools.combinations(members, 2)
            comparisons += [_compare(axis, before, after) for before, after in pairs]
    return comparisons


def _compare(axis: str, before: Row, after: Row) -> Comparison:
    first, second = _by_seed(before), _by_seed(after)
    shared = sorted(first.keys() & second.keys())
    differences = [
        {key: second[seed][key] - first[seed][key] for key in first[seed].keys() & second[seed].keys()}
        for seed in shared
    ]
    return Comparison(axis, before, after, summarise_by_key(differences), len(shared))


def _by_seed(row: Row) -> dict[int, dict[str, float]]:
    return {record.seed: {**record.metrics, **cost_values(record)} for record in row.records}


def _label(row: Row, axis: str) -> str:
    return row.labels.get(axis, DEFAULT)


def _label_order(label: str) -> tuple[int, str]:
    return (_FIRST.index(label) if label in _FIRST else len(_FIRST)), label
