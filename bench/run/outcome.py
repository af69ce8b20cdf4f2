"""How one run of a training ended, told by the run itself.

Records outlive runs: a cell may have a good record and a run that failed, or a failure on record and no run at all. So
what a command says of its own run comes from the file that this run writes under the training's lock,
`outcomes/<run>.json` beside the checkpoints, and never from records.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from bench.errors import is_user_facing
from bench.records.record import Run, Status, write_record, write_text_atomically
from bench.run.cells import Cell
from bench.run.workspace import Workspace, find_record, now

log = logging.getLogger(__name__)
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Ending:
    """
    Attributes:
        error: what went wrong, whole; None for "done".
        kept: a result of an earlier run stays on record.
    """

    status: Status
    error: str | None = None
    kept: bool = False


def new_run() -> str:
    """A name for a run that no other one has; names sort by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


class Outcome:
    """The endings of a run, by cell; every change is written at once.

    Attributes:
        problem: why it could not be written, None as long as it could.
    """

    def __init__(self, workspace: Workspace, run: str | None = None) -> None:
        self.path = workspace.root / "outcomes" / f"{run or new_run()}.json"
        self.endings: dict[str, Ending] = {}
        self.problem: str | None = None

    def add(self, endings: Mapping[str, Ending]) -> None:
        """Cell id -> how it ended. Never fails: what cannot be written is told through `problem`."""
        self.endings |= endings
        content = {cell_id: asdict(ending) for cell_id, ending in self.endings.items()}
        try:
            write_text_atomically(self.path, json.dumps(content, indent=1) + "\n")
            self.problem = None
        except OSError as error:
            self.problem = str(error)
            log.warning("the outcome cannot be written: %s", error)


def read_outcome(path: Path) -> dict[str, Ending]:
    """Cell id -> how it ended, as far as the run told; empty without such a file, or with one that is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    found = content.items() if isinstance(content, dict) else ()
    return {cell_id: ending for cell_id, value in found if (ending := as_ending(value)) is not None}


def as_ending(value: Any) -> Ending | None:
    """An ending that was read from somewhere; None for anything else."""
    if not isinstance(value, dict) or value.get("status") not in STATUSES:
        return None
    error = value.get("error")
    return Ending(value["status"], None if error is None else str(error), value.get("kept") is True)


def words_of(error: BaseException | str) -> str:
    """An error as records tell it; the kind stands before one that was not written for people."""
    message = str(error) or repr(error)
    told = isinstance(error, str) or is_user_facing(error)
    return message if told else f"{type(error).__name__}: {message}"


def record_failure(cell: Cell, status: Status, error: BaseException | str, training: Run | None) -> Ending:
    """Put a failure on record, unless there is a result: only a better one replaces a good record.

    Never fails itself: what stands in the way of the record is told in the ending.
    """
    from bench.run.records import failed_record, run_of  # imports torch, which the driver of a grid can do without

    message = words_of(error)
    try:
        before = find_record(cell)
        if before is not None and before.status == "done":
            return Ending(status, message, kept=True)
        record = failed_record(cell, status, message, training or run_of(cell.config, started_at=now()))
        write_record(record, Path(cell.config["paths"]["results"]))
    except Exception as problem:
        return Ending(status, f"{message} (and this cannot be recorded: {problem})")
    return Ending(status, message)
