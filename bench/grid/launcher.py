"""Launchers: where trainings run. Local: processes of this machine, a few at a time."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.grid.worker import BUSY, write_job
from bench.records.record import Status, write_record
from bench.run.cells import Cell
from bench.run.provenance import command
from bench.run.records import failed_record, run_of
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace, now, to_run

log = logging.getLogger(__name__)
Event = Callable[[str, list[Cell]], None]


@dataclass
class Job:
    """A training as a process."""

    cells: list[Cell]
    workspace: Workspace
    process: subprocess.Popen[bytes]
    started_at: str = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.clock


@dataclass
class LocalLauncher:
    """
    Args:
        max_parallel: trainings at a time.
        threads: torch threads of each training; None divides the cores among them.
        timeout_minutes: a training that takes longer is ended and recorded as a timeout; None waits for ever.
        poll_seconds: how often processes are looked at.
    """

    max_parallel: int = 1
    threads: int | None = None
    timeout_minutes: float | None = None
    poll_seconds: float = 0.2

    def run(
        self, trainings: Sequence[list[Cell]], overwrite: str, on_error: Literal["continue", "stop"], notify: Event
    ) -> list[list[Cell]]:
        """Run every training; returns those that did not succeed. `notify` hears "start", "done", "failed", "tick"."""
        waiting, running, failed = list(trainings), list[Job](), list[list[Cell]]()
        try:
            while waiting or running:
                self.start_some(waiting, running, overwrite, notify)
                for job in [job for job in running if self.is_over(job)]:
                    running.remove(job)
                    if job.process.returncode == BUSY:
                        waiting.append(job.cells)  # another grid is at it; its records will be found in a while
                        continue
                    succeeded = self.settle(job)
                    notify("done" if succeeded else "failed", job.cells)
                    if not succeeded:
                        failed.append(job.cells)
                        if on_error == "stop":
                            return failed
                notify("tick", [])
                time.sleep(self.poll_seconds)
        finally:
            for job in running:
                job.process.terminate()
            for job in running:
                job.process.wait()
        return failed

    def start_some(self, waiting: list[list[Cell]], running: list[Job], overwrite: str, notify: Event) -> None:
        """Fill free places with trainings that nobody else runs; those that are busy stay in the queue."""
        for cells in list(waiting):
            if len(running) >= self.max_parallel:
                return
            if Workspace.of(cells[0]).is_running():
                continue
            waiting.remove(cells)
            left = to_run(cells, overwrite)
            if not left:
                notify("done", cells)
                continue
            running.append(self.start(left, overwrite))
            notify("start", left)

    def start(self, cells: list[Cell], overwrite: str) -> Job:
        workspace = Workspace.of(cells[0])
        job = workspace.root / "job.json"
        write_job(job, cells, overwrite)
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.max_parallel)
        own = {"OMP_NUM_THREADS": str(threads), "BENCH_PARENT": str(os.getpid()), "BENCH_COMMAND": command()}
        workspace.write_status(status="starting")
        with workspace.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.grid.worker", str(job)],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **own},
            )
        return Job(cells, workspace, process)

    def is_over(self, job: Job) -> bool:
        if job.process.poll() is not None:
            return True
        if self.timeout_minutes is None or job.seconds < 60 * self.timeout_minutes:
            return False
        job.process.kill()
        job.process.wait()
        self.give_up(job, "timeout", f"took longer than launcher.timeout_minutes={self.timeout_minutes}")
        return True

    def settle(self, job: Job) -> bool:
        """Whether every cell of a finished process is done; one that died without a word gets a record saying so."""
        code = job.process.returncode
        left = to_run(job.cells, "only-missing")
        if left and code < 0 and to_run(left, "never"):
            self.give_up(job, "interrupted", f"the process was ended by signal {-code}; its log is {job.workspace.log}")
        return not left

    def give_up(self, job: Job, status: Status, error: str) -> None:
        for cell in to_run(job.cells, "only-missing"):
            begun = TrainingLog(job.workspace.root).run()
            training = begun or run_of(cell.config, started_at=job.started_at, wall_time_s=job.seconds)
            record = failed_record(cell, status, error, training)
            write_record(record, Path(cell.config["paths"]["results"]))
