"""Rows of a leaderboard: which records are one row, what its name says, and which place it has.

A row is one cell over its seeds, named by its detector, ablations, changes and how its weights came about. Cells of one
name stay rows of their own and tell the settings in which they differ (`bench.report.compare.distinctions`).
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bench.records.record import Record
from bench.report.columns import column_of
from bench.report.compare.distinctions import distinctions
from bench.report.compare.names import ablations_of, name_key, name_of, train_set_of
from bench.report.compare.statistics import Stat, summarise_by_key


@dataclass(frozen=True)
class Row:
    """One cell over its finished seeds; `values` holds metrics, cost and speed under their keys, each a Stat.

    `settings`: path -> value of what the name leaves unsaid and sets the row apart. `alike`: another row of the board
    has the same name.
    """

    records: tuple[Record, ...]
    values: dict[str, Stat]
    settings: dict[str, str]
    alike: bool = False
    rank: int | None = None

    @property
    def record(self) -> Record:
        """The first seed's record, for what all seeds share."""
        return self.records[0]

    @property
    def detector(self) -> str:
        return self.record.detector

    @property
    def ablations(self) -> dict[str, str]:
        """Axis -> label, the postprocess among them."""
        return ablations_of(self.record)

    @property
    def changes(self) -> dict[str, Any]:
        """Path -> value of what was set otherwise than the named choices have it."""
        return self.record.changes

    @property
    def name(self) -> str:
        return name_of(self.record)

    @property
    def train_set(self) -> str:
        return train_set_of(self.record)

    @property
    def devices(self) -> str:
        """Where the evaluations ran."""
        runs = [record.provenance.evaluation for record in self.records]
        return ", ".join(dict.fromkeys(run.device for run in runs if run is not None))


def cost_values(record: Record) -> dict[str, float]:
    """Cost of a record under the keys of the columns; empty where it has none.

    Where it depends on the image, the operations are the mean over the images evaluated.
    """
    if record.cost is None:
        return {}
    cost = record.cost
    if cost.distribution is None:
        return {"cost/params": cost.params, "cost/macs": cost.macs, "cost/flops": cost.flops}
    macs = cost.distribution.macs["total"].mean
    return {"cost/params": cost.params, "cost/macs": macs, "cost/flops": 2 * macs}


def build_rows(records: Iterable[Record]) -> list[Row]:
    """The rows of finished records of one board, unranked."""
    cells: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        cells.setdefault((*name_key(record), record.cell_id), []).append(record)
    seeds = list(cells.values())
    names = Counter(name_key(members[0]) for members in seeds)
    settings = distinctions([members[0] for members in seeds])
    return [
        Row(tuple(members), _values(members), told, alike=names[name_key(members[0])] > 1)
        for members, told in zip(seeds, settings, strict=True)
    ]


def ranked(rows: Iterable[Row], primary: str | None) -> tuple[Row, ...]:
    """Best first; ties by fewer MACs, then by name. Rows without the primary metric come last, unranked."""
    if primary is None:
        return tuple(rows)
    sign = 1 if column_of(primary).lower_is_better else -1

    def order(row: Row) -> tuple[float, float, tuple[str, ...], str]:
        score = sign * row.values[primary].mean if primary in row.values else math.inf
        macs = row.values["cost/macs"].mean if "cost/macs" in row.values else math.inf
        return score, macs, name_key(row.record), row.record.cell_id

    placed: list[Row] = []
    for place, row in enumerate(sorted(rows, key=order), start=1):
        if primary not in row.values:
            placed.append(row)
            continue
        tied = bool(placed) and placed[-1].values[primary].mean == row.values[primary].mean
        placed.append(replace(row, rank=placed[-1].rank if tied else place))
    return tuple(placed)


def _values(records: Iterable[Record]) -> dict[str, Stat]:
    return summarise_by_key({**record.metrics, **cost_values(record), **record.speed} for record in records)
