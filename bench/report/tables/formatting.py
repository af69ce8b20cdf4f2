"""Numbers as people read them: the last step before a table or a figure, and the only place that rounds."""

from bench.report.columns import Column, Kind
from bench.report.compare.statistics import Stat

Cell = str | int | Stat | None

MISSING = "–"
SCALE: dict[Kind, float] = {"fraction": 100.0, "millions": 1e-6, "giga": 1e-9}


def format_cell(column: Column, cell: Cell) -> str:
    """One cell of a table: text as it is, a Stat as `mean`, or `mean ± std (n)` where it varied over seeds."""
    if cell is None:
        return MISSING
    if not isinstance(cell, Stat):
        return str(cell)
    mean = format_number(column.kind, cell.mean, column.signed)
    is_count = column.kind in ("millions", "giga")  # the same for every seed, unless it depends on the image
    if cell.std is None or (is_count and cell.std == 0):
        return mean
    return f"{mean} ± {format_number(column.kind, cell.std)} ({cell.n})"


def format_number(kind: Kind, value: float, signed: bool = False) -> str:
    """A number in the unit of its kind: per cent, millions, billions, milliseconds."""
    value *= SCALE.get(kind, 1.0)
    if kind == "number":
        return f"{value:+.4g}" if signed else f"{value:.4g}"
    digits = 3 if kind in ("millions", "giga") and 0 < abs(value) < 1 else 2
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def sort_value(cell: Cell) -> str:
    """What a table sorts the cell by: full precision for numbers, lower case for text, nothing for a missing cell."""
    if cell is None:
        return ""
    return repr(cell.mean) if isinstance(cell, Stat) else str(cell).lower()
