"""Where a training lives while it runs, and what is known about its cells.

A training owns `<runs>/trainings/<train_id>/seed<k>/`: its configuration, checkpoints, log, status, and the per-image
statistics of its evaluations. It is running
exactly while a process holds its lock, which the system releases when that process dies, however it dies.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.records.record import Record, read_record, write_text_atomically
from bench.run.cells import Cell


@dataclass(frozen=True)
class Workspace:
    """The folders of one training."""

    root: Path

    @classmethod
    def of(cls, cell: Cell) -> "Workspace":
        return cls(Path(cell.config["paths"]["runs"]) / "trainings" / cell.train_id / f"seed{cell.seed}")

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / "best.ckpt"

    def statistics(self, cell_id: str) -> Path:
        """The folder of the per-image statistics of an evaluation."""
        return self.root / "statistics" / cell_id

    def clear(self) -> None:
        """Forget what was trained."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        (self.root / "training.json").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    def lock(self) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / "lock")

    def is_running(self) -> bool:
        if not (self.root / "lock").exists():
            return False
        try:
            with self.lock().acquire(timeout=0):
                return False
        except Timeout:
            return True

    def write_status(self, **values: Any) -> None:
        """What the display of a grid reads: status, epoch, epochs, and when."""
        content = {**values, "pid": os.getpid(), "updated_at": now()}
        write_text_atomically(self.root / "status.json", json.dumps(content, indent=1) + "\n")

    def read_status(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.root / "status.json").read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def record_path(cell: Cell) -> Path:
    results = Path(cell.config["paths"]["results"])
    return results / cell.dataset / cell.detector / cell.cell_id / f"seed{cell.seed}.json"


def find_record(cell: Cell) -> Record | None:
    """The record of a cell, if one was written. A file that is no record is an error, not a missing one."""
    path = record_path(cell)
    return read_record(path) if path.exists() else None


def cell_status(cell: Cell) -> str:
    """done, running, missing, or how it ended otherwise (failed, diverged, timeout, interrupted)."""
    record = find_record(cell)
    if record is not None and record.status == "done":
        return "done"
    if Workspace.of(cell).is_running():
        return "running"
    return "missing" if record is None else record.status


def to_run(cells: Sequence[Cell], overwrite: str) -> list[Cell]:
    """Cells to be run under an overwrite strategy.

    Args:
        overwrite: "only-missing" runs what is not done (a failure is never taken for a result), "always" everything,
            "never" only what has no record at all.
    """
    if overwrite == "always":
        return list(cells)
    if overwrite == "never":
        return [cell for cell in cells if find_record(cell) is None]
    return [cell for cell in cells if (record := find_record(cell)) is None or record.status != "done"]
