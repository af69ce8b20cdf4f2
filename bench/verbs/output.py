"""Standard output of the verbs: one JSON document, or tables for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.errors import ConfigError
from bench.records.identity import in_words
from bench.records.record import Record

FORMATS = ("text", "json")


def wants_json(config: Any) -> bool:
    if config.format not in FORMATS:
        raise ConfigError(f"expected format to be one of {', '.join(FORMATS)}, found `{config.format}`")
    return bool(config.format == "json")


def write_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Every text as it is: rich would take what stands in brackets for markup, and stop at a closing tag."""
    heads = [escape(column) for column in columns]
    table = Table(*heads, title=None if title is None else Text(title), title_justify="left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, soft_wrap=False).print(table)


def show_records(records: list[Record], as_json: bool) -> None:
    """The records, as JSON or as a table of their metrics."""
    if as_json:
        write_json([record.model_dump(mode="json") for record in records])
        return
    keys = sorted({key for record in records for key in record.metrics if key.startswith("val/")})
    rows = [
        [
            key.removeprefix("val/"),
            *(f"{100 * record.metrics[key]:.2f}" if key in record.metrics else "-" for record in records),
        ]
        for key in keys
    ]
    first = records[0]
    dataset, protocol = first.dataset, first.protocol
    title = (
        f"{dataset.name} {dataset.split}, {dataset.images} images, {protocol.base or protocol.name} v{protocol.version}"
    )
    title += f" with {in_words(protocol.changes)}" if protocol.changes else ""
    write_table(["", *(f"{record.detector} {record.protocol.postprocess}" for record in records)], rows, title)
