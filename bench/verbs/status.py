"""`bench status NAME`: every cell of a grid and how it stands."""

import logging

from omegaconf import DictConfig

from bench.grid.enumerate import enumerate_cells
from bench.grid.grid import grid_node, grid_status, unread_status
from bench.run.data import NotPreparedError
from bench.verbs.output import wants_json, write_json, write_table

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    grid = grid_node(config)
    try:
        status = grid_status(config.grid.name, enumerate_cells(grid, prepare=False))
    except NotPreparedError as error:
        log.info("%s", error)
        status = unread_status(grid)
    if as_json:
        write_json(status)
        return
    rows = [
        [
            row["cell_id"] or "-",
            row["detector"] or "-",
            ", ".join(f"{axis}={label}" for axis, label in row["ablations"].items()),
            str(row["seed"]),
            row["status"],
            (row["error"] or "").splitlines()[0] if row["error"] else "",
        ]
        for row in status["cells"]
    ]
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    write_table(["cell", "detector", "changes", "seed", "status", "error"], rows, f"grid {status['grid']}: {counts}")
