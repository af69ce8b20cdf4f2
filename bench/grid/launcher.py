"""Launchers: where trainings run. Local: processes of this machine, a few at a time."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal, Protocol

from bench.errors import BenchError
from bench.grid.nursery import Nursery
from bench.grid.settle import Endings, give_up, settle
from bench.grid.worker import BUSY, write_job
from bench.run.cells import Cell
from bench.run.outcome import Ending, Outcome, new_run
from bench.run.provenance import command
from bench.run.workspace import Workspace, to_run

log = logging.getLogger(__name__)
Notify = Callable[..., None]  # (event, cells, reason): see GridDisplay.notify
Ended = dict[tuple[str, int], Ending]  # by cell id and seed
PATIENCE = 30.0  # seconds that a process has to record its interruption


class Process(Protocol):
    """What is asked of a process, as of `subprocess.Popen`."""

    returncode: int | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Job:
    """A training as a process.

    Attributes:
        timeout: why it was ended for taking too long, None as long as it was not.
    """

    cells: list[Cell]
    process: Process
    outcome: Outcome
    clock: float = field(default_factory=time.monotonic)
    timeout: str | None = None

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.clock) / 60

    def settle(self) -> dict[str, Ending]:
        """How each cell ended, once the process is over."""
        assert self.process.stdout is not None
        assert self.process.returncode is not None
        with self.process.stdout as answer:
            last_words = answer.read()
        return settle(self.cells, self.outcome.path, self.process.returncode, last_words, self.timeout)


@dataclass
class LocalLauncher:
    """
    Args:
        max_parallel: trainings at a time.
        threads: torch threads of each training; None divides the cores among them.
        timeout_minutes: a training that takes longer is ended and recorded as a timeout; None waits for ever.
        fork: from one process that has imported torch, where None does so on Linux; False starts a Python for each.
        poll_seconds: how often processes are looked at.
    """

    max_parallel: int = 1
    threads: int | None = None
    timeout_minutes: float | None = None
    fork: bool | None = None
    poll_seconds: float = 0.2
    nursery: Nursery | None = field(default=None, init=False)

    def run(
        self, trainings: Sequence[list[Cell]], overwrite: str, on_error: Literal["continue", "stop"], notify: Notify
    ) -> Ended:
        """Run every training; returns how the cells of this run ended, without those that were not begun."""
        queue = Queue(list(trainings), notify)
        try:
            while queue.waiting or queue.running:
                self.start_some(queue, overwrite)
                for job in [job for job in queue.running if self.is_over(job)]:
                    queue.running.remove(job)
                    if job.process.returncode == BUSY:
                        queue.waiting.append(job.cells)  # another grid is at it; its records will be found in a while
                        queue.tell_wait(job.cells)
                    else:
                        queue.end(job.cells, job.settle())
                if on_error == "stop" and queue.has_failed:
                    break
                notify("tick", [])
                time.sleep(self.poll_seconds)
        finally:
            self.stop(queue)
        return queue.ended

    def start_some(self, queue: "Queue", overwrite: str) -> None:
        """Fill free places with trainings that nobody else runs; those that are busy stay in the queue."""
        for cells in list(queue.waiting):
            if len(queue.running) >= self.max_parallel:
                return
            try:
                self.start_one(cells, queue, overwrite)
            except (OSError, BenchError) as error:
                queue.waiting.remove(cells)
                queue.end(cells, give_up(cells, "failed", f"cannot be started: {error}"))

    def start_one(self, cells: list[Cell], queue: "Queue", overwrite: str) -> None:
        """Start what is still to be done of a training, unless another process is at it.

        Raises:
            OSError: its folder cannot be written, or no process can be had.
            BenchError: what is on record cannot be read.
        """
        if Workspace.of(cells[0]).is_running():
            queue.tell_wait(cells)
            return
        left = to_run(cells, overwrite)
        job = self.start(left, overwrite) if left else None
        queue.waiting.remove(cells)
        queue.ended |= {(cell.cell_id, cell.seed): Ending("done") for cell in cells if cell not in left}
        if job is None:
            queue.notify("done", cells)  # by another process, while they were waiting
        else:
            queue.running.append(job)
            queue.notify("start", left)

    def start(self, cells: list[Cell], overwrite: str) -> Job:
        workspace, run = Workspace.of(cells[0]), new_run()
        workspace.root.mkdir(parents=True, exist_ok=True)
        with workspace.log.open("ab") as output, write_job(cells, overwrite, run) as job:
            return Job(cells, self.process(job, output), Outcome(workspace, run))

    def process(self, job: IO[bytes], output: IO[bytes]) -> Process:
        """A worker on `job` that logs to `output`."""
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.max_parallel)
        own = {"OMP_NUM_THREADS": str(threads), "BENCH_COMMAND": command()}
        if sys.platform == "linux" if self.fork is None else self.fork:
            self.nursery = self.nursery or Nursery(["bench.run.train", "bench.grid.worker"], own)
            return self.nursery.start("bench.grid.worker:main", [job, subprocess.PIPE, output])
        return subprocess.Popen(
            [sys.executable, "-m", "bench.grid.worker"],
            stdin=job,
            stdout=subprocess.PIPE,
            stderr=output,
            env={**os.environ, **own, "BENCH_PARENT": str(os.getpid())},
        )

    def is_over(self, job: Job) -> bool:
        if job.process.poll() is not None:
            return True
        if self.timeout_minutes is None or job.minutes < self.timeout_minutes:
            return False
        job.process.kill()
        job.process.wait()
        job.timeout = f"took longer than launcher.timeout_minutes={self.timeout_minutes}"
        return True

    def stop(self, queue: "Queue") -> None:
        """End what still runs, and tell how."""
        for job in queue.running:
            job.process.terminate()
        for job in queue.running:
            try:
                job.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()
        if self.nursery is not None:
            self.nursery.close()
            self.nursery = None
        for job in queue.running:
            queue.end(job.cells, job.settle())


@dataclass
class Queue:
    """The trainings of a grid's run: waiting, running, and how the cells of the others ended."""

    waiting: list[list[Cell]]
    notify: Notify
    running: list[Job] = field(default_factory=list)
    ended: Ended = field(default_factory=dict)
    told: set[tuple[str, int]] = field(default_factory=set)  # trainings at which another process is, and that was said

    @property
    def has_failed(self) -> bool:
        return any(ending.status != "done" for ending in self.ended.values())

    def tell_wait(self, cells: list[Cell]) -> None:
        """Say once that another process is at a training."""
        if cells[0].shared_training not in self.told:
            self.told.add(cells[0].shared_training)
            self.notify("wait", cells)

    def end(self, cells: list[Cell], endings: Endings) -> None:
        """Take note of how the cells of a training ended, and tell the worst of it."""
        self.ended |= {(cell.cell_id, cell.seed): endings[cell.cell_id] for cell in cells}
        failed = [endings[cell.cell_id] for cell in cells if endings[cell.cell_id].status != "done"]
        worst = failed[0] if failed else Ending("done")
        self.notify(worst.status, cells, first_line(worst.error))


def first_line(text: str | None) -> str | None:
    return None if text is None else (text.splitlines() or [""])[0][:200]
