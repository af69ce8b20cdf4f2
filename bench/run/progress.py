"""How far an evaluation or a training is: a bar on a terminal, now and then a line in a log."""

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
LOG_EVERY = 30.0  # seconds between lines of a log


class Tally:
    """Steps done of a number known, with the time left; on standard error."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        console = Console(file=sys.stderr)
        self.name, self.total, self.unit, self.done = name, total, unit, 0
        self.started = self.told = time.monotonic()
        columns = TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn(unit)
        left = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
        self.bar = Progress(*columns, *left, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task(name, total=total)
        self.bar.start()

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        self.bar.update(self.task, completed=self.done)
        now = time.monotonic()
        if self.bar.disable and now - self.told > LOG_EVERY and self.done:
            left = (now - self.started) * (self.total - self.done) / self.done
            log.info("%s: %d of %d %s, %s left", self.name, self.done, self.total, self.unit, clock(left))
            self.told = now

    def stop(self) -> None:
        self.bar.stop()


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


class TellEvaluation(pl.Callback):
    """Counts the images of a validation, in the process that leads; the others are taken to be as far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tally: Tally | None = None

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            loader: Any = trainer.val_dataloaders
            self.tally = Tally(self.name, len(loader.dataset), "images")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.tally is not None:
            self.tally.advance(len(batch["images"]) * trainer.world_size)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.tally is not None:
            self.tally.stop()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self.on_validation_end(trainer, module)
