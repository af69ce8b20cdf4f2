"""Tables of a board for people, their cells still in full precision."""

from collections.abc import Collection, Iterable
from typing import Any

from bench.records.identity import in_words
from bench.records.record import Cost
from bench.report.columns import column_of, difference_of, evaluated, in_order
from bench.report.compare.ablations import Comparison
from bench.report.compare.distinctions import settings_in_words
from bench.report.compare.leaderboard import Board
from bench.report.compare.marks import marked
from bench.report.compare.names import name_of, weights_of
from bench.report.compare.rows import Row
from bench.report.tables.formatting import Cell
from bench.report.tables.table import Table, table_of

COST = ("cost/params", "cost/macs", "cost/flops")
SHAREABLE = ("postprocess", "epochs", "cost/input_size", "device", "train_set")


def leaderboard_table(board: Board) -> Table:
    """The board for people: columns that no row fills and training losses are left out, latency is the median alone.

    Schedule and weights always have a column, since they decide what a number is worth.
    """
    medians = [key for key in board.speeds if key.endswith("_p50")]
    keys = ["rank", "detector", "ablations", "postprocess", "settings", "schedule", "epochs", "weights"]
    keys += [
        *evaluated(board.metrics),
        *COST,
        "cost/input_size",
        *medians,
        *(["device"] if medians else []),
        "train_set",
    ]
    always = {"rank", "detector", "schedule", "weights"}
    return table_of(map(column_of, keys), map(row_cells, board.rows), SHAREABLE, always, ranked=True)


def ablation_table(comparisons: Iterable[Comparison]) -> Table:
    """One row per pair: the change of the axis and the difference of every metric, and of the cost where it changes.

    Ablations that both detectors' names imply are left out; what every pair holds fixed is told once.
    """
    pairs = list(comparisons)
    keys = in_order(key for pair in pairs for key in pair.deltas)
    changed = [key for key in ("cost/params", "cost/macs") if any(_changes(pair, key) for pair in pairs)]
    measured = [key for key in evaluated(keys) if key not in COST] + changed
    columns = [column_of(key) for key in ("axis", "change", "detector", "others", "seeds")]
    columns += [difference_of(column_of(key)) for key in measured]
    everywhere = _held_by_all(pairs) if len(pairs) > 1 else {}
    rows = tuple(_comparison_cells(pair, everywhere) for pair in pairs)
    shared = ((column_of("others"), in_words(everywhere)),) if everywhere else ()
    return Table(tuple(columns), rows, shared)


def failure_table(board: Board) -> Table:
    """The records without a number: what they are, how they ended, the first line of the error."""
    keys = ("detector", "ablations", "postprocess", "schedule", "seed", "status", "error")
    rows: tuple[dict[str, Cell], ...] = tuple(
        {
            "detector": record.detector,
            "ablations": name_of(record),
            "postprocess": record.protocol.postprocess,
            "schedule": record.provenance.schedule,
            "seed": record.seed,
            "status": record.status,
            "error": (record.error or "").strip().splitlines()[0],
        }
        for record in board.failures
    )
    return Table(tuple(column_of(key) for key in keys), rows)


def row_cells(row: Row) -> dict[str, Cell]:
    """What a table of a board may show of a row."""
    cost = row.record.cost
    return {
        **row.values,
        **weights_of(row.record),
        "rank": row.rank,
        "detector": marked(row),
        "ablations": row.name,
        "postprocess": row.record.protocol.postprocess,
        "settings": settings_in_words(row.settings),
        "device": row.devices,
        "cost/input_size": _input(cost) if cost else None,
    }


def _input(cost: Cost) -> str:
    largest = f"{cost.input_size[0]}x{cost.input_size[1]}"
    return f"{len(cost.looks)} looks up to {largest}" if cost.looks else largest


def _held_by_all(pairs: list[Comparison]) -> dict[str, Any]:
    first, *others = [pair.held for pair in pairs]
    return {key: value for key, value in first.items() if all(key in held and held[key] == value for held in others)}


def _comparison_cells(pair: Comparison, everywhere: Collection[str]) -> dict[str, Cell]:
    told = {key: value for key, value in pair.held.items() if key not in pair.names and key not in everywhere}
    cells: dict[str, Cell] = {f"delta:{key}": stat for key, stat in pair.deltas.items()}
    cells |= {"axis": pair.axis, "change": pair.change, "detector": pair.detector, "seeds": pair.seeds}
    return cells | {"others": in_words(told)}


def _changes(pair: Comparison, key: str) -> bool:
    return key in pair.deltas and pair.deltas[key].mean != 0
