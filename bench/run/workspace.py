"""Where a training lives while it runs, and what is known about its cells.

A training owns `<runs>/trainings/<train_id>/seed<k>/`: its configuration, checkpoints, log, status, and the per-image
statistics of its evaluations. It is running
exactly while a process holds its lock, which the system releases when that process dies, however it dies.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.records.record import Record, read_record, write_text_atomically
from bench.run.cells import Cell

TRAINED = ("checkpoints", "training.json")
log = logging.getLogger(__name__)


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

    @property
    def previous(self) -> Path:
        """Where a finished training waits while it is trained anew."""
        return self.root / "previous"

    def set_aside(self) -> None:
        """Make room to train anew; what was trained comes back with `restore`."""
        self.previous.mkdir()
        for name in TRAINED:
            if (self.root / name).exists():
                (self.root / name).rename(self.previous / name)

    def restore(self) -> None:
        """Take back what was set aside by a run that came to no result, if there is something."""
        for name in TRAINED:
            if (self.previous / name).exists():
                remove(self.root / name)
                (self.previous / name).rename(self.root / name)
        remove(self.previous)

    def forget_previous(self) -> None:
        """Something better has taken its place."""
        discarded = self.root / "discarded"
        remove(discarded)
        if self.previous.exists():
            self.previous.rename(discarded)  # at once: half of it must not come back
            remove(discarded)

    def clear(self) -> None:
        """Forget what was trained."""
        for name in TRAINED:
            remove(self.root / name)

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    def lock(self) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / "lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """The lock, which is waited for; and that is said."""
        lock = self.lock()
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            log.info("another process is at this training, in %s; waiting until it ends", self.root)
            lock.acquire(poll_interval=1)
        try:
            yield
        finally:
            lock.release()

    def is_running(self) -> bool:
        if not (self.root / "lock").exists():
            return False
        try:
            with self.lock().acquire(timeout=0):
                return False
        except Timeout:
            return True

    def write_status(self, **values: Any) -> None:
        """What the display of a grid reads: status, epoch, epochs, and when. No training ends for want of it."""
        content = {**values, "pid": os.getpid(), "updated_at": now()}
        try:
            write_text_atomically(self.root / "status.json", json.dumps(content, indent=1) + "\n")
        except OSError as error:
            log.warning("the status of the training cannot be written: %s", error)

    def read_status(self) -> dict[str, Any]:
        """What is known of the progress; empty where the file is missing or holds anything else."""
        try:
            content = json.loads((self.root / "status.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}


def remove(path: Path) -> None:
    """A file or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
