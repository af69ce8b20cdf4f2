"""The process of one training: `python -m bench.grid.worker CELLS.json`.

Holds the training's lock while it works and ends with its parent, so that a killed grid leaves nothing running behind.
"""

import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from filelock import Timeout

from bench.cost.allocator import keep_freed_memory
from bench.run.cells import Cell
from bench.run.workspace import Workspace, to_run

BUSY = 75  # exit status: another process holds the training's lock
FAILED = 1
log = logging.getLogger("bench.worker")


def write_job(path: Path, cells: Sequence[Cell], overwrite: str) -> None:
    content = {"overwrite": overwrite, "cells": [vars(cell) for cell in cells]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def read_job(path: Path) -> tuple[list[Cell], str]:
    content = json.loads(path.read_text())
    return [Cell(**cell) for cell in content["cells"]], content["overwrite"]


def end_with_parent(parent: int) -> None:
    """Exit as soon as the parent is gone; a daemon thread looks twice a second."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()


def work(job: Path) -> int:
    """Run what is still to be done of a job, alone. Returns the exit status."""
    cells, overwrite = read_job(job)
    workspace = Workspace.of(cells[0])
    try:
        with workspace.lock().acquire(timeout=0):
            cells = to_run(cells, overwrite)  # another grid may have done some since the job was written
            return run(cells, fresh=overwrite == "always") if cells else 0
    except Timeout:
        return BUSY


def run(cells: Sequence[Cell], fresh: bool) -> int:
    from bench.run.train import run_cells  # after the lock: it takes seconds to import

    try:
        run_cells(cells, fresh)
    except Exception as error:
        if getattr(type(error), "user_facing", False):
            log.error("%s", error)
        else:
            log.exception("%s failed", cells[0])
        return FAILED
    return 0


def main() -> int:
    parent = int(os.environ.get("BENCH_PARENT", os.getppid()))
    end_with_parent(parent)
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    return work(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
