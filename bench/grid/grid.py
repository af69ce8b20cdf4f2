"""Enumerate the cells of a grid, run what is missing, keep the records."""

from collections.abc import Sequence
from typing import Any, Literal

from omegaconf import DictConfig, open_dict

from bench.grid.display import GridDisplay
from bench.grid.enumerate import chosen_axes, points, trainings
from bench.run.cells import Cell
from bench.run.outcome import Ending
from bench.run.workspace import cell_status, find_record, to_run

Key = tuple[str, int]  # cell id and seed


def run_grid(
    cells: Sequence[Cell], launcher: Any, overwrite: str, on_error: Literal["continue", "stop"]
) -> dict[Key, Ending | None]:
    """Run the cells that `overwrite` asks for; returns how they ended, None of those that `on_error` left alone."""
    groups = list(trainings(to_run(cells, overwrite)).values())
    if not groups:
        return {}
    with GridDisplay(len(groups), launcher.max_parallel) as display:
        ended = launcher.run(groups, overwrite, on_error, display.notify)
    keys = [(cell.cell_id, cell.seed) for group in groups for cell in group]
    return {key: ended.get(key) for key in keys}


def grid_status(name: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """Every cell with its status, and how many there are of each."""
    rows = []
    for cell in cells:
        status = cell_status(cell)
        record = find_record(cell)
        rows.append(
            {
                "cell_id": cell.cell_id,
                "train_id": cell.train_id,
                "seed": cell.seed,
                "detector": cell.detector,
                "ablations": dict(cell.ablations),
                "changes": dict(cell.changes),
                "status": status,
                "error": None if record is None else record.error,
            }
        )
    statuses = [str(row["status"]) for row in rows]
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return {"grid": name, "counts": counts, "cells": rows}


def unread_status(grid: DictConfig) -> dict[str, Any]:
    """The status of a grid whose data is not drawn yet: every cell is missing, and none has an identity."""
    rows = [
        {
            "cell_id": None,
            "train_id": None,
            "seed": seed,
            "detector": chosen.get("detector"),
            "ablations": {axis: label for axis, label in chosen.items() if axis != "detector"},
            "changes": {},
            "status": "missing",
            "error": None,
        }
        for chosen in points(chosen_axes(grid))
        for seed in grid.seeds
    ]
    return {"grid": str(grid.name), "counts": {"missing": len(rows)}, "cells": rows}


def grid_node(config: DictConfig) -> DictConfig:
    """The grid of a composed `grid` or `status` configuration, with what the command line says of all of its cells."""
    node: DictConfig = config.grid.copy()
    with open_dict(node):
        node.only = config.only
        node.cell_overrides = list(config.cell_overrides)
    return node
