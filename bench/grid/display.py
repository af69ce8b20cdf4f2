"""What a grid shows while it runs: which training, which epoch, how long still."""

import sys
import time
from types import TracebackType
from typing import Self

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
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
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

    def notify(self, event: str, cells: list[Cell]) -> None:
        if event == "tick":
            self.refresh()
            return
        workspace = Workspace.of(cells[0])
        if event == "start":
            self.tasks[workspace] = self.progress.add_task(str(cells[0]), total=1.0, note="starting")
            self.say(f"{cells[0]}: training {cells[0].train_id}, {len(cells)} evaluations; log {workspace.log}")
            return
        self.finished += 1
        task = self.tasks.pop(workspace, None)
        if task is not None:
            self.progress.remove_task(task)
        self.say(f"{cells[0]}: {event} ({self.finished} of {self.total}, {self.remaining()} left)")
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
        self.progress.console.print(line, highlight=False, soft_wrap=True)


def fraction(workspace: Workspace) -> float:
    """How much of a training is done; its evaluation counts for the last tenth."""
    status = workspace.read_status()
    if status.get("stage") == "evaluate":
        return 0.9
    if status.get("status") == "done":
        return 1.0
    return 0.9 * float(status.get("epoch", 0)) / float(status.get("epochs") or 1)


def note(workspace: Workspace) -> str:
    status = workspace.read_status()
    if status.get("stage") != "train":
        return str(status.get("stage", status.get("status", "")))
    loss = status.get("loss")
    return f"epoch {float(status['epoch']):.1f} of {status['epochs']}" + ("" if loss is None else f", loss {loss:.3f}")
