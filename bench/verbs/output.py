"""Standard output of the verbs: one JSON document, or tables for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.errors import ConfigError

FORMATS = ("text", "json")


def wants_json(config: Any) -> bool:
    if config.format not in FORMATS:
        raise ConfigError(f"expected format to be one of {', '.join(FORMATS)}, found `{config.format}`")
    return bool(config.format == "json")


def write_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, soft_wrap=False).print(table)
