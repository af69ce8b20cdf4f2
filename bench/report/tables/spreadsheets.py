"""Tables of a board as CSV, in full precision."""

import csv
import io
import json
from collections.abc import Iterable, Mapping

from bench.records.identity import in_words
from bench.report.columns import in_order
from bench.report.compare.ablations import Comparison
from bench.report.compare.distinctions import settings_in_words
from bench.report.compare.leaderboard import Board
from bench.report.compare.marks import is_dirty, mixture_of
from bench.report.compare.rows import Row
from bench.report.compare.statistics import Stat
from bench.report.tables.board_tables import COST


def leaderboard_csv(board: Board) -> str:
    """Every row in full precision: identity, then mean, std and n of each metric, cost and measured speed."""
    axes = sorted({axis for row in board.rows for axis in row.record.ablations if axis != "postprocess"})
    measured = [*board.metrics, *(key for key in COST if any(key in row.values for row in board.rows)), *board.speeds]
    lines = [identity_cells(row, axes) | measured_cells(row.values, measured) for row in board.rows]
    return csv_text(lines)


def ablation_csv(comparisons: Iterable[Comparison]) -> str:
    """Every pair in full precision: what is compared, then mean, std and n of each difference."""
    pairs = list(comparisons)
    measured = in_order(key for pair in pairs for key in pair.deltas)
    return csv_text(
        {
            "axis": pair.axis,
            "detector": pair.before.detector,
            "detector_after": pair.after.detector,
            "change": pair.change,
            "others": in_words(pair.held),
            "before": pair.before.record.cell_id,
            "after": pair.after.record.cell_id,
            "seeds": pair.seeds,
            **measured_cells(pair.deltas, measured),
        }
        for pair in pairs
    )


def identity_cells(row: Row, axes: list[str]) -> dict[str, object]:
    """What a row is and where it comes from; the commits are those of all its trainings and evaluations."""
    record = row.record
    commits = dict.fromkeys(commit or "unknown" for member in row.records for commit in member.git_commits)
    return {
        "rank": row.rank,
        "detector": row.detector,
        **{f"ablation/{axis}": record.ablations.get(axis) for axis in axes},
        "changes": json.dumps(record.changes, sort_keys=True) if record.changes else None,
        "settings": settings_in_words(row.settings, most=None),
        "postprocess": record.protocol.postprocess,
        "schedule": record.provenance.schedule,
        "epochs": record.epochs,
        "weights": record.provenance.weights,
        "train_set": row.train_set,
        "dataset": record.dataset.name,
        "split": record.dataset.split,
        "images": record.dataset.images,
        "annotation_hash": record.dataset.annotation_hash,
        "protocol": record.protocol.name,
        "protocol_version": record.protocol.version,
        "protocol_changes": json.dumps(record.protocol.changes, sort_keys=True) if record.protocol.changes else None,
        "evaluation": json.dumps(record.evaluation, sort_keys=True),
        "cell_id": record.cell_id,
        "train_id": record.train_id,
        "input_size": "x".join(map(str, record.cost.input_size)) if record.cost else None,
        "seeds": " ".join(str(member.seed) for member in row.records),
        "device": row.devices,
        "git_commits": " ".join(commits),
        "git_dirty": is_dirty(row),
        "mixed_seeds": mixture_of(row),
    }


def measured_cells(values: Mapping[str, Stat], keys: Iterable[str]) -> dict[str, object]:
    """Mean, std and n of each key."""
    cells: dict[str, object] = {}
    for key in keys:
        stat = values.get(key)
        cells[f"{key}_mean"] = stat.mean if stat else None
        cells[f"{key}_std"] = stat.std if stat else None
        cells[f"{key}_n"] = stat.n if stat else 0
    return cells


def csv_text(lines: Iterable[dict[str, object]]) -> str:
    """Lines that all have the same keys, under a head of these."""
    rows = list(lines)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    if rows:
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
