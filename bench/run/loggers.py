"""Where numbers are shown while files keep the truth: Weights & Biases, CSV, or nothing.

A W&B run is one cell and seed: its id is both, its group the cell. The training that several cells share is logged to
the first of them. A server that cannot be reached, or a missing account, turns an online run into an offline one,
with a warning.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from wandb.errors import CommError, UsageError

from bench.run.cells import Cell

log = logging.getLogger(__name__)


def run_id(cell: Cell) -> str:
    return f"{cell.cell_id}-seed{cell.seed}"


def open_wandb(cell: Cell, folder: Path) -> Any:
    """A W&B run for a cell, resumed if it was begun before; offline if online fails."""
    settings = cell.config["logger"]
    folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "project": settings["project"],
        "entity": settings["entity"],
        "id": run_id(cell),
        "name": str(cell),
        "group": cell.cell_id,
        "dir": str(folder),
        "config": {
            "training": dict(cell.training),
            "evaluation": dict(cell.evaluation),
            "ablations": dict(cell.ablations),
            "changes": dict(cell.changes),
            "schedule": cell.config["schedule"],
            "seed": cell.seed,
        },
        "resume": "allow",
        "settings": wandb.Settings(init_timeout=float(settings["init_timeout"]), silent=True, console="off"),
        "reinit": "finish_previous",
    }
    mode = os.environ.get("WANDB_MODE", settings["mode"])
    try:
        return wandb.init(mode=mode, **options)
    except (CommError, UsageError) as error:
        if mode != "online":
            raise
        wandb.teardown()  # its service still holds the run's id
        log.warning("W&B is not reachable (%s); %s is logged offline, `wandb sync` uploads it", error, run_id(cell))
        return wandb.init(mode="offline", **{**options, "resume": None})


def open_logger(cell: Cell, folder: Path) -> Logger | None:
    """Lightning's logger for a training, as `logger=` says."""
    kind = cell.config["logger"]["name"]
    if kind == "wandb":
        return WandbLogger(experiment=open_wandb(cell, folder), save_dir=folder)
    return CSVLogger(folder, name="csv", version="") if kind == "csv" else None


def close_logger(exit_code: int) -> None:
    """Finish the open W&B run, if there is one, as succeeded (0) or failed."""
    if wandb.run is not None:
        wandb.finish(exit_code=exit_code)


def publish_metrics(cell: Cell, metrics: Mapping[str, float], folder: Path) -> str | None:
    """Write final metrics to the cell's own W&B run; returns its id, None without W&B."""
    if cell.config["logger"]["name"] != "wandb":
        return None
    if wandb.run is None or wandb.run.id != run_id(cell):
        close_logger(0)
        open_wandb(cell, folder)
    assert wandb.run is not None
    wandb.run.summary.update(dict(metrics))
    return str(wandb.run.id)
