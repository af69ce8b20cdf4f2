"""What a run does beside training: stop when it diverges, tell how far it is."""

import time
from typing import Any

import pytorch_lightning as pl
import torch

from bench.errors import BenchError
from bench.run.training_log import TrainingLog
from bench.run.workspace import Workspace


class DivergedError(BenchError):
    """The loss is no longer a number."""


class StopOnDivergence(pl.Callback):
    """Raise `DivergedError` at the first loss that is not finite, in all processes at once."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is None:
            return
        loss = trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
        if not bool(torch.isfinite(loss).all()):
            raise DivergedError(
                f"the loss became {float(loss)} in epoch {trainer.current_epoch}, iteration {trainer.global_step}; "
                f"lower detector.recipe.lr, lengthen its warm-up or set detector.recipe.grad_clip"
            )


class ReportProgress(pl.Callback):
    """Write the status file of a training: at most once a second, and at the end of every epoch."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.written = 0.0
        self.loss: float | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self.written > 1.0:
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            self.loss = None if loss is None else float(loss)
            self.write(trainer, trainer.current_epoch + (batch_idx + 1) / max(int(trainer.num_training_batches), 1))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.write(trainer, trainer.current_epoch + 1.0)

    def write(self, trainer: pl.Trainer, epoch: float) -> None:
        self.written = time.monotonic()
        self.workspace.write_status(
            status="running", stage="train", epoch=epoch, epochs=trainer.max_epochs, loss=self.loss
        )


class KeepTime(pl.Callback):
    """Write the time of a training at the end of every epoch: a kill loses no more than one."""

    def __init__(self, history: TrainingLog) -> None:
        self.history = history

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.history.keep()


class RememberLosses(pl.Callback):
    """The training losses of the last epoch, kept in the checkpoint: a run that ends between its last epoch and its
    evaluation has them when it goes on."""

    def __init__(self) -> None:
        self.losses: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        logged = trainer.callback_metrics.items()
        self.losses = {name: float(value) for name, value in logged if name.startswith("train/")}

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses = dict(state_dict["losses"])
