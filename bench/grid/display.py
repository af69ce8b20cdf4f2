"""What a grid shows while it runs: which training, which epoch, how long still."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bench.run.cells import Cell
from bench.run.workspace import Workspace


class GridDisplay:
    """Bars on a terminal, a line per event elsewhere; everything on standard error.

    The time still needed follows from the epochs done by all trainings so far, finished and running.
    """

    def __init__(self, trainings: int, parallel: int) -> None:
        self.console = Console(file=sys.stderr)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.total, self.parallel = trainings, parallel
        self.finished = 0
        self.overall = self.progress.add_task("grid", total=float(trainings), note="")
        self.tasks: dict[Workspace, TaskID] = {}
        self.clock = time.monotonic()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def notify(self, event: str, cells: list[Cell], why: str | None = None) -> None:
        """Of a training: "start", "wait" (somebody else is at it), or the status with which it ended and the reason;
        "tick" of none."""
        if event == "tick":
            self.refresh()
            return
        workspace = Workspace.of(cells[0])
        if event == "wait":
            self.say(f"{cells[0]}: another process is at training {cells[0].train_id}; waiting until it ends")
            return
        if event == "start":
            self.tasks[workspace] = self.progress.add_task(str(cells[0]), total=1.0, note="starting")
            self.say(f"{cells[0]}: training {cells[0].train_id}, {len(cells)} evaluations; log {workspace.log}")
            return
        self.finished += 1
        task = self.tasks.pop(workspace, None)
        if task is not None:
            self.progress.remove_task(task)
        reason = f": {why}" if why else ""
        self.say(f"{cells[0]}: {event} ({self.finished} of {self.total}, {self.remaining()} left){reason}")
        self.refresh()

    def refresh(self) -> None:
        """Move every bar to where its status file says it is."""
        if not self.console.is_terminal:
            return
        for workspace, task in self.tasks.items():
            self.progress.update(task, completed=fraction(workspace), note=note(workspace))
        self.progress.update(self.overall, completed=self.amount(), note=f"{self.remaining()} left")

    def amount(self) -> float:
        """Trainings done, running ones in part."""
        return self.finished + sum(fraction(workspace) for workspace in self.tasks)

    def remaining(self) -> str:
        amount, elapsed = self.amount(), time.monotonic() - self.clock
        if amount <= 0:
            return "unknown time"
        seconds = round(elapsed * (self.total - amount) / amount)
        return f"{seconds // 60} min {seconds % 60:02d} s"

    def say(self, line: str) -> None:
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


def fraction(workspace: Workspace) -> float:
    """How much of a training is done, 0 to 1; its evaluation counts for the last tenth."""
    status = workspace.read_status()
    if status.get("stage") == "evaluate":
        return 0.9
    if status.get("status") == "done":
        return 1.0
    epoch, epochs = number(status.get("epoch")), number(status.get("epochs"))
    return 0.9 * min(epoch / epochs, 1.0) if epoch and epochs else 0.0


def note(workspace: Workspace) -> str:
    status = workspace.read_status()
    if status.get("stage") != "train":
        return str(status.get("stage", status.get("status", "")))[:20]
    epoch, epochs, loss = (number(status.get(key)) for key in ("epoch", "epochs", "loss"))
    if epoch is None or epochs is None:
        return "train"
    return f"epoch {epoch:.1f} of {epochs:.0f}" + ("" if loss is None else f", loss {loss:.3f}")


def number(value: Any) -> float | None:
    """A number of 0 or more from a file that may hold anything; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < sys.float_info.max else None
