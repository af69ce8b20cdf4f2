"""Measured beside reported, as tables for people and as CSV."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from bench.records.reported import ReportedCost, Source
from bench.report.columns import Column, column_of, difference_of, in_order, ratio_of, reported_of
from bench.report.compare.distinctions import settings_in_words
from bench.report.compare.marks import marked
from bench.report.compare.published import Counterpart, Published, PublishedFigures
from bench.report.compare.statistics import Stat
from bench.report.tables.formatting import Cell
from bench.report.tables.spreadsheets import csv_text, measured_cells
from bench.report.tables.table import Table, table_of

COST = ("cost/params", "cost/macs")
COUNTERPART_NOTE = (
    "Δ is measured minus reported, in percentage points. A row with imported weights has not been trained here: if "
    "they are the published ones, what is named under What differs should be all that sets it apart."
)
COST_NOTE = (
    "Δ is measured minus reported, in % of what is reported. Reported values are rounded as in their source, and "
    "counted by its rule."
)
UNMEASURED = "Published under this protocol and unranked: no row of this leaderboard is of the same detector."


def counterpart_table(pairs: Sequence[Counterpart]) -> Table:
    """One row per measured row and published row: each metric measured, reported, and the difference.

    What sets every row apart is told once; an ablation that is as published is not told.
    """
    shared = shared_reasons(pairs)
    rows = [{"detector": _name(pair), **counterpart_cells(pair, shared)} for pair in pairs]
    table = table_of([column_of("detector"), *counterpart_columns(pairs), column_of("reasons")], rows)
    return telling_once(table, shared)


def counterpart_columns(pairs: Iterable[Counterpart]) -> list[Column]:
    """Three columns a metric: measured, reported and the difference."""
    metrics = in_order(key for pair in pairs for key in pair.differences)
    columns = [(column, reported_of(column), difference_of(column, "Δ")) for column in map(column_of, metrics)]
    return [column for three in columns for column in three]


def counterpart_cells(pair: Counterpart, shared: Collection[str]) -> dict[str, Cell]:
    """What is published beside the row, and the reasons for a difference but those told once."""
    cells: dict[str, Cell] = {"reasons": "; ".join(reason for reason in pair.reasons if reason not in shared)}
    for key, difference in pair.differences.items():
        cells[key] = pair.row.values[key]
        cells[f"reported:{key}"] = _stat(pair.published.row.metrics[key])
        cells[f"delta:{key}"] = _stat(difference)
    return cells


def shared_reasons(pairs: Sequence[Counterpart]) -> list[str]:
    """The reasons that all of two pairs or more give."""
    if len(pairs) < 2:
        return []
    return [reason for reason in pairs[0].reasons if all(reason in pair.reasons for pair in pairs)]


def telling_once(table: Table, reasons: Sequence[str]) -> Table:
    """The table with these reasons beneath it, as those of every row."""
    if not reasons:
        return table
    return replace(table, shared=(*table.shared, (column_of("reasons"), "; ".join(reasons))))


def cost_table(pairs: Iterable[Counterpart]) -> Table:
    """One row per detector, published row and measured cost: rows of a detector mostly share it."""
    rows: dict[tuple[object, ...], dict[str, Cell]] = {}
    for pair in pairs:
        cost = pair.row.record.cost
        if cost is not None and pair.published.row.cost is not None:
            key = pair.row.detector, pair.published.row.method, cost.params, cost.macs
            rows.setdefault(key, _cost_cells(pair, pair.published.row.cost))
    columns: list[Column] = [column_of("detector")]
    for column in map(column_of, COST):
        columns += [column, reported_of(column), ratio_of(column)]
    return table_of([*columns, column_of("note")], list(rows.values()))


def unmeasured_table(published: Iterable[Published]) -> Table:
    """The published rows without a measured one, in the order of their file."""
    rows = [_published_cells(entry) for entry in published]
    metrics = [key for key in in_order(key for row in rows for key in row) if key.startswith("val/")]
    keys = ["method", "backbone", "detector", *metrics, *COST, "latency", "published_device", "source"]
    return table_of([column_of(key) for key in keys], rows, ("published_device", "source"))


def sources_of(published: PublishedFigures) -> tuple[list[Source], list[Source]]:
    """The sources of what stands beside measured rows, and those of the rest that are not among them."""
    first = {pair.published.row.source: pair.published.source for pair in published.counterparts}
    rest = {entry.row.source: entry.source for entry in published.unmeasured if entry.row.source not in first}
    return list(first.values()), list(rest.values())


def reported_csv(published: PublishedFigures) -> str:
    """Every published row of the protocol, once for each row of its detectors; without one, nothing is measured."""
    pairs: list[tuple[Published, Counterpart | None]] = [(pair.published, pair) for pair in published.counterparts]
    pairs += [(entry, None) for entry in published.unmeasured]
    metrics = in_order(key for entry, _ in pairs for key in entry.row.metrics)
    return csv_text(_line(entry, pair, metrics) for entry, pair in pairs)


def _stat(value: float | None) -> Stat | None:
    return None if value is None else Stat(value, None, 1)


def _name(pair: Counterpart) -> str:
    """The detector, with the settings that set its row apart from one of the same name."""
    settings = settings_in_words(pair.row.settings)
    return f"{marked(pair.row)} ({settings})" if settings else marked(pair.row)


def _cost_cells(pair: Counterpart, reported: ReportedCost) -> dict[str, Cell]:
    cells: dict[str, Cell] = {"detector": pair.row.detector, "note": reported.note or ""}
    for key, value in (("cost/params", reported.params), ("cost/macs", reported.macs)):
        cells[key] = pair.row.values[key]
        cells[f"reported:{key}"] = _stat(value)
        cells[f"ratio:{key}"] = _stat(pair.cost_ratios.get(key))
    return cells


def _published_cells(entry: Published) -> dict[str, Cell]:
    row = entry.row
    cells: dict[str, Cell] = {key: _stat(value) for key, value in row.metrics.items()}
    cells |= {"method": row.method, "backbone": row.backbone, "detector": ", ".join(row.detectors) or None}
    if row.cost:
        cells |= {"cost/params": _stat(row.cost.params), "cost/macs": _stat(row.cost.macs)}
    if row.speed:
        cells |= {"latency": _stat(row.speed.latency_ms), "published_device": row.speed.device}
    return cells | {"source": entry.source.title}


def _line(entry: Published, pair: Counterpart | None, metrics: list[str]) -> dict[str, object]:
    row, measured = entry.row, pair.row if pair else None
    cells: dict[str, object] = {
        "method": row.method,
        "backbone": row.backbone,
        "source": entry.source.url,
        "protocol": row.protocol,
        "detector": measured.detector if measured else None,
        "cell_id": measured.record.cell_id if measured else None,
        "ablations": measured.name if measured else None,
        "settings": settings_in_words(measured.settings, most=None) if measured else None,
        "postprocess": measured.record.protocol.postprocess if measured else None,
        "schedule": measured.record.provenance.schedule if measured else None,
        "weights": measured.record.provenance.weights if measured else None,
        "images": measured.record.dataset.images if measured else None,
    }
    for key in metrics:
        cells |= measured_cells(measured.values if measured else {}, [key])
        cells[f"{key}_reported"] = row.metrics.get(key)
        cells[f"{key}_difference"] = pair.differences.get(key) if pair else None
    for key, reported in (("cost/params", row.cost and row.cost.params), ("cost/macs", row.cost and row.cost.macs)):
        cells[key] = measured.values[key].mean if measured and key in measured.values else None
        cells[f"{key}_reported"] = reported
        cells[f"{key}_ratio"] = pair.cost_ratios.get(key) if pair else None
    cells["latency_ms_reported"] = row.speed.latency_ms if row.speed else None
    return cells | {"reasons": "; ".join(pair.reasons) if pair else None}
