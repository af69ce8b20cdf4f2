"""What tests of processes share: cells with a record that nobody had to train for, and ways to wait for a process."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.records.record import Provenance, Record, Run, read_records, write_record
from bench.run.cells import Cell
from bench.run.records import done_record, failed_record

from .conftest import command_environment

PATIENCE = 300.0  # seconds
RUN = Run(versions={}, device="a test")


def put_done(cell: Cell, results: Path) -> Path:
    """A result on record, as of an earlier run."""
    provenance = Provenance(schedule="smoke", weights="trained", training=RUN)
    return write_record(done_record(cell, {"val/AP_easy": 0.5}, None, provenance, {}), results)


def put_failed(cell: Cell, results: Path) -> Path:
    return write_record(failed_record(cell, "failed", "the error of an earlier run", RUN), results)


def statuses(folder: Path) -> list[str]:
    return [record.status for record in records(folder)]


def records(folder: Path) -> list[Record]:
    return read_records(folder / "runs" / "results")


def start(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """The real command in a folder of its own; its output lies in `err.txt` and `out.txt` there."""
    folder.mkdir(parents=True, exist_ok=True)
    prepare = options.pop("preexec_fn", lambda: None)

    def heard() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which shells leave ignored in what runs in the background
        prepare()

    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *words],
            cwd=folder, env=command_environment(), stdout=out, stderr=err, text=True, preexec_fn=heard, **options,
        )  # fmt: skip


def told(folder: Path) -> str:
    """What the command said on standard error so far."""
    return (folder / "err.txt").read_text()


@contextmanager
def running(folder: Path, *words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, killed at the end if it is still there."""
    process = start(folder, *words, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str], folder: Path) -> Any:
    """The first true value of `what`; fails as soon as the process is over, or after `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        is_over = process.poll() is not None
        if found := what():
            return found
        assert not is_over, told(folder)
        time.sleep(0.05)
    raise AssertionError(f"waited in vain; the command said:\n{told(folder)}")


def trains(folder: Path) -> Callable[[], Mapping[str, Any] | None]:
    """Whether some training below `folder` has left a checkpoint; its status, with the process's id."""

    def look() -> Mapping[str, Any] | None:
        for checkpoint in (folder / "runs" / "trainings").glob("*/seed0/checkpoints/last.ckpt"):
            status: Mapping[str, Any] = json.loads((checkpoint.parents[1] / "status.json").read_text())
            if status.get("stage") == "train":
                return status
        return None

    return look
