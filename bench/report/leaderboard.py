"""Leaderboards out of records: what may be compared, which records are one row, who is first.

Rows are ranked inside one board only: one dataset, split, set of annotations, number of images and protocol version.
A row is one cell (a detector with its ablations, postprocess, schedule and training set) over its seeds. The cell's
hash is part of the row's key, so that runs which differ in something no label names are never averaged.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from bench.report.columns import column_of, in_order
from bench.report.records import Record
from bench.report.statistics import Stat, summarise_by_key

PRIMARY = ("val/AP_hard", "val/AP")


@dataclass(frozen=True)
class Row:
    """One cell over its finished seeds; `values` holds metrics, cost and speed under their keys, each a Stat."""

    records: tuple[Record, ...]
    values: dict[str, Stat]
    rank: int | None = None
    settings: str = ""
    ambiguous: bool = False  # another row has the same labels: the cell's hash tells them apart

    @property
    def record(self) -> Record:
        """The first seed's record, for what all seeds share."""
        return self.records[0]

    @property
    def detector(self) -> str:
        return self.record.detector

    @property
    def labels(self) -> dict[str, str]:
        """Axis -> label, the postprocess among them."""
        return {"postprocess": self.record.protocol.postprocess} | self.record.ablations

    @property
    def ablations(self) -> str:
        return describe(self.record, cell=self.ambiguous)

    @property
    def train_set(self) -> str:
        return train_set_of(self.record)

    @property
    def dirty(self) -> bool:
        """Whether any seed ran with uncommitted changes."""
        return any(record.provenance.git_dirty for record in self.records)


@dataclass(frozen=True)
class Board:
    """One leaderboard: rows best first, and the records that have no number."""

    title: str
    slug: str
    primary: str | None
    rows: tuple[Row, ...]
    failures: tuple[Record, ...]

    @property
    def record(self) -> Record:
        """Any record of the board, for the dataset and protocol that all share."""
        return self.rows[0].record if self.rows else self.failures[0]

    @property
    def metrics(self) -> list[str]:
        """Every metric that any row has, in the order of the columns."""
        return in_order(key for row in self.rows for record in row.records for key in record.metrics)

    @property
    def speeds(self) -> list[str]:
        return in_order(key for row in self.rows for record in row.records for key in record.speed)


BoardKey = tuple[str, str, str, int, int, str]


def build_boards(records: Iterable[Record], primary: Sequence[str] = PRIMARY) -> list[Board]:
    """Leaderboards of the records, in the order of their titles.

    `primary`: metric keys by preference; a board ranks by the first one that any of its rows has, and by its first
    metric where it has none of them. The order of the records does not matter.
    """
    groups: dict[BoardKey, list[Record]] = {}
    for record in sorted(records, key=_record_order):
        groups.setdefault(_board_key(record), []).append(record)
    _settle_unread(groups)
    titles = Counter(_title(key) for key in groups)
    boards = []
    for key, members in sorted(groups.items()):
        title, slug = _title(key), _slug(key)
        if titles[title] > 1:
            title = f"{title} · annotations {key[5][:8]}"
        if sum(_slug(other) == slug for other in groups) > 1:
            slug = f"{slug}_{key[4]}_{key[5][:8]}" if key[5] else f"{slug}_unread"
        boards.append(_build_board(title, slug, members, primary))
    return boards


def cost_values(record: Record) -> dict[str, float]:
    """Cost of a record under the keys of the columns; empty where it has none."""
    if record.cost is None:
        return {}
    cost = record.cost
    return {"cost/params": cost.params, "cost/macs": cost.macs, "cost/flops": cost.flops}


def train_set_of(record: Record) -> str:
    """The training set in words: its name and split, or the whole entry where it has no name."""
    train_set = record.provenance.train_dataset
    if not train_set:
        return ""
    words = [str(train_set[key]) for key in ("name", "split") if train_set.get(key)]
    return " ".join(words) or json.dumps(train_set, sort_keys=True)


def describe(record: Record, cell: bool = False) -> str:
    """The ablations but the postprocess, as `axis=label`, with the cell's hash on demand."""
    words = [f"{axis}={label}" for axis, label in sorted(record.ablations.items()) if axis != "postprocess"]
    return ", ".join(words + ([f"cell {record.cell_id[:10]}"] if cell else []))


def _record_order(record: Record) -> tuple[str, str, int]:
    return record.detector, record.cell_id, record.seed


