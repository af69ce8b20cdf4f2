"""`bench grid NAME`: run what is missing."""

import logging

from omegaconf import DictConfig

from bench.config import instantiate
from bench.errors import BenchError, ConfigError
from bench.grid.enumerate import enumerate_cells
from bench.grid.grid import grid_node, grid_status, run_grid
from bench.run.workspace import record_path
from bench.verbs.output import wants_json, write_json

log = logging.getLogger(__name__)
CHOICES = {"overwrite": ("only-missing", "always", "never"), "on_error": ("continue", "stop")}


def run(config: DictConfig) -> int:
    as_json = wants_json(config)
    for key, choices in CHOICES.items():
        if config[key] not in choices:
            raise ConfigError(f"expected {key} to be one of {', '.join(choices)}, found `{config[key]}`")
    cells = enumerate_cells(grid_node(config))
    if not cells:
        raise BenchError(f"grid `{config.grid.name}` has no cells")
    failed = run_grid(cells, instantiate(config.launcher), config.overwrite, config.on_error)
    status = grid_status(config.grid.name, cells)
    if as_json:
        write_json(status)
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    log.info(
        "grid %s: %d cells: %s; records below %s",
        config.grid.name,
        len(cells),
        counts,
        record_path(cells[0]).parents[3],
    )
    for row in status["cells"]:
        if row["error"]:
            log.error(
                "%s %s seed %s %s: %s", row["detector"], row["ablations"], row["seed"], row["status"], row["error"]
            )
    return 1 if failed else 0
