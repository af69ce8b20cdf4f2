"""`bench status NAME`: every cell of a grid and how it stands."""

from omegaconf import DictConfig

from bench.grid.cells import enumerate_cells
from bench.grid.grid import grid_node, grid_status
from bench.verbs.output import wants_json, write_json, write_table


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    status = grid_status(config.grid.name, enumerate_cells(grid_node(config)))
    if as_json:
        write_json(status)
        return
    rows = [
        [
            row["cell_id"],
            row["detector"],
            ", ".join(f"{axis}={label}" for axis, label in row["labels"].items()),
            str(row["seed"]),
            row["status"],
            (row["error"] or "").splitlines()[0] if row["error"] else "",
        ]
        for row in status["cells"]
    ]
    counts = ", ".join(f"{count} {name}" for name, count in status["counts"].items())
    write_table(["cell", "detector", "changes", "seed", "status", "error"], rows, f"grid {status['grid']}: {counts}")
