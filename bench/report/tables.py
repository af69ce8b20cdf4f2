"""Tables of a board, as cells still in full precision, and as CSV."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.ablations import Comparison
from bench.report.columns import Column, column_of, difference_of, in_order
from bench.report.formatting import Cell
from bench.report.leaderboard import Board, Row, describe
from bench.report.statistics import Stat

COST = ("cost/params", "cost/macs", "cost/flops")
SHAREABLE = ("postprocess", "cost/input_size", "device", "train_set")


@dataclass(frozen=True)
class Table:
    """Columns and, per row, a cell under each column's key; a key that is missing is an empty cell.

    `shared`: columns that would read the same in every row, with that text, to be told once beneath the table.
    """

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    shared: tuple[tuple[Column, str], ...] = ()

    @property
    def described(self) -> tuple[Column, ...]:
        """Every column a reader meets."""
        return self.columns + tuple(column for column, _ in self.shared)


def leaderboard_table(board: Board) -> Table:
    """The board for people: columns that no row fills and training losses are left out, latency is the median alone.

    Schedule and weights always have a column, since they decide what a number is worth.
    """
    rows = tuple(_cells(row) for row in board.rows)
    medians = [key for key in board.speeds if key.endswith("_p50")]
    keys = [
        "rank",
        "detector",
        "ablations",
        "postprocess",
        "settings",
        "schedule",
        "weights",
        *evaluated(board.metrics),
    ]
    keys += COST
    keys += ["cost/input_size", *medians, *(["device"] if medians else []), "train_set"]
    always = {"rank", "detector", "schedule", "weights"}
    shared = {key: text for key in SHAREABLE if key in keys and (text := _shared_text(rows, key))}
    kept = [key for key in keys if key in always or (key not in shared and any(row.get(key) for row in rows))]
    told = tuple((column_of(key), text) for key, text in shared.items())
    return Table(tuple(column_of(key) for key in kept), rows, told)


def evaluated(keys: Iterable[str]) -> list[str]:
    """Without the losses of the training: those of different criteria do not compare, and the CSV has them."""
    return [key for key in keys if not key.startswith("train/")]


def ablation_table(comparisons: Iterable[Comparison]) -> Table:
    """One row per pair: the change of the axis and the difference of every metric, and of the cost where it changes."""
    pairs = list(comparisons)
    keys = in_order(key for pair in pairs for key in pair.deltas)
    changed = {key for pair in pairs for key in COST if key in pair.deltas and pair.deltas[key].mean != 0}
    measured = [key for key in evaluated(keys) if key not in COST] + [key for key in COST if key in changed]
    leading = tuple(column_of(key) for key in ("axis", "change", "detector", "others", "seeds"))
    rows = tuple(_comparison_cells(pair) for pair in pairs)
    return Table((*leading, *(difference_of(column_of(key)) for key in measured)), rows)


def failure_table(board: Board) -> Table:
    """The records without a number: what they are, how they ended, the first line of the error."""
    keys = ("detector", "ablations", "postprocess", "schedule", "seed", "status", "error")
    rows: tuple[dict[str, Cell], ...] = tuple(
        {
            "detector": record.detector,
            "ablations": describe(record),
            "postprocess": record.protocol.postprocess,
            "schedule": record.provenance.schedule,
            "seed": record.seed,
            "status": record.status,
            "error": (record.error or "").strip().splitlines()[0],
        }
        for record in board.failures
    )
    return Table(tuple(column_of(key) for key in keys), rows)


def leaderboard_csv(board: Board) -> str:
    """Every row in full precision: identity, then mean, std and n of each metric, cost and measured speed."""
    axes = sorted({axis for row in board.rows for axis in row.record.ablations if axis != "postprocess"})
    measured = [*board.metrics, *(key for key in COST if any(key in row.values for row in board.rows)), *board.speeds]
    lines = [_identity(row, axes) | _measured(row.values, measured) for row in board.rows]
    return _csv(lines)


def ablation_csv(comparisons: Iterable[Comparison]) -> str:
    """Every pair in full precision: what is compared, then mean, std and n of each difference."""
    pairs = list(comparisons)
    measured = in_order(key for pair in pairs for key in pair.deltas)
    return _csv(
        {
            "axis": pair.axis,
            "detector": pair.before.detector,
            "change": pair.change,
            "others": pair.others,
            "before": pair.before.record.cell_id,
            "after": pair.after.record.cell_id,
            "seeds": pair.seeds,
            **_measured(pair.deltas, measured),
        }
        for pair in pairs
    )


def _shared_text(rows: tuple[dict[str, Cell], ...], key: str) -> str | None:
    texts = {row.get(key) for row in rows}
    text = texts.pop() if len(rows) > 1 and len(texts) == 1 else None
    return text if isinstance(text, str) else None


def _cells(row: Row) -> dict[str, Cell]:
    cost = row.record.cost
    return {
        **row.values,
        "rank": row.rank,
        "detector": row.detector + (" †" if row.dirty else ""),
        "ablations": row.ablations,
        "postprocess": row.labels["postprocess"],
        "settings": row.settings,
        "schedule": row.record.provenance.schedule,
        "weights": row.record.provenance.weights,
        "train_set": row.train_set,
        "device": row.record.provenance.device,
        "cost/input_size": f"{cost.input_size[0]}x{cost.input_size[1]}" if cost else None,
    }


def _comparison_cells(pair: Comparison) -> dict[str, Cell]:
    deltas: dict[str, Cell] = {f"delta:{key}": stat for key, stat in pair.deltas.items()}
    named = {"axis": pair.axis, "change": pair.change, "detector": pair.before.detector, "others": pair.others}
    return {**deltas, **named, "seeds": pair.seeds}


def _identity(row: Row, axes: list[str]) -> dict[str, object]:
    record = row.record
    return {
        "rank": row.rank,
        "detector": row.detector,
        **{f"ablation/{axis}": record.ablations.get(axis) for axis in axes},
        "postprocess": row.labels["postprocess"],
        "schedule": record.provenance.schedule,
        "weights": record.provenance.weights,
        "train_set": row.train_set,
        "dataset": record.dataset.name,
        "split": record.dataset.split,
        "images": record.dataset.images,
        "annotation_hash": record.dataset.annotation_hash,
        "protocol": record.protocol.name,
        "protocol_version": record.protocol.version,
        "protocol_settings": json.dumps(record.protocol.settings, sort_keys=True),
        "cell_id": record.cell_id,
        "train_id": record.train_id,
        "input_size": "x".join(map(str, record.cost.input_size)) if record.cost else None,
        "seeds": " ".join(str(member.seed) for member in row.records),
        "device": record.provenance.device,
        "git_commit": record.provenance.git_commit,
        "git_dirty": row.dirty,
    }


def _measured(values: dict[str, Stat], keys: Iterable[str]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for key in keys:
        stat = values.get(key)
        cells[f"{key}_mean"] = stat.mean if stat else None
        cells[f"{key}_std"] = stat.std if stat else None
        cells[f"{key}_n"] = stat.n if stat else 0
    return cells


def _csv(lines: Iterable[dict[str, object]]) -> str:
    rows = list(lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    if rows:
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
