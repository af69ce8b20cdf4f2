"""The process of one training: `python -m bench.grid.worker`, with its job on standard input.

Holds the training's lock while it works and ends with its parent, so that a killed grid leaves nothing running behind.
How each cell ended is in the outcome of its run; where that cannot be written (a full disk), the last words go to
standard output, which the grid reads.
"""

import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO

from filelock import Timeout

from bench.cost.allocator import keep_freed_memory
from bench.errors import is_user_facing
from bench.records.record import Status
from bench.run.cells import Cell
from bench.run.outcome import Ending, Outcome, record_failure
from bench.run.parent import end_with_parent
from bench.run.workspace import Workspace, to_run
from bench.signals import Interrupted, end_on_signals

BUSY = 75  # exit status: another process holds the training's lock
FAILED = 1
LONGEST = 4000  # letters of the last words: a pipe takes them without a reader
log = logging.getLogger("bench.worker")


def write_job(cells: Sequence[Cell], overwrite: str, run: str) -> IO[bytes]:
    """A job in a file without a name, for the standard input of a worker: no other grid can write over it."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by the caller)
    file.write(json.dumps({"overwrite": overwrite, "run": run, "cells": [vars(cell) for cell in cells]}).encode())
    file.seek(0)
    return file


def read_job(file: IO[bytes]) -> tuple[list[Cell], str, str]:
    """Cells, overwrite strategy and name of the run."""
    content = json.loads(file.read())
    return [Cell(**cell) for cell in content["cells"]], content["overwrite"], content["run"]


def work(cells: Sequence[Cell], overwrite: str, outcome: Outcome) -> int:
    """Run what is still to be done of a job, alone. Returns the exit status."""
    workspace = Workspace.of(cells[0])
    with workspace.lock().acquire(timeout=0):
        try:
            run(cells, overwrite, workspace, outcome)
        except BaseException as error:
            tell(cells, outcome, error)
            raise
    return 0


def run(cells: Sequence[Cell], overwrite: str, workspace: Workspace, outcome: Outcome) -> None:
    workspace.write_status(status="starting")
    left = to_run(cells, overwrite)  # another grid may have done some since the job was written
    if len(left) < len(cells):
        outcome.add({cell.cell_id: Ending("done") for cell in cells if cell not in left})
    if left:
        from bench.run.train import run_cells  # after the lock: it takes seconds to import

        run_cells(left, fresh=overwrite == "always", outcome=outcome)


def tell(cells: Sequence[Cell], outcome: Outcome, error: BaseException) -> None:
    """The failure of the cells of which nothing was told: those of a run that did not come as far as its training."""
    status: Status = "interrupted" if isinstance(error, Interrupted) else "failed"
    left = [cell for cell in cells if cell.cell_id not in outcome.endings]
    if left:
        outcome.add({cell.cell_id: record_failure(cell, status, error, None) for cell in left})


def guarded(cells: Sequence[Cell], overwrite: str, outcome: Outcome) -> int:
    """The exit status; whatever goes wrong is in the outcome."""
    try:
        return work(cells, overwrite, outcome)
    except Timeout:
        return BUSY
    except BaseException as error:
        tell(cells, outcome, error)  # without the lock only where the lock itself cannot be had
        if is_user_facing(error):
            log.error("%s", error)
        else:
            log.exception("%s failed", cells[0])
        return error.exit_status if isinstance(error, Interrupted) else FAILED


def last_words(outcome: Outcome) -> bytes:
    """The worst ending of the run and why the outcome is not where it should be."""
    worst = max(outcome.endings.values(), key=lambda ending: ending.status != "done", default=Ending("failed"))
    error = f"{worst.error or worst.status} (the outcome cannot be written: {outcome.problem})"
    return json.dumps(asdict(Ending(worst.status, error[:LONGEST], worst.kept))).encode()


def main() -> int:
    parent = int(os.environ.get("BENCH_PARENT", os.getppid()))
    end_with_parent(parent, FAILED)
    end_on_signals()
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to the log
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    cells, overwrite, run = read_job(sys.stdin.buffer)
    outcome = Outcome(Workspace.of(cells[0]), run)
    status = guarded(cells, overwrite, outcome)
    if outcome.problem:
        os.write(answer, last_words(outcome))
    return status


if __name__ == "__main__":
    sys.exit(main())
