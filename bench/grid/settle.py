"""How the cells of a finished process ended: what its outcome tells, and for the others what the system tells."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import Timeout

from bench.records.record import Status
from bench.run.cells import Cell
from bench.run.outcome import Ending, as_ending, read_outcome, record_failure
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace
from bench.signals import name_of

Endings = Mapping[str, Ending]  # by cell id


def settle(
    cells: Sequence[Cell], outcome: Path, code: int, last_words: bytes, timeout: str | None
) -> dict[str, Ending]:
    """The ending of every cell of a process.

    Args:
        outcome: the file that the run wrote, or did not.
        code: of the process, negative for a signal.
        last_words: on its standard output, where it could not write the outcome.
        timeout: why the process was ended by us, None if it was not.
    """
    told = read_outcome(outcome)
    left = [cell for cell in cells if cell.cell_id not in told]
    if not left:
        return told
    spoken = None if timeout else spoken_ending(last_words)
    if spoken is not None:
        return told | {cell.cell_id: spoken for cell in left}
    status, error = silent_ending(code, Workspace.of(cells[0]).log, timeout)
    return told | give_up(left, status, error)


def spoken_ending(last_words: bytes) -> Ending | None:
    try:
        return as_ending(json.loads(last_words))
    except ValueError:
        return None


def silent_ending(code: int, log: Path, timeout: str | None) -> tuple[Status, str]:
    """Status and error of a process that told nothing."""
    if timeout is not None:
        return "timeout", timeout
    if code < 0:
        return "interrupted", f"the process was ended by {name_of(-code)}; its log is {log}"
    return "failed", f"the process ended with exit status {code} and told no outcome; {last_line(log)}"


def last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError as error:
        return f"its log cannot be read: {error}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"its log, {log}, ends with: {said[:300]}"


def give_up(cells: Sequence[Cell], status: Status, error: str) -> dict[str, Ending]:
    """Record the failure of `cells` for a process that cannot, under the training's lock."""
    workspace = Workspace.of(cells[0])
    try:
        with workspace.lock().acquire(timeout=0):
            training = TrainingLog(workspace.root).run()
            return {cell.cell_id: record_failure(cell, status, error, training) for cell in cells}
    except Timeout:
        said = f"{error} (not recorded: another process is at this training by now)"
    except OSError as problem:
        said = f"{error} (and this cannot be recorded: {problem})"
    return {cell.cell_id: Ending(status, said) for cell in cells}