def _board_key(record: Record) -> BoardKey:
    dataset, protocol = record.dataset, record.protocol
    data = dataset.images or 0, dataset.annotation_hash or ""  # unknown to a failure that never read its data
    return dataset.name, dataset.split, protocol.name, protocol.version, *data


def _settle_unread(groups: dict[BoardKey, list[Record]]) -> None:
    """Failures that never read their data join the one board of their dataset, split and protocol, if it is one."""
    for unread in [key for key in groups if not key[5]]:
        boards = [key for key in groups if key[:4] == unread[:4] and key[5]]
        if len(boards) == 1:
            groups[boards[0]] += groups.pop(unread)


def _title(key: BoardKey) -> str:
    if not key[5]:
        return f"{key[0]} {key[1]} · {key[2]} v{key[3]} · data not read"
    return f"{key[0]} {key[1]} · {key[2]} v{key[3]} · {key[4]:,} image{'s' if key[4] != 1 else ''}"


def _slug(key: BoardKey) -> str:
    return f"{key[0]}_{key[1]}_{key[2]}_v{key[3]}"


def _build_board(title: str, slug: str, records: list[Record], primary: Sequence[str]) -> Board:
    cells: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if record.status == "done":
            cells.setdefault((*labels_key(record), record.cell_id), []).append(record)
    looks = Counter(key[:-1] for key in cells)
    rows = [_build_row(members, ambiguous=looks[key[:-1]] > 1) for key, members in cells.items()]
    present = in_order(key for row in rows for record in row.records for key in record.metrics)
    chosen = next((key for key in primary if key in present), present[0] if present else None)
    failures = tuple(record for record in records if record.status != "done")
    return Board(title, slug, chosen, _rank(_with_settings(rows), chosen), failures)


def labels_key(record: Record, without: Collection[str] = (), detector: bool = True) -> tuple[str, ...]:
    """All that a table shows of a row's identity, leaving out the axes `without`, and the detector on demand."""
    labels = {"postprocess": record.protocol.postprocess} | record.ablations
    provenance = record.provenance
    shown = {axis: label for axis, label in labels.items() if axis not in without}
    train_set = json.dumps(provenance.train_dataset, sort_keys=True)
    name = record.detector if detector else ""
    length = "" if provenance.epochs is None else str(provenance.epochs)
    return name, json.dumps(shown, sort_keys=True), provenance.schedule, length, provenance.weights, train_set


def _build_row(records: list[Record], ambiguous: bool) -> Row:
    values = summarise_by_key({**record.metrics, **cost_values(record), **record.speed} for record in records)
    return Row(tuple(records), values, ambiguous=ambiguous)


def _with_settings(rows: list[Row]) -> list[Row]:
    """Name the protocol settings in which rows of one postprocess differ: what a version should have fixed is seen."""
    seen: dict[tuple[str, str], set[str]] = {}
    texts = [{key: json.dumps(value) for key, value in row.record.protocol.settings.items()} for row in rows]
    every = {key for text in texts for key in text}
    for row, text in zip(rows, texts, strict=True):
        for key in every:
            seen.setdefault((row.labels["postprocess"], key), set()).add(text.get(key, "unset"))
    named = []
    for row, text in zip(rows, texts, strict=True):
        differing = sorted(key for key in every if len(seen[row.labels["postprocess"], key]) > 1)
        named.append(replace(row, settings=", ".join(f"{key}={text.get(key, 'unset')}" for key in differing)))
    return named


def _rank(rows: list[Row], primary: str | None) -> tuple[Row, ...]:
    """Best first; ties by fewer MACs, then by name. Rows without the primary metric come last, unranked."""
    if primary is None:
        return tuple(rows)
    sign = 1 if column_of(primary).lower_is_better else -1

    def order(row: Row) -> tuple[float, float, tuple[str, ...], str]:
        score = sign * row.values[primary].mean if primary in row.values else math.inf
        macs = row.values["cost/macs"].mean if "cost/macs" in row.values else math.inf
        return score, macs, labels_key(row.record), row.record.cell_id

    ranked: list[Row] = []
    for place, row in enumerate(sorted(rows, key=order), start=1):
        if primary not in row.values:
            ranked.append(row)
            continue
        tied = bool(ranked) and ranked[-1].values[primary].mean == row.values[primary].mean
        ranked.append(replace(row, rank=ranked[-1].rank if tied else place))
    return tuple(ranked)
