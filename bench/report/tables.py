"""Tables of a board for people, their cells still in full precision."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from bench.records.identity import in_words
from bench.records.record import Cost
from bench.report.ablations import Comparison
from bench.report.columns import Column, column_of, difference_of, evaluated, in_order
from bench.report.distinctions import settings_in_words
from bench.report.formatting import Cell
from bench.report.leaderboard import Board
from bench.report.marks import marked
from bench.report.names import name_of, weights_of
from bench.report.rows import Row

COST = ("cost/params", "cost/macs", "cost/flops")
SHAREABLE = ("postprocess", "epochs", "cost/input_size", "device", "train_set")


@dataclass(frozen=True)
class Table:
    """Columns and, per row, a cell under each column's key; a key that is missing is an empty cell.

    `shared`: columns that would read the same in every row, with that text, to be told once beneath the table.
    `ranked`: whether the best value of a column stands out.
    """

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    shared: tuple[tuple[Column, str], ...] = ()
    ranked: bool = False

    @property
    def described(self) -> tuple[Column, ...]:
        """Every column a reader meets."""
        return self.columns + tuple(column for column, _ in self.shared)


def table_of(
    columns: Iterable[Column],
    rows: Iterable[dict[str, Cell]],
    shareable: Collection[str] = (),
    always: Collection[str] = (),
    ranked: bool = False,
) -> Table:
    """A table without columns that no row fills, but `always`; those of `shareable` are told once if they can be."""
    lines, columns = tuple(rows), list(columns)
    told = [(column, _shared_text(lines, column.key)) for column in columns if column.key in shareable]
    shared = tuple((column, text) for column, text in told if text)
    once = {column.key for column, _ in shared}
    kept = [
        column
        for column in columns
        if column.key in always or (column.key not in once and any(row.get(column.key) for row in lines))
    ]
    return Table(tuple(kept), lines, shared, ranked)


def definitions_of(tables: Iterable[Table]) -> list[Column]:
    """The columns that a reader meets in any of the tables and that need a definition, each once.

    A column that stands for another's difference or published value is explained by the text beneath its table.
    """
    keys = in_order(column.key for table in tables for column in table.described if ":" not in column.key)
    return [column_of(key) for key in keys]


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


def _shared_text(rows: tuple[dict[str, Cell], ...], key: str) -> str | None:
    """The text that two or more rows have under the key, if all have it or nothing."""
    texts = [text for row in rows if (text := row.get(key))]
    if len(texts) < 2 or len(set(texts)) > 1 or not isinstance(texts[0], str):
        return None
    return texts[0] if len(texts) == len(rows) else f"{texts[0]} (where known)"


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
