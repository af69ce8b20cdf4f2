"""`bench grid NAME`: run what is missing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from bench.config import instantiate
from bench.errors import BenchError, ConfigError
from bench.grid.enumerate import enumerate_cells
from bench.grid.grid import Key, grid_node, grid_status, run_grid
from bench.run.cells import Cell
from bench.run.outcome import Ending
from bench.run.workspace import record_path
from bench.signals import Interrupted
from bench.verbs.output import wants_json, write_json

log = logging.getLogger(__name__)
GO_ON = "run the same command again to go on"
CHOICES = {"overwrite": ("only-missing", "always", "never"), "on_error": ("continue", "stop")}


def run(config: DictConfig) -> int:
    as_json = wants_json(config)
    for key, choices in CHOICES.items():
        if config[key] not in choices:
            raise ConfigError(f"expected {key} to be one of {', '.join(choices)}, found `{config[key]}`")
    cells = enumerate_cells(grid_node(config))
    if not cells:
        raise BenchError(f"grid `{config.grid.name}` has no cells")
    try:
        ended = run_grid(cells, instantiate(config.launcher), config.overwrite, config.on_error)
    except Interrupted as ending:
        ending.advice = GO_ON if config.overwrite == "only-missing" else f"{GO_ON}, with overwrite=only-missing"
        raise
    failed = tell_run(cells, ended)
    status = grid_status(config.grid.name, cells)
    tell_older_failures(status["cells"], ended)
    if as_json:
        write_json(with_run(status, ended))
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    records = record_path(cells[0]).parents[3]
    log.info("grid %s: %d cells on record: %s; records below %s", config.grid.name, len(cells), counts, records)
    return 1 if failed else 0


def tell_run(cells: Sequence[Cell], ended: Mapping[Key, Ending | None]) -> int:
    """Say of every cell that this run did not bring to its end, why; returns how many there are."""
    failed = 0
    for cell in cells:
        ending = ended.get((cell.cell_id, cell.seed), Ending("done"))
        if ending is None:
            log.error("%s: not begun after the failure before it (on_error=stop)", cell)
        elif ending.status != "done":
            kept = "; the result of an earlier run is kept" if ending.kept else ""
            log.error("%s %s: %s%s", cell, ending.status, ending.error, kept)
        failed += ending is None or ending.status != "done"
    return failed


def tell_older_failures(rows: Sequence[Mapping[str, Any]], ended: Mapping[Key, Ending | None]) -> None:
    """Failures on record of cells that were not run now."""
    for row in rows:
        if row["error"] and ended.get((row["cell_id"], row["seed"])) is None:
            log.warning(
                "%s seed %s: not run now; an earlier run %s: %s",
                row["detector"],
                row["seed"],
                row["status"],
                row["error"],
            )


def with_run(status: Mapping[str, Any], ended: Mapping[Key, Ending | None]) -> dict[str, Any]:
    """The status with `run` in every cell: how this run ended for it, null where it had nothing to do."""
    runs = [ended.get((row["cell_id"], row["seed"])) for row in status["cells"]]
    rows = [row | {"run": run and asdict(run)} for row, run in zip(status["cells"], runs, strict=True)]
    return {**status, "cells": rows}
